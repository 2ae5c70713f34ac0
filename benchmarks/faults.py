"""A campaign of bad input and faults.

Run ``python benchmarks/faults.py [--cases 3000] [--faults 300] [--seed 0]``.

Bad input: random settings on random, often hostile, tables. Every case fits an
estimator, perhaps from a pretrained one or twice, and predicts the same rows or others,
or it fits an encoder and transforms. It ends well with finite numbers, or with a
ValueError or TypeError whose words are no binding's and no ufunc's.

Faults: a fit in a process forked from one that has used two threads, undisturbed, or
interrupted after a random time, or with little memory left. It ends, within a minute,
as bad input does, or with a KeyboardInterrupt or a MemoryError. (A forked process has
one thread; tests/engine/test_interrupts.py and tests/test_memory.py disturb teams.)

Anything else is printed with the seed that brings it back, and the exit status is 1.
"""

import argparse
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections import Counter
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    BackpropRNNClassifier,
    BackpropRNNRegressor,
    GDLinearRegression,
    TabularMLPClassifier,
    TabularMLPRegressor,
)
from sklearn_backprop.exceptions import DivergenceError
from sklearn_backprop.inspection import diagnose
from sklearn_backprop.neural_network import (
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
)
from sklearn_backprop.preprocessing import PiecewiseLinearEncoder, TableEncoder

# What no message of ours says.
FOREIGN = (
    "incompatible function arguments",
    "ufunc",
    "UFunc",
    "nanobind",
    "object is",
    "DType",
)
NUMBERS = (0, 1, -1, 2**63, 10**400, 1e-320, 1e300, np.inf, np.nan, 0.5, "x", None)
TRAINING = {
    "solver": ("adam", "sgd", "adamw", "muon", "adagrad", "rmsprop", "lbfgs"),
    "batch_size": ("auto", 1, 5),
    "clip": (None, 1.0),
    "early_stopping": (False, False, True),
    "learning_rate": ("constant", "adaptive", "cosine"),
    "learning_rate_init": (1e-3, 1e-2, 10.0),
    "alpha": (0.0, 1e-4, 10.0),
    "dropout": (0.0, 0.0, 0.5),
    "layer_rates": (None, None, [0.0, 1.0], [1e-300, 1.0, 1.0], [np.nan], "x"),
    "warm_start": (False, True),
}
EMBEDDED = {
    "numerical_embedding": (
        None,
        "piecewise_linear",
        "periodic",
        PiecewiseLinearEmbedding(3, size=2, bins="tree", min_samples_leaf=1),
        PeriodicEmbedding(2, size=2, frequency_scale=1.0),
        *(PiecewiseLinearEmbedding(bad) for bad in (0, 2**63, np.nan)),
        *(PeriodicEmbedding(frequency_scale=bad) for bad in (0, 1e300, np.inf)),
    ),
    "embedded_features": (None, None, [0], [0, 0], [-1], [99], ["a"], [], [0.5]),
}
CATEGORIES = {
    "categorical_features": ("from_dtype", None, [0], [99], [-1], ["a"], [0.5]),
    "max_categories": (1, 2, 1000),
}
CHOICES = {
    "linear": {
        "solver": ("gd", "normal"),
        "fit_intercept": (True, False),
        "feature_scaling": ("standard", "minmax", None),
        "batch_size": (None, None, 1, 7, 10**6),
        "learning_rate": ("constant", "invscaling", "adaptive"),
        "learning_rate_init": ("auto", "auto", 1e-3, 10.0),
        "momentum": (0.0, 0.9),
        "alpha": (0.0, 0.0, 1e-8, 1.0),
        "l1_ratio": (0.0, 0.0, 0.5),
        "positive": (False, False, True),
    },
    "network": {
        "hidden_layer_sizes": ((), (3,), (5, 4), 2),
        "activation": ("relu", "tanh", "gelu", "selu"),
        "normalization": (None, None, "batch", "layer"),
        "residual": (None, None, "add", "concat"),
        **EMBEDDED,
        "n_members": (1, 2, 3),
        "member_weights": ("mini", "adapters", "independent"),
        "member_batches": ("shared", "shared", "own"),
        **TRAINING,
    },
    "sequences": {
        "hidden_layer_sizes": ((3,), (4, 4), 2),
        "cell": ("lstm", "gru", "tanh"),
        "bidirectional": (False, True),
        "pooling": ("last", "mean"),
        "n_channels": (1, 1, 2, 3),
        "residual": (None, "add"),
        "init_scale": (1.0, 0.0, 1e3, 1e300),
        **TRAINING,
    },
    "presets": {
        "hidden_layer_sizes": ((), (3,), (5, 4), 2),
        "activation": ("relu", "tanh"),
        **EMBEDDED,
        **CATEGORIES,
        "n_members": ("auto", 1, 2),
        "averaging": (0.0, 0.8),
        "weight_decay": ("auto", 0.0, 10.0),
        "validation_fraction": (0.0, 0.1, 0.9),
        **TRAINING,
        "early_stopping": ("auto", False, True),
    },
    "bins": {
        "n_bins": (1, 2, 16, 10**6),
        "bins": ("quantile", "tree"),
        "min_samples_leaf": (1, 16),
    },
    "table": {
        **CATEGORIES,
        "dtype": (np.float64, np.float32, int, "x"),
    },
}
# What is fitted; of two classes, one to labels and one to numbers.
CLASSES = {
    "linear": (GDLinearRegression,),
    "network": (BackpropMLPClassifier, BackpropMLPRegressor),
    "sequences": (BackpropRNNClassifier, BackpropRNNRegressor),
    "presets": (TabularMLPClassifier, TabularMLPRegressor),
    "bins": (PiecewiseLinearEncoder,),
    "table": (TableEncoder,),
}
FEW_STEPS = {"linear": 200, "network": 5, "sequences": 3, "presets": 3}
# Kinds, and how often a table of theirs is a raw one.
RAW_SHARE = {"presets": 0.7, "table": 0.7}


