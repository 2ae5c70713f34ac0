"""The one epoch loop, and L-BFGS: what happens between two epochs is decided here."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from ..exceptions import DivergenceError
from ._schedules import Progress, Schedule

__all__ = [
    "SOLVERS",
    "STOCHASTIC_SOLVERS",
    "EpochLoop",
    "Rows",
    "Settings",
    "TrainingState",
    "Validation",
    "minimize_lbfgs",
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
    records: list[dict[str, np.ndarray]] = field(default_factory=list)

    def snapshot(self) -> tuple[np.ndarray, np.ndarray]:
        """Copy the weights."""
        return self.theta.copy(), self.running.copy()

    def restore(self, snapshot: tuple[np.ndarray, np.ndarray]) -> None:
        """Write the weights back in place, so that views of them stay true."""
        self.theta[...], self.running[...] = snapshot

    def restore_writeable(self) -> None:
        """Replace vectors that cannot be written, such as memory-mapped ones."""
        self.theta, self.running = self.snapshot()

    def history(self) -> dict[str, np.ndarray]:
        """Join the records of all epochs, by name."""
        if not self.records:
            return {}
        return {
            name: np.concatenate([record[name] for record in self.records])
            for name in self.records[0]
        }


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
        validation: Validation | None = None,
        describe_layer: Callable[[int], str] = str,
    ):
        self.network = network
        self.state = state
        self.settings = settings
        self.rows = rows
        self.validation = validation
        self.describe_layer = describe_layer
        self.total_weight = rows.total_weight
        self.trainer = self._make_trainer()
        self.n_epochs = 0
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
            self._finish_epoch(self._epoch())
            self._stalled_for_good()
        finally:
            self.state.optimizer = self.settings.solver, self.trainer.get_state()

    def _run(self, max_epochs):
        while self.n_epochs < max_epochs:
            self._finish_epoch(self._epoch())
            if self._stalled_for_good():
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
    def _epoch(self):
        """Let the engine run it; interrupted or diverged, the last weights stay."""
        before = self.state.snapshot()
        try:
            epoch = self._train(self._order(), self.settings.schedule)
        except KeyboardInterrupt:
            self.state.restore(before)
            raise
        if epoch["status"] != "ok" or not np.isfinite(epoch["loss"]):
            self.state.restore(before)
            self._remember({**epoch, "loss": np.nan})  # the sum ended in the middle
            raise self._divergence(epoch)
        return epoch

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
            record=settings.record,
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
        if epoch["records"] is not None:
            self.state.records.append(epoch["records"])

    def _finish_epoch(self, epoch):
        self._remember(epoch)
        self.n_epochs += 1
        self.state.progress.epoch += 1
        self.state.progress.rows_seen += len(self.rows.Y)
        self._say(f"Iteration {self.n_epochs}, loss = {epoch['loss']:.8f}")
        best = self.state.best_loss
        self.state.best_loss = min(epoch["loss"], best)
        if self.validation is None:
            self._watch(epoch["loss"] <= best - self.settings.tol)
        else:
            self._watch(self._validate(self.validation))

    # --- stopping
    def _watch(self, improved: bool):
        self.state.stalled = 0 if improved else self.state.stalled + 1

    def _validate(self, validation: Validation) -> bool:
        """Score the rows kept out, keep the best weights, tell of an improvement."""
        state = self.state
        weights, n_threads = (state.theta, state.running), self.settings.n_threads
        loss = self.network.loss(*weights, *validation.rows, n_threads=n_threads)
        if not np.isfinite(loss):
            raise self._divergence({"status": "validation", "layer": -1})
        outputs = self.network.predict(*weights, validation.rows.X, n_threads=n_threads)
        score = float(validation.score(outputs))
        state.validation_losses.append(loss)
        state.validation_scores.append(score)
        self._say(f"Validation score: {score:f}")
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
    def _divergence(self, epoch) -> DivergenceError:
        where = self.describe_layer(epoch["layer"]) if epoch["layer"] >= 0 else None
        return DivergenceError(
            divergence_message(
                f"Training diverged in epoch {len(self.state.loss_curve)}",
                epoch["status"],
                where,
                _remedies(self.settings, self.rows.X, self.rate),
            )
        )


NON_FINITE = {
    "activation": "the activations",
    "loss": "the loss",
    "gradient": "the gradient",
    "validation": "the loss of the validation set",
    "ok": "the loss",
}


def divergence_message(when: str, status: str, where: str | None, remedies: list[str]):
    """Say when and where finite numbers ended, and what to change."""
    place = f", beginning in {where}" if where else ""
    return (
        f"{when}: {NON_FINITE[status]} became infinite or NaN{place}. Solver produced "
        "non-finite parameter weights. The input data may contain large values and "
        f"need to be preprocessed. Remedy: {'; or '.join(remedies)}."
    )


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
def minimize_lbfgs(
    network,
    state: TrainingState,
    rows: Rows,
    *,
    alpha: float,
    max_iter: int,
    max_fun: int,
    tol: float,
    verbose: int,
    n_threads: int,
) -> int:
    """Minimize the objective of all rows by SciPy's L-BFGS; return its iterations."""

    def objective(theta):
        value, gradient = network.value_and_gradient(
            theta.astype(state.theta.dtype), *rows, alpha=alpha, n_threads=n_threads
        )
        return value, gradient.astype(np.float64)

    def keep(intermediate_result):
        state.theta[...] = intermediate_result.x
        state.loss_curve.append(float(intermediate_result.fun))
        if verbose:
            print(
                f"Iteration {len(state.loss_curve)}, loss = {state.loss_curve[-1]:.8f}"
            )

    n_before = len(state.loss_curve)
    state.validated = False
    state.optimizer = None  # what a first-order solver remembered is of other weights
    try:
        result = scipy.optimize.minimize(
            objective,
            state.theta.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=keep,
            options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
        )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=7)
        return len(state.loss_curve) - n_before
    return _finish_lbfgs(state, rows.X, result, max_iter, n_before)


def _finish_lbfgs(state, X, result, max_iter, n_before):
    n_iter = min(result.nit, max_iter)
    if not (np.isfinite(result.fun) and np.isfinite(result.x).all()):
        remedy = (
            f"scale X, whose largest value is {_largest(X):.3g}, with StandardScaler"
        )
        raise DivergenceError(
            divergence_message(
                f"Training diverged in iteration {n_iter + 1} of lbfgs",
                "loss",
                None,
                [remedy],
            )
        )
    state.theta[...] = result.x
    if len(state.loss_curve) == n_before:
        state.loss_curve.append(float(result.fun))
    state.best_loss = min(state.loss_curve)
    if result.status != 0:
        _warn_lbfgs(result, n_iter, max_iter)
    return n_iter


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
