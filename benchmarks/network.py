"""Networks: microseconds per mini-batch step beside scikit-learn, PyTorch and JAX."""

import argparse
import importlib.util
import os
import statistics
import warnings
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from measuring import Measured, best_of, interleaved, seconds_of_training
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

from sklearn_backprop import BackpropMLPClassifier, BackpropMLPRegressor

try:
    import torch
except ImportError:
    torch = None


@dataclass(frozen=True)
class Job:
    """A network, its table, and how long it is trained."""

    hidden: tuple[int, ...]
    batch_size: int
    n_epochs: int
    n_rows: int = 0  # random rows; 0 takes the digits
    n_features: int = 64

    @property
    def is_classification(self) -> bool:
        return self.n_rows == 0

    def table(self, dtype) -> tuple[np.ndarray, np.ndarray]:
        """Return X and y."""
        if self.is_classification:
            X, y = load_digits(return_X_y=True)
            return (X / 16).astype(dtype), y
        rng = np.random.default_rng(0)
        X = rng.standard_normal((self.n_rows, self.n_features))
        y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.standard_normal(len(X))
        return X.astype(dtype), y.astype(dtype)

    @property
    def n_outputs(self) -> int:
        return 10 if self.is_classification else 1

    @property
    def n_steps(self) -> int:
        n_rows = self.n_rows or 1797
        return self.n_epochs * -(-n_rows // self.batch_size)


JOBS = {
    "8-(16), 32": Job((16,), 32, 20, 20_000, 8),
    "digits-(100), 200": Job((100,), 200, 200),
    "30-20x64, 128": Job((64,) * 20, 128, 3, 10_000, 30),
    "30-(256, 256), 256": Job((256, 256), 256, 3, 20_000, 30),
    "100-(512, 512, 512), 1024": Job((512, 512, 512), 1024, 1, 50_000, 100),
}


# The matrix-multiply limit ---------------------------------------------------------


def limit_seconds(job: Job, dtype, budget: float = 0.5) -> float:
    """Time of a step's matrix products alone: forward, weights' gradient, backward.

    The time of calling NumPy, measured on 1 x 1 matrices, is taken off.
    """
    widths = [job.n_features, *job.hidden, job.n_outputs]
    products = []
    for k, (n_in, n_out) in enumerate(pairwise(widths)):
        a = np.ones((job.batch_size, n_in), dtype)
        w = np.ones((n_in, n_out), dtype)
        delta = np.ones((job.batch_size, n_out), dtype)
        products.append((a, w, np.empty_like(delta)))
        products.append((a.T, delta, np.empty_like(w)))
        if k:  # nothing is upstream of the first layer
            products.append((delta, w.T, np.empty_like(a)))
    one = np.ones((1, 1), dtype)

    def multiply(operands):
        for a, b, out in operands:
            np.matmul(a, b, out=out)

    calls = [(one, one, one.copy())] * len(products)
    full = best_of(lambda: multiply(products), budget)
    return max(full - best_of(lambda: multiply(calls), budget / 5), 1e-9)


# Contestants -----------------------------------------------------------------------


class Contestant:
    """An estimator that starts from given weights and trains for the job's epochs."""

    def __init__(self, job: Job, classes, dtype, weights, **params):
        self.X, self.y = job.table(dtype)
        self.model = classes[0 if job.is_classification else 1](
            hidden_layer_sizes=job.hidden,
            batch_size=job.batch_size,
            alpha=0.0,
            shuffle=False,
            tol=0.0,
            n_iter_no_change=10**6,
            warm_start=True,
            **params,
        )
        self.job, self.weights = job, weights

    def prepare(self) -> None:
        """Start from the given weights, with an optimizer that remembers nothing."""
        self.model.set_params(solver="sgd", max_iter=1, learning_rate_init=1e-30)
        self.model.fit(self.X, self.y)
        places = self.model.coefs_ + self.model.intercepts_
        for place, values in zip(places, self.weights, strict=True):
            place[...] = values.reshape(place.shape)
        self.model.set_params(
            solver="adam", max_iter=self.job.n_epochs, learning_rate_init=1e-3
        )

    def train(self) -> None:
        """Train for all epochs."""
        self.model.fit(self.X, self.y)

    @property
    def loss(self) -> float:
        return self.model.loss_curve_[-1]


OURS = (BackpropMLPClassifier, BackpropMLPRegressor)
THEIRS = (MLPClassifier, MLPRegressor)


class Torch:
    """The plain loop that PyTorch's tutorials show."""

    def __init__(self, job: Job, weights):
        X, y = job.table(np.float32)
        self.job, self.weights = job, weights
        self.X = torch.from_numpy(X)
        self.y = torch.from_numpy(y)
        self.loss = float("nan")

    def prepare(self) -> None:
        """Build the network with the given weights."""
        widths = [self.job.n_features, *self.job.hidden, self.job.n_outputs]
        layers: list[torch.nn.Module] = []
        coefs = self.weights[: len(widths) - 1]
        intercepts = self.weights[len(widths) - 1 :]
        for coef, intercept in zip(coefs, intercepts, strict=True):
            linear = torch.nn.Linear(*coef.shape)
            linear.weight.data = torch.tensor(coef.T, dtype=torch.float32)
            linear.bias.data = torch.tensor(intercept, dtype=torch.float32)
            layers += [linear, torch.nn.ReLU()]
        self.net = torch.nn.Sequential(*layers[:-1])
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)

    def train(self) -> None:
        """Train for all epochs."""
        for _ in range(self.job.n_epochs):
            total = 0.0
            for start in range(0, len(self.X), self.job.batch_size):
                rows = slice(start, start + self.job.batch_size)
                self.optimizer.zero_grad()
                loss = self._loss(self.net(self.X[rows]), self.y[rows])
                loss.backward()
                self.optimizer.step()
                total += loss.item() * len(self.X[rows])
            self.loss = total / len(self.X)

    def _loss(self, output, y):
        if self.job.is_classification:
            return torch.nn.functional.cross_entropy(output, y)
        return 0.5 * torch.nn.functional.mse_loss(output[:, 0], y)


