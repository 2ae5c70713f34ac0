"""Learning-rate schedules: how far training has come -> the rate of what comes next."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, log2, pi

import numpy as np

from .._immutable import immutable
from .._stored import stored

__all__ = ["SCHEDULES", "Progress", "Schedule"]

SMALLEST_ADAPTIVE_RATE = 1e-6


@stored
@dataclass
class Progress:
    """How far training has come."""

    epoch: float = 0  # finished ones, and the share of the next that is over
    rows_seen: int = 0
    cuts: int = 0  # how often "adaptive" has divided the rate


@immutable
class Schedule:
    """A named schedule with its settings.

    Parameters
    ----------
    name : str
        A key of `SCHEDULES`.
    learning_rate_init : float
        The rate it starts from.
    power_t, decay_rate : float
        The exponent of "invscaling" and the factor per epoch of "exponential".
    max_iter : int
        The epochs in which "cosine" comes down to zero; a longer training starts
        it again (warm restarts; Loshchilov & Hutter, 2017). In as many "coslog" rises
        and falls four times, ever more slowly (Holzmueller et al., 2024).
    warmup_epochs : int
        During the first k epochs the rate grows linearly towards the schedule's.

    Examples
    --------
    >>> from sklearn_backprop.neural_network._schedules import Progress, Schedule
    >>> schedule = Schedule("exponential", 0.1, decay_rate=0.5)
    >>> [schedule.rate(Progress(epoch)) for epoch in range(3)]
    [0.1, 0.05, 0.025]
    """

    name: str
    learning_rate_init: float
    power_t: float = 0.5
    decay_rate: float = 0.95
    max_iter: int = 200
    warmup_epochs: int = 0

    def rate(self, progress: Progress) -> float:
        """Give the rate of the step that comes next."""
        base = self.learning_rate_init * SCHEDULES[self.name](self, progress)
        if progress.epoch < self.warmup_epochs:
            base *= (progress.epoch + 1) / (self.warmup_epochs + 1)
        return base

    def rates(self, progress: Progress, n_steps: int) -> float | np.ndarray:
        """Give the rates (n_steps,) of the next epoch's steps; one where all agree."""
        if self.name not in STEPWISE:
            return self.rate(progress)
        epochs = progress.epoch + np.arange(n_steps) / n_steps
        return np.array([self.rate(replace(progress, epoch=e)) for e in epochs])

    def share_done(self, progress: Progress) -> float:
        """Give the share of `max_iter` epochs that is over, since they began anew."""
        return progress.epoch % self.max_iter / self.max_iter

    def can_be_cut(self, progress: Progress) -> bool:
        """Tell whether a stall should lower the rate rather than end training."""
        return self.name == "adaptive" and self.rate(progress) > SMALLEST_ADAPTIVE_RATE


# Name -> the share of learning_rate_init that remains.
SCHEDULES: dict[str, Callable[[Schedule, Progress], float]] = {
    "constant": lambda schedule, progress: 1.0,
    "invscaling": lambda schedule, progress: (
        (progress.rows_seen + 1) ** -schedule.power_t
    ),
    "adaptive": lambda schedule, progress: 5.0**-progress.cuts,
    "exponential": lambda schedule, progress: schedule.decay_rate**progress.epoch,
    "cosine": lambda schedule, progress: (
        (1 + cos(pi * schedule.share_done(progress))) / 2
    ),
    "coslog": lambda schedule, progress: (
        (1 - cos(2 * pi * log2(1 + 15 * schedule.share_done(progress)))) / 2
    ),
}
# Those that change within an epoch.
STEPWISE = {"coslog"}