def draw_settings(rng, kind, estimator):
    """Some of the choices, and now and then a number that is none of them."""
    settings = {
        name: values[rng.integers(len(values))]
        for name, values in CHOICES[kind].items()
        if rng.random() < 0.4
    }
    if rng.random() < 0.1:
        names = sorted({*estimator().get_params()} - {"verbose"})
        name = names[rng.integers(len(names))]
        settings[name] = NUMBERS[rng.integers(len(NUMBERS))]
    return settings


def draw_table(rng):
    """X (n, p), y (n,) and weights or None, with up to three things wrong."""
    n, p = int(rng.integers(1, 40)), int(rng.integers(1, 8))
    X = rng.normal(size=(n, p))
    y = X[:, 0] + rng.normal(size=n)
    weight = rng.random(n) if rng.random() < 0.3 else None
    for _ in range(rng.integers(4)):
        X, y, weight = spoil(rng, X, y, weight)
    if rng.random() < 0.2 and X.dtype.kind == "f":
        X = X.astype(np.float32)
    if rng.random() < 0.2 and X.dtype.kind == "f":
        X = (sparse.csr_array, sparse.csc_array)[rng.integers(2)](X)
    return X, y, weight


def spoil(rng, X, y, weight):
    """One thing that goes wrong in tables."""
    with np.errstate(all="ignore"):
        if rng.random() < 0.5:
            return SPOILT_X[rng.integers(len(SPOILT_X))](rng, X.copy()), y, weight
        return X, *SPOILT_Y[rng.integers(len(SPOILT_Y))](rng, len(X), y, weight)


def change_column(change):
    def spoil_column(rng, X):
        column = X[:, rng.integers(X.shape[1])]
        column[:] = change(rng, column)
        return X

    return spoil_column


def put_one(value):
    def put(rng, column):
        column[rng.integers(len(column))] = value
        return column

    return change_column(put)


