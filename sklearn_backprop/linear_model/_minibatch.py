"""Gradient descent in mini-batches: the engine's network with no hidden layer.

Legend: X (n, p), Y (n, k), theta (k, p + 1) in the coordinates of descent, intercept
last; a network keeps W (p, k) row by row, then b (k,).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from .._callbacks import FitTasks
from .._threads import single_threaded_blas
from .._verbose import ProgressLines
from ..engine import _engine
from ..engine._engine import Status
from ._coordinates import Coordinates
from ._descent import Descended, Problem, Settings, from_zero, step_size

# With a constant step mini-batches end in a cloud around the minimum: descent stops
# when so many epochs in a row have not lowered the best cost by this share of it.
_PATIENCE = 10
_LEAST_IMPROVEMENT = 1e-5
# An adaptive step is divided by 5 where descent would stop, until it is this small.
_RATE_CUT = 5.0
_SMALLEST_RATE = 1e-6
# Epochs above the cost of the start after which descent counts as diverged.
_EPOCHS_TO_DIVERGE = 5


@dataclass(frozen=True)
class Batches:
    """How rows are drawn: `order()` gives those of an epoch, or None as they lie."""

    size: int
    order: Callable[[], np.ndarray | None]


def pose_batches(problem: Problem, X, weight, batch_size) -> Problem:
    """The problem with the curvature that mini-batches of X (n, p) meet.

    The expected smoothness of sampling without replacement (Gower et al., 2019), from L
    of all rows and the largest squared norm of a row in the coordinates of descent.
    """
    n_rows = X.shape[0]
    share = 1.0 if weight is None else weight / weight.mean()
    squares = _row_squares(_scaled(X, problem.coordinates))
    largest = float(np.max(share * (squares + problem.coordinates.has_intercept)))
    of_all = n_rows * (batch_size - 1) / (batch_size * (n_rows - 1))
    of_one = (n_rows - batch_size) / (batch_size * (n_rows - 1))
    return replace(
        problem,
        curvature=of_all * problem.curvature + of_one * largest,
        curved=f"mini-batches of {batch_size} rows",
    )


def descend_in_batches(
    X,
    Y,
    weight,
    problem: Problem,
    start,
    settings: Settings,
    batches: Batches,
    tasks: FitTasks,
) -> Descended:
    """Descend as `descend` does, with an epoch of mini-batches for an iteration."""
    start = from_zero(problem) if start is None else start
    run = _Run(X, Y, weight, problem, start, settings, batches, tasks)
    try:
        with single_threaded_blas:
            run.until_done()
    except KeyboardInterrupt:
        run.interrupted = True
    return run.result()


class _Run:
    """One descent in mini-batches, epoch after epoch."""

    def __init__(self, X, Y, weight, problem, start, settings, batches, tasks):
        self.problem, self.settings, self.batches = problem, settings, batches
        self.tasks, self.interrupted, self.stopped = tasks, False, False
        places = problem.coordinates
        self.rows = _engine_rows(_scaled(X, places), Y - places.y_center, weight)
        self.n_targets = Y.shape[1]
        self.theta = places.inside(*start)
        self.trainer = _linear_network(
            X.shape[1], self.n_targets, places.has_intercept
        ).trainer(
            "sgd", momentum=settings.momentum, nesterov=settings.nesterovs_momentum
        )
        self.first_rate = self.rate = step_size(problem, settings)
        self.total_weight = float(X.shape[0] if weight is None else weight.sum())
        self.start_loss, _ = self._evaluate(self.theta)
        _, zero_gradient = self._evaluate(np.zeros_like(self.theta))
        self.threshold = np.maximum(
            settings.tol * np.linalg.norm(zero_gradient, axis=1),
            problem.gradient_floor,
        )
        self.best_loss, self.n_stalled, self.n_risen = np.inf, 0, 0
        self.losses: list[float] = []
        self.gradient_norms: list[float] = []
        self.path = [self.theta]
        self.status = Status.RUNNING

    def until_done(self) -> None:
        """Run epochs until a reason to stop."""
        lines = ProgressLines()
        while self._is_running():
            self.tasks.begin("epoch")
            theta = self._epoch()
            self.status = self._judge(theta)
            if self.settings.verbose:
                lines.print(
                    f"Epoch {len(self.losses)}",
                    self.losses[-1],
                    gradient_norm=self.gradient_norms[-1],
                )
            if self.status != Status.DIVERGED:
                self.stopped = self.tasks.end(self.result)

    def _is_running(self) -> bool:
        return (
            not self.stopped
            and self.status == Status.RUNNING
            and len(self.losses) < self.settings.max_iter
        )

    def result(self) -> Descended:
        """What `descend` returns, of mini-batches."""
        places = self.problem.coordinates
        coef, intercept = places.outside(self.theta)
        path = None
        if self.settings.track_path:
            path, _ = places.outside(np.stack(self.path))
        return Descended(
            coef=coef,
            intercept=intercept,
            loss_curve=np.array(self.losses),
            gradient_norm_curve=np.array(self.gradient_norms),
            coef_path=path,
            first_rate=self.first_rate,
            last_rate=self.rate,
            status=self.status,
            start_loss=self.start_loss,
            interrupted=self.interrupted,
            stopped=self.stopped,
        )

    def _epoch(self) -> np.ndarray | None:
        """Coordinates (k, m) after an epoch, or None where they are not finite."""
        settings, n_targets = self.settings, self.n_targets
        rate = self.rate
        if settings.learning_rate == "invscaling":
            rate /= (len(self.losses) + 1) ** settings.power_t
        flat = self.theta.T.ravel()  # W by rows, then b
        epoch = self.trainer.train_epoch(
            flat,
            np.zeros(0),
            *self.rows,
            self.batches.order(),
            batch_size=self.batches.size,
            # The network's loss is the mean over targets, J is their sum.
            learning_rate=rate * n_targets,
            alpha=self.problem.l2[0] * self.total_weight / n_targets,
            total_weight=self.total_weight,
        )
        if epoch["status"] != "ok":
            return None
        return np.ascontiguousarray(flat.reshape(-1, n_targets).T)

    def _judge(self, theta) -> Status:
        """Take over an epoch's coordinates, record, and decide whether to go on."""
        loss, gradient = np.inf, np.full_like(self.theta, np.inf)
        if theta is not None:
            self.theta = theta
            loss, gradient = self._evaluate(theta)
        self.losses.append(loss)
        self.gradient_norms.append(float(np.linalg.norm(gradient)))
        if self.settings.track_path:
            self.path.append(self.theta)
        self.n_risen = self.n_risen + 1 if loss > self.start_loss else 0
        if not np.isfinite(loss) or self.n_risen >= _EPOCHS_TO_DIVERGE:
            return Status.DIVERGED
        if np.all(np.linalg.norm(gradient, axis=1) <= self.threshold):
            return Status.CONVERGED
        return self._stall(loss)

    def _stall(self, loss) -> Status:
        """Count epochs without improvement; cut an adaptive rate, or stop."""
        improved = loss < self.best_loss * (1.0 - _LEAST_IMPROVEMENT)
        self.n_stalled = 0 if improved else self.n_stalled + 1
        self.best_loss = min(loss, self.best_loss)
        if self.n_stalled < _PATIENCE:
            return Status.RUNNING
        self.n_stalled = 0
        smallest = _SMALLEST_RATE * self.first_rate
        if self.settings.learning_rate != "adaptive" or self.rate < smallest:
            return Status.CONVERGED
        self.rate /= _RATE_CUT
        return Status.RUNNING

    def _evaluate(self, theta) -> tuple[float, np.ndarray]:
        """J of all rows and its gradient (k, m)."""
        loss, gradient = self.problem.cost.evaluate(theta)
        l2 = self.problem.l2
        features = theta[:, : len(l2)]
        gradient[:, : len(l2)] += l2 * features
        return loss + 0.5 * float(np.sum(l2 * features**2)), gradient


