"""Scores of predictions as sums over rows, which merge."""

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np

from ._immutable import immutable

__all__ = ["Accuracy", "RSquared", "Score"]


class Score(ABC):
    """What is known of predictions of some rows; sums of others can be added."""

    @classmethod
    @abstractmethod
    def of(cls, y, predicted, weight) -> Self:
        """Compare y, (n,) or (n, k), with predictions; weight (n,) or None."""

    @abstractmethod
    def merge(self, other) -> Self:
        """What is known of the rows of both."""

    @property
    @abstractmethod
    def value(self) -> float:
        """The score, the larger the better."""


@immutable
class Accuracy(Score):
    """The share of rows whose labels are all right."""

    weight: float
    right: float

    @classmethod
    def of(cls, y, predicted, weight) -> Self:
        y, predicted = map(_dense, (y, predicted))
        is_right = y == predicted
        if is_right.ndim == 2:
            is_right = is_right.all(axis=1)
        weight = np.ones(len(y)) if weight is None else weight
        return cls(float(weight.sum()), float(weight @ is_right))

    def merge(self, other) -> Self:
        return type(self)(self.weight + other.weight, self.right + other.right)

    @property
    def value(self) -> float:
        return self.right / self.weight


@immutable
class RSquared(Score):
    """R², the mean over targets."""

    weight: float
    mean: np.ndarray  # (k,)
    squares: np.ndarray  # (k,) of y around its mean
    errors: np.ndarray  # (k,) squares of what is not predicted

    @classmethod
    def of(cls, y, predicted, weight) -> Self:
        y, predicted = (
            np.asarray(values, dtype=np.float64).reshape(len(y), -1)
            for values in (y, predicted)
        )
        weight = np.ones(len(y)) if weight is None else weight
        total = float(weight.sum())
        # From the first row, so that the mean of a constant is exact.
        mean = y[0] + weight @ (y - y[0]) / total if total > 0 else y[0]
        return cls(total, mean, weight @ (y - mean) ** 2, weight @ (y - predicted) ** 2)

    def merge(self, other) -> Self:
        total = self.weight + other.weight
        share = other.weight / total if total > 0 else 0.0
        step = other.mean - self.mean
        return type(self)(
            total,
            self.mean + share * step,
            self.squares + other.squares + self.weight * share * step**2,
            self.errors + other.errors,
        )

    @property
    def value(self) -> float:
        """As scikit-learn's r2_score: of a constant target 1 if it is met, else 0."""
        varies = self.squares > 0
        ratio = self.errors / np.where(varies, self.squares, 1.0)
        ratio = np.where(varies, ratio, self.errors > 0)
        return float(np.mean(1.0 - ratio))


def _dense(y: Any) -> np.ndarray:
    return y.toarray() if hasattr(y, "toarray") else np.asarray(y)
