"""Linear regression: time and memory of fits beside scikit-learn's.

The limit is the symmetric product X'X (or XX', if that is the smaller one) by BLAS's
``dsyrk`` in the fastest of the ways to call it: what every exact solver at least has to
do.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from measuring import MEGABYTE, Measured, interleaved, peak_memory
from scipy.linalg import LinAlgWarning
from scipy.linalg.blas import dsyrk
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, Ridge, SGDRegressor
from threadpoolctl import threadpool_limits

from sklearn_backprop import GDLinearRegression

LINEAR_SHAPES = {
    "1000x10": (1_000, 10),
    "20000x100": (20_000, 100),
    "500000x50": (500_000, 50),
    "50000x1000": (50_000, 1_000),
    "2000x4000": (2_000, 4_000),
}

LINEAR_SOLVERS: dict[str, Callable] = {
    "GDLinearRegression normal": partial(GDLinearRegression, solver="normal"),
    "GDLinearRegression gd": partial(GDLinearRegression, solver="gd"),
    "LinearRegression": LinearRegression,
    "Ridge cholesky": partial(Ridge, alpha=1e-6, solver="cholesky"),
    "SGDRegressor": partial(SGDRegressor, random_state=0),
}


def linear_table(n: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Return standardised columns, C-contiguous, and a noisy linear target."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    return X, X @ rng.standard_normal(p) + rng.standard_normal(n)


def linear_fit(solver: str, n: int, p: int) -> Callable[[], object]:
    """Return the fit to be measured, its solver warmed up."""
    LINEAR_SOLVERS[solver]().fit(*linear_table(200, 5))
    X, y = linear_table(n, p)
    return lambda: LINEAR_SOLVERS[solver]().fit(X, y)


def symmetric_products(X: np.ndarray) -> Iterator[Callable[[], object]]:
    """Ways to have BLAS compute the smaller of X'X and XX' from a C-contiguous X."""
    trans = int(X.shape[0] < X.shape[1])
    for lower in (0, 1):
        yield partial(dsyrk, 1.0, X.T, trans=trans, lower=lower)
    if not trans:
        for rows in (1024, 8192):
            yield partial(blocked_product, X, rows)


def blocked_product(X: np.ndarray, rows: int) -> np.ndarray:
    """X'X as a sum over blocks of rows."""
    gram = np.zeros((X.shape[1], X.shape[1]), order="F")
    for start in range(0, len(X), rows):
        block = X[start : start + rows]
        gram = dsyrk(1.0, block.T, beta=1.0, c=gram, overwrite_c=True)
    return gram


def linear_remark(model, X, y) -> str:
    """Tell what ran, after how many iterations, and how well it fits."""
    ran = getattr(model, "solver_", "")
    n_iter = getattr(model, "n_iter_", None)
    iterations = "" if n_iter is None else f"{np.max(n_iter)} it"
    r2 = model.score(X, y)
    score = f"{r2:.6f}" if r2 > -1 else "diverged"
    return f"{score:>9}  {' '.join(filter(None, (ran, iterations)))}"


def measure_linear(n: int, p: int, options: argparse.Namespace) -> dict[str, Measured]:
    """Time and memory of every solver on one table; the limit under the name ''."""
    X, y = linear_table(n, p)
    models = {name: make() for name, make in LINEAR_SOLVERS.items()}
    calls = {name: partial(model.fit, X, y) for name, model in models.items()}
    products = {f"product {i}": call for i, call in enumerate(symmetric_products(X))}
    for make in LINEAR_SOLVERS.values():
        make().fit(X[:200, :5], y[:200])
    measured = interleaved(products | calls, options.repeat, options.budget)
    limits = [measured.pop(name) for name in products]
    for name, model in models.items():
        measured[name].remark = linear_remark(model, X, y)
    del X, y, models, calls, products
    if not options.no_memory:
        for name in measured:
            measured[name].memory = peak_memory(linear_fit, (name, n, p), options.jobs)
    return {"": min(limits, key=lambda limit: limit.best)} | measured


def print_linear(measured: dict[str, Measured], table_bytes: int) -> None:
    """Print the figures of one table."""
    limit = measured.pop("")
    peer = measured["LinearRegression"].best
    print(f"limit (symmetric product): {limit.best * 1e3:.2f} ms")
    print(
        f"{'solver':<26}{'best ms':>11}{'median ms':>11}{'x limit':>9}{'speed-up':>10}"
        f"{'peak MB':>9}{'% of X':>8}        R²  what ran"
    )
    for name, one in measured.items():
        print(
            f"{name:<26}{one.best * 1e3:11.2f}{one.median * 1e3:11.2f}"
            f"{one.best / limit.best:9.1f}{peer / one.best:10.1f}"
            f"{one.memory / MEGABYTE:9.1f}{100 * one.memory / table_bytes:8.0f}"
            f" {one.remark}",
            flush=True,
        )


def run_linear(options: argparse.Namespace) -> None:
    """Compare the solvers of linear regression."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", LinAlgWarning)  # fewer rows than columns
    for shape in options.shapes:
        n, p = LINEAR_SHAPES[shape]
        print(f"\n{n:,} x {p:,}   ".replace(",", " "), end="", flush=True)
        with threadpool_limits(options.jobs):
            measured = measure_linear(n, p, options)
        print_linear(measured, table_bytes=8 * n * p)
