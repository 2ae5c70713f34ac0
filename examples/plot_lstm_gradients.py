"""
================================================
Gradients through time: what a tanh cell forgets
================================================

The adding problem (Hochreiter and Schmidhuber, 1997): fifty numbers go by, two of them
are marked, and their sum is asked for at the end. To learn from the first mark, the
gradient has to come back through all the steps in between.

The pictures show the norm of dJ/dh against the time step, from the right, where the
error is, to the left: at the start of training, and at its end. A plain tanh cell loses
a factor in every step, and what comes to the first steps is too little to learn from.
It ends where predicting the mean does, at an error of 1/6. An LSTM loses as much at
first, but its forget gates are learnt: once they stay open, the norm no longer falls.

Run it as ``python examples/plot_lstm_gradients.py [--output PICTURE.png]``.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklearn_backprop import BackpropRNNRegressor
from sklearn_backprop.inspection import GradientFlowDisplay, diagnose

N_STEPS = 50
COLOURS = {"tanh": "#D55E00", "lstm": "#0072B2"}  # Okabe and Ito


def adding_problem(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers with marks beside them (n, 50, 2), and the sum of the marked."""
    rng = np.random.default_rng(seed)
    X = np.zeros((n_rows, N_STEPS, 2), dtype=np.float32)
    X[..., 0] = rng.random((n_rows, N_STEPS))
    for half in (0, N_STEPS // 2):
        marked = half + rng.integers(N_STEPS // 2, size=n_rows)
        X[np.arange(n_rows), marked, 1] = 1
    return X, (X[..., 0] * X[..., 1]).sum(axis=1)


def train(cell: str) -> BackpropRNNRegressor:
    """Train one layer of such cells."""
    model = BackpropRNNRegressor(
        (32,),
        cell=cell,
        learning_rate_init=0.01 if cell == "lstm" else 0.001,
        batch_size=50,
        clip=1.0,
        alpha=0.0,
        max_iter=15,
        random_state=0,
    )
    with warnings.catch_warnings():  # that the tanh cell learns nothing is the lesson
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*adding_problem(3000, seed=0))


def draw(output: Path) -> None:
    """Save the picture: norms at the start and at the end, and the losses."""
    models = {cell: train(cell) for cell in COLOURS}
    X_test, y_test = adding_problem(1000, seed=1)
    with plt.rc_context({"font.size": 12}):
        figure, axes = plt.subplots(
            1, 3, figsize=(13, 4.4), layout="constrained", width_ratios=[1, 1, 0.9]
        )
        axes[0].sharey(axes[1])
        for cell, model in models.items():
            error = np.mean((model.predict(X_test) - y_test) ** 2)
            print(f"{cell}: mean squared error {error:.4f}. {diagnose(model)[0]}")
            style = {"color": COLOURS[cell], "label": cell}
            for ax, record, when in ((axes[0], 0, "first"), (axes[1], -1, "last")):
                GradientFlowDisplay.from_estimator(
                    model,
                    quantity="time_gradient_norm",
                    record=record,
                    name=f"Gradients in the {when} epoch",
                    ax=ax,
                    **style,
                )
            loss = 2 * np.array(model.loss_curve_)
            axes[2].plot(np.arange(1, len(loss) + 1), loss, **style)
        axes[2].axhline(1 / 6, color="black", linestyle=":", label="mean of y")
        axes[2].set(
            title="What they learn", xlabel="epoch", ylabel="mean squared error"
        )
        axes[2].set_yscale("log")
        axes[2].legend()
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=100)
        plt.close(figure)


def main() -> None:
    """Train, print, draw."""
    parser = argparse.ArgumentParser(description="Look at gradients through time.")
    parser.add_argument("--output", type=Path, default=Path("plot_lstm_gradients.png"))
    output = parser.parse_args().output
    with threadpool_limits(1):
        draw(output)
    print(f"\nThe picture is in {output.resolve()}")


if __name__ == "__main__":
    main()
