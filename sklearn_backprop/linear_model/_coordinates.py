"""The coordinates in which descent runs: features moved and scaled, targets centred.

With z = (x - center) / scale a model is  y = y_center + t + sum_j theta_j z_j,  so that
coefficients in the units of X are theta / scale.
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Self

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import safe_sparse_dot

from .._immutable import immutable
from .._stored import stored
from ._gram import CONSTANT_SPREAD, Moments, require_representable


@immutable
class Coordinates:
    """The map between coefficients in the units of X and those that descent moves."""

    center: np.ndarray  # (p,)
    scale: np.ndarray  # (p,)
    y_center: np.ndarray  # (k,)
    has_intercept: bool  # whether t is one of the coordinates

    def inside(self, coef, intercept) -> np.ndarray:
        """Coordinates (k, p or p + 1) of coef (k, p) and intercept (k,)."""
        theta = coef * self.scale
        if not self.has_intercept:
            return np.ascontiguousarray(theta)
        shift = intercept + coef @ self.center - self.y_center
        return np.column_stack([theta, shift])

    def outside(self, theta) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (..., k, p) and intercept (..., k) of coordinates."""
        coef = theta[..., : len(self.scale)] / self.scale
        shift = theta[..., -1] if self.has_intercept else 0.0
        return coef, self.y_center + shift - coef @ self.center


class Scaling(ABC):
    """What a kind of feature scaling knows of the rows seen; blocks merge exactly."""

    # Whether the centre is the mean: then the mean of y is the best intercept for any
    # coefficients, and descent on the very rows measured need not move it.
    is_centered = False
    # Whether the moments of the rows do not tell all of it.
    reads_rows = False

    @classmethod
    @abstractmethod
    def measure(cls, X, weight, sums: Moments | None) -> Self:
        """Measure X (n, p) with weight (n,) or None; `sums` spares a pass over X."""

    @abstractmethod
    def merge(self, other) -> Self:
        """What is known of the rows of both."""

    def weighted(self, factor) -> Self:
        """What is known of the same rows, with weights times a power of four."""
        return self

    @abstractmethod
    def center_and_scale(self, fit_intercept) -> tuple[np.ndarray, np.ndarray]:
        """Centre (zero without intercept) and scale, both (p,)."""


@stored
@immutable
class StandardScaling(Scaling):
    """Zero mean and unit variance; unit mean square where there is no intercept."""

    weight: float
    mean: np.ndarray  # (p,)
    squares: np.ndarray  # (p,) weighted squares around the mean

    is_centered = True

    @classmethod
    def measure(cls, X, weight, sums) -> Self:
        if sums is not None:
            return cls(sums.weight, sums.x_mean, np.diagonal(sums.xx))
        weight = np.ones(X.shape[0]) if weight is None else weight
        total = float(weight.sum())
        mean = _weighted_mean(X, weight, total)
        squares = _squares_around(X, weight, mean)
        require_representable(X, squares, "X")
        return cls(total, mean, squares)

    def merge(self, other) -> Self:
        weight = self.weight + other.weight
        share = other.weight / weight
        difference = other.mean - self.mean
        return type(self)(
            weight,
            self.mean + share * difference,
            self.squares + other.squares + self.weight * share * difference**2,
        )

    def weighted(self, factor) -> Self:
        return replace(self, weight=self.weight * factor, squares=self.squares * factor)

    def center_and_scale(self, fit_intercept) -> tuple[np.ndarray, np.ndarray]:
        variance = self.squares / self.weight
        if fit_intercept:
            return self.mean, _nonzero(np.sqrt(variance), self.mean)
        mean_square = variance + self.mean**2
        return np.zeros_like(self.mean), _nonzero(np.sqrt(mean_square), 0.0)


@stored
@immutable
class MinMaxScaling(Scaling):
    """From 0 at the smallest value to 1 at the largest."""

    low: np.ndarray  # (p,)
    high: np.ndarray  # (p,)

    reads_rows = True

    @classmethod
    def measure(cls, X, weight, sums) -> Self:
        return cls(_dense_row(X.min(axis=0)), _dense_row(X.max(axis=0)))

    def merge(self, other) -> Self:
        return type(self)(
            np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        )

    def center_and_scale(self, fit_intercept) -> tuple[np.ndarray, np.ndarray]:
        center = self.low if fit_intercept else np.zeros_like(self.low)
        return center, _nonzero(self.high - self.low, self.low)


@stored
@immutable
class NoScaling(Scaling):
    """Features as they are."""

    n_features: int

    @classmethod
    def measure(cls, X, weight, sums) -> Self:
        return cls(X.shape[1] if sums is None else sums.n_features)

    def merge(self, other) -> Self:
        return self

    def center_and_scale(self, fit_intercept) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(self.n_features), np.ones(self.n_features)


SCALINGS: dict[str | None, type[Scaling]] = {
    "standard": StandardScaling,
    "minmax": MinMaxScaling,
    None: NoScaling,
}


def coordinates(
    scaling: Scaling, y_center, *, fit_intercept, measured_here, keep_zeros
) -> Coordinates:
    """Coordinates of a scaling; `measured_here`: on the very rows that descent sees."""
    center, scale = scaling.center_and_scale(fit_intercept)
    if keep_zeros:
        center = np.zeros_like(center)
    intercept_follows = scaling.is_centered and measured_here
    return Coordinates(
        center=center,
        scale=scale,
        y_center=y_center,
        has_intercept=fit_intercept and not intercept_follows,
    )


def _nonzero(scale, place) -> np.ndarray:
    """Scale (p,) with 1 for columns that do not vary."""
    return np.where(scale > CONSTANT_SPREAD * np.abs(place), scale, 1.0)


def _dense_row(row) -> np.ndarray:
    """A row of extremes (p,), sparse or not, as float64."""
    row = row.toarray() if sparse.issparse(row) else row
    return np.asarray(row, dtype=np.float64).ravel()


def _weighted_mean(X, weight, total) -> np.ndarray:
    """Column means (p,), from offsets to the first row so that none cancel."""
    if sparse.issparse(X):
        return safe_sparse_dot(weight, X) / total
    first = np.asarray(X[0], dtype=np.float64)
    return first + weight @ (X - first) / total


def _squares_around(X, weight, mean) -> np.ndarray:
    """Sums (p,) of weight * (X - mean)**2."""
    if not sparse.issparse(X):
        return weight @ (X - mean) ** 2
    columns = sparse.csc_array(X)
    column = np.repeat(np.arange(X.shape[1]), np.diff(columns.indptr))
    stored = weight[columns.indices]
    squares = np.bincount(
        column, stored * (columns.data - mean[column]) ** 2, minlength=X.shape[1]
    )
    weight_stored = np.bincount(column, stored, minlength=X.shape[1])
    return squares + (weight.sum() - weight_stored) * mean**2
