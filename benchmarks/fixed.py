"""What calls cost besides the arithmetic: time on small tables, memory on large ones.

Every figure stands beside what is asked of it. Times are those of calls in turns, and
ratios the median over the rounds, which a busy moment of the machine does not sway.
"""

import argparse
import multiprocessing
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from measuring import MEGABYTE, peak_memory
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    GDLinearRegression,
)

__all__ = ["run_fixed"]

Call = Callable[[], object]
# Time of the peer's call over time of ours, at least.
ASKED = {
    "partial_fit of 32 rows": 5.0,
    "fit of one epoch": 2.0,
    "predict of one row": 1.0,
    "GDLinearRegression.fit, gd": 1.0,
    "GDLinearRegression.fit, normal": 1.0,
}
ASKED_OF_EPOCH = 100.0  # microseconds beyond the engine
ASKED_OF_IMPORT = 60.0  # milliseconds
ASKED_OF_MEMORY = 10.0  # % of X
N_TIMES = 20  # calls in a row
N_EPOCHS = 400
LARGE = (200_000, 250)  # rows and columns of the table that memory is measured on


def run_fixed(options: argparse.Namespace) -> None:
    """Measure fixed costs: calls on iris, imports, memory beside the table."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(f"\n{'iris, (8,)':<32}{'us':>9}{'peer':>9}{'times as fast':>15}{'asked':>9}")
    for name, (ours, theirs) in pairs().items():
        seconds, peer, ratio = in_turns(ours, theirs, options.repeat)
        print(
            f"{name:<32}{seconds * 1e6:9.0f}{peer * 1e6:9.0f}{ratio:15.2f}"
            f"{asked_of(name):9.1f}",
            flush=True,
        )
    beyond = microseconds_beyond_engine(options.repeat)
    print(
        f"an epoch with early stopping, beyond the engine: {beyond:.0f} us "
        f"(asked: {ASKED_OF_EPOCH:.0f})",
        flush=True,
    )
    print(
        f"importing the package after scikit-learn: {import_cost(options.repeat):.0f} "
        f"ms (asked: {ASKED_OF_IMPORT:.0f})",
        flush=True,
    )
    if not options.no_memory:
        print_memory()


# Time -------------------------------------------------------------------------------


def pairs() -> dict[str, tuple[Call, Call]]:
    """Calls of ours and of the peer's, by name."""
    X, y = load_iris(return_X_y=True)
    numbers = X[:, 0] + y
    calls = {}
    for kind, classes, target in (
        ("classifier", (BackpropMLPClassifier, MLPClassifier), y),
        ("regressor", (BackpropMLPRegressor, MLPRegressor), numbers),
    ):
        models = [
            of(hidden_layer_sizes=(8,), max_iter=1, random_state=0).fit(X, target)
            for of in classes
        ]
        others = [
            of(hidden_layer_sizes=(8,), max_iter=1, random_state=0) for of in classes
        ]
        block, its_target = X[50:82], target[50:82]
        calls[f"partial_fit of 32 rows, {kind}"] = tuple(
            partial(model.partial_fit, block, its_target) for model in models
        )
        calls[f"fit of one epoch, {kind}"] = tuple(
            partial(model.fit, X, target) for model in others
        )
        calls[f"predict of one row, {kind}"] = tuple(
            partial(model.predict, X[:1]) for model in models
        )
    for solver in ("gd", "normal"):
        calls[f"GDLinearRegression.fit, {solver}"] = (
            partial(GDLinearRegression(solver=solver).fit, X, numbers),
            partial(LinearRegression().fit, X, numbers),
        )
    return calls


def asked_of(name: str) -> float:
    """Return what is asked of a pair."""
    return next(asked for begin, asked in ASKED.items() if name.startswith(begin))


def in_turns(ours: Call, theirs: Call, repeat: int) -> tuple[float, float, float]:
    """Best seconds of both calls, and how many times as fast ours is."""
    rounds = [(seconds_of(ours), seconds_of(theirs)) for _ in range(4 * repeat)]
    mine, peers = zip(*rounds, strict=True)
    return min(mine), min(peers), statistics.median(b / a for a, b in rounds)


def seconds_of(call: Call) -> float:
    """Seconds of a call, one of several in a row."""
    start = time.process_time()
    for _ in range(N_TIMES):
        call()
    return (time.process_time() - start) / N_TIMES


