"""
========================================
Sequences of any length: what comes next
========================================

Noisy waves of random period and phase, each from three to forty steps long. What is the
next value? Sequences are rows (n, steps, channels), filled up with NaN behind their
ends: those steps count for nothing.

On the left are some waves with what an LSTM makes of them. On the right is the error by
the length of what was seen, beside that of repeating the last value: from a few steps
nobody can tell period and phase apart from noise, after a whole period they are known.

Run it as ``python examples/plot_sequences.py [--output PICTURE.png]``.
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

N_STEPS = 40
COLOURS = {"lstm": "#0072B2", "gru": "#009E73", "tanh": "#D55E00"}  # Okabe and Ito


class Waves:
    """Noisy waves X (n, 40, 1), NaN behind their ends, and their next values y (n,)."""

    def __init__(self, n_rows: int, seed: int):
        rng = np.random.default_rng(seed)
        period, phase = rng.uniform(6, 20, n_rows), rng.uniform(0, 2 * np.pi, n_rows)
        t = np.arange(N_STEPS + 1)
        self.clean = np.sin(2 * np.pi * t / period[:, None] + phase[:, None])
        self.lengths = rng.integers(3, N_STEPS + 1, n_rows)
        noisy = self.clean[:, :-1] + rng.normal(scale=0.15, size=(n_rows, N_STEPS))
        is_seen = t[:-1] < self.lengths[:, None]
        self.X = np.where(is_seen, noisy, np.nan)[..., None]
        self.y = self.clean[np.arange(n_rows), self.lengths]
        self.last = noisy[np.arange(n_rows), self.lengths - 1]


def train(cell: str, waves: Waves) -> BackpropRNNRegressor:
    """Train one layer of such cells, down the whole cosine of the rate."""
    model = BackpropRNNRegressor(
        (32,),
        cell=cell,
        learning_rate_init=0.01,
        learning_rate="cosine",
        batch_size=64,
        clip=1.0,
        max_iter=20,
        n_iter_no_change=20,
        random_state=0,
    )
    with warnings.catch_warnings():  # that it ends with the last epoch is meant
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(waves.X, waves.y)


def draw_waves(ax, model: BackpropRNNRegressor, waves: Waves) -> None:
    """Draw some waves above one another, with what is expected of them."""
    predicted = model.predict(waves.X)
    chosen = [np.argmin(np.abs(waves.lengths - n)) for n in (40, 26, 14, 6)]
    for place, row in enumerate(chosen):
        base, n = 3.2 * place, waves.lengths[row]
        t = np.arange(N_STEPS + 1)
        ax.plot(t, base + waves.clean[row], color="#BBBBBB", zorder=1)
        ax.plot(t[:n], base + waves.X[row, :n, 0], ".", color="black", markersize=4)
        ax.plot(n, base + predicted[row], "o", color=COLOURS["lstm"], markersize=9)
        ax.plot(n, base + waves.y[row], "x", color="black", markersize=8)
    ax.set(title="Next value: predicted (o) and true (x)", xlabel="step", yticks=[])


def draw_errors(ax, predictions: dict[str, np.ndarray], waves: Waves) -> None:
    """Draw the error by the length of sequences, in groups of four lengths."""
    groups = (waves.lengths - 1) // 4
    for name, predicted in predictions.items():
        squares = (predicted - waves.y) ** 2
        of_groups = [np.sqrt(squares[groups == g].mean()) for g in np.unique(groups)]
        colour = COLOURS.get(name, "#888888")
        ax.plot(4 * np.unique(groups) + 2.5, of_groups, "o-", color=colour, label=name)
    ax.set(
        title="Error by what was seen",
        xlabel="steps seen",
        ylabel="root mean squared error",
        ylim=(0, None),
    )
    ax.legend()


def draw(output: Path, n_rows: int) -> None:
    """Save the picture."""
    waves, new = Waves(n_rows, seed=0), Waves(2000, seed=1)
    models = {cell: train(cell, waves) for cell in COLOURS}
    predictions = {cell: model.predict(new.X) for cell, model in models.items()}
    for cell, model in models.items():
        print(f"{cell:<6} R2 on new waves {model.score(new.X, new.y):.3f}")
    predictions["last value"] = new.last
    with plt.rc_context({"font.size": 12}):
        figure, axes = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
        draw_waves(axes[0], models["lstm"], new)
        draw_errors(axes[1], predictions, new)
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=100)
        plt.close(figure)


def main() -> None:
    """Train, print, draw."""
    parser = argparse.ArgumentParser(description="Predict what comes next.")
    parser.add_argument("--output", type=Path, default=Path("plot_sequences.png"))
    parser.add_argument("--rows", type=int, default=3000, help="to train on (3000)")
    options = parser.parse_args()
    with threadpool_limits(1):
        draw(options.output, options.rows)
    print(f"\nThe picture is in {options.output.resolve()}")


if __name__ == "__main__":
    main()
