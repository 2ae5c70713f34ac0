"""Gradient descent in mini-batches: the engine's network with no hidden layer.

Legend: X (n, p), Y (n, k), theta (k, p + 1) in the coordinates of descent, intercept
last; a network keeps W (p, k) row by row, then b (k,).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from .._callbacks import FitTasks
from .._epochs import EpochLoop, pass_batches
from .._immutable import immutable
from .._rows import Rows
from .._threads import single_threaded_blas
from ..engine import _engine
from ..engine._engine import Status
from ._coordinates import Coordinates
from ._descent import Descended, Problem, Settings, from_zero, step_size
from ._stability import runs_away

# With a constant step mini-batches end in a cloud around the minimum: descent stops
# when so many epochs in a row have not lowered the best cost by this share of it.
_PATIENCE = 10
_LEAST_IMPROVEMENT = 1e-5
# An adaptive step is divided by 5 where descent would stop, until it is this small.
_RATE_CUT = 5.0
_SMALLEST_RATE = 1e-6
# A cost of so many times that of the mean of y is no longer beside it.
_WORSE_THAN_MEAN = 1.01
# Epochs above the cost of the start after which a constant step is put to the test.
_EPOCHS_TO_DOUBT = 5


@immutable
class Batches:
    """How rows are drawn: `order()` gives those of an epoch, or None as they lie."""

    size: int
    shuffles: bool
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
    largest += float(np.max(problem.l2, initial=0.0))
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
    places = problem.coordinates
    rows = _engine_rows(_scaled(X, places), Y - places.y_center, weight)
    with single_threaded_blas:
        return _Descent(rows, problem, start, settings, batches, tasks).run()


def hovering_message(result: Descended, batch_size: int) -> str | None:
    """What to do where noise holds descent above the cost of predicting the mean."""
    loss = result.loss_curve[-1]
    if not loss > _WORSE_THAN_MEAN * result.zero_loss:
        return None
    return (
        f"Mini-batch descent ends at a loss of {loss:.6g}, above that of predicting "
        f"the mean of y ({result.zero_loss:.6g}): with a constant step of "
        f"{result.last_rate:.3g} the noise of mini-batches of {batch_size} rows "
        "outweighs what X tells of y. Pass learning_rate='adaptive', a smaller "
        "learning_rate_init or a larger batch_size."
    )


class _DivergedError(Exception):
    """Ends an epoch whose coordinates are not kept."""


class _Descent(EpochLoop):
    """One descent in mini-batches, epoch after epoch."""

    def __init__(self, rows, problem, start, settings, batches, tasks):
        super().__init__(rows, tasks)
        self.problem, self.settings, self.batches = problem, settings, batches
        self.theta = problem.coordinates.inside(*start)
        self.trainer = self._trainer()
        self.first_rate = self.rate = step_size(problem, settings)
        self.start_loss, _ = self._evaluate(self.theta)
        self.zero_loss, zero_gradient = self._evaluate(np.zeros_like(self.theta))
        self.threshold = np.maximum(
            settings.tol * np.linalg.norm(zero_gradient, axis=1),
            problem.gradient_floor,
        )
        self.best_loss, self.best = np.inf, self.theta
        self.n_stalled, self.n_risen, self.is_stable = 0, 0, self._is_surely_stable()
        self.losses: list[float] = []
        self.gradient_norms: list[float] = []
        self.path = [self.theta]
        self.status, self.interrupted = Status.RUNNING, False

    def run(self) -> Descended:
        """Run epochs until a reason to stop."""
        try:
            is_done = self.run_epochs(self.settings.max_iter)
            if self.n_risen > 0 and not is_done:
                self._end_above_the_start()
        except KeyboardInterrupt:
            self.interrupted = True
        except _DivergedError:
            self.status = Status.DIVERGED
        return self.copy_state()

    def copy_state(self) -> Descended:
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
            zero_loss=self.zero_loss,
        )

    def _trainer(self, n_targets: int | None = None):
        """The engine's trainer, at rest."""
        settings, coordinates = self.settings, self.problem.coordinates
        n_targets = len(self.theta) if n_targets is None else n_targets
        network = _linear_network(self.problem.l2, n_targets, coordinates.has_intercept)
        return network.trainer(
            "sgd", momentum=settings.momentum, nesterov=settings.nesterovs_momentum
        )

    def draw_order(self) -> np.ndarray | None:
        """Draw the order of rows of an epoch."""
        return self.batches.order()

    def train(self) -> np.ndarray | None:
        """Coordinates (k, m) after an epoch, or None where they are not finite."""
        rate, n_targets = self.rate, len(self.theta)
        if self.settings.learning_rate == "invscaling":
            rate /= (len(self.losses) + 1) ** self.settings.power_t
        flat = self.theta.T.flatten()  # a copy: W by rows, then b
        epoch = self.pass_batches(
            self.trainer, flat, np.zeros(0), **self._step(rate, n_targets)
        )
        if epoch["status"] != "ok":
            return None
        return np.ascontiguousarray(flat.reshape(-1, n_targets).T)

    def _step(self, rate, n_targets) -> dict[str, Any]:
        """How the engine steps: its loss is the mean over targets, J is their sum."""
        return {
            "batch_size": self.batches.size,
            "learning_rate": rate * n_targets,
            "alpha": self.total_weight / n_targets,
        }

    # --- after an epoch
    def finish(self, theta) -> bool:
        """Keep an epoch's coordinates, record, and decide whether to stop."""
        loss, gradient = np.inf, np.full_like(self.theta, np.inf)
        if theta is not None:
            self.theta = theta
            loss, gradient = self._evaluate(theta)
        self._write_down(loss, gradient)
        self.status = self._judge(loss, gradient)
        return self.status != Status.RUNNING

    def _judge(self, loss, gradient) -> Status:
        """Tell whether to go on, and with which step."""
        if np.all(np.linalg.norm(gradient, axis=1) <= self.threshold):
            return Status.CONVERGED
        is_in_doubt = self.n_risen == _EPOCHS_TO_DOUBT
        if not np.isfinite(loss) or (is_in_doubt and self._runs_away()):
            return self._shorten()
        return self._stall() if self.n_stalled == _PATIENCE else Status.RUNNING

    def _write_down(self, loss, gradient) -> None:
        """Write the epoch down, and count those that did not improve."""
        self.losses.append(loss)
        self.gradient_norms.append(float(np.linalg.norm(gradient)))
        if self.settings.track_path:
            self.path.append(self.theta)
        self.n_risen = self.n_risen + 1 if loss > self.start_loss else 0
        improved = loss < self.best_loss * (1.0 - _LEAST_IMPROVEMENT)
        self.n_stalled = 0 if improved else self.n_stalled + 1
        if loss < min(self.best_loss, self.start_loss):
            self.best = self.theta
        self.best_loss = min(loss, self.best_loss)
        if self.settings.verbose:
            gradient_norm = self.gradient_norms[-1]
            self.lines.print(
                f"Epoch {len(self.losses)}", loss, gradient_norm=gradient_norm
            )

    def _stall(self) -> Status:
        """Cut an adaptive rate, or stop."""
        if self._is_adaptive and self.rate >= _SMALLEST_RATE * self.first_rate:
            return self._shorten()
        if self._runs_away():
            raise _DivergedError
        return Status.CONVERGED

    def _end_above_the_start(self) -> None:
        """Tell hovering from running away where the epochs were too few to tell."""
        if self._is_adaptive:
            self.theta = self.best
        elif self._runs_away():
            raise _DivergedError

    def _shorten(self) -> Status:
        """Go on from the best coordinates so far with a shorter step, if allowed."""
        if not self._is_adaptive or self.rate < _SMALLEST_RATE * self.first_rate:
            raise _DivergedError
        self.theta, self.trainer = self.best, self._trainer()
        self.rate /= _RATE_CUT
        self.n_stalled = self.n_risen = 0
        self.is_stable = self._is_surely_stable()
        return Status.RUNNING

    @property
    def _is_adaptive(self) -> bool:
        return self.settings.learning_rate == "adaptive"

    # --- stability
    def _is_surely_stable(self) -> bool:
        """Tell whether theory says so: below 2 / expected smoothness, at random."""
        settings = self.settings
        return (
            settings.learning_rate == "invscaling"  # every step does, in the end
            or (
                (self.batches.shuffles and settings.momentum == 0.0)
                and self.rate * self.problem.curvature < 2.0
            )
        )

    def _runs_away(self) -> bool:
        """Tell whether the step is too long; a step is put to the test once."""
        if not self.is_stable:
            self.is_stable = not runs_away(self._trial())
        return not self.is_stable

    def _trial(self) -> Iterator[float]:
        """Largest errors of predictions after epochs of descent on a target of zero.

        The start is a combination of rows, at which they are 1: coefficients that no
        row sees never change.
        """
        n_rows, trainer = len(self.rows), self._trainer(1)
        rows = replace(self.rows, Y=np.zeros((n_rows, 1)))
        rng = np.random.default_rng(0)
        combination = rng.standard_normal(n_rows)
        error = rows.X.T @ combination
        if self.problem.coordinates.has_intercept:
            error = np.append(error, combination.sum())
        error /= self._largest_prediction(error) or 1.0
        while True:
            order = rng.permutation(n_rows) if self.batches.shuffles else None
            epoch = pass_batches(
                trainer,
                error,
                np.zeros(0),
                rows,
                order,
                total_weight=self.total_weight,
                **self._step(self.rate, 1),
            )
            is_finite = epoch["status"] == "ok"
            yield self._largest_prediction(error) if is_finite else np.inf

    def _largest_prediction(self, theta) -> float:
        """Largest magnitude of what coordinates (m,) predict of a row."""
        n_features = self.rows.X.shape[1]
        predicted = self.rows.X @ theta[:n_features] + theta[n_features:].sum()
        return float(np.max(np.abs(predicted)))

    def _evaluate(self, theta) -> tuple[float, np.ndarray]:
        """J of all rows and its gradient (k, m)."""
        loss, gradient = self.problem.cost.evaluate(theta)
        l2 = self.problem.l2
        features = theta[:, : len(l2)]
        gradient[:, : len(l2)] += l2 * features
        return loss + 0.5 * float(np.sum(l2 * features**2)), gradient


