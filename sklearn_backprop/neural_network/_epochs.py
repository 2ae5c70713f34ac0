"""Training by mini-batches: what happens between two epochs is decided here."""

from math import isfinite
from typing import Any

import numpy as np

from .._callbacks import FitTasks
from .._epochs import EpochLoop
from .._immutable import immutable
from .._rows import Rows, TrainingRows
from .._threads import allowed_threads
from .._warning import warn
from ..exceptions import DivergenceError
from ._divergence import divergence_message, non_finite, remedies
from ._examples import Validation
from ._records import cut_by_name
from ._schedules import Progress, Schedule
from ._state import TrainingState

__all__ = ["NetworkEpochs", "Settings", "draw_order"]

# A loss so many times the first epoch's has run away: too long a step multiplies it by
# as much in every epoch, and patience may end the fit before numbers overflow.
_RUNAWAY = 1e6


@immutable
class Settings:
    """What the loop needs to know and does not change."""

    solver: str
    optimizer: dict[str, float | bool]  # what the solver reads, as the engine calls it
    schedule: Schedule
    alpha: float
    batch_size: int
    clip: float | None
    clip_mode: str
    record: str | None
    shuffle: bool
    members_have_own_orders: bool
    tol: float
    n_iter_no_change: float
    averaging: float  # share of the mean of weights so far in that of the next epoch
    verbose: int
    dropout_seed: int

    def rates(self, progress: Progress, n_rows: int) -> float | np.ndarray:
        """Learning rates of an epoch's steps on so many rows; one where all agree."""
        return self.schedule.rates(progress, -(-n_rows // self.batch_size))

    def of_pass(self, rates: float | np.ndarray, weight_unit: float) -> dict[str, Any]:
        """What the engine reads to pass mini-batches at these learning rates."""
        return {
            "batch_size": self.batch_size,
            "learning_rate": rates,
            "alpha": self.alpha / weight_unit,
            "clip": self.clip,
            "clip_mode": self.clip_mode,
            "record": self.record or ("epoch" if self.verbose else None),
        }


def draw_order(
    rows: Rows, rng: np.random.RandomState, settings: Settings, n_members: int
) -> np.ndarray | None:
    """Draw the order of rows of an epoch, (m,), or (m, k) for k members."""
    if not settings.shuffle:
        return rows.order
    if n_members == 1 or not settings.members_have_own_orders:
        return rows.shuffled(rng)
    return np.stack([rows.shuffled(rng) for _ in range(n_members)], axis=1)


class NetworkEpochs(EpochLoop):
    """Train a network epoch by epoch on the given rows.

    `state` is changed in place and is complete after every epoch, also when an
    exception leaves the loop.
    """

    def __init__(
        self,
        state: TrainingState,
        settings: Settings,
        rows: TrainingRows,
        tasks: FitTasks,
        validation: Validation | None = None,
    ):
        super().__init__(rows, tasks)
        self.state = state
        self.settings = settings
        self.validation = validation
        self.trainer = self._make_trainer()
        self.n_threads = allowed_threads()
        self.n_before = len(state.loss_curve)
        self.max_epochs = 1
        self.mean: tuple[np.ndarray, np.ndarray] | None = None  # of theta and running
        self.rate = settings.schedule.learning_rate_init
        state.validated = validation is not None
        state.unfinished, state.was_stopped = "", False

    def run(self, max_epochs: int) -> int:
        """Train until it stalls or the epochs are used up; return their number."""
        self.max_epochs = max_epochs
        try:
            is_done = self.run_epochs(max_epochs)
        except KeyboardInterrupt:
            self.state.was_stopped = True
            warn("Training interrupted by user.")
        else:
            self._say_how_it_ended(is_done, max_epochs)
        finally:
            self.state.optimizer = self.settings.solver, self.trainer.get_state()
        if self.validation is not None and self.state.best is not None:
            self.state.network.restore(self.state.best)
        return self.n_epochs

    def run_one(self) -> None:
        """Train for the one epoch of `partial_fit`; a stall cannot end it."""
        try:
            self.run_epoch()
        finally:
            self.state.optimizer = self.settings.solver, self.trainer.get_state()

    def _say_how_it_ended(self, is_done, max_epochs) -> None:
        if self.stopped:
            self.state.was_stopped = True
            self._say("A callback asked to stop. Stopping.")
        if is_done:
            return
        self.state.unfinished = (
            f"Stochastic Optimizer: Maximum iterations ({max_epochs}) reached and the "
            "optimization hasn't converged yet."
        )

    def _make_trainer(self):
        solver = self.settings.solver
        engine = self.state.network.engine
        trainer = engine.trainer(solver, **self.settings.optimizer)
        if self.state.optimizer is not None and self.state.optimizer[0] == solver:
            trainer.set_state(self.state.optimizer[1])
        return trainer

    # --- one epoch
    def copy_state(self) -> TrainingState:
        """Copy the state as `run` would leave it if this epoch were the last."""
        state = self.state.copy()
        state.optimizer = self.settings.solver, self.trainer.get_state()
        if state.best is not None and self.validation is not None:
            state.network.restore(state.best)
        return state

    def train(self):
        """Let the engine run an epoch; the last weights stay where it cannot end."""
        network = self.state.network
        before = network.snapshot()
        try:
            epoch = self._pass()
        except (KeyboardInterrupt, MemoryError):
            network.restore(before)
            raise
        status = self._judge(epoch)
        if status != "ok":
            network.restore(before)
            # The epoch ended before its last batch: what it has summed is no loss.
            loss = epoch["loss"] if status == "runaway" else np.nan
            self._record({**epoch, "loss": loss})
            where = network.architecture.where(epoch["layer"], epoch["parameter"])
            raise self._divergence(status, where)
        return epoch

    def _judge(self, epoch) -> str:
        """Name where finite numbers ended; "runaway" if they soon will; or "ok"."""
        status, loss = epoch["status"], epoch["loss"]
        if status != "ok":
            return status
        if not isfinite(loss):
            return "loss"
        bound = _RUNAWAY * max(1.0, abs(self.first_loss or loss))
        return "runaway" if loss > bound else "ok"

    @property
    def first_loss(self) -> float | None:
        """Loss of the run's first epoch."""
        curve = self.state.loss_curve
        return curve[self.n_before] if len(curve) > self.n_before else None

    def _pass(self):
        settings, network = self.settings, self.state.network
        rates = settings.rates(self.state.progress, len(self.rows))
        self.rate = rates if isinstance(rates, float) else float(rates.mean())
        return self.pass_batches(
            self.trainer,
            network.theta,
            network.running,
            constants=network.constants,
            **settings.of_pass(rates, self.rows.weight_unit),
            seed=settings.dropout_seed,
            n_threads=self.n_threads,
        )

    def draw_order(self) -> np.ndarray | None:
        rng, n_members = self.state.random_state, self.state.network.n_members
        return draw_order(self.rows, rng, self.settings, n_members)

    def _record(self, epoch):
        self.state.loss_curve.append(epoch["loss"])
        self.state.learning_rates.append(self.rate)
        if self.settings.record and epoch["records"] is not None:
            self.state.records.append(epoch["records"])

    def finish(self, epoch) -> bool:
        """Record the epoch, look for an improvement, and decide whether to stop."""
        self._record(epoch)
        self.state.progress.epoch += 1
        self.state.progress.rows_seen += len(self.rows)
        best = self.state.best_loss
        self.state.best_loss = min(epoch["loss"], best)
        if self.validation is None:
            self._count_stalled(epoch["loss"] <= best - self.settings.tol)
        else:
            self._count_stalled(self._validate(self.validation))
        if self.settings.verbose:
            self._say_epoch(epoch)
        return self._stalled_for_good()

    def _say_epoch(self, epoch):
        self.lines.print(
            f"Iteration {self.n_epochs}",
            epoch["loss"],
            score=self.state.validation_scores[-1] if self.validation else None,
            gradient_norm=_root_mean_square(
                cut_by_name(epoch["records"], self.state.network.architecture.times)[
                    "global_norm"
                ]
            ),
            left=self._share_left(),
        )

    def _share_left(self) -> tuple[float, float]:
        """Bound the epochs to come, as multiples of those done.

        The least: nothing improves from here on.
        """
        most = self.max_epochs - self.n_epochs
        patience = self.settings.n_iter_no_change + 1 - self.state.stalled
        return min(patience, most) / self.n_epochs, most / self.n_epochs

    # --- stopping
    def _count_stalled(self, improved: bool):
        self.state.stalled = 0 if improved else self.state.stalled + 1

    def _validate(self, validation: Validation) -> bool:
        """Score the rows kept out, keep the best weights, tell of an improvement."""
        own = self.state.network.snapshot()
        try:
            self._average(own)
            return self._validate_mean(validation)
        finally:
            self.state.network.restore(own)

    def _average(self, own: tuple[np.ndarray, np.ndarray]) -> None:
        """Put the mean of weights over epochs into the network.

        The first epochs count alike, as long as so few are no less recent than later
        ones will be.
        """
        if self.settings.averaging == 0:
            return
        kept = min(self.settings.averaging, 1 - 1 / self.n_epochs)
        if self.mean is None:
            self.mean = own
        self.mean = (
            kept * self.mean[0] + (1 - kept) * own[0],
            kept * self.mean[1] + (1 - kept) * own[1],
        )
        self.state.network.restore(self.mean)

    def _validate_mean(self, validation: Validation) -> bool:
        state, network = self.state, self.state.network
        loss, score = validation.measure(network)
        if not isfinite(loss):
            raise self._divergence("validation")
        state.validation_losses.append(loss)
        state.validation_scores.append(score)
        improved = score >= state.best_score + self.settings.tol
        if score > state.best_score:
            state.best_score, state.best = score, network.snapshot()
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
        what_to_do = remedies(self.rows, self.rate, self.settings.clip)
        return DivergenceError(divergence_message(when, what, what_to_do))


def _root_mean_square(values) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