class Jax:
    """The whole epoch compiled: `lax.scan` over the mini-batches, adam by hand."""

    def __init__(self, job: Job, weights):
        import jax

        self.job, self.jax = job, jax
        n_layers = len(job.hidden) + 1
        self.start = [
            tuple(jax.numpy.asarray(w, "float32") for w in pair)
            for pair in zip(weights[:n_layers], weights[n_layers:], strict=True)
        ]
        X, y = job.table(np.float32)
        self.whole, self.rest = self._batches(X, y)
        self.epoch = jax.jit(self._epoch)
        self.loss = float("nan")
        self.prepare()
        self.epoch(self.state)  # compile

    def _batches(self, X, y):
        """Whole mini-batches (n, batch, ...), and the shorter last one, if any."""
        size = self.job.batch_size
        n = len(X) // size * size
        y = y.astype(np.int32) if self.job.is_classification else y
        whole = (X[:n].reshape(-1, size, X.shape[1]), y[:n].reshape(-1, size))
        rest = [(X[n:], y[n:])] if n < len(X) else []
        return self.jax.device_put((whole, rest))

    def prepare(self) -> None:
        """Start from the given weights."""
        zeros = self.jax.tree.map(self.jax.numpy.zeros_like, self.start)
        self.state = (self.start, zeros, zeros, self.jax.numpy.float32(0))

    def train(self) -> None:
        """Train for all epochs."""
        for _ in range(self.job.n_epochs):
            self.state, total = self.epoch(self.state)
        self.loss = float(total) / (self.job.n_rows or 1797)

    def _epoch(self, state):
        state, losses = self.jax.lax.scan(self._step, state, self.whole)
        total = losses.sum()
        for batch in self.rest:
            state, loss = self._step(state, batch)
            total += loss
        return state, total

    def _step(self, state, batch):
        np_, tree = self.jax.numpy, self.jax.tree
        theta, a, b, t = state
        loss, gradient = self.jax.value_and_grad(self._loss)(theta, *batch)
        t = t + 1
        a = tree.map(lambda m, g: 0.9 * m + 0.1 * g, a, gradient)
        b = tree.map(lambda m, g: 0.999 * m + 0.001 * g * g, b, gradient)
        rate = 1e-3 * np_.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        theta = tree.map(
            lambda w, m, v: w - rate * m / (np_.sqrt(v) + 1e-8), theta, a, b
        )
        return (theta, a, b, t), loss * len(batch[0])

    def _loss(self, theta, x, y):
        for W, c in theta[:-1]:
            x = self.jax.nn.relu(x @ W + c)
        W, c = theta[-1]
        output = x @ W + c
        if not self.job.is_classification:
            return 0.5 * ((output[:, 0] - y) ** 2).mean()
        logs = self.jax.nn.log_softmax(output)
        return -logs[self.jax.numpy.arange(len(y)), y].mean()


