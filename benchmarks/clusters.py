"""Figures of the estimators on Dask, on a cluster of processes on this machine.

``python benchmarks/clusters.py linear`` compares linear regression in parts with that
in memory (differences, bytes that move, time, bits by number of workers), ``networks``
the time of an epoch in two shards with that of one process, ``accuracy`` what two and
four shards lose on three tables, ``costs`` measures the constants of the cost model,
and ``losses`` kills workers. (Were it called dask.py, ``import dask`` would find it.)
"""

import argparse
import gzip
import io
import os
import pickle
import signal
import statistics
import threading
import time
import warnings
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path

import dask.array as da
import numpy as np
from dask import delayed
from distributed import Client, LocalCluster, wait
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import QuantileTransformer
from threadpoolctl import threadpool_limits

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    GDLinearRegression,
)
from sklearn_backprop.dask import (
    DaskBackpropMLPClassifier,
    DaskBackpropMLPRegressor,
    DaskGDLinearRegression,
)
from sklearn_backprop.dask._cluster import Cluster
from sklearn_backprop.exceptions import ClusterLostError

DATA = Path(__file__).parent / "data"
MEGABYTE = 1e6


@contextmanager
def cluster_of(n_workers: int, *, processes=True):
    """Workers of one thread each on this machine, and the client of them."""
    with (
        LocalCluster(
            n_workers,
            threads_per_worker=1,
            processes=processes,
            dashboard_address=":0",
            memory_limit=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


# --- linear regression
def ill_conditioned(condition: float, n_rows=20_000, n_features=20):
    """Rows whose standardised columns have about this condition, and targets."""
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.normal(size=(n_features, n_features)))
    Z = rng.normal(size=(n_rows, n_features)) * np.geomspace(
        1, 1 / condition, n_features
    )
    X = Z @ Q + 3
    return X, X @ rng.normal(size=n_features) + rng.normal(size=n_rows)


def random_part(seed: int, n_rows: int, n_features: int) -> np.ndarray:
    """Rows with a target in the last column."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, n_features + 1))
    rows[:, -1] += rows[:, :-1].sum(axis=1)
    return rows


@contextmanager
def counting_results():
    """Count the bytes of all results that arrive at the client."""
    plain, counted = Cluster.gather, []

    def counting(self, futures):
        results = plain(self, futures)
        counted.extend(len(pickle.dumps(result)) for result in results)
        return results

    Cluster.gather = counting
    try:
        yield counted
    finally:
        Cluster.gather = plain


def run_linear(options) -> None:
    """Compare differences, bits, bytes and time with the fit in memory."""
    print("condition   relative difference of coefficients")
    with cluster_of(2):
        for condition in (1, 1e2, 1e3, 1e4, 1e6):
            X, y = ill_conditioned(condition)
            oracle = GDLinearRegression(solver="normal").fit(X, y)
            model = DaskGDLinearRegression(solver="normal").fit(
                da.from_array(X, chunks=(1000, -1)), da.from_array(y, chunks=1000)
            )
            error = np.linalg.norm(model.coef_ - oracle.coef_)
            print(
                f"{oracle.condition_number_:9.2g}   "
                f"{error / np.linalg.norm(oracle.coef_):.1e}",
                flush=True,
            )
    X, y = ill_conditioned(1e3)
    parts = da.from_array(X, chunks=(1000, -1)), da.from_array(y, chunks=1000)
    bits = set()
    for n_workers in (1, 2, 3):
        with cluster_of(n_workers):
            model = DaskGDLinearRegression(solver="normal").fit(*parts)
            bits.add(model.coef_.tobytes())
    print(f"1, 2 and 3 workers: {len(bits)} different result(s)")
    time_linear(options.rows, options.repeat)


def time_linear(n_rows: int, repeat: int, n_features=50, n_parts=20) -> None:
    """Time both on one table, in turns."""
    shape = (n_rows // n_parts, n_features + 1)
    make = delayed(random_part)
    with cluster_of(2):
        rows = da.concatenate(
            [
                da.from_delayed(make(seed, shape[0], n_features), shape, float)
                for seed in range(n_parts)
            ]
        ).persist()
        wait(rows)
        parts = rows[:, :-1].persist(), rows[:, -1].persist()
        wait(parts)
        del rows
        table = np.concatenate(
            [random_part(seed, shape[0], n_features) for seed in range(n_parts)]
        )
        X, y = np.ascontiguousarray(table[:, :-1]), table[:, -1].copy()
        del table
        for solver in ("normal", "gd"):
            in_memory = GDLinearRegression(solver=solver)
            in_parts = DaskGDLinearRegression(solver=solver)
            ratios, times = [], []
            with counting_results() as counted:
                in_parts.fit(*parts)
            for _ in range(repeat):
                pair = [
                    seconds(partial(in_memory.fit, X, y)),
                    seconds(partial(in_parts.fit, *parts)),
                ]
                times.append(pair)
                ratios.append(pair[1] / pair[0])
            best = np.min(times, axis=0)
            print(
                f"{solver}: {len(X)} x {n_features} in {n_parts} parts, two workers: "
                f"in memory {best[0]:.2f} s, in parts {best[1]:.2f} s, ratio "
                f"{best[1] / best[0]:.2f} of the best, {statistics.median(ratios):.2f} "
                f"in the median; {sum(counted) / MEGABYTE:.3f} MB of results",
                flush=True,
            )


# --- networks: time
def run_networks(options) -> None:
    """Compare seconds per epoch of two shards with those of one process."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(options.rows, 100)).astype(np.float32)
    y = np.sin(X[:, 0] * X[:, 1]).astype(np.float32)
    params = {
        "hidden_layer_sizes": (256, 256),
        "batch_size": 256,
        "random_state": 0,
        "tol": 0.0,
    }
    warnings.simplefilter("ignore", ConvergenceWarning)
    size = len(X) // 8
    parts = da.from_array(X, chunks=(size, -1)), da.from_array(y, chunks=size)
    few, many = 1, 1 + options.epochs

    def per_epoch(model, data) -> float:
        """The time of more epochs less that of one: what begins a fit is out."""
        times = [
            seconds(partial(model.set_params(max_iter=n).fit, *data))
            for n in (few, many)
        ]
        return (times[1] - times[0]) / (many - few)

    with cluster_of(2):
        sharded = DaskBackpropMLPRegressor(
            **params, n_shards=2, rounds_per_epoch=options.rounds
        )
        sharded.set_params(max_iter=1).fit(*parts)  # imports
        for _ in range(options.repeat):
            with threadpool_limits(1):
                alone = per_epoch(BackpropMLPRegressor(**params), (X, y))
            both = per_epoch(BackpropMLPRegressor(**params), (X, y))
            shards = per_epoch(sharded, parts)
            print(
                f"{len(X)} x 100, (256, 256), float32, rounds of "
                f"{shards / options.rounds:.2f} s; seconds per epoch: one thread "
                f"{alone:.2f}, all threads {both:.2f}, two workers {shards:.2f}: "
                f"{alone / shards:.2f} times as fast as one thread",
                flush=True,
            )


# --- networks: accuracy
def california():
    """Features made normal, target standardised (Pace and Barry, 1997)."""
    with np.load(DATA / "california_housing.npz") as data:
        X = [data["X_train"], data["X_test"]]
        y = [data["y_train"], data["y_test"]]
    scaler = QuantileTransformer(output_distribution="normal", random_state=0)
    X = [scaler.fit_transform(X[0]), scaler.transform(X[1])]
    return X[0], X[1], *((part - y[0].mean()) / y[0].std() for part in y)


def magic():
    """Events of a gamma telescope (Bock, 2004): gammas or hadrons."""
    with gzip.open(DATA / "magic.csv.gz") as file:
        table = np.genfromtxt(
            io.BytesIO(file.read()), delimiter=",", skip_header=1, dtype=str
        )
    X, y = table[:, :-1].astype(float), table[:, -1]
    return made_normal(X, y)


def made():
    """200 000 rows in 20 columns: which of five waves is the highest."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(250_000, 20))
    waves = np.sin(X @ rng.normal(size=(20, 5))) + X[:, :5] * X[:, 5:10]
    y = np.argmax(waves + 0.3 * rng.normal(size=waves.shape), axis=1)
    return made_normal(X, y, test_size=50_000)


def made_normal(X, y, test_size=0.2):
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=test_size, random_state=0
    )
    scaler = QuantileTransformer(output_distribution="normal", random_state=0)
    return scaler.fit_transform(X_train), scaler.transform(X_test), y_train, y_test


# Name -> table, whether it has labels, hidden layers, epochs.
TABLES = {
    "california": (california, False, (128, 64), 30),
    "magic": (magic, True, (64, 32), 20),
    "made": (made, True, (128, 64), 10),
}
RATES = (0.001, 0.003, 0.01, 0.02)
BATCH = 128


def run_accuracy(options) -> None:
    """Compare two and four shards with one process at its best learning rate."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    # One worker in this process: shards are what they are on any cluster.
    with cluster_of(1, processes=False):
        for name in options.tables:
            compare_shards(name, options)


def compare_shards(name: str, options) -> None:
    load, has_labels, layers, epochs = TABLES[name]
    X_train, X_test, y_train, y_test = load()
    X_train, X_test = X_train.astype(np.float32), X_test.astype(np.float32)
    params = {
        "hidden_layer_sizes": layers,
        "max_iter": epochs,
        "learning_rate": "cosine",
        "tol": 0.0,
        "n_iter_no_change": epochs,
        "track_gradients": None,
    }
    plain, sharded = (
        (BackpropMLPClassifier, DaskBackpropMLPClassifier)
        if has_labels
        else (BackpropMLPRegressor, DaskBackpropMLPRegressor)
    )

    def quality(model) -> float:
        """Per cent of labels, or RMSE in standard deviations."""
        if has_labels:
            return 100 * np.mean(model.predict(X_test) == y_test)
        return float(np.sqrt(np.mean((model.predict(X_test) - y_test) ** 2)))

    def of_seeds(fit) -> list[float]:
        return [quality(fit(seed)) for seed in range(options.seeds)]

    by_rate = {
        rate: of_seeds(
            lambda seed, rate=rate: plain(
                **params,
                batch_size=BATCH,
                learning_rate_init=rate,
                random_state=seed,
            ).fit(X_train, y_train)
        )
        for rate in RATES
    }
    means = {rate: np.mean(values) for rate, values in by_rate.items()}
    best = max(means, key=means.get) if has_labels else min(means, key=means.get)
    unit = "%" if has_labels else "RMSE"
    print(
        f"{name} ({len(X_train)} rows), one process: "
        + ", ".join(f"{mean:.4g} {unit} at {rate:g}" for rate, mean in means.items()),
        flush=True,
    )
    size = -(-len(X_train) // 8)
    parts = (
        da.from_array(X_train, chunks=(size, -1)).persist(),
        da.from_array(y_train, chunks=size).persist(),
    )

    def print_shards(n_shards, rate, outer, rounds) -> None:
        model = sharded(
            **params,
            batch_size=BATCH // n_shards,  # as many steps as one process
            learning_rate_init=rate,
            n_shards=n_shards,
            rounds_per_epoch=rounds,
            outer=outer,
        )
        found = of_seeds(lambda seed: model.set_params(random_state=seed).fit(*parts))
        change = np.subtract(found, by_rate[best])
        if not has_labels:
            change = 100 * change / by_rate[best]
        print(
            f"  {n_shards} shards, rate {rate:g}, {rounds} rounds, outer={outer}: "
            f"{np.mean(found):.4g} {unit}, {np.mean(change):+.2f} "
            f"{'points' if has_labels else '% of RMSE'} "
            f"({np.min(change):+.2f} to {np.max(change):+.2f})",
            flush=True,
        )

    # Smaller batches are noisier: a lower rate may suit them better.
    tried = [rate for rate in RATES if rate <= best][-2:]
    for setting in product((2, 4), tried, options.outer, options.rounds_tried):
        print_shards(*setting)


# --- what a task costs
def run_costs(options) -> None:
    """Measure what a part, a round and a worker cost besides computing."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(3200, 10)), rng.normal(size=3200)
    for n_workers in (1, 2):
        with cluster_of(n_workers):
            for n_parts in (4, 16, 64):
                size = len(X) // n_parts
                parts = (
                    da.from_array(X, chunks=(size, -1)),
                    da.from_array(y, chunks=size),
                )
                model = DaskGDLinearRegression(solver="normal")
                model.fit(*parts)
                spent = min(
                    seconds(lambda m=model, p=parts: m.fit(*p))
                    for _ in range(options.repeat)
                )
                print(
                    f"{n_workers} worker(s), {n_parts} parts of next to nothing: "
                    f"{1e3 * spent:.0f} ms, {1e3 * spent / n_parts:.1f} a part",
                    flush=True,
                )
            for width in (8, 500):
                for n_shards in (1, 2, 8):
                    print_cost_of_a_round(n_shards, width, options.repeat)


def print_cost_of_a_round(n_shards: int, width: int, repeat: int) -> None:
    """Print the time of a round that computes next to nothing."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(160, width)), rng.normal(size=160)
    parts = da.from_array(X, chunks=(20, -1)), da.from_array(y, chunks=20)
    model = DaskBackpropMLPRegressor(
        (width,), n_shards=n_shards, rounds_per_epoch=20, tol=0.0, batch_size=1
    )
    model.set_params(max_iter=1).fit(*parts)
    spent = min(
        seconds(lambda: model.set_params(max_iter=2).fit(*parts))
        - seconds(lambda: model.set_params(max_iter=1).fit(*parts))
        for _ in range(repeat)
    )
    n = model._training.network.theta.size
    print(
        f"  a round of {n_shards} shards, {n} weights: {1e3 * spent / 20:.0f} ms",
        flush=True,
    )


# --- losses
def run_losses(options) -> None:
    """Kill a worker amid a fit, and then all of them."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40_000, 20))
    y = X[:, 0] * X[:, 1]
    parts = da.from_array(X, chunks=(5000, -1)), da.from_array(y, chunks=5000)
    model = DaskBackpropMLPRegressor((64,), n_shards=2, max_iter=20, random_state=0)
    with cluster_of(2) as client:
        expected = model.fit(*parts).coefs_[0].tobytes()
        victim = min(client.run(os.getpid).values())
        timer = threading.Timer(1.0, os.kill, (victim, signal.SIGKILL))
        timer.start()
        spent = seconds(lambda: model.fit(*parts))
        same = model.coefs_[0].tobytes() == expected
        print(f"a worker killed after 1 s: fit in {spent:.1f} s, same bits: {same}")
        start = time.perf_counter()
        lost = threading.Timer(1.0, lambda: client.cluster.scale(0))
        lost.start()
        try:
            model.set_params(max_iter=10_000).fit(*parts)
        except ClusterLostError as error:
            spent = time.perf_counter() - start - 1.0
            print(f"no worker left: {spent:.1f} s later, {error}")
            print(f"{model.n_iter_} epochs are there to go on from")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    subjects = parser.add_subparsers(required=True, metavar="SUBJECT")
    linear = subjects.add_parser("linear", help=run_linear.__doc__)
    linear.add_argument("--rows", type=int, default=2_000_000)
    linear.set_defaults(run=run_linear)
    networks = subjects.add_parser("networks", help=run_networks.__doc__)
    networks.add_argument("--rows", type=int, default=500_000)
    networks.add_argument("--epochs", type=int, default=2)
    networks.add_argument("--rounds", type=int, default=1)
    networks.set_defaults(run=run_networks)
    accuracy = subjects.add_parser("accuracy", help=run_accuracy.__doc__)
    accuracy.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    accuracy.add_argument("--seeds", type=int, default=5)
    accuracy.add_argument("--rounds-tried", type=int, nargs="+", default=[8])
    accuracy.add_argument("--outer", nargs="+", default=[None], choices=["nesterov"])
    accuracy.set_defaults(run=run_accuracy)
    costs = subjects.add_parser("costs", help=run_costs.__doc__)
    costs.set_defaults(run=run_costs)
    losses = subjects.add_parser("losses", help=run_losses.__doc__)
    losses.set_defaults(run=run_losses)
    for subject in (linear, networks, costs):
        subject.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
