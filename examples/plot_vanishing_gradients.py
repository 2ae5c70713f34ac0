"""
=============================================
Vanishing gradients: where the signal is lost
=============================================

Three networks of twenty hidden layers learn the digits. Each picture shows the norm of
the gradient in every layer (upwards) and epoch (to the right), on one scale.

"logistic" multiplies the gradient by at most a quarter in every layer on its way back:
at the first layers nothing of it is left, and the network stays at chance. "relu" with
He's start keeps what passes through, and residual blocks let it pass by.

Run it as ``python examples/plot_vanishing_gradients.py [--output PICTURE.png]``.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import LogNorm
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from sklearn_backprop import BackpropMLPClassifier
from sklearn_backprop.inspection import GradientFlowDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, stratify=y, random_state=0
)

NETWORKS = {
    "logistic": {"activation": "logistic"},
    "relu, He": {"activation": "relu", "init": "he_normal"},
    "relu, residual": {"activation": "relu", "residual": "add"},
}


def train(settings: dict) -> BackpropMLPClassifier:
    """Train twenty hidden layers for thirty epochs.

    Without the penalty: its gradient would hide how little of the loss's arrives.
    """
    model = BackpropMLPClassifier(
        (48,) * 20, alpha=0.0, max_iter=30, random_state=0, **settings
    )
    with warnings.catch_warnings():  # that one of them stays at chance is the lesson
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X_train, y_train)


def draw(output: Path) -> None:
    """Save the picture: a heat map for each network, on one scale."""
    with plt.rc_context({"font.size": 15}):
        figure, axes = plt.subplots(
            1, 3, figsize=(12, 5.2), sharey=True, layout="constrained"
        )
        for ax, (name, settings) in zip(axes, NETWORKS.items(), strict=True):
            model = train(settings)
            accuracy = model.score(X_test, y_test)
            print(f"{name:<16} accuracy {accuracy:.3f}")
            display = GradientFlowDisplay.from_estimator(
                model,
                kind="heatmap",
                name=f"{name}\naccuracy {accuracy:.0%}",
                ax=ax,
                norm=LogNorm(1e-14, 10),
            )
            if ax is not axes[-1]:
                display.colorbar_.remove()
            if ax is not axes[0]:
                ax.set_ylabel("")
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=100)
        plt.close(figure)


def main() -> None:
    """Train, print, draw."""
    parser = argparse.ArgumentParser(description="Look at gradients of deep networks.")
    parser.add_argument(
        "--output", type=Path, default=Path("plot_vanishing_gradients.png")
    )
    output = parser.parse_args().output
    with threadpool_limits(1):
        draw(output)
    print(f"\nThe picture is in {output.resolve()}")


if __name__ == "__main__":
    main()
