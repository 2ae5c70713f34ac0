"""
================================================
Why features are scaled: the valley and the bowl
================================================

Gradient descent steps at right angles to the contours of its cost J. Blood pressure
varies three times as much as the body-mass index, so that J is a narrow valley over
their raw coefficients: the step must be short enough for the steep walls, and then it
is far too short for the floor. Scaled to unit variance, the same two features make a
round bowl, whose bottom descent reaches in a quarter of the steps.

Both pictures take the same kind of step, 1.5/L with L the largest curvature.

Run it as ``python examples/plot_feature_scaling.py [--output PICTURE.png]``.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes

from sklearn_backprop import GDLinearRegression
from sklearn_backprop.inspection import DescentPathDisplay

# %%
# Two features of the diabetes table, centred so that two coefficients say it all.

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X = X[["bmi", "bp"]] - X[["bmi", "bp"]].mean()
y = y - y.mean()


def descend(feature_scaling) -> GDLinearRegression:
    """Descend with steps of 1.5/L until the gradient is 1e-4 of what it was."""
    model = GDLinearRegression(
        feature_scaling=feature_scaling, fit_intercept=False, tol=1e-4, track_path=True
    )
    step = 1.5 * model.fit(X, y).learning_rate_  # "auto" took 1/L
    return model.set_params(learning_rate_init=step).fit(X, y)


def draw(output: Path) -> None:
    """Save the picture: both landscapes with the way through them."""
    with plt.rc_context({"font.size": 15}):
        figure, axes = plt.subplots(1, 2, figsize=(12, 6.6), layout="constrained")
        for ax, scaling, title in zip(
            axes,
            [None, "standard"],
            ["Raw features: a narrow valley", "Scaled features: a round bowl"],
            strict=True,
        ):
            model = descend(scaling)
            print(f"feature_scaling={scaling!r}: {model.n_iter_} steps")
            DescentPathDisplay.from_estimator(
                model, X, y, ax=ax, name=f"{title}, {model.n_iter_} steps"
            )
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=100)
        plt.close(figure)


def main() -> None:
    """Descend twice, print, draw."""
    parser = argparse.ArgumentParser(description="Descend with and without scaling.")
    parser.add_argument("--output", type=Path, default=Path("plot_feature_scaling.png"))
    output = parser.parse_args().output
    draw(output)
    print(f"\nThe picture is in {output.resolve()}")


if __name__ == "__main__":
    main()
