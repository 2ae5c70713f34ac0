"""
==============================================
Find a learning rate in one second: range test
==============================================

Left: one short training in which the learning rate rises from mini-batch to mini-batch
(Smith, 2017). Where the loss falls fastest is a good rate to begin with.

Right: what full trainings make of three rates. A hundredth of the suggestion learns
too slowly, the suggestion learns, and fifty times as much stays far above it.

Run it as ``python examples/plot_learning_rate.py [--output PICTURE.png]``.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklearn_backprop import BackpropMLPClassifier
from sklearn_backprop.inspection import LearningRateRangeDisplay, LossCurveDisplay

X, y = load_digits(return_X_y=True)
X = X / 16
NETWORK = BackpropMLPClassifier((64, 64), max_iter=30, random_state=0)
MULTIPLES = {"a hundredth": 0.01, "suggestion": 1.0, "50 times": 50.0}


def train(rate: float) -> BackpropMLPClassifier:
    """Train for thirty epochs."""
    model = BackpropMLPClassifier(**NETWORK.get_params())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs are meant
        return model.set_params(learning_rate_init=rate).fit(X, y)


def draw(output: Path) -> None:
    """Save the picture: the range test, and three trainings."""
    with plt.rc_context({"font.size": 15}):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(12, 5.2), layout="constrained"
        )
        test = LearningRateRangeDisplay.from_estimator(
            NETWORK, X, y, ax=left, name="Range test: one short training"
        )
        print(f"suggested rate {test.suggestion:.2g}")
        for name, multiple in MULTIPLES.items():
            model = train(multiple * test.suggestion)
            print(f"{name:<12} loss after {model.n_iter_} epochs {model.loss_:.4f}")
            LossCurveDisplay.from_estimator(
                model, ax=right, name=f"{name} ({model.learning_rate_init:.2g})"
            )
        right.set(title="Full trainings at three rates", yscale="log", ylim=(2e-3, 12))
        right.legend(loc="lower left")
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=100)
        plt.close(figure)


def main() -> None:
    """Test, train, print, draw."""
    parser = argparse.ArgumentParser(description="Find a learning rate and try it.")
    parser.add_argument("--output", type=Path, default=Path("plot_learning_rate.png"))
    output = parser.parse_args().output
    with threadpool_limits(1):
        draw(output)
    print(f"\nThe picture is in {output.resolve()}")


if __name__ == "__main__":
    main()