SPOILT_X = (
    change_column(lambda rng, column: column * 10.0 ** rng.uniform(-300, 300)),
    change_column(lambda rng, column: 3.7e8),
    put_one(np.nan),
    put_one(np.inf),
    lambda rng, X: np.repeat(X[:1], len(X), axis=0),
    lambda rng, X: np.hstack([X, X]),
    lambda rng, X: X * 10.0 ** rng.uniform(-9, 9, size=X.shape[1]),
    lambda rng, X: X + 10.0 ** rng.uniform(0, 15),
    change_column(lambda rng, column: np.nan),
    lambda rng, X: cut_short(rng, X),
)


def cut_short(rng, X):
    """Rows that end early, as sequences of several lengths do."""
    lengths = rng.integers(X.shape[1] + 1, size=len(X))
    X[np.arange(X.shape[1]) >= lengths[:, None]] = np.nan
    return X


def scaled_targets(rng, n, y, weight):
    is_number = y.dtype.kind == "f"
    return y * 10.0 ** rng.uniform(-300, 300) if is_number else y, weight


SPOILT_Y = (
    scaled_targets,
    lambda rng, n, y, weight: (np.zeros(n), weight),
    lambda rng, n, y, weight: (
        np.array(["a", "b"], dtype=object)[rng.integers(2, size=n)],
        weight,
    ),
    lambda rng, n, y, weight: (y, np.eye(1, n, rng.integers(n))[0]),
    lambda rng, n, y, weight: (y, np.full(n, 10.0 ** rng.uniform(-310, 300))),
    lambda rng, n, y, weight: (y, -rng.random(n)),
    lambda rng, n, y, weight: (y[: rng.integers(n + 1)], weight),
    lambda rng, n, y, weight: (np.stack([y, y[::-1]], axis=1), weight),
    lambda rng, n, y, weight: (y[:, None], weight),
    lambda rng, n, y, weight: (np.where(rng.random(y.shape) < 0.1, None, y), weight),
)


# Raw tables -------------------------------------------------------------------------


def draw_raw(rng, X):
    """X (n, p) as a user has it: a data frame of many types, objects or lists."""
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    for _ in range(rng.integers(4)):
        name = frame.columns[rng.integers(frame.shape[1])]
        change = RAW_COLUMNS[rng.integers(len(RAW_COLUMNS))]
        frame = frame.assign(**{name: change(rng, frame[name].to_numpy())})
    return changed_if_possible(FORMS[rng.integers(len(FORMS))], frame)


def changed_if_possible(change, X):
    """The table with a change, or as it is where its kind has no such change."""
    try:
        return change(X)
    except Exception:  # of pandas, polars, NumPy: nothing of ours has run
        return X


def some_of(*values, dtype=object):
    """A column of some of these values."""

    def draw(rng, x):
        places = rng.integers(len(values), size=len(x))
        return pd.Series([values[i] for i in places], dtype=dtype)

    return draw


RAW_COLUMNS = (
    some_of("a", "b", "c"),
    some_of("a", "b", None, np.nan, 1),
    some_of("1", "2.5", dtype="str"),
    some_of("a", "b", dtype="category"),
    some_of("low", "high", dtype=pd.CategoricalDtype(["low", "high"], ordered=True)),
    some_of(1, 2, None, dtype="Int64"),
    some_of(1.5, 2.5, None, dtype="Float32"),
    some_of(True, False, None, dtype="boolean"),
    some_of(True, False, dtype=bool),
    some_of("a", None, dtype="string"),
    some_of("2020-01-01", "2021-01-01", None, dtype="datetime64[ns]"),
    some_of("2020-01-01", "2021-01-01", dtype="datetime64[ns, UTC]"),
    some_of("1 days", None, dtype="timedelta64[ns]"),
    some_of("2020-01", "2021-01", dtype="period[M]"),
    some_of(pd.Interval(0, 1), pd.Interval(1, 2), dtype="interval"),
    some_of(0.0, 1.0, dtype=pd.SparseDtype(float, 0.0)),
    some_of(1j, 2.0, dtype=complex),
    some_of(1j, "a"),
    some_of([1], {"a": 1}),
    some_of(np.array([1, 2]), None),
    some_of(b"a", b"b"),
    some_of(Decimal(1), Decimal("NaN")),
    some_of(10**400, 1),
    some_of(2**63, -1),
    some_of(np.inf, 1.0),
    some_of(pd.NA, pd.NaT, None),
    some_of("a" * 10_000, "\ud800", ""),
    lambda rng, x: np.arange(len(x)).astype(str),
)