def _linear_network(l2, n_targets, has_intercept):
    """The engine's network of one layer, whose coefficients l2 (p,) penalises."""
    n_features = len(l2)
    # One row of the table where all are penalised alike, else one for each feature.
    penalties = l2[:1] if np.all(l2 == l2[0]) else l2
    size = n_features // len(penalties) * n_targets
    table = [
        _row(f"coefficients {j}", j * size, size, float(penalty))
        for j, penalty in enumerate(penalties)
    ]
    layer: dict[str, Any] = {
        "kind": "dense",
        "n_in": n_features,
        "n_out": n_targets,
        "W": 0,
    }
    if has_intercept:
        layer["b"] = len(table)
        table.append(_row("intercepts", n_features * n_targets, n_targets, 0.0))
    return _engine.NetworkFloat64(table, [layer], loss="squared_error", link="identity")


def _row(name, start, size, penalty) -> dict[str, Any]:
    """A row of the engine's table of parameters."""
    place = {"name": name, "start": start, "size": size, "penalty": penalty}
    return {**place, "rate": 1.0, "recorded": False}


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
    """Rows of the layout that the engine takes."""
    if not sparse.issparse(Z):
        Z = np.ascontiguousarray(Z, dtype=np.float64)
    return Rows(Z, np.ascontiguousarray(Y), weight)
