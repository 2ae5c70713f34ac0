"""The one epoch loop, and L-BFGS: what happens between two epochs is decided here."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from .._callbacks import FitTasks
from .._verbose import ProgressLines
from ..exceptions import DivergenceError
from ._records import cut_by_name, join_measures
from ._schedules import Progress, Schedule

__all__ = [
    "SOLVERS",
    "STOCHASTIC_SOLVERS",
    "EpochLoop",
    "LbfgsRun",
    "Rows",
    "Settings",
    "TrainingState",
    "Validation",
]

# First-order solver -> the hyper-parameters that its trainer reads.
STOCHASTIC_SOLVERS: dict[str, tuple[str, ...]] = {
    "sgd": ("momentum", "nesterov"),
    "adam": ("beta_1", "beta_2", "epsilon"),
    "adamw": ("beta_1", "beta_2", "epsilon", "weight_decay"),
    "adagrad": ("epsilon",),
    "rmsprop": ("epsilon",),
}
SOLVERS = (*STOCHASTIC_SOLVERS, "lbfgs")
# A loss so many times the first epoch's has run away: too long a step multiplies it by
# as much in every epoch, and patience may end the fit before numbers overflow.
_RUNAWAY = 1e6


class Rows(NamedTuple):
    """Rows as the engine takes them: X (n, p), Y (n, K), weight (n,) or None."""

    X: Any
    Y: np.ndarray
    weight: np.ndarray | None

    @property
    def total_weight(self) -> float:
        """The weight of all rows together."""
        if self.weight is None:
            return float(len(self.Y))
        return float(self.weight.sum(dtype=np.float64))


class Validation(NamedTuple):
    """Rows kept out of training, and how to score predictions (n, K) of them."""

    rows: Rows
    score: Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Settings:
    """What the loop needs to know and does not change."""

    solver: str
    optimizer: dict[str, float]  # all hyper-parameters; each solver reads its own
    schedule: Schedule
    alpha: float
    batch_size: int
    clip: float | None
    clip_mode: str
    record: str | None
    shuffle: bool
    tol: float
    n_iter_no_change: float
    verbose: int
    n_threads: int
    dropout_seed: int


@dataclass
class TrainingState:
    """All that training knows from epoch to epoch; pickled with the estimator."""

    theta: np.ndarray
    running: np.ndarray
    random_state: np.random.RandomState
    seed: int  # of the held-out rows and the dropout masks
    optimizer: tuple[str, Any] | None = None  # solver and its memory
    progress: Progress = field(default_factory=Progress)
    stalled: int = 0  # epochs without improvement
    validated: bool = False  # whether a validation set is watched, or else the loss
    best_loss: float = np.inf
    best_score: float = -np.inf
    best: tuple[np.ndarray, np.ndarray] | None = None  # theta and running
    loss_curve: list[float] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    records: list[np.ndarray] = field(default_factory=list)

    def snapshot(self) -> tuple[np.ndarray, np.ndarray]:
        """Copy the weights."""
        return self.theta.copy(), self.running.copy()

    def restore(self, snapshot: tuple[np.ndarray, np.ndarray]) -> None:
        """Write the weights back in place, so that views of them stay true."""
        self.theta[...], self.running[...] = snapshot

    def copy(self) -> "TrainingState":
        """Copy what training goes on to change; finished records are shared."""
        return copy.deepcopy(self, {id(record): record for record in self.records})

    def restore_writeable(self) -> None:
        """Replace vectors that cannot be written, such as memory-mapped ones."""
        self.theta, self.running = self.snapshot()

    def join_records(self) -> None:
        """Put the records into one array; doing so every epoch would be slow."""
        if len(self.records) > 1:
            self.records = [np.concatenate(self.records)]

    def history(self) -> dict[str, np.ndarray]:
        """Give the records of all epochs, by name."""
        self.join_records()
        return cut_by_name(self.records[0]) if self.records else {}


class EpochLoop:
    """Train a network epoch by epoch on the given rows.

    `state` is changed in place and is complete after every epoch, also when an
    exception leaves the loop.
    """

    def __init__(
        self,
        network,
        state: TrainingState,
        settings: Settings,
        rows: Rows,
        tasks: FitTasks,
        where: Callable[[int, int], str],
        validation: Validation | None = None,
    ):
        self.network = network
        self.state = state
        self.settings = settings
        self.rows = rows
        self.tasks = tasks
        self.validation = validation
        self.where = where  # of a layer's number, or of a row of the table
        self.total_weight = rows.total_weight
        self.trainer = self._make_trainer()
        self.n_epochs = 0
        self.n_before = len(state.loss_curve)
        self.lines = ProgressLines()
        self.rate = settings.schedule.learning_rate_init
        state.validated = validation is not None

    def run(self, max_epochs: int) -> int:
        """Train until it stalls or the epochs are used up; return their number."""
        try:
            self._run(max_epochs)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=7)
        finally:
            self.state.optimizer = self.settings.solver, self.trainer.get_state()
        if self.validation is not None and self.state.best is not None:
            self.state.restore(self.state.best)
        return self.n_epochs

    def run_one(self) -> None:
        """Train for the one epoch of `partial_fit`; a stall cannot end it."""
        try:
            self._next_epoch()
        finally:
            self.state.optimizer = self.settings.solver, self.trainer.get_state()

    def _run(self, max_epochs):
        while self.n_epochs < max_epochs:
            if self._next_epoch():
                return
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({max_epochs}) reached and the "
            "optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=8,
        )

    def _make_trainer(self):
        solver = self.settings.solver
        wanted = {
            name: self.settings.optimizer[name] for name in STOCHASTIC_SOLVERS[solver]
        }
        trainer = self.network.trainer(solver, **wanted)
        if self.state.optimizer is not None and self.state.optimizer[0] == solver:
            trainer.set_state(self.state.optimizer[1])
        return trainer

    # --- one epoch
    def _next_epoch(self) -> bool:
        """Make an epoch a task of the fit; tell whether it was the last."""
        self.tasks.begin("epoch")
        self._finish_epoch(self._epoch())
        is_last = self._stalled_for_good()
        if self.tasks.end(self._state_to_stop_with):
            self._say("A callback asked to stop. Stopping.")
            is_last = True
        return is_last

    def _state_to_stop_with(self) -> TrainingState:
        """Copy the state as `run` would leave it if this epoch were the last."""
        state = self.state.copy()
        state.optimizer = self.settings.solver, self.trainer.get_state()
        if state.best is not None and self.validation is not None:
            state.restore(state.best)
        return state

    def _epoch(self):
        """Let the engine run it; interrupted or diverged, the last weights stay."""
        before = self.state.snapshot()
        try:
            epoch = self._train(self._order(), self.settings.schedule)
        except KeyboardInterrupt:
            self.state.restore(before)
            raise
        status = self._judge(epoch)
        if status != "ok":
            self.state.restore(before)
            # Where numbers end, so does the sum: in the middle.
            loss = epoch["loss"] if status == "runaway" else np.nan
            self._remember({**epoch, "loss": loss})
            raise self._divergence(
                status, self.where(epoch["layer"], epoch["parameter"])
            )
        return epoch

    def _judge(self, epoch) -> str:
        """Name where finite numbers ended; "runaway" if they soon will; or "ok"."""
        state = self.state
        if epoch["status"] == "ok" and not _are_finite(state.theta, state.running):
            return "weights"
        if epoch["status"] == "ok" and np.isfinite(epoch["loss"]):
            bound = _RUNAWAY * max(1.0, abs(self.first_loss or epoch["loss"]))
            return "runaway" if epoch["loss"] > bound else "ok"
        return "loss" if epoch["status"] == "ok" else epoch["status"]

    @property
    def first_loss(self) -> float | None:
        """Loss of the run's first epoch."""
        curve = self.state.loss_curve
        return curve[self.n_before] if len(curve) > self.n_before else None

    def _train(self, order, schedule):
        settings, state = self.settings, self.state
        self.rate = schedule.rate(state.progress)
        return self.trainer.train_epoch(
            state.theta,
            state.running,
            *self.rows,
            order,
            batch_size=settings.batch_size,
            learning_rate=self.rate,
            alpha=settings.alpha,
            total_weight=self.total_weight,
            clip=settings.clip,
            clip_mode=settings.clip_mode,
            record=settings.record or ("epoch" if settings.verbose else None),
            seed=settings.dropout_seed,
            n_threads=settings.n_threads,
        )

    def _order(self):
        if not self.settings.shuffle:
            return None
        n_rows = len(self.rows.Y)
        return self.state.random_state.permutation(n_rows).astype(np.int64, copy=False)

    def _remember(self, epoch):
        self.state.loss_curve.append(epoch["loss"])
        self.state.learning_rates.append(self.rate)
        if self.settings.record and epoch["records"] is not None:
            self.state.records.append(epoch["records"])

    def _finish_epoch(self, epoch):
        self._remember(epoch)
        self.n_epochs += 1
        self.state.progress.epoch += 1
        self.state.progress.rows_seen += len(self.rows.Y)
        best = self.state.best_loss
        self.state.best_loss = min(epoch["loss"], best)
        if self.validation is None:
            self._watch(epoch["loss"] <= best - self.settings.tol)
        else:
            self._watch(self._validate(self.validation))
        if self.settings.verbose:
            self._say_epoch(epoch)

    def _say_epoch(self, epoch):
        self.lines.print(
            f"Iteration {self.n_epochs}",
            epoch["loss"],
            score=self.state.validation_scores[-1] if self.validation else None,
            gradient_norm=_root_mean_square(
                cut_by_name(epoch["records"])["global_norm"]
            ),
        )

    # --- stopping
    def _watch(self, improved: bool):
        self.state.stalled = 0 if improved else self.state.stalled + 1

    def _validate(self, validation: Validation) -> bool:
        """Score the rows kept out, keep the best weights, tell of an improvement."""
        state = self.state
        weights, n_threads = (state.theta, state.running), self.settings.n_threads
        loss = self.network.loss(*weights, *validation.rows, n_threads=n_threads)
        if not np.isfinite(loss):
            raise self._divergence("validation")
        outputs = self.network.predict(*weights, validation.rows.X, n_threads=n_threads)
        score = float(validation.score(outputs))
        state.validation_losses.append(loss)
        state.validation_scores.append(score)
        improved = score >= state.best_score + self.settings.tol
        if score > state.best_score:
            state.best_score, state.best = score, state.snapshot()
        return improved

    def _stalled_for_good(self) -> bool:
        """Tell whether to stop; an adaptive rate is cut first."""
        if self.state.stalled <= self.settings.n_iter_no_change:
            return False
        what = "Training loss" if self.validation is None else "Validation score"
        message = (
            f"{what} did not improve more than tol={self.settings.tol:f} for "
            f"{self.settings.n_iter_no_change} consecutive epochs."
        )
        schedule, progress = self.settings.schedule, self.state.progress
        if not schedule.can_be_cut(progress):
            too_small = " Learning rate too small." * (schedule.name == "adaptive")
            self._say(f"{message}{too_small} Stopping.")
            return True
        progress.cuts += 1
        self.state.stalled = 0
        self._say(f"{message} Setting learning rate to {schedule.rate(progress):f}")
        return False

    def _say(self, line):
        if self.settings.verbose:
            print(line)

    # --- divergence
    def _divergence(self, status, where="") -> DivergenceError:
        curve = self.state.loss_curve
        if status == "runaway":
            what = f"the loss went from {self.first_loss:.3g} to {curve[-1]:.3g}"
        else:
            what = non_finite(status, where)
        when = f"Training diverged in epoch {len(curve)}"
        remedies = _remedies(self.settings, self.rows.X, self.rate)
        return DivergenceError(divergence_message(when, what, remedies))


