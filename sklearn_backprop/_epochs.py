"""The one loop over epochs; what happens between two of them, its subclasses decide."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ._callbacks import FitTasks
from ._rows import Rows, TrainingRows
from ._verbose import ProgressLines

__all__ = ["EpochLoop", "pass_batches"]


class EpochLoop(ABC):
    """Epochs on the given rows, each a task of the fit.

    An epoch that is interrupted or diverges leaves by an exception, and never ends as a
    task.
    """

    def __init__(self, rows: TrainingRows, tasks: FitTasks):
        self.rows: Any = rows
        self.tasks = tasks
        self.total_weight = rows.total_weight
        self.lines = ProgressLines()
        self.n_epochs = 0
        self.stopped = False  # by a callback

    @abstractmethod
    def draw_order(self) -> np.ndarray | None:
        """Draw the order of rows of an epoch; None: as they lie."""

    @abstractmethod
    def train(self) -> Any:
        """Run one epoch; raise where it diverges."""

    @abstractmethod
    def finish(self, epoch) -> bool:
        """Record what `train` returned; tell whether the epoch was the last."""

    @abstractmethod
    def copy_state(self) -> Any:
        """Copy the state of a fit that ends here, for callbacks."""

    def run_epochs(self, max_epochs: int) -> bool:
        """Run epochs; tell whether there was a reason to stop before the last."""
        while self.n_epochs < max_epochs:
            if self.run_epoch():
                return True
        return False

    def run_epoch(self) -> bool:
        """Run an epoch; tell whether it was the last."""
        self.tasks.begin("epoch")
        epoch = self.train()
        self.n_epochs += 1
        is_last = self.finish(epoch)
        self.stopped = self.tasks.end(self.copy_state)
        return is_last or self.stopped

    def pass_batches(self, trainer, theta, running, **settings):
        """Let the engine pass all mini-batches of one epoch."""
        return pass_batches(
            trainer,
            theta,
            running,
            self.rows,
            self.draw_order(),
            total_weight=self.total_weight,
            **settings,
        )


def pass_batches(trainer, theta, running, rows: Rows, order, **settings):
    """Let the engine train theta and running, in place, by mini-batches of an order."""
    return trainer.train_epoch(theta, running, *rows.table, order, **settings)
