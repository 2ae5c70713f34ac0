"""Triangular factor of the centred data: least squares without squaring the condition.

Factors of two blocks of rows merge exactly into that of both (Chan, Golub and LeVeque,
1983, for the means), whence fits of data too ill-conditioned for their Gram matrix, and
``partial_fit``.
"""

from dataclasses import replace
from functools import reduce
from typing import Self

import numpy as np
from scipy import linalg

from .._immutable import immutable
from .._stored import stored
from ._gram import Means, Moments, Summary, row_blocks

# Rows of a dense block, in multiples of its columns: enough to make QR's panels
# efficient, few enough to keep the copy small beside the data.
_BLOCK_HEIGHT = 4
_MIN_BLOCK_ROWS = 1024


@stored
@immutable
class Factor(Summary):
    """R with R'R = [X, Y]'[X, Y] of weighted rows around their means."""

    triangle: np.ndarray  # (at most p + k, p + k)
    n_targets: int

    @property
    def n_features(self) -> int:
        """Columns of the triangle that belong to X."""
        return self.triangle.shape[1] - self.n_targets

    def weighted(self, factor) -> Self:
        """The same rows, with weights times a power of four."""
        root = np.sqrt(factor)
        return replace(self, weight=self.weight * factor, triangle=self.triangle * root)

    def merge(self, other: "Factor") -> "Factor":
        """Factor of the rows of both; the order is immaterial."""
        weight = self.weight + other.weight
        difference = other.mean.minus(self.mean)
        between = np.sqrt(self.weight / weight * other.weight) * difference
        return replace(
            self,
            n_rows=self.n_rows + other.n_rows,
            weight=weight,
            mean=self.mean.moved(other.weight / weight * difference),
            triangle=_triangle(
                np.vstack([self.triangle, other.triangle, between[None, :]])
            ),
        )


def factorize(X, Y, weight, *, centered) -> Factor:
    """Factor of X (n, p) and Y (n, k), dense blocks of rows at a time."""
    height = max(_MIN_BLOCK_ROWS, _BLOCK_HEIGHT * X.shape[1])
    parts = (
        _factorize_block(
            np.asarray(block[start : start + height], dtype=np.float64),
            Y[rows][start : start + height],
            None if weight is None else weight[rows][start : start + height],
            centered,
        )
        for rows, block in row_blocks(X, size=height * X.shape[1])
        for start in range(0, block.shape[0], height)
    )
    return reduce(Factor.merge, parts)


def factor_of_moments(sums: Moments) -> Factor:
    """Factor of the rows behind moments."""
    gram = np.block([[sums.xx, sums.xy], [sums.xy.T, sums.yy]])
    size = np.sqrt(np.diagonal(gram))
    size[size == 0.0] = 1.0
    values, vectors = linalg.eigh(gram / np.outer(size, size), check_finite=False)
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T * size
    return Factor(
        n_rows=sums.n_rows,
        weight=sums.weight,
        mean=sums.mean,
        triangle=_triangle(root),
        n_targets=sums.yy.shape[0],
    )


def as_factor(rows: Moments | Factor) -> Factor:
    """Factor of the rows behind either summary."""
    return factor_of_moments(rows) if isinstance(rows, Moments) else rows


def merged(rows: Moments | Factor, others: Moments | Factor) -> Moments | Factor:
    """Summary of the rows of both, a factor where one of them is."""
    if isinstance(rows, Moments) and isinstance(others, Moments):
        return rows.merge(others)
    return as_factor(rows).merge(as_factor(others))


def _factorize_block(X, Y, weight, centered) -> Factor:
    """Factor of one dense block, its mean taken in two passes."""
    data = np.column_stack([X, Y])
    weight = np.ones(len(data)) if weight is None else weight
    total = float(weight.sum())
    mean = Means(np.zeros(data.shape[1]), np.zeros(data.shape[1]))
    if centered:
        mean = Means(data[0].copy(), mean.offset)
        data -= mean.center
        for _ in range(2):
            step = weight @ data / total
            mean = mean.moved(step)
            data -= step
    data *= np.sqrt(weight)[:, None]
    return Factor(
        n_rows=len(data),
        weight=total,
        mean=mean,
        triangle=_triangle(data),
        n_targets=Y.shape[1],
    )


def _triangle(data) -> np.ndarray:
    """R of the QR factorisation of data (m, q) -> (min(m, q), q)."""
    (r,) = linalg.qr(data, mode="r", overwrite_a=True, check_finite=False)
    return r[: data.shape[1]]