def _root_mean_square(values) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _are_finite(*arrays: np.ndarray) -> bool:
    """Tell it by sums of squares, element by element only where those overflow."""
    with np.errstate(all="ignore"):
        return all(np.isfinite(a @ a) or bool(np.isfinite(a).all()) for a in arrays)


NON_FINITE = {
    "weights": "the weights or running statistics",
    "activation": "the activations",
    "loss": "the loss",
    "gradient": "the gradient",
    "validation": "the loss of the validation set",
}


def non_finite(status: str, where: str = "") -> str:
    """Say what is not finite, and where that began."""
    place = f", beginning in {where}" if where else ""
    return (
        f"{NON_FINITE[status]} became infinite or NaN{place}. Solver produced "
        "non-finite parameter weights. The input data may contain large values and "
        "need to be preprocessed"
    )


def divergence_message(when: str, what: str, remedies: list[str]) -> str:
    """Say when training diverged, by what one sees it, and what to change."""
    return f"{when}: {what}. Remedy: {'; or '.join(remedies)}."


def _largest(X) -> float:
    values = X if isinstance(X, np.ndarray) else X.data
    return float(np.max(np.abs(values), initial=0.0))


def _remedies(settings: Settings, X, rate: float) -> list[str]:
    remedies = []
    if (largest := _largest(X)) > 100:
        remedies.append(
            f"scale X, whose largest value is {largest:.3g}, with StandardScaler"
        )
    remedies.append(f"lower learning_rate_init (the last rate was {rate:.3g})")
    if settings.clip is None:
        remedies.append("bound the steps with clip=1.0")
    return remedies