def _linear_network(n_features, n_targets, has_intercept):
    """The engine's network of one layer."""
    size = n_features * n_targets
    common = {"rate": 1.0, "recorded": True}
    table = [{"name": "coef", "start": 0, "size": size, "penalty": 1.0, **common}]
    layer: dict[str, Any] = {
        "kind": "dense",
        "n_in": n_features,
        "n_out": n_targets,
        "W": 0,
    }
    if has_intercept:
        layer["b"] = 1
        table.append(
            {
                "name": "intercept",
                "start": size,
                "size": n_targets,
                "penalty": 0.0,
                **common,
            }
        )
    return _engine.NetworkFloat64(table, [layer], loss="squared_error", link="identity")


def _scaled(X, places: Coordinates):
    """X (n, p) in the coordinates of descent; sparse X keeps its zeros."""
    if sparse.issparse(X):
        return sparse.csr_array(X @ sparse.diags_array(1.0 / places.scale))
    return (X - places.center) / places.scale


def _row_squares(Z) -> np.ndarray:
    """Squared norms (n,) of rows."""
    if sparse.issparse(Z):
        return np.asarray(Z.multiply(Z).sum(axis=1)).ravel()
    return np.einsum("ij,ij->i", Z, Z)


def _engine_rows(Z, Y, weight):
    """Rows, targets and weights of the layout that the engine takes."""
    if not sparse.issparse(Z):
        Z = np.ascontiguousarray(Z, dtype=np.float64)
    return Z, np.ascontiguousarray(Y), weight
