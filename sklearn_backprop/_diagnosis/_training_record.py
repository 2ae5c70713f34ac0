"""What an estimator declares of its training, for displays and diagnosis to read."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ._finding import Params
from ._records import Records, by_epoch

__all__ = ["DescentRecord", "NetworkRecord", "RecordsTraining", "TrainingRecord"]


class RecordsTraining(ABC):
    """An estimator that declares how it learns and, once fitted, what that left."""

    # Whether a learning rate is that of steps on mini-batches, by `partial_fit`, or
    # that of steps on all rows.
    _steps_by_batches: ClassVar[bool]
    solver: str

    @abstractmethod
    def _training_record(self) -> "TrainingRecord":
        """What training left."""


@dataclass(frozen=True, kw_only=True)
class TrainingRecord(ABC):
    """What a training left; its arrays are the estimator's own."""

    params: Params  # of the estimator
    loss: np.ndarray  # (n_steps,)
    n_iter: int  # steps of the last fit
    step_name: str  # what a loss belongs to: "epoch" or "iteration"
    feature_scale: np.ndarray  # (n_features,) sizes of features as training met them
    feature_name: str = "feature"  # what a size belongs to
    validation_loss: Sequence[float] | None = None
    validation_scores: Sequence[float] | None = None


@dataclass(frozen=True, kw_only=True)
class NetworkRecord(TrainingRecord):
    """What the training of a network left."""

    # Recorded measures by name, (n_records, n_arrays) or (n_records,), and the arrays.
    history: Mapping[str, np.ndarray]
    names: Sequence[str]
    recurrent_names: Sequence[str] = ()  # of recurrent layers, where there are
    reads_backwards: Sequence[bool] = ()  # which of them begin at the last step
    weights: Mapping[str, np.ndarray]  # those arrays by name
    frozen: Collection[str] = ()  # names of those that did not learn
    prediction_spread: float | None = None
    # Of targets that are numbers, else None.
    prediction_error: float | None = None
    target_mean: np.ndarray | None = None
    target_spread: np.ndarray | None = None

    @property
    def records(self) -> Records:
        """Records by epoch."""
        return by_epoch(self.history, len(self.loss), self.names)

    @property
    def record_name(self) -> str:
        """Say what a row of the history covers."""
        n_records = len(self.history["global_norm"])
        return self.step_name if n_records == len(self.loss) else "mini-batch"


@dataclass(frozen=True, kw_only=True)
class DescentRecord(TrainingRecord):
    """What the fit of a linear regression left."""

    solver: str  # "gd", or the way of an exact solution
    condition_number: float
    learning_rate: float = np.nan  # of the last step
