"""
========================================
How long a step may be: paths of descent
========================================

Four descents on the same cost J, from the same start, forty steps each. Two blood
serum values of the diabetes table are so strongly correlated that J is a valley even
though both are scaled. With L the largest curvature of J:

- steps of 0.1/L are safe and do not arrive;
- steps of 1/L, the default, go down the walls at once and then along the floor;
- steps of 1.95/L leap from wall to wall; above 2/L they would leave the valley;
- momentum turns short-sighted steps into speed along the floor.

Run it as ``python examples/plot_descent_path.py [--output PICTURE.png]``.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from sklearn_backprop import GDLinearRegression
from sklearn_backprop.inspection import DescentPathDisplay

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X = X[["s1", "s2"]]

WALKS = {
    "0.1/L: too short": (0.1, 0.0),
    "1/L: safe and quick": (1.0, 0.0),
    "1.95/L: from wall to wall": (1.95, 0.0),
    "1/L with momentum 0.7": (1.0, 0.7),
}
WINDOW = (-6, 30), (-15, 21)


def descend(multiple: float, momentum: float) -> GDLinearRegression:
    """Take forty steps of a multiple of 1/L."""
    model = GDLinearRegression(momentum=momentum, max_iter=40, track_path=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # forty steps are meant
        unit = model.fit(X, y).learning_rate_  # "auto" takes 1/L
        return model.set_params(learning_rate_init=multiple * unit).fit(X, y)


def draw(output: Path) -> None:
    """Save the picture: four paths, in one window."""
    with plt.rc_context({"font.size": 14}):
        figure, axes = plt.subplots(
            2, 2, figsize=(9.5, 9), sharex=True, sharey=True, layout="constrained"
        )
        for ax, (name, (multiple, momentum)) in zip(
            axes.flat, WALKS.items(), strict=True
        ):
            model = descend(multiple, momentum)
            print(f"{name:<28} J = {model.loss_:.2f}")
            DescentPathDisplay.from_estimator(
                model, X, y, ax=ax, name=name, window=WINDOW
            )
            ax.label_outer()
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=80)
        plt.close(figure)


def main() -> None:
    """Descend four times, print, draw."""
    parser = argparse.ArgumentParser(description="Descend with different steps.")
    parser.add_argument("--output", type=Path, default=Path("plot_descent_path.png"))
    output = parser.parse_args().output
    draw(output)
    print(f"\nThe picture is in {output.resolve()}")


if __name__ == "__main__":
    main()