def renamed(*names):
    """The table with these names for its first columns."""

    def rename(frame):
        frame.columns = [*names, *frame.columns][: frame.shape[1]]
        return frame

    return rename


FORMS = (
    lambda frame: frame,
    lambda frame: frame,
    lambda frame: frame.to_numpy(),
    lambda frame: frame.to_numpy(dtype=object),
    lambda frame: frame.to_numpy().tolist(),
    lambda frame: frame.to_numpy(dtype=str),
    lambda frame: frame.astype(object),
    lambda frame: frame.set_index(frame.columns[0], drop=False),
    lambda frame: frame.sample(frac=1, random_state=0),
    renamed("a", "a"),
    renamed(0, 1),
    renamed(("a", 1), None),
    pl.from_pandas,
    pl.from_pandas,
    lambda frame: pl.from_pandas(frame).lazy(),
)


def draw_others(rng, X):
    """X, or something else in its place where rows are predicted."""
    if rng.random() < 0.5:
        return X
    change = OTHERS[rng.integers(len(OTHERS))]
    return changed_if_possible(lambda X: change(rng, X), X)


def rows_of(X):
    """Array (n, p) of a table of any kind."""
    return X.toarray() if sparse.issparse(X) else np.array(X)


OTHERS = (
    lambda rng, X: X[:1],
    lambda rng, X: X[:0],
    lambda rng, X: X[0],
    lambda rng, X: rows_of(X)[:, 1:],
    lambda rng, X: np.hstack([rows_of(X), rows_of(X)]),
    lambda rng, X: X.iloc[:, ::-1],
    lambda rng, X: X.rename(columns={X.columns[0]: "other"}),
    lambda rng, X: X.astype(object).where(rng.random(X.shape) < 0.8, "new"),
    lambda rng, X: X.astype(object).where(rng.random(X.shape) < 0.8, None),
    lambda rng, X: rows_of(X),
    lambda rng, X: rows_of(X).astype(str),
    lambda rng, X: rows_of(X).astype(object),
    lambda rng, X: pd.DataFrame(rows_of(X)),
    lambda rng, X: pd.DataFrame(rows_of(X)).add_prefix("x"),
    lambda rng, X: sparse.csr_array(rows_of(X)),
    lambda rng, X: draw_raw(rng, rng.normal(size=X.shape)),
    lambda rng, X: np.where(rng.random(X.shape) < 0.1, np.inf, rows_of(X)),
    lambda rng, X: np.where(rng.random(X.shape) < 0.1, np.nan, rows_of(X)),
    lambda rng, X: rows_of(X) * 1e300,
    lambda rng, X: rows_of(X)[:, :, None],
    lambda rng, X: X["x0"],
    lambda rng, X: None,
    lambda rng, X: "x",
)


# Cases ------------------------------------------------------------------------------


def run_case(seed):
    """Name how the case ends: "fine", the kind of an error of ours, or what is bad."""
    rng = np.random.default_rng(seed)
    kind = list(CHOICES)[rng.integers(len(CHOICES))]
    X, y, weight = draw_table(rng)
    model, y = draw_model(rng, kind, y)
    if not sparse.issparse(X) and rng.random() < RAW_SHARE.get(kind, 0.1):
        with np.errstate(all="ignore"):
            X = draw_raw(rng, X)
    try:
        if hasattr(model, "transform"):
            return transform(rng, model, X, y, weight)
        return predict(rng, model, X, y, weight)
    except DivergenceError as error:
        return verdict(error, "DivergenceError")
    except (ValueError, TypeError, MemoryError) as error:
        return verdict(error, type(error).__name__)
    except Exception as error:
        return f"BAD: {type(error).__name__}: {error}"


