"""Recurrent networks: microseconds per mini-batch step beside PyTorch's eager loop."""

import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np
from measuring import Measured, best_of, interleaved
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklearn_backprop import BackpropRNNClassifier

try:
    import torch
except ImportError:
    torch = None

RATE = 1e-3
N_CLASSES = 4


@dataclass(frozen=True)
class SequenceJob:
    """An LSTM and its sequences: all of the same length, random, in float32."""

    n_steps: int
    n_channels: int
    width: int
    batch_size: int
    n_batches: int
    n_epochs: int = 2

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """Return X (n, n_steps, n_channels) and y (n,)."""
        rng = np.random.default_rng(0)
        n = self.batch_size * self.n_batches
        X = rng.standard_normal((n, self.n_steps, self.n_channels))
        return X.astype(np.float32), rng.integers(N_CLASSES, size=n)

    @property
    def n_updates(self) -> int:
        return self.n_epochs * self.n_batches


SEQUENCE_JOBS = {
    "25 x 12, 64 units, batch 32": SequenceJob(25, 12, 64, 32, 60),
    "100 x 6, 128 units, batch 64": SequenceJob(100, 6, 128, 64, 6),
}


class Ours:
    """The estimator, from its own start."""

    def __init__(self, job: SequenceJob, **params):
        self.X, self.y = job.table()
        self.model = BackpropRNNClassifier(
            (job.width,),
            alpha=0.0,
            batch_size=job.batch_size,
            shuffle=False,
            tol=0.0,
            n_iter_no_change=10**6,
            max_iter=job.n_epochs,
            learning_rate_init=RATE,
            random_state=0,
            **params,
        )

    def start(self) -> list[np.ndarray]:
        """Weights that a fit begins with: W, U, b of the cell, W, b of the output."""
        params = {"solver": "sgd", "max_iter": 1, "learning_rate_init": 1e-30}
        model = type(self.model)(**{**self.model.get_params(), **params})
        model.fit(self.X, self.y)
        (W, W_out), (U,), (b, b_out) = (
            model.coefs_,
            model.recurrent_coefs_,
            model.intercepts_,
        )
        return [W, U, b, W_out, b_out]

    def train(self) -> float:
        """Train for all epochs; return the seconds that it took."""
        begin = time.perf_counter()
        self.model.fit(self.X, self.y)
        return time.perf_counter() - begin

    @property
    def loss(self) -> float:
        return self.model.loss_curve_[-1]


class TorchLstm:
    """The plain loop that PyTorch's tutorials show, from our start."""

    def __init__(self, job: SequenceJob, weights: list[np.ndarray]):
        X, y = job.table()
        self.job, self.weights = job, weights
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)
        self.loss = float("nan")

    def prepare(self) -> None:
        """Build the network; PyTorch's gates stand in the order i, f, g, o."""
        job = self.job
        self.cell = torch.nn.LSTM(job.n_channels, job.width, batch_first=True)
        self.output = torch.nn.Linear(job.width, N_CLASSES)
        W, U, b, W_out, b_out = self.weights
        gates = [np.split(array, 4, axis=-1) for array in (W, U, b)]
        W, U, b = (np.concatenate([i, f, g, o], axis=-1).T for i, f, o, g in gates)
        values = W, U, b, np.zeros_like(b), W_out.T, b_out
        self.parameters = [*self.cell.parameters(), *self.output.parameters()]
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.copy_(torch.tensor(np.ascontiguousarray(value)))
        # Of its two biases, which are always added, one learns: so the network is ours.
        self.cell.bias_hh_l0.requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.parameters, lr=RATE)

    def train(self) -> float:
        """Train for all epochs; return the seconds that it took."""
        self.prepare()
        begin = time.perf_counter()
        size = self.job.batch_size
        for _ in range(self.job.n_epochs):
            total = 0.0
            for first in range(0, len(self.X), size):
                x, y = self.X[first : first + size], self.y[first : first + size]
                self.optimizer.zero_grad()
                states, _ = self.cell(x)
                raw = self.output(states[:, -1])
                loss = torch.nn.functional.cross_entropy(raw, y)
                loss.backward()
                self.optimizer.step()
                total += loss.item() * len(x)
            self.loss = total / len(self.X)
        return time.perf_counter() - begin


def products_of_a_step(job: SequenceJob) -> list[tuple[np.ndarray, ...]]:
    """Matrix products of a mini-batch: forward, backward and weights' gradients."""
    n, gates, width = job.batch_size, 4 * job.width, job.width
    n_all = n * job.n_steps

    def ones(*shape):
        return np.ones(shape, np.float32)

    inputs, states = ones(n_all, job.n_channels), ones(n_all, width)
    z = ones(n_all, gates)
    W, U = ones(job.n_channels, gates), ones(width, gates)
    last, z_step = ones(n, width), ones(n, gates)
    of_steps = [(last, U, z_step), (z_step, U.T, last)] * (job.n_steps - 1)
    return [
        (inputs, W, z),
        *((a, b, out.copy()) for a, b, out in of_steps),
        (inputs.T, z, np.empty_like(W)),
        (states.T, z, np.empty_like(U)),
    ]


def limit_of(job: SequenceJob, budget: float = 1.0) -> float:
    """Seconds of the products of a step alone, without the time of calling NumPy."""
    products = products_of_a_step(job)
    one = np.ones((1, 1), np.float32)
    calls = [(one, one, one.copy())] * len(products)

    def multiply(operands):
        for a, b, out in operands:
            np.matmul(a, b, out=out)

    full = best_of(lambda: multiply(products), budget)
    return max(full - best_of(lambda: multiply(calls), budget / 5), 1e-9)


def run_recurrent(options: argparse.Namespace) -> None:
    """Compare the training of recurrent networks."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name, job in SEQUENCE_JOBS.items():
        for n_threads in options.threads:
            if torch is not None:
                torch.set_num_threads(n_threads)
            with threadpool_limits(n_threads):
                print(f"\n{name}, {n_threads} thread(s)")
                print_sequence_job(job, options)


def print_sequence_job(job: SequenceJob, options: argparse.Namespace) -> None:
    """Print the figures of one job."""
    ours = Ours(job)
    entrants: dict[str, Ours | TorchLstm] = {
        "ours": ours,
        "ours, no record": Ours(job, track_gradients=None),
    }
    if torch is not None:
        entrants["PyTorch, eager"] = TorchLstm(job, ours.start())
    rounds = interleaved(
        {name: entrant.train for name, entrant in entrants.items()},
        options.repeat,
        options.budget,
        times_itself=True,
    )
    limit = limit_of(job)
    print(f"{'contestant':<20}{'us/step':>10}{'x limit':>9}{'PyTorch / it':>14}  loss")
    for name, entrant in entrants.items():
        seconds = rounds[name].best / job.n_updates
        peer = _ratio(rounds.get("PyTorch, eager"), rounds[name])
        print(
            f"{name:<20}{seconds * 1e6:10.0f}{seconds / limit:9.2f}{peer:14.2f}  "
            f"{entrant.loss:.6f}"
        )
    print(f"limit (matrix products in NumPy): {limit * 1e6:.0f} us", flush=True)


def _ratio(theirs: Measured | None, ours: Measured) -> float:
    """Best time of the peer over ours; NaN without a peer."""
    return theirs.best / ours.best if theirs is not None else float("nan")
