"""
====================================================
How deep a network can be: signals, starts, bypasses
====================================================

Backpropagation multiplies one factor per layer. Where the factors are below one, the
gradient that reaches the first layers vanishes, and a deep network learns nothing. This
example trains networks of 5 to 100 hidden layers on the digits and shows what helps:

- the slope of "logistic" is at most a quarter, one such factor per layer: the network
  stays at chance, and the warning that the fit gives says why and what to do;
- "relu" keeps the gradient of active units, but Xavier's start halves the variance of
  the signal in every layer; He's start keeps it, and so trains deeper;
- ``residual="add"`` lets the gradient bypass the layers: 100 of them train.

The default of 30 epochs is enough to see it: with nothing else set,
``BackpropMLPClassifier((64,) * 100, residual="add")`` reaches about 97 % of the test
rows.

Run it as ``python examples/plot_residual_depth.py [--output PICTURE.png]``.
"""

import argparse
import textwrap
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from sklearn_backprop import BackpropMLPClassifier
from sklearn_backprop.exceptions import VanishedTrainingWarning

# %%
# Networks
# --------
# All hidden layers are 64 units wide; only the depth and these settings differ.

WIDTH = 64
DEPTHS = [5, 10, 30, 100]
NETWORKS = {
    'residual="add"': {"residual": "add"},
    "relu, He": {"init": "he_normal"},
    "relu, Xavier": {"init": "xavier_uniform"},
    "logistic": {"activation": "logistic"},
}

# %%
# Training
# --------


def digits() -> list[np.ndarray]:
    """X_train, X_test, y_train, y_test; pixels from 0 to 1."""
    X, y = load_digits(return_X_y=True)
    return train_test_split((X / 16).astype(np.float32), y, stratify=y, random_state=0)


def train(depth: int, settings: dict, rows: list[np.ndarray], n_epochs: int):
    """Return a fitted network and what it warned of, if it stopped at chance level."""
    X_train, _, y_train, _ = rows
    model = BackpropMLPClassifier(
        (WIDTH,) * depth, max_iter=n_epochs, random_state=0, **settings
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs are meant
        warnings.simplefilter("always", VanishedTrainingWarning)
        model.fit(X_train, y_train)
    return model, next((str(w.message) for w in caught), None)


def accuracies(depths: list[int], n_epochs: int) -> dict[str, list[float]]:
    """Train every network at every depth; print and return the test accuracies."""
    rows = digits()
    _, X_test, _, y_test = rows
    print(f"{'hidden layers':<22}" + "".join(f"{depth:>8}" for depth in depths))
    table, messages = {}, {}
    for name, settings in NETWORKS.items():
        table[name] = []
        print(f"{name:<22}", end="", flush=True)
        for depth in depths:
            model, message = train(depth, settings, rows, n_epochs)
            table[name].append(model.score(X_test, y_test))
            print(f"{table[name][-1]:8.3f}", end="", flush=True)
            if message:
                messages[name, depth] = message
        print()
    print_one_message(messages)
    return table


def print_one_message(messages: dict[tuple[str, int], str]) -> None:
    """Print the warning of the deepest network that gave one."""
    if not messages:
        return
    (name, depth), message = max(messages.items(), key=lambda item: item[0][1])
    print(f"\n{len(messages)} fits gave a VanishedTrainingWarning; {name}, {depth}:")
    print(textwrap.indent(textwrap.fill(message, 84), "  "))


# %%
# The picture
# -----------
# Colours after Okabe and Ito, and four shapes, told apart also by colour-blind eyes.

LOOKS = [("#0072B2", "o"), ("#009E73", "s"), ("#D55E00", "^"), ("#000000", "X")]


def label_heights(values: list[float], gap: float = 0.075) -> list[float]:
    """Move heights apart, so that texts at them do not overlap."""
    heights = list(values)
    lowest = 0.0
    for place in np.argsort(values):
        heights[place] = max(values[place], lowest)
        lowest = heights[place] + gap
    return heights


def draw(table: dict[str, list[float]], depths: list[int], output: Path) -> None:
    """Save the picture: accuracy against depth, each curve named at its end."""
    with plt.rc_context({"font.size": 18}):
        figure, ax = plt.subplots(figsize=(10, 6), layout="constrained")
        ax.axhline(0.1, color="#777777", linestyle=":", linewidth=2)
        ax.text(depths[0], 0.12, "chance", color="#555555", fontsize=16)
        heights = label_heights([curve[-1] for curve in table.values()])
        for (name, curve), (colour, marker), height in zip(
            table.items(), LOOKS, heights, strict=True
        ):
            ax.plot(depths, curve, color=colour, marker=marker, markersize=13,
                    linewidth=4, clip_on=False)  # fmt: skip
            ax.annotate(name, (depths[-1], height), xytext=(16, 0),
                        textcoords="offset points", color=colour, va="center",
                        fontweight="bold", annotation_clip=False)  # fmt: skip
        ax.set(xscale="log", ylim=(0, 1), xlabel="hidden layers",
               ylabel="accuracy on test rows")  # fmt: skip
        ax.set_title(
            "Digits: who still learns when the network gets deep?", pad=18, loc="left"
        )
        ax.set_xticks(depths, [str(depth) for depth in depths])
        ax.set_xticks([], minor=True)
        ax.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        ax.grid(axis="y", alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=120)
        plt.close(figure)


# %%
# All together
# ------------


def main() -> None:
    """Train, print, draw."""
    parser = argparse.ArgumentParser(description="Compare networks of many depths.")
    parser.add_argument("--output", type=Path, default=Path("plot_residual_depth.png"))
    parser.add_argument("--epochs", type=int, default=30, help="at most (30)")
    parser.add_argument("--depths", type=int, nargs="+", default=DEPTHS)
    options = parser.parse_args()

    with threadpool_limits(1):
        table = accuracies(options.depths, options.epochs)
    draw(table, options.depths, options.output)
    print(f"\nThe picture is in {options.output.resolve()}")


if __name__ == "__main__":
    main()