def draw_model(rng, kind, y):
    """An estimator with few steps to take, and the y that it learns."""
    estimator = CLASSES[kind][rng.integers(len(CLASSES[kind]))]
    settings = draw_settings(rng, kind, estimator)
    if kind in FEW_STEPS:
        settings = {"max_iter": FEW_STEPS[kind], "random_state": 0, **settings}
    if is_classifier(estimator()) and y.dtype.kind == "f":
        y = (y > 0).astype(int)
    return estimator(**settings), y


def predict(rng, model, X, y, weight):
    """Fit and predict; name how it ends well."""
    if rng.random() < 0.2 and hasattr(model, "pretrained"):
        model.set_params(pretrained=draw_start(rng, model, X, y))
    for _ in range(rng.integers(1, 3)):
        if rng.random() < 0.2 and hasattr(model, "partial_fit"):
            more = {"classes": np.unique(y)} if is_classifier(model) else {}
            model.partial_fit(X, y, weight, **more)
        else:
            model.fit(X, y, weight)
    outputs = [model.predict(draw_others(rng, X))]
    if hasattr(model, "predict_proba"):
        outputs.append(np.asarray(model.predict_proba(X)))
    for output in outputs:
        if output.dtype.kind == "f" and not np.isfinite(output).all():
            return "BAD: predictions that are not finite"
    return "fine" if diagnose(model) else "BAD: no finding"


def draw_start(rng, model, X, y):
    """What `pretrained` is given: now and then a network of the same layers."""
    others = (clone(model), LinearRegression(), make_pipeline(clone(model)), "x", model)
    if rng.random() < 0.3:
        return others[rng.integers(len(others))]
    if rng.random() < 0.3:
        kinds = [kind for kinds in CLASSES.values() for kind in kinds]
        start = kinds[rng.integers(len(kinds))]()
    else:
        start = clone(model)
    start.fit(draw_others(rng, X), y)
    return FrozenEstimator(start) if rng.random() < 0.3 else start


def transform(rng, model, X, y, weight):
    """Fit and transform; name how it ends well."""
    model.fit(X, y, weight)
    X = draw_others(rng, X)
    written = model.transform(X)
    if np.isinf(written).any():
        return "BAD: infinite numbers"
    missing = np.isnan(written).any()
    if missing and not (isinstance(model, TableEncoder) and may_lack(X)):
        return "BAD: missing numbers"
    return "fine"


def may_lack(X):
    """Whether a table lacks some values, or has labels that its order does not list."""
    X = pd.DataFrame(X.to_pandas() if hasattr(X, "to_pandas") else X)
    return X.isna().to_numpy().any() or any(X.dtypes.map(str) != "float64")


def verdict(error, name):
    """The error's name, or why it is none of ours."""
    if not str(error) or any(text in str(error) for text in FOREIGN):
        return f"BAD: {type(error).__name__}: {str(error)[:200]}"
    return name


# What happens to a forked process, and how only that may end.
FAULTS = {"fork": None, "signal": "KeyboardInterrupt", "memory": "MemoryError"}


def draw_work(rng):
    """A fit of some tenths of a second, and the rows it takes."""
    X = rng.normal(size=(int(rng.integers(10_000, 100_000)), 20))
    if rng.random() < 0.3:
        return GDLinearRegression(solver=("gd", "normal")[rng.integers(2)]), X
    if rng.random() < 0.2:
        few = {"n_members": 2, "max_iter": 1, "batch_size": 2_000}
        return TabularMLPRegressor((32,), early_stopping=False, **few), X
    settings = draw_settings(rng, "network", BackpropMLPRegressor) | {
        "hidden_layer_sizes": (128, 128),
        "batch_size": int(rng.integers(500, 2_000)),
        "max_iter": 3,
        "max_fun": 5,
        "random_state": 0,
    }
    return BackpropMLPRegressor(**settings), X


