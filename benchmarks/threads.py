"""Networks on one thread and on several, the same work in turns."""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from measuring import interleaved
from network import JOBS, OURS, Contestant, Job, starting_weights
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

__all__ = ["SUBJECTS", "run_threads"]


@dataclass(frozen=True)
class Training:
    """Epochs of adam."""

    job: Job
    params: dict = field(default_factory=dict)

    def call(self, dtype) -> Callable[[], float]:
        """Return what trains, and returns its seconds."""
        weights = starting_weights(self.job)
        entrant = Contestant(self.job, OURS, dtype, weights, **self.params)

        def train():
            entrant.prepare()
            return seconds_of(entrant.train)

        return train


@dataclass(frozen=True)
class Prediction:
    """Predictions of many rows, perhaps after some seconds of sleep."""

    job: Job
    sleep: float = 0.0

    def call(self, dtype) -> Callable[[], float]:
        """Return what predicts, and returns its seconds."""
        entrant = Contestant(self.job, OURS, dtype, starting_weights(self.job))
        model, X = entrant.model, entrant.X
        model.set_params(max_iter=1).fit(X[:2000], entrant.y[:2000])

        def predict():
            time.sleep(self.sleep)
            return seconds_of(lambda: model.predict(X))

        return predict


@dataclass(frozen=True)
class Lbfgs:
    """Iterations of L-BFGS on all rows."""

    job: Job

    def call(self, dtype) -> Callable[[], float]:
        """Return what trains, and returns its seconds."""
        X, y = self.job.table(dtype)
        model = OURS[0 if self.job.is_classification else 1](
            self.job.hidden, solver="lbfgs", max_iter=self.job.n_epochs, random_state=0
        )
        return lambda: seconds_of(lambda: model.fit(X, y))


def seconds_of(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


WIDE = JOBS["100-(512, 512, 512), 1024"]
SUBJECTS = {
    "8-(16), 32": Training(JOBS["8-(16), 32"]),
    "digits-(100), 200": Training(JOBS["digits-(100), 200"]),
    "30-20x64, 128": Training(JOBS["30-20x64, 128"]),
    "30-(256, 256), 256": Training(JOBS["30-(256, 256), 256"]),
    "the same, batch norm": Training(
        JOBS["30-(256, 256), 256"], {"normalization": "batch"}
    ),
    "100-(512, 512, 512), 1024": Training(WIDE),
    "the same, 4096": Training(replace(WIDE, batch_size=4096)),
    "predict 100000 rows": Prediction(replace(WIDE, n_rows=100_000, hidden=(256, 256))),
    "predict 5000 after sleep": Prediction(
        replace(WIDE, n_rows=5000, hidden=(256, 256)), sleep=0.1
    ),
    "lbfgs, 50000 rows": Lbfgs(replace(WIDE, hidden=(100,), n_epochs=10)),
}


def run_threads(options: argparse.Namespace) -> None:
    """Compare one thread with several."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", RuntimeWarning)
    teams = [1, *(n for n in options.teams if 1 < n <= options.jobs)]
    for dtype in map(np.dtype, options.dtypes):
        print(f"\n{dtype.name}: times as fast as one thread, median of the rounds")
        head = "".join(f"{n:>8}" for n in teams[1:])
        print(f"{'':<28}{'1: ms':>10}{head}{'serial':>9}{'16 by it':>10}")
        for name in options.subjects:
            seconds = measure(SUBJECTS[name], dtype, teams, options)
            print_gains(name, seconds)


def measure(subject, dtype, teams, options) -> dict[int, list[float]]:
    """Seconds of every round by the number of threads."""

    def on_team(n) -> Callable[[], float]:
        call = subject.call(dtype)

        def timed():
            with threadpool_limits(n):
                return call()

        timed()
        return timed

    calls = {str(n): on_team(n) for n in teams}
    measured = interleaved(calls, options.repeat, options.budget, times_itself=True)
    return {int(n): rounds.seconds for n, rounds in measured.items()}


def print_gains(name: str, seconds: dict[int, list[float]]) -> None:
    """Print how much faster each team is, round by round, in the median.

    Then the share of the work that the largest team's gain leaves serial, and what
    that means for 16 threads (Amdahl, 1967).
    """
    alone = seconds.pop(1)
    gains = {
        n: statistics.median(a / t for a, t in zip(alone, team, strict=False))
        for n, team in seconds.items()
    }
    n, gain = max(gains.items())
    serial = max(0.0, (n / gain - 1) / (n - 1))
    print(
        f"{name:<28}{min(alone) * 1e3:10.1f}"
        + "".join(f"{g:8.2f}" for g in gains.values())
        + f"{100 * serial:8.1f}%{1 / (serial + (1 - serial) / 16):10.1f}",
        flush=True,
    )
