"""The two roads of linear regression: how their times grow with rows and columns.

Neighbouring columns are correlated by rho, so that the condition number of the data is
about (1 + rho) / (1 - rho). Mini-batches are timed up to the first number of epochs, 1,
2, 4 and so on, whose R² is within a hundredth of the best one.
"""

import argparse
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from measuring import interleaved, seconds_of
from scipy.signal import lfilter
from threadpoolctl import threadpool_limits

from sklearn_backprop import GDLinearRegression

__all__ = ["ROADS_SHAPES", "run_roads"]

ROADS_SHAPES = {
    "1000x10": (1_000, 10),
    "100000x10": (100_000, 10),
    "1000000x10": (1_000_000, 10),
    "1000x100": (1_000, 100),
    "100000x100": (100_000, 100),
    "20000x1000": (20_000, 1_000),
    "20000x4000": (20_000, 4_000),
    "20000x10000": (20_000, 10_000),
    "1000x10000": (1_000, 10_000),
}
ROADS: dict[str, Callable] = {
    "normal": partial(GDLinearRegression, solver="normal"),
    "gd, 3 digits": partial(GDLinearRegression, tol=1e-3),
    "gd, 10 digits": partial(GDLinearRegression, tol=1e-10),
}
BATCHES = partial(
    GDLinearRegression,
    batch_size=128,
    feature_scaling=None,
    learning_rate="invscaling",
    power_t=0.5,
    random_state=0,
)
MOST_EPOCHS = 64


def correlated_table(n: int, p: int, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Return X (n, p) of unit variance, and y with as much signal as noise."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((n, p))
    noise[:, 1:] *= np.sqrt(1 - rho**2)
    X = lfilter([1.0], [1.0, -rho], noise, axis=1)
    signal = X @ rng.standard_normal(p)
    return X, signal / signal.std() + rng.standard_normal(n)


def run_roads(options: argparse.Namespace) -> None:
    """Compare the normal equation with descent, over rows and columns."""
    warnings.simplefilter("ignore")
    for name in options.shapes:
        for rho in options.rho:
            X, y = correlated_table(*ROADS_SHAPES[name], rho)
            print(f"\n{name}, neighbours correlated by {rho:g}", flush=True)
            with threadpool_limits(options.jobs):
                compare(X, y, options)


def compare(X: np.ndarray, y: np.ndarray, options: argparse.Namespace) -> None:
    """Print a line for each road."""
    models = {name: make() for name, make in ROADS.items()}
    calls = {name: partial(model.fit, X, y) for name, model in models.items()}
    measured = interleaved(calls, options.repeat, options.budget)
    for name, model in models.items():
        remark = model.solver_ if model.solver_ != "gd" else f"{model.n_iter_} it"
        print(
            f"  {name:<16}{1000 * measured[name].best:12.1f} ms  {remark}", flush=True
        )
    seconds, remark = time_of_batches(X, y, models["normal"].score(X, y))
    print(f"  {'mini-batches':<16}{1000 * seconds:12.1f} ms  {remark}", flush=True)


def time_of_batches(X, y, best: float) -> tuple[float, str]:
    """Seconds that mini-batches need, and how many epochs that were."""
    n_epochs = 1
    while n_epochs <= MOST_EPOCHS:
        model = BATCHES(max_iter=n_epochs)
        seconds = seconds_of(partial(model.fit, X, y))
        if model.score(X, y) > best - 1e-2:
            return seconds, f"{n_epochs} epochs"
        n_epochs *= 2
    return np.nan, f"R² {best - model.score(X, y):.3f} below after {MOST_EPOCHS} epochs"