def work(model, X):
    """Fit and predict; name how it ends."""
    try:
        predicted = model.fit(X, X[:, 0]).predict(X)
    except (KeyboardInterrupt, MemoryError) as error:
        return type(error).__name__
    except (ValueError, TypeError) as error:  # of the settings
        return verdict(error, type(error).__name__)
    except BaseException as error:
        return f"BAD: {type(error).__name__}: {error}"
    return "fine" if np.isfinite(predicted).all() else "BAD: not finite"


# How glibc gives back what is freed, and no thread's arena holds 64 MiB in reserve: a
# limit would find work that needs no more.
KEEPS_NO_FREED_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "0",
    "MALLOC_MMAP_THRESHOLD_": "65536",
}


def keep_no_freed_memory():
    """Begin anew with those settings, which glibc reads before Python runs."""
    if not KEEPS_NO_FREED_MEMORY.items() <= os.environ.items():
        os.environ.update(KEEPS_NO_FREED_MEMORY)
        os.execv(sys.executable, [sys.executable, *sys.argv])


def limit_memory(extra):
    """Leave this process `extra` bytes beside what it has."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + extra
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def answer_of(child, reader, seconds=60):
    """What a child writes, or why there is nothing."""
    is_there, _, _ = select.select([reader], [], [], seconds)
    if not is_there:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not is_there:
        return f"BAD: no end within {seconds} s"
    return os.read(reader, 1000).decode() or f"BAD: died with status {status}"


def run_fault(seed):
    """Name the fault and how the work that meets it ends."""
    rng = np.random.default_rng(seed)
    fault = list(FAULTS)[rng.integers(len(FAULTS))]
    model, X = draw_work(rng)
    delay, extra = rng.uniform(0, 0.1), int(2 ** rng.uniform(10, 24))
    reader, writer = os.pipe()
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        answer = ""
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if fault == "memory" and sys.platform == "linux":
                use_threads()
                # OpenBLAS ends a process that has no room for its buffers or threads.
                threadpool_limits(1, user_api="blas")
                limit_memory(extra)
            os.write(go, b"1")
            answer = work(model, X)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        except (KeyboardInterrupt, MemoryError) as error:  # just beside the work
            answer = type(error).__name__
        finally:
            os.write(writer, answer.encode())
            os._exit(0)
    for end in (writer, go):
        os.close(end)
    os.read(ready, 1)
    if fault == "signal":
        time.sleep(delay)
        os.kill(child, signal.SIGINT)
    answer = answer_of(child, reader)
    for end in (reader, ready):
        os.close(end)
    is_of_another = answer in FAULTS.values() and answer != FAULTS[fault]
    if answer.startswith("BAD") or is_of_another:
        return f"BAD: {fault}: {answer.removeprefix('BAD: ')}"
    return f"{fault}: {answer}"


def use_threads():
    """Fit on two threads, so that processes forked later inherit what that leaves."""
    os.environ["OMP_NUM_THREADS"] = "2"
    X = np.random.default_rng(0).normal(size=(20_000, 20))
    settings = {"hidden_layer_sizes": (128, 128), "batch_size": 2_000, "max_iter": 2}
    BackpropMLPRegressor(**settings).fit(X, X[:, 0]).predict(X)
    for solver in ("gd", "normal"):
        GDLinearRegression(solver=solver).fit(X, X[:, 0]).predict(X)


def main():
    """Run the campaign and count how cases end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    keep_no_freed_memory()
    outcomes, bad = Counter(), 0
    use_threads()
    first = arguments.seed
    cases = [(run_case, seed) for seed in range(first, first + arguments.cases)]
    cases += [(run_fault, seed) for seed in range(first, first + arguments.faults)]
    for run, seed in cases:
        outcome = run(seed)
        if outcome.startswith("BAD"):
            bad += 1
            print(f"{run.__name__}({seed}): {outcome}")
            outcome = "BAD"
        outcomes[outcome] += 1
    for outcome, count in outcomes.most_common():
        print(f"{outcome:24}{count:7}")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