def microseconds_beyond_engine(repeat: int) -> float:
    """Time of an epoch of iris with early stopping, less that of the engine's calls."""
    X, y = load_iris(return_X_y=True)

    def fitted(n_epochs):
        return BackpropMLPClassifier(
            (8,),
            early_stopping=True,
            max_iter=n_epochs,
            tol=0.0,
            n_iter_no_change=10**6,
            random_state=0,
        ).fit(X, y)

    network = fitted(2)._training.network
    theta, running = network.theta.copy(), network.running.copy()
    trainer = network.engine.trainer("adam")
    Y = np.eye(3)[y]
    order = np.random.default_rng(0).permutation(135)
    watched = np.ascontiguousarray(X[135:]), np.ascontiguousarray(Y[135:])

    def engine():
        for _ in range(N_EPOCHS):
            trainer.train_epoch(
                theta,
                running,
                X,
                Y,
                None,
                order,
                batch_size=135,
                learning_rate=0.001,
                record="epoch",
            )
            network.engine.loss(theta, running, *watched)
            network.engine.predict(theta, running, watched[0])

    def once(call):
        start = time.process_time()
        call()
        return time.process_time() - start

    beyond = []
    for _ in range(repeat):
        short, long = once(partial(fitted, 2)), once(partial(fitted, N_EPOCHS + 2))
        beyond.append((long - short - once(engine)) / N_EPOCHS)
    return 1e6 * statistics.median(beyond)


def import_cost(repeat: int) -> float:
    """Milliseconds of the package and of what it imports that scikit-learn has not.

    scikit-learn is what a user of its perceptron and its linear regression has there.
    """
    theirs = "import sklearn.neural_network, sklearn.linear_model; "
    return statistics.median(
        milliseconds_of_import(theirs + "import sklearn_backprop", "sklearn_backprop")
        for _ in range(2 * repeat)
    )


def milliseconds_of_import(code: str, module: str) -> float:
    """Milliseconds of one import with all that comes with it, in a fresh process."""
    report = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    line = re.search(rf"\|\s*(\d+) \| {module}$", report, flags=re.M)
    assert line is not None
    return int(line[1]) / 1e3


# Memory -----------------------------------------------------------------------------


def print_memory() -> None:
    """Print peaks of memory beside the table, as shares of it."""
    n, p = LARGE
    print(f"\n{f'fit on {n} x {p}':<40}{'peak MB':>9}{'% of X':>8}{'asked':>7}")
    for dtype in ("float32", "float64"):
        for name, params in (
            ("", {}),
            (", early stopping", {"early_stopping": True}),
        ):
            peak = peak_memory(training, (dtype, params), jobs=1)
            share = 100 * peak / (n * p * np.dtype(dtype).itemsize)
            print(
                f"{dtype + name:<40}{peak / MEGABYTE:9.1f}{share:8.1f}"
                f"{ASKED_OF_MEMORY:7.0f}",
                flush=True,
            )
    with tempfile.TemporaryDirectory() as folder:
        anonymous, size = memory_of_mapped(Path(folder) / "X")
    print(
        f"memory-mapped X of {size / MEGABYTE:.0f} MB: anonymous memory grows by "
        f"{anonymous / MEGABYTE:.1f} MB"
    )


def model_of(params) -> BackpropMLPRegressor:
    return BackpropMLPRegressor((8,), max_iter=1, random_state=0, **params)


def training(dtype: str, params: dict) -> Call:
    """Return the fit whose memory is measured, the solver warmed up."""
    warnings.simplefilter("ignore")
    X = np.random.default_rng(0).standard_normal(LARGE, dtype=np.float32).astype(dtype)
    y = X[:, 0] + X[:, 1]
    model_of(params).fit(X[:2000], y[:2000])
    return partial(model_of(params).fit, X, y)


def memory_of_mapped(path: Path) -> tuple[int, int]:
    """Growth of anonymous memory while a mapped table trains, and the table's bytes."""
    shape = (2**20, 2**8)
    X = np.memmap(path, dtype=np.float32, mode="w+", shape=shape)
    rng = np.random.default_rng(0)
    for start in range(0, shape[0], 2**16):
        X[start : start + 2**16] = rng.standard_normal((2**16, shape[1]))
    X.flush()
    size = X.nbytes
    del X
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=report_anonymous, args=(sender, path, shape))
    child.start()
    sender.close()
    grown = receiver.recv()
    child.join()
    return grown, size


def report_anonymous(connection, path: Path, shape: tuple[int, int]) -> None:
    """Send how far anonymous memory rises above what there was before the fit."""
    warnings.simplefilter("ignore")
    X = np.memmap(path, dtype=np.float32, mode="r", shape=shape)
    y = np.array(X[:, 0])
    model = model_of({"early_stopping": True})
    model.fit(X[:2000], y[:2000])
    before, seen, is_done = anonymous_bytes(), [0], threading.Event()

    def watch():
        while not is_done.wait(0.002):
            seen.append(anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    model.fit(X, y)
    is_done.set()
    watcher.join()
    connection.send(max(seen) - before)


def anonymous_bytes() -> int:
    """Return resident memory that no file stands behind (Linux)."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024
