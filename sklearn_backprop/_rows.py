"""Rows as the engine takes them: some of a table, in an order, without a copy."""

from abc import ABC, abstractmethod
from functools import reduce
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import min_max_axis

from ._immutable import immutable

__all__ = ["Rows", "TrainingRows"]

# Numbers of X that are looked at together: they and a copy of them stay in the cache,
# and below a tenth of a large X.
_BLOCK_SIZE = 2**17
# Rows that are reduced as one: NumPy begins anew at every row, which takes longer than
# the few numbers of most.
_ROWS_IN_ONE = 16


class TrainingRows(ABC):
    """Rows to train on, wherever they are: what is to be known of them as a whole."""

    weight_unit: float  # what their weights are divided by

    @abstractmethod
    def __len__(self) -> int:
        """Count the rows."""

    @property
    @abstractmethod
    def total_weight(self) -> float:
        """The weight of all rows together."""

    @abstractmethod
    def feature_scale(self) -> np.ndarray:
        """Largest magnitude of each feature (p,); missing values are passed by."""

    @abstractmethod
    def target_moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (K,) and standard deviation (K,) of the targets, in double precision."""

    @abstractmethod
    def largest_target(self) -> float:
        """Largest magnitude of a target."""

    @abstractmethod
    def spread_out(self, n_rows: int) -> "Rows":
        """Pick at most so many rows, the first and the last included."""


@immutable
class Rows(TrainingRows):
    """Some rows of a table, with what their outputs are compared with."""

    X: Any  # (n, p), an array or CSR
    Y: np.ndarray  # (n, K)
    weight: np.ndarray | None = None  # (n,), in a unit of its own
    weight_unit: float = 1.0
    order: np.ndarray | None = None  # (m,) int64, which rows; None: all, as they lie

    def __len__(self) -> int:
        return len(self.Y) if self.order is None else len(self.order)

    @property
    def table(self) -> tuple[Any, np.ndarray, np.ndarray | None]:
        """Give X, Y and weight, all rows of the table."""
        return self.X, self.Y, self.weight

    @property
    def total_weight(self) -> float:
        if self.weight is None:
            return float(len(self))
        return float(self.of(self.weight).sum(dtype=np.float64))

    def of(self, values):
        """Pick from an array with an entry for each row of the table."""
        return values if self.order is None else values[self.order]

    def gathered(self) -> "Rows":
        """Copy these rows into a table of their own, if they are not all of one."""
        if self.order is None:
            return self
        weight = None if self.weight is None else self.of(self.weight)
        return Rows(self.of(self.X), self.of(self.Y), weight, self.weight_unit)

    def shuffled(self, rng: np.random.RandomState) -> np.ndarray:
        """Draw an order (m,) of these rows."""
        permutation = rng.permutation(len(self)).astype(np.int64, copy=False)
        return permutation if self.order is None else self.order[permutation]

    def spread_out(self, n_rows: int) -> "Rows":
        if n_rows >= len(self):
            return self
        some = np.linspace(0, len(self) - 1, n_rows).astype(np.int64)
        return Rows(
            self.X, self.Y, order=some if self.order is None else self.order[some]
        )

    def feature_scale(self) -> np.ndarray:
        """Largest magnitude of each feature (p,), by blocks that stay in the cache."""
        if issparse(self.X):
            smallest, largest = min_max_axis(self.of(self.X), axis=0, ignore_nan=True)
            return np.maximum(-smallest, largest)
        size = max(1, _BLOCK_SIZE // self.X.shape[1])
        starts = range(0, len(self), size)
        blocks = (self.X[self._places(start, start + size)] for start in starts)
        return reduce(np.maximum, map(_largest_magnitudes, blocks))

    def target_moments(self) -> tuple[np.ndarray, np.ndarray]:
        Y = self.of(self.Y)
        with np.errstate(over="ignore"):
            return Y.mean(axis=0, dtype=np.float64), Y.std(axis=0, dtype=np.float64)

    def largest_target(self) -> float:
        return float(np.abs(self.Y).max())

    def _places(self, start: int, end: int):
        return slice(start, end) if self.order is None else self.order[start:end]


def _largest_magnitudes(block) -> np.ndarray:
    """Largest magnitude of each column (p,); 0 where all values are missing."""
    magnitudes = np.abs(block)
    n_long = len(magnitudes) // _ROWS_IN_ONE
    if n_long > 0:
        long = magnitudes[: n_long * _ROWS_IN_ONE].reshape(n_long, -1)
        largest = np.fmax.reduce(long, axis=0).reshape(_ROWS_IN_ONE, -1)
        magnitudes = np.vstack([largest, magnitudes[n_long * _ROWS_IN_ONE :]])
    return np.fmax.reduce(magnitudes, axis=0, initial=0.0)
