"""
===============================================
Change the import: networks beside scikit-learn
===============================================

``BackpropMLPClassifier`` and ``BackpropMLPRegressor`` take the parameters that
scikit-learn's ``MLPClassifier`` and ``MLPRegressor`` take. This example trains both on
tables that scikit-learn ships, with the same parameters, rows, precision and number of
threads (one), and compares the time of ``fit`` and the score on rows held out.

Run it as ``python examples/compare_networks.py [--output PICTURE.png]``.
"""

import argparse
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sklearn_backprop import BackpropMLPClassifier, BackpropMLPRegressor

# %%
# Tables and networks
# -------------------
# Default networks: one hidden layer of 100 units, adam, until the training loss stalls
# or 200 epochs are over. The diabetes table is small and noisy, hence the penalty and
# the early end.

CLASSIFIERS = [BackpropMLPClassifier, MLPClassifier]
REGRESSORS = [BackpropMLPRegressor, MLPRegressor]


@dataclass(frozen=True)
class Job:
    """A table, who competes on it, and with which parameters."""

    load: object
    estimators: list
    params: dict

    def rows(self, seed: int) -> list[np.ndarray]:
        """X_train, X_test, y_train, y_test; X standardized, and numbers y, too."""
        X, y = self.load(return_X_y=True)
        stratify = y if self.estimators is CLASSIFIERS else None
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, stratify=stratify, random_state=seed
        )
        scaler = StandardScaler().fit(X_train)
        if self.estimators is REGRESSORS:
            mean, deviation = y_train.mean(), y_train.std()
            y_train, y_test = (y_train - mean) / deviation, (y_test - mean) / deviation
        return [scaler.transform(X_train), scaler.transform(X_test), y_train, y_test]


JOBS = {
    "digits": Job(load_digits, CLASSIFIERS, {}),
    "breast cancer": Job(load_breast_cancer, CLASSIFIERS, {}),
    "wine": Job(load_wine, CLASSIFIERS, {}),
    "diabetes": Job(load_diabetes, REGRESSORS, {"alpha": 1.0, "max_iter": 50}),
}

# %%
# The comparison
# --------------
# In turns, so that both meet the same moods of the machine. The time is the shortest
# of all seeds per epoch, times the mean number of epochs; the score is the mean.


@dataclass
class Result:
    """What one estimator did on one table."""

    table: str
    estimator: str
    seconds: float
    n_epochs: float
    score: float


def fit_and_time(model, X, y) -> float:
    """Return the seconds of a fit; that it may stop at max_iter is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = time.perf_counter()
        model.fit(X, y)
    return time.perf_counter() - start


def compare(table: str, n_seeds: int) -> list[Result]:
    """Train both estimators from several seeds, each on a split of its own."""
    job = JOBS[table]
    runs: dict[str, list] = {estimator.__name__: [] for estimator in job.estimators}
    for seed in range(n_seeds):
        X_train, X_test, y_train, y_test = job.rows(seed)
        for estimator in job.estimators:
            model = estimator(**job.params, random_state=seed)
            seconds = fit_and_time(model, X_train, y_train)
            runs[estimator.__name__].append(
                (seconds / model.n_iter_, model.n_iter_, model.score(X_test, y_test))
            )
    results = []
    for name, figures in runs.items():
        per_epoch, n_epochs, scores = np.array(figures).T
        seconds = per_epoch.min() * n_epochs.mean()
        results.append(Result(table, name, seconds, n_epochs.mean(), scores.mean()))
    return results


def speed_up(pair: list[Result]) -> float:
    """How many times shorter the first one's fit is."""
    ours, theirs = pair
    return theirs.seconds / ours.seconds


def print_results(results: dict[str, list[Result]]) -> None:
    """Print one block of aligned rows for each table."""
    print(f"{'estimator':<26}{'time':>11}{'epochs':>9}{'score':>9}{'speed-up':>11}")
    for table, pair in results.items():
        n, p = JOBS[table].load().data.shape
        measure = "R²" if JOBS[table].estimators is REGRESSORS else "accuracy"
        print(f"\n{table} ({n} rows, {p} columns, {measure})")
        factors = [f"{speed_up(pair):.1f} x", ""]
        for result, factor in zip(pair, factors, strict=True):
            print(
                f"  {result.estimator:<24}{result.seconds * 1e3:8.1f} ms"
                f"{result.n_epochs:9.0f}{result.score:9.3f}{factor:>11}".rstrip()
            )


# %%
# The picture
# -----------
# Each table is one line: how far apart the two are in time, and how near in score.
# Colours after Okabe and Ito, and two shapes, told apart also by colour-blind eyes.

LOOKS = [("#D55E00", "o", "sklearn_backprop"), ("#56B4E9", "s", "scikit-learn")]


def draw_pairs(ax, pairs: list[list[float]], sizes: tuple[int, int]) -> None:
    """Draw a line between two marks for each table, from top to bottom."""
    heights = -np.arange(len(pairs))
    ax.hlines(heights, *np.sort(pairs, axis=1).T, color="#999999", linewidth=5)
    for values, size, (colour, marker, label) in zip(
        np.transpose(pairs), sizes, LOOKS, strict=True
    ):
        ax.scatter(values, heights, color=colour, marker=marker, s=size, label=label,
                   edgecolors="white", linewidths=1.5, zorder=3)  # fmt: skip
    ax.set(ylim=(heights[-1] - 0.6, 0.6))
    ax.grid(axis="x", alpha=0.3)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


def draw(results: dict[str, list[Result]], output: Path) -> None:
    """Save the picture."""
    pairs = list(results.values())
    with plt.rc_context({"font.size": 18}):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(10, 5.4), sharey=True, width_ratios=[1.5, 1],
            layout="constrained",
        )  # fmt: skip
        milliseconds = [[result.seconds * 1e3 for result in pair] for pair in pairs]
        scores = [[result.score for result in pair] for pair in pairs]
        draw_pairs(left, milliseconds, (230, 200))
        for height, pair in enumerate(pairs):
            left.annotate(
                f"{speed_up(pair):.1f} times faster",
                (np.sqrt(pair[0].seconds * pair[1].seconds) * 1e3, -height),
                xytext=(0, 11), textcoords="offset points", ha="center", fontsize=15,
            )  # fmt: skip
        left.set(xscale="log", xlabel="time of fit, milliseconds")
        left.set_yticks(-np.arange(len(pairs)), list(results))
        left.xaxis.set_major_formatter("{x:g}")
        draw_pairs(right, scores, (600, 120))  # one lies on the other
        right.set(xlim=(0, 1.05), xlabel="accuracy, or R²\n(rows held out)")
        figure.legend(
            *left.get_legend_handles_labels(), loc="outside upper center", ncols=2,
            frameon=False,
        )  # fmt: skip
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=120)
        plt.close(figure)


# %%
# All together
# ------------


def main() -> None:
    """Compare, print, draw."""
    parser = argparse.ArgumentParser(description="Compare networks.")
    parser.add_argument("--output", type=Path, default=Path("compare_networks.png"))
    parser.add_argument("--seeds", type=int, default=3, help="fits of each (3)")
    options = parser.parse_args()

    with threadpool_limits(1):  # the same for both, and enough for tables of this size
        results = {table: compare(table, options.seeds) for table in JOBS}
    print_results(results)
    draw(results, options.output)
    print(f"\nThe picture is in {options.output.resolve()}")


if __name__ == "__main__":
    main()