def can_use_jax(jobs: int) -> bool:
    """Whether JAX is installed; it reads its number of threads when it is imported."""
    if importlib.util.find_spec("jax") is None:
        return False
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if jobs == 1:
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        os.environ["XLA_FLAGS"] = flags
    return True


def starting_weights(job: Job) -> list[np.ndarray]:
    """Weight matrices, then biases, that all contestants start from (He, 2015)."""
    rng = np.random.default_rng(0)
    widths = [job.n_features, *job.hidden, job.n_outputs]
    shapes = list(pairwise(widths))
    return [
        *(rng.normal(0, np.sqrt(2 / n_in), (n_in, n_out)) for n_in, n_out in shapes),
        *(np.zeros(n_out) for _, n_out in shapes),
    ]


def contestants(job: Job, jobs: int) -> dict[str, Contestant | Torch | Jax]:
    """All that train on one job."""
    weights = starting_weights(job)
    entrants: dict[str, Contestant | Torch | Jax] = {}
    for dtype in (np.float32, np.float64):
        name = dtype.__name__
        silent = Contestant(job, OURS, dtype, weights, track_gradients=None)
        entrants[f"ours {name}, no record"] = silent
        entrants[f"ours {name}"] = Contestant(job, OURS, dtype, weights)
        entrants[f"scikit-learn {name}"] = Contestant(job, THEIRS, dtype, weights)
    if torch is not None:
        entrants["PyTorch float32"] = Torch(job, weights)
    if can_use_jax(jobs):
        entrants["JAX float32"] = Jax(job, weights)
    return entrants


# The comparison --------------------------------------------------------------------


def measure_job(
    job: Job, options: argparse.Namespace
) -> dict[str, tuple[Measured, float]]:
    """Seconds of all rounds and final loss of every contestant."""
    entrants = contestants(job, options.jobs)

    seconds = interleaved(
        {name: seconds_of_training(entrant) for name, entrant in entrants.items()},
        options.repeat,
        options.budget,
        times_itself=True,
    )
    return {name: (seconds[name], entrant.loss) for name, entrant in entrants.items()}


def print_job(job: Job, measured: dict[str, tuple[Measured, float]]) -> None:
    """Print the figures of one job."""
    best = {name: rounds.best / job.n_steps for name, (rounds, _) in measured.items()}
    limits = {dtype: limit_seconds(job, dtype) for dtype in ("float32", "float64")}
    print(
        f"{'contestant':<28}{'us/step':>10}{'x limit':>9}{'speed-up':>10}"
        f"{'of default':>12}  final loss"
    )
    for name, (_, loss) in measured.items():
        dtype = "float64" if "float64" in name else "float32"
        seconds = best[name]
        peer, default = best[f"scikit-learn {dtype}"], best["scikit-learn float64"]
        print(
            f"{name:<28}{seconds * 1e6:10.2f}{seconds / limits[dtype]:9.2f}"
            f"{peer / seconds:10.1f}{default / seconds:12.1f}  {loss:.6g}"
        )
    cost = recording_cost(
        measured["ours float32"][0], measured["ours float32, no record"][0]
    )
    print(
        f"limit (matrix products): {limits['float32'] * 1e6:.2f} us in float32, "
        f"{limits['float64'] * 1e6:.2f} us in float64; recording costs "
        f"{100 * cost:.1f} %",
        flush=True,
    )


def recording_cost(recorded: Measured, silent: Measured) -> float:
    """Median over the rounds, which a busy moment of the machine does not sway."""
    rounds = zip(recorded.seconds, silent.seconds, strict=False)
    return statistics.median(r / s for r, s in rounds) - 1


def run_network(options: argparse.Namespace) -> None:
    """Compare the training of networks."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    if torch is not None:
        torch.set_num_threads(options.jobs)
    for name in options.networks:
        print(f"\n{name} ({JOBS[name].n_steps} steps)")
        with threadpool_limits(options.jobs):
            print_job(JOBS[name], measure_job(JOBS[name], options))
