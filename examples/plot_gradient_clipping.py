"""
=====================================================
Exploding gradients: one bad step, and how to clip it
=====================================================

A network of ten hidden layers learns the digits by plain gradient steps at a bold rate.
Most gradients are harmless, but now and then one is so long that its step throws the
network out of the region it knows, where the next gradient is longer still.

``clip=1.0`` scales a gradient that is longer than 1 down to that length and keeps its
direction [1]_. The long ones still come (left, before clipping), but they do no harm.

.. [1] Pascanu, R., Mikolov, T. and Bengio, Y. (2013). On the difficulty of training
   recurrent neural networks. ICML.

Run it as ``python examples/plot_gradient_clipping.py [--output PICTURE.png]``.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklearn_backprop import BackpropMLPClassifier
from sklearn_backprop.exceptions import DivergenceError
from sklearn_backprop.inspection import LossCurveDisplay

X, y = load_digits(return_X_y=True)
X = X / 16
# After Okabe and Ito, told apart also by colour-blind eyes.
COLOURS = {None: "#D55E00", 1.0: "#0072B2"}


def train(clip) -> BackpropMLPClassifier:
    """Train for thirty epochs, or until the numbers end."""
    model = BackpropMLPClassifier(
        (64,) * 10,
        solver="sgd",
        learning_rate_init=0.07,
        clip=clip,
        batch_size=64,
        max_iter=30,
        track_gradients="batch",
        random_state=3,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs are meant
        try:
            model.fit(X, y)
        except DivergenceError as error:  # its history up to there stays on the model
            print(f"clip={clip}: {error}")
        else:
            print(f"clip={clip}: accuracy {model.score(X, y):.3f} on training rows")
    return model


def draw_norms(ax, model) -> None:
    """Draw the norm of every mini-batch's gradient, as it was before clipping."""
    norms = model.gradient_history_["global_norm"]
    epochs = 1 + np.arange(len(norms)) / np.ceil(len(X) / 64)
    ax.plot(epochs, norms, color=COLOURS[model.clip], label=f"clip={model.clip}")


def draw(output: Path) -> None:
    """Save the picture: norms of the gradients, and the losses."""
    with plt.rc_context({"font.size": 15}):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(12, 5.2), sharex=True, layout="constrained"
        )
        for clip in (1.0, None):
            model = train(clip)
            draw_norms(left, model)
            LossCurveDisplay.from_estimator(
                model, ax=right, name=f"clip={clip}", color=COLOURS[clip], linewidth=3
            )
        left.axhline(1, color="black", linestyle=":", linewidth=2, label="threshold")
        left.set(yscale="log", ylim=(0.01, 1e4), xlabel="epoch", ylabel="norm")
        left.set_title("Gradient of every mini-batch")
        left.legend(loc="upper left")
        right.set(yscale="linear", ylim=(0, 3), title="Training loss")
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=100)
        plt.close(figure)


def main() -> None:
    """Train twice, print, draw."""
    parser = argparse.ArgumentParser(description="Train with and without clipping.")
    parser.add_argument(
        "--output", type=Path, default=Path("plot_gradient_clipping.png")
    )
    output = parser.parse_args().output
    with threadpool_limits(1):
        draw(output)
    print(f"\nThe picture is in {output.resolve()}")


if __name__ == "__main__":
    main()
