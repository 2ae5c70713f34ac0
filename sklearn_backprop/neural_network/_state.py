"""All that training knows from epoch to epoch."""

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._stored import stored
from ._network import Network
from ._records import cut_by_name
from ._schedules import Progress

__all__ = ["TrainingState"]


@stored
@dataclass
class TrainingState:
    """All that training knows from epoch to epoch; pickled with the estimator."""

    network: Network
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
    unfinished: str = ""  # why the last fit ended before it had converged
    was_stopped: bool = False  # by a callback or the user

    def copy(self) -> "TrainingState":
        """Copy what training goes on to change; finished records are shared."""
        shared = [*self.records, self.network.architecture]
        return copy.deepcopy(self, {id(thing): thing for thing in shared})

    def join_records(self) -> None:
        """Put the records into one array; doing so every epoch would be slow."""
        if len(self.records) > 1:
            self.records = [np.concatenate(self.records)]

    def history(self) -> dict[str, np.ndarray]:
        """Give the records of all epochs, by name."""
        self.join_records()
        if not self.records:
            return {}
        return cut_by_name(self.records[0], self.network.architecture.times)