# ------------------------------------------------------------------------- L-BFGS
@dataclass
class LbfgsRun:
    """L-BFGS on all rows, and what is kept of its iterations in `state`."""

    network: Any
    state: TrainingState
    rows: Rows
    tasks: FitTasks
    weights_of: Callable[[np.ndarray], list[np.ndarray]]  # views of a flat vector
    alpha: float
    max_iter: int
    max_fun: int
    tol: float
    record: str | None
    verbose: int
    n_threads: int

    def run(self) -> int:
        """Minimize the objective; return the number of iterations."""
        state = self.state
        self.n_before = len(state.loss_curve)
        self.lines, self.stopped = ProgressLines(), False
        state.validated = False
        state.optimizer = None  # a first-order solver's memory is of other weights
        try:
            result = self._minimize()
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=7)
            return len(state.loss_curve) - self.n_before
        return self._finish(result)

    def _minimize(self):
        return scipy.optimize.minimize(
            self._objective,
            self.state.theta.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=self._keep,
            options={
                "maxfun": self.max_fun,
                "maxiter": self.max_iter,
                "gtol": self.tol,
            },
        )

    def _objective(self, theta):
        # SciPy tells when an iteration ends; the next begins with its first trial.
        self.tasks.begin("iteration")
        return self._value_and_gradient(theta)

    def _value_and_gradient(self, theta):
        value, gradient = self.network.value_and_gradient(
            theta.astype(self.state.theta.dtype),
            *self.rows,
            alpha=self.alpha,
            n_threads=self.n_threads,
        )
        gradient = gradient.astype(np.float64)
        self.latest = theta.copy(), gradient
        return value, gradient

    def _keep(self, intermediate_result):
        """Take over an iterate; SciPy stops at StopIteration."""
        self._take_over(intermediate_result.x, float(intermediate_result.fun))
        self.stopped = self.tasks.end(self.state.copy)
        if self.stopped:
            raise StopIteration

    def _take_over(self, theta, loss):
        state = self.state
        before = state.theta.astype(np.float64)
        state.theta[...] = theta
        state.loss_curve.append(loss)
        state.best_loss = min(state.best_loss, loss)
        if not (self.record or self.verbose):
            return
        gradient = self._gradient_at(theta)
        if self.record:
            after = state.theta.astype(np.float64)
            state.records.append(
                lbfgs_record(
                    gradients=self.weights_of(gradient),
                    changes=self.weights_of(after - before),
                    weights=self.weights_of(after),
                    global_norm=float(np.linalg.norm(gradient)),
                )
            )
        if self.verbose:
            self.lines.print(
                f"Iteration {len(state.loss_curve)}",
                loss,
                gradient_norm=float(np.linalg.norm(gradient)),
            )

    def _gradient_at(self, theta) -> np.ndarray:
        """Gradient at an iterate: as a rule its line search has just taken it."""
        if not np.array_equal(self.latest[0], theta):
            self._value_and_gradient(theta)
        return self.latest[1]

    def _finish(self, result) -> int:
        state, n_iter = self.state, min(result.nit, self.max_iter)
        if not (np.isfinite(result.fun) and np.isfinite(result.x).all()):
            raise self._divergence(n_iter + 1)
        if len(state.loss_curve) == self.n_before:  # the start is a minimum
            self._take_over(result.x, float(result.fun))
        state.theta[...] = result.x
        self.tasks.end(self.state.copy)  # of an iteration that found no better point
        if self.stopped:
            if self.verbose:
                print("A callback asked to stop. Stopping.")
        elif result.status != 0:
            _warn_lbfgs(result, n_iter, self.max_iter)
        return n_iter

    def _divergence(self, iteration) -> DivergenceError:
        largest = _largest(self.rows.X)
        return DivergenceError(
            divergence_message(
                f"Training diverged in iteration {iteration} of lbfgs",
                non_finite("loss"),
                [f"scale X, whose largest value is {largest:.3g}, with StandardScaler"],
            )
        )


def lbfgs_record(gradients, changes, weights, global_norm) -> np.ndarray:
    """Record an iteration as the engine records an epoch, from C matrices each.

    An iteration is one unclipped step, whose gradient is that at its end. What units
    do is not known here.
    """
    norms, moves, sizes = (
        np.array([np.linalg.norm(W) for W in matrices])
        for matrices in (gradients, changes, weights)
    )
    unknown = np.full_like(norms, np.nan)
    return join_measures(
        {
            "gradient_norm": norms,
            "gradient_norm_max": norms,
            "update_ratio": np.divide(
                moves, sizes, out=np.zeros_like(moves), where=moves > 0
            ),
            "dead_fraction": unknown,
            "saturated_fraction": unknown,
            "clipped_fraction": 0.0,
            "global_norm": global_norm,
        }
    )


def _warn_lbfgs(result, n_iter, max_iter):
    more = (
        "\nIncrease the number of iterations to improve the convergence "
        f"(max_iter={max_iter})."
        if n_iter == max_iter
        else ""
    )
    warnings.warn(
        f"lbfgs failed to converge after {n_iter} iteration(s) "
        f"(status={result.status}):\n{result.message}\n{more}\n"
        "You might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html",
        ConvergenceWarning,
        stacklevel=9,
    )
