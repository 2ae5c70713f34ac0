"""Triangular factor of the centred data: least squares without squaring the condition.

Factors of two blocks of rows merge exactly into that of both (Chan, Golub and LeVeque,
1983, for the means), whence fits of data too ill-conditioned for their Gram matrix, and
``partial_fit``.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from ._gram import row_blocks

# Rows of a dense block, in multiples of its columns: enough to make QR's panels efficient,
# few enough to keep the copy small beside the data.
_BLOCK_HEIGHT = 4
_MIN_BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Factor:
    """R with R'R = [X, Y]'[X, Y] of weighted rows around their means."""

    n_rows: int
    weight: float
    x_mean: np.ndarray  # (p,)
    y_mean: np.ndarray  # (k,)
    triangle: np.ndarray  # (at most p + k, p + k)

    @property
    def n_features(self) -> int:
        """Columns of the triangle that belong to X."""
        return self.x_mean.shape[0]

    def merge(self, other: "Factor") -> "Factor":
        """Factor of the rows of both; the order is immaterial."""
        weight = self.weight + other.weight
        if weight == 0.0:
            return self
        difference = np.concatenate(
            [other.x_mean - self.x_mean, other.y_mean - self.y_mean]
        )
        between = np.sqrt(self.weight / weight * other.weight) * difference
        mean = (
            np.concatenate([self.x_mean, self.y_mean])
            + other.weight / weight * difference
        )
        return Factor(
            n_rows=self.n_rows + other.n_rows,
            weight=weight,
            x_mean=mean[: self.n_features],
            y_mean=mean[self.n_features :],
            triangle=_triangle(
                np.vstack([self.triangle, other.triangle, between[None, :]])
            ),
        )


def factorize(X, Y, weight, *, centered) -> Factor:
    """Factor of X (n, p) and Y (n, k), dense blocks of rows at a time."""
    height = max(_MIN_BLOCK_ROWS, _BLOCK_HEIGHT * X.shape[1])
    total = None
    for rows, block in row_blocks(X, size=height * X.shape[1]):
        for start in range(0, block.shape[0], height):
            part = slice(start, start + height)
            factor = _factorize_block(
                np.asarray(block[part], dtype=np.float64),
                Y[rows][part],
                None if weight is None else weight[rows][part],
                centered,
            )
            total = factor if total is None else total.merge(factor)
    return total


def _factorize_block(X, Y, weight, centered) -> Factor:
    """Factor of one dense block, its mean taken in two passes."""
    data = np.column_stack([X, Y])
    weight = np.ones(len(data)) if weight is None else weight
    total = float(weight.sum())
    mean = np.zeros(data.shape[1])
    if centered and total > 0.0:
        mean = data[0] + weight @ (data - data[0]) / total
        data -= mean
        correction = weight @ data / total
        mean += correction
        data -= correction
    data *= np.sqrt(weight)[:, None]
    return Factor(
        n_rows=int(np.count_nonzero(weight)),
        weight=total,
        x_mean=mean[: X.shape[1]],
        y_mean=mean[X.shape[1] :],
        triangle=_triangle(data),
    )


def _triangle(data) -> np.ndarray:
    """R of the QR factorisation of data (m, q) -> (min(m, q), q)."""
    (r,) = linalg.qr(data, mode="r", overwrite_a=True, check_finite=False)
    return r[: data.shape[1]]
