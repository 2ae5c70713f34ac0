"""
====================================================================
Fine-tuning: what a network has learned elsewhere is worth many rows
====================================================================

A network learns to tell the digits 0 to 4. Then the digits 5 to 9 are to be told apart,
with 10 to 100 labelled rows of them. The new network starts with the hidden layers of
the old one, and how much of them goes on learning is a matter of ``layer_rates``: all
layers, the upper ones, or the output layer alone.

Whether that is worth it depends on what there is to learn. Where every digit lies in
the middle of its picture (left), pixels tell nearly everything. A network that starts
anew is best, for the old one has kept what tells 0 to 4 apart and lost the rest. Where
a digit lies anywhere in a larger picture (right), one has to learn first that a digit
moved is the same digit. The old network knows, from other digits, and is worth more
than twice as many rows. The fewer the rows, the more of it should be kept [1]_.

.. [1] Yosinski, J., Clune, J., Bengio, Y. and Lipson, H. (2014). How transferable are
   features in deep neural networks? NeurIPS.

At the end a grid search chooses the rates, with the old network in a FrozenEstimator,
which clones do not forget.

Run it as ``python examples/plot_fine_tuning.py [--output PICTURE.png]``.
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
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, train_test_split
from threadpoolctl import threadpool_limits

from sklearn_backprop import BackpropMLPClassifier

X, y = load_digits(return_X_y=True)
X = X / 16
OLD, NEW = y < 5, y >= 5
N_ROWS = (10, 20, 50, 100)
# What goes on learning: rates of two hidden layers and the output layer, and a colour
# after Okabe and Ito, told apart also by colour-blind eyes.
WAYS = {
    "from scratch": (None, "#000000"),
    "all layers learn": ((1, 1, 1), "#E69F00"),
    "the first is frozen": ((0, 1, 1), "#0072B2"),
    "both hidden ones are": ((0, 0, 1), "#D55E00"),
}


def moved(rows, rng, size=12):
    """Put pictures of 8 x 8 anywhere in one of size x size: (n, 64) to (n, size²)."""
    pictures = np.zeros((len(rows), size, size))
    places = rng.integers(size - 8 + 1, size=(len(rows), 2))
    for picture, row, (i, j) in zip(pictures, rows, places, strict=True):
        picture[i : i + 8, j : j + 8] = row.reshape(8, 8)
    return pictures.reshape(len(rows), -1)


def make(**settings) -> BackpropMLPClassifier:
    """Make a network of two hidden layers."""
    usual = {"learning_rate_init": 0.005, "batch_size": 10, "max_iter": 40}
    return BackpropMLPClassifier((128, 64), **{**usual, **settings})


def pretrain(rows, labels) -> BackpropMLPClassifier:
    """Learn the old digits; dropout makes features that are good for more."""
    return make(dropout=0.2, batch_size=100, max_iter=15, random_state=0).fit(
        rows, labels
    )


def accuracies(source, rows, labels, n_draws) -> dict:
    """Accuracies (len(N_ROWS), n_draws) on the other new digits, for each way."""
    found = {way: np.empty((len(N_ROWS), n_draws)) for way in WAYS}
    for i, n in enumerate(N_ROWS):
        for draw in range(n_draws):
            A, B, a, b = train_test_split(
                rows, labels, train_size=n, stratify=labels, random_state=draw
            )
            for way, (rates, _) in WAYS.items():
                settings = {"pretrained": source, "layer_rates": rates} if rates else {}
                net = make(random_state=draw, **settings).fit(A, a)
                found[way][i, draw] = net.score(B, b)
    return found


def draw_curves(ax, title, found) -> None:
    """Draw means over the draws of rows, with standard deviations."""
    print(f"\n{title}: accuracy with {', '.join(map(str, N_ROWS))} rows")
    for i, (way, (_, colour)) in enumerate(WAYS.items()):
        mean, deviation = found[way].mean(axis=1), found[way].std(axis=1, ddof=1)
        at = np.array(N_ROWS) * 1.02 ** (i - 1.5)  # bars beside each other
        ax.errorbar(
            at, mean, deviation, color=colour, label=way, marker="o", capsize=3, lw=2
        )
        print(f"  {way:22}" + "".join(f"  {m:.3f}" for m in mean))
    ax.set(xscale="log", xlabel="labelled rows of the digits 5 to 9", title=title)
    ax.set_xticks(N_ROWS, map(str, N_ROWS))
    ax.minorticks_off()


def search(source, rows, labels) -> None:
    """Choose the rates by cross-validation, with 50 rows."""
    A, B, a, b = train_test_split(
        rows, labels, train_size=50, stratify=labels, random_state=0
    )
    ways = [(1, 1, 1), (0.1, 0.3, 1), (0, 1, 1), (0, 0.1, 1), (0, 0, 1)]
    net = make(pretrained=FrozenEstimator(source), random_state=0)
    found = GridSearchCV(net, {"layer_rates": ways}, cv=5).fit(A, a)
    print(
        f"\nWith 50 rows anywhere, cross-validation chooses {found.best_params_}: "
        f"accuracy {found.score(B, b):.3f} on the others"
    )


def draw(output: Path, n_draws: int) -> None:
    """Save the picture."""
    rng = np.random.default_rng(0)
    with plt.rc_context({"font.size": 14}):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(12, 5.4), layout="constrained"
        )
        source = pretrain(X[OLD], y[OLD])
        draw_curves(left, "In the middle", accuracies(source, X[NEW], y[NEW], n_draws))
        many = np.concatenate([moved(X[OLD], rng) for _ in range(10)])
        source = pretrain(many, np.tile(y[OLD], 10))
        rows = moved(X[NEW], rng)
        draw_curves(right, "Anywhere", accuracies(source, rows, y[NEW], n_draws))
        left.set_ylabel("accuracy on the other rows")
        left.legend(loc="lower right")
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=100)
        plt.close(figure)
    search(source, rows, y[NEW])


def main() -> None:
    """Train, print, draw, search."""
    parser = argparse.ArgumentParser(description="Fine-tune networks on few rows.")
    parser.add_argument("--output", type=Path, default=Path("plot_fine_tuning.png"))
    parser.add_argument("--draws", type=int, default=6, help="of labelled rows (6)")
    options = parser.parse_args()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs are meant
        draw(options.output, options.draws)
    print(f"\nThe picture is in {options.output.resolve()}")


if __name__ == "__main__":
    main()
