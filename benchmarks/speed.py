"""Time and memory beside scikit-learn, in one run.

``python benchmarks/speed.py linear`` fits the same tables with every solver. How to
read what it prints is told in ``benchmarks/README.md``; how it measures:

Time
    All solvers run in this process, in turns (one round of every solver, then the next
    round), so that a busy moment of the machine hits them alike. The first column is
    the best round, the second the median. Every solver is warmed up on a small table.
Memory
    Peak of the resident memory during ``fit`` above what was resident before it, in a
    fresh process for each fit. Resident memory counts what NumPy, BLAS and compiled
    code allocate; Python's own tracer would miss the latter two.
Limit
    The symmetric product X'X (or XX', if that is the smaller one) by BLAS's ``dsyrk``
    in the fastest of the ways to call it: what every exact solver at least has to do.
"""

import argparse
import contextlib
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import scipy
import sklearn
from scipy.linalg import LinAlgWarning
from scipy.linalg.blas import dsyrk
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, Ridge, SGDRegressor
from threadpoolctl import threadpool_limits

from sklearn_backprop import GDLinearRegression

MEGABYTE = 2**20
# Threads of BLAS and OpenMP keep spinning for some time after their last work, which
# would take the processor from the next solver.
PAUSE = 0.05


@dataclass
class Measured:
    """What one solver did on one table."""

    seconds: list[float] = field(default_factory=list)
    memory: float = float("nan")
    remark: str = ""

    @property
    def best(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


# Measuring -----------------------------------------------------------------------


def seconds_of(call: Callable[[], object]) -> float:
    time.sleep(PAUSE)
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def interleaved(
    calls: dict[str, Callable[[], object]], repeat: int, budget: float
) -> dict[str, Measured]:
    """Time each call ``repeat`` times, in turns, or until it has spent its budget."""
    measured = {name: Measured() for name in calls}
    for _ in range(repeat):
        for name, call in calls.items():
            if sum(measured[name].seconds) < budget:
                measured[name].seconds.append(seconds_of(call))
    return measured


def resident_bytes() -> int:
    """Return what this process has in memory now (Linux; elsewhere the peak so far)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        return peak_bytes()
    return pages * resource.getpagesize()


def forget_peak() -> None:
    """Start a new peak here, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Return the largest amount of memory this process ever had."""
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def report_peak(connection, prepare: Callable, arguments: tuple, jobs: int) -> None:
    """Run the call that ``prepare`` returns and send its peak above the start."""
    warnings.simplefilter("ignore")
    with threadpool_limits(jobs):
        call = prepare(*arguments)
        before = resident_bytes()
        forget_peak()
        call()
    connection.send(peak_bytes() - before)


def peak_memory(prepare: Callable, arguments: tuple, jobs: int) -> float:
    """Peak memory of a call in a fresh process, which inherits nothing of this one."""
    # Freed memory goes back to the system at once, so that no later allocation hides
    # in what an earlier one left.
    os.environ["MALLOC_MMAP_THRESHOLD_"] = str(2**16)
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=report_peak, args=(sender, prepare, arguments, jobs))
    child.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return float("nan")
    finally:
        child.join()


# Linear regression ---------------------------------------------------------------

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


# Command line --------------------------------------------------------------------


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="threads (default: all)"
    )
    common.add_argument(
        "--repeat", type=int, default=5, help="rounds of timing (default: 5)"
    )
    common.add_argument(
        "--budget",
        type=float,
        default=30.0,
        help="no further round for a solver that took so many seconds (default: 30)",
    )
    common.add_argument(
        "--no-memory", action="store_true", help="leave out the measuring of memory"
    )
    subjects = parser.add_subparsers(required=True, metavar="SUBJECT")
    linear = subjects.add_parser("linear", parents=[common], help=run_linear.__doc__)
    linear.add_argument(
        "--shapes",
        nargs="+",
        choices=LINEAR_SHAPES,
        default=list(LINEAR_SHAPES),
        metavar="ROWSxCOLUMNS",
        help=f"some of {', '.join(LINEAR_SHAPES)} (default: all)",
    )
    linear.set_defaults(run=run_linear)
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    print(
        f"scikit-learn {sklearn.__version__}, numpy {np.__version__}, "
        f"scipy {scipy.__version__}, Python {platform.python_version()}, "
        f"{options.jobs} threads"
    )
    options.run(options)


if __name__ == "__main__":
    main()
