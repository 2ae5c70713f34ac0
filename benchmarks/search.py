"""A grid search over learning rates on one core, and three ways to use a second."""

import argparse
import statistics
import warnings

import numpy as np
from joblib import parallel_config
from measuring import interleaved
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from sklearn_backprop import BackpropMLPClassifier

__all__ = ["run_search"]

RATES = {"learning_rate_init": np.logspace(-3.5, -1.75, 8)}
# Name -> jobs, backend and threads within a fit (None: as many as there are).
WAYS = {
    "one after the other": (1, "loky", 1),
    "each on all threads": (1, "loky", None),
    "two in threads": (2, "threading", None),
    "two in processes": (2, "loky", None),
}


def run_search(options: argparse.Namespace) -> None:
    """Compare 40 fits of a grid search in a row, and side by side."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    for estimator in (BackpropMLPClassifier, MLPClassifier):
        model = estimator((100,), max_iter=options.epochs, tol=0.0, random_state=0)
        print(f"\n{estimator.__name__}, digits, 8 rates, 5 folds")
        measured = interleaved(
            {name: way_to_search(model, X, y, *way) for name, way in WAYS.items()},
            options.repeat,
            options.budget,
        )
        print_ways(measured)


def way_to_search(model, X, y, n_jobs, backend, n_threads):
    """Return a call that searches in this way."""
    search = GridSearchCV(model, RATES, cv=5)

    def call():
        with (
            threadpool_limits(n_threads),
            parallel_config(backend=backend, n_jobs=n_jobs),
        ):
            search.fit(X, y)

    return call


def print_ways(measured) -> None:
    """Print seconds, and shares of the time of the first way, round by round."""
    first = next(iter(measured.values())).seconds
    for name, rounds in measured.items():
        share = statistics.median(
            s / f for s, f in zip(rounds.seconds, first, strict=False)
        )
        print(f"{name:<24}{rounds.best:8.2f} s{share:8.2f}", flush=True)
