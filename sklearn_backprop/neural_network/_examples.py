"""Examples to learn from: validated rows, encoded, and those of them that count."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import _check_sample_weight

from .._immutable import immutable
from .._rows import Rows
from .._weights import weight_unit
from ._inputs import Inputs, refuse_missing
from ._network import Network

__all__ = ["Examples", "Validation", "counting_rows", "read_weights"]


class Validation(ABC):
    """Rows kept out of training, by which networks are measured."""

    @abstractmethod
    def measure(self, network: Network) -> tuple[float, float]:
        """Loss of the network on these rows, and score; no score of a loss of NaN."""


@immutable
class ValidationRows(Validation):
    """Such rows in memory, and how to score predictions (m, K) of them."""

    rows: Rows
    score: Callable[[np.ndarray], float]

    def measure(self, network: Network) -> tuple[float, float]:
        loss = network.mean_loss(self.rows)
        if not np.isfinite(loss):
            return loss, np.nan
        return loss, float(self.score(network.forward(self.rows.X, self.rows.order)))


@immutable
class Examples:
    """Validated rows, encoded; X is never copied, parts are orders of its rows."""

    X: Any  # (n, p)
    y: Any  # (n,) or (n, k), as validated
    Y: np.ndarray  # (n, K), what outputs are compared with
    sample_weight: np.ndarray | None  # (n,)
    # (Y, sample weights) of some rows -> weights of them, or None.
    weigh: Callable[[np.ndarray, np.ndarray | None], np.ndarray | None]
    order: np.ndarray | None = None  # (m,) int64, the rows that count; None: all

    def __len__(self) -> int:
        return len(self.Y) if self.order is None else len(self.order)

    @property
    def n_given(self) -> int:
        """Count the rows that were given, whether they count or not."""
        return len(self.Y)

    @property
    def n_features(self) -> int:
        """Columns of X."""
        return self.X.shape[1]

    @property
    def n_outputs(self) -> int:
        """Columns of Y."""
        return self.Y.shape[1]

    @property
    def dtype(self) -> np.dtype:
        """Precision of X and Y."""
        return self.X.dtype

    @property
    def total_weight(self) -> float | None:
        """Sum of the weights of the rows that count, if there are any."""
        weight = self.weight()
        return None if weight is None else float(np.sum(weight))

    def refuse_missing(self, inputs: Inputs) -> None:
        """Refuse missing values of columns that no embedding reads."""
        refuse_missing(self.X, inputs)

    def of(self, values):
        """Pick from an array with an entry for each row; None stays None."""
        return values if values is None or self.order is None else values[self.order]

    @property
    def labels(self):
        """What trees learn of y: indicators where they are sparse."""
        return self.Y > 0.5 if issparse(self.y) else self.y

    def weight(self) -> np.ndarray | None:
        """Weights (m,) of the rows that count, those of their classes in them."""
        return self.weigh(self.of(self.Y), self.of(self.sample_weight))

    def rows(self, unit: float | None = None) -> Rows:
        """Give the rows as the engine takes them, weights in this unit or their own."""
        weight = self.weight()
        if weight is None:
            return Rows(self.X, self.Y, order=self.order)
        unit = weight_unit(weight) if unit is None else unit
        of_all = np.zeros(len(self.Y), dtype=self.X.dtype)
        of_all[slice(None) if self.order is None else self.order] = weight / unit
        return Rows(self.X, self.Y, of_all, unit, self.order)

    def without_weightless_classes(self) -> "Examples":
        """Leave out rows to which the weights of classes give none."""
        weight = self.weight()
        if weight is None or weight.all():
            return self
        counting = np.flatnonzero(weight)
        return replace(
            self, order=counting if self.order is None else self.order[counting]
        )

    def held_out(
        self, fraction: float, seed: int, stratify: bool
    ) -> tuple["Examples", "Examples"]:
        """Split as scikit-learn does: rows to train on, and rows to watch."""
        places = np.arange(len(self.Y)) if self.order is None else self.order
        parts = train_test_split(
            places,
            test_size=fraction,
            random_state=seed,
            stratify=self.of(self.Y) > 0.5 if stratify else None,
        )
        training, held_out = (replace(self, order=part) for part in parts)
        return training, held_out

    def validation(self, scorer) -> Validation:
        """Make a validation set of them; `scorer` reads their y and sample weights."""
        score = scorer(self.of(self.y), self.of(self.sample_weight))
        return ValidationRows(self.rows(), score)


def read_weights(sample_weight, X) -> np.ndarray | None:
    """Weights (n,) in double precision, or None."""
    if sample_weight is None:
        return None
    sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if np.any(sample_weight < 0):
        raise ValueError(
            "Negative values in data passed to `sample_weight`: a negative weight "
            "turns the loss of its row into a gain."
        )
    if not sample_weight.any():
        raise ValueError(
            "sample_weight sums to zero: at least one row needs a positive weight."
        )
    return sample_weight


def counting_rows(weight: np.ndarray | None) -> np.ndarray | None:
    """Places (m,) of the rows of positive weight (n,), or None if these are all."""
    return None if weight is None or weight.all() else np.flatnonzero(weight)
