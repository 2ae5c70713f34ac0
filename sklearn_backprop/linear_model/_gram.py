"""Means, Gram matrix and products with the targets, without a copy of the data.

Legend: X (n, p), Y (n, k), weight (n,) or None; sums over rows are weighted.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Self

import numpy as np
from scipy import sparse

from .._immutable import immutable
from .._stored import stored
from .._threads import allowed_threads, single_threaded_blas
from ..engine import _engine

# Below this many multiplications a second thread costs more than it brings.
_PARALLEL_WORK = 5_000_000
# Wider products are shared out better by BLAS itself than by blocks of rows.
_BLAS_PARALLEL_WIDTH = 256
# Densified blocks of sparse data hold about this many numbers (8 MiB).
_BLOCK_SIZE = 1_000_000
# Rows looked at to guess where each column lies; odd, so that a median is one of them.
_CENTER_SAMPLE = 101
# A centre this many standard deviations off would cost two digits of the variances.
_MAX_SQUARED_OFFSET = 100.0
# Sums of squares below this have lost digits to underflow.
SMALLEST_SQUARE = 1e-280
# A column whose spread is below this share of its place holds rounding errors only.
CONSTANT_SPREAD = 8 * np.finfo(np.float64).eps


@stored
@immutable
class Means:
    """Means of columns (q,): a centre near them, and how far they lie from it.

    Where columns lie far from zero, the offset keeps digits that the sum would lose.
    """

    center: np.ndarray
    offset: np.ndarray

    @property
    def value(self) -> np.ndarray:
        """The means, rounded."""
        return self.center + self.offset

    def minus(self, other: "Means") -> np.ndarray:
        """Differences (q,) of the means."""
        return (self.center - other.center) + (self.offset - other.offset)

    def moved(self, step) -> "Means":
        """The means moved by a step (q,)."""
        return replace(self, offset=self.offset + step)


@immutable
class Summary(ABC):
    """What is known of weighted rows of [X, Y] when the rows are gone."""

    n_rows: int
    weight: float
    mean: Means  # (p + k,); zero without intercept

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Columns p that belong to X."""

    @abstractmethod
    def weighted(self, factor) -> Self:
        """The same rows, with weights times a power of four."""

    @property
    def x_mean(self) -> np.ndarray:
        """Means (p,) of X."""
        return self.mean.value[: self.n_features]

    @property
    def y_mean(self) -> np.ndarray:
        """Means (k,) of Y."""
        return self.mean.value[self.n_features :]


@stored
@immutable
class Moments(Summary):
    """Weighted sums of products around the means."""

    xx: np.ndarray  # (p, p)
    xy: np.ndarray  # (p, k)
    yy: np.ndarray  # (k, k)

    @property
    def n_features(self) -> int:
        """Columns p that belong to X."""
        return len(self.xx)

    def weighted(self, factor) -> Self:
        """The same rows, with weights times a power of four."""
        return replace(
            self,
            weight=self.weight * factor,
            xx=self.xx * factor,
            xy=self.xy * factor,
            yy=self.yy * factor,
        )

    def merge(self, other: "Moments") -> "Moments":
        """Moments of the rows of both (Chan, Golub and LeVeque, 1983)."""
        weight = self.weight + other.weight
        difference = other.mean.minus(self.mean)
        between = self.weight / weight * other.weight * np.outer(difference, difference)
        p = self.n_features
        return Moments(
            n_rows=self.n_rows + other.n_rows,
            weight=weight,
            mean=self.mean.moved(other.weight / weight * difference),
            xx=self.xx + other.xx + between[:p, :p],
            xy=self.xy + other.xy + between[:p, p:],
            yy=self.yy + other.yy + between[p:, p:],
        )


def moments(X, Y, weight, *, centered) -> Moments:
    """Moments of X (n, p) and Y (n, k), around their means if `centered`."""
    n_features = X.shape[1]
    nothing = np.zeros(n_features + Y.shape[1])
    mean = Means(nothing, nothing)
    if centered:
        mean, gram = _centered_gram(X, Y, weight)
    else:
        gram = _gram(X, Y, weight, nothing)
    products = gram[1:, 1:]
    require_representable(X, np.diagonal(products)[:n_features], "X")
    require_representable(Y, np.diagonal(products)[n_features:], "y")
    return Moments(
        n_rows=X.shape[0],
        weight=float(gram[0, 0]),
        mean=mean,
        xx=products[:n_features, :n_features],
        xy=products[:n_features, n_features:],
        yy=products[n_features:, n_features:],
    )


def require_representable(data, squares, name) -> None:
    """Refuse columns (n, p) whose centred squares (p,) leave double precision."""
    for j in np.flatnonzero(~np.isfinite(squares) | (squares < SMALLEST_SQUARE)):
        column = data[:, [j]]
        if sparse.issparse(column):
            column = column.toarray()
        if np.isfinite(squares[j]) and np.ptp(column) == 0.0:
            continue  # a constant column has no squares
        raise ValueError(
            f"The squares of column {j} of {name} leave double precision: its largest "
            f"magnitude is {np.abs(column).max():.3g}. Rescale it, for instance with "
            "sklearn.preprocessing.MaxAbsScaler."
        )


def _centered_gram(X, Y, weight) -> tuple[Means, np.ndarray]:
    """Means (p + k,) of [X, Y] and the Gram matrix (1+p+k, 1+p+k) around them."""
    center = _provisional_center(X, Y)
    gram = _gram(X, Y, weight, center)
    offset = gram[0, 1:] / gram[0, 0]
    if _is_cancelled(gram, offset):
        center = center + offset
        gram = _gram(X, Y, weight, center)
        offset = gram[0, 1:] / gram[0, 0]
    with np.errstate(over="ignore", invalid="ignore"):
        gram[1:, 1:] -= np.outer(offset, gram[0, 1:])
    return Means(center, offset), gram


def _is_cancelled(gram, offset) -> bool:
    """Whether moving the products (1+m, 1+m) by `offset` (m,) would lose digits."""
    with np.errstate(over="ignore", invalid="ignore"):
        moved = gram[0, 0] * offset**2
        left = np.diagonal(gram)[1:] - moved
    return bool(np.any(moved > _MAX_SQUARED_OFFSET * left))


def _provisional_center(X, Y) -> np.ndarray:
    """Guess near the column means of [X, Y] (p + k,); exact for constant columns.

    The median of a few rows is itself a value of the column, so that a constant column
    becomes exactly zero. Sparse columns stay where they are, around zero.
    """
    n_rows = X.shape[0]
    n_sampled = min(n_rows - 1 + n_rows % 2, _CENTER_SAMPLE)
    rows = np.linspace(0, n_rows - 1, n_sampled).astype(np.intp)
    x_center = np.zeros(X.shape[1]) if sparse.issparse(X) else _middle(X[rows])
    return np.concatenate([x_center, _middle(Y[rows])]).astype(np.float64)


def _middle(sample) -> np.ndarray:
    """Median of an odd number of rows (m, p) -> (p,)."""
    middle = sample.shape[0] // 2
    return np.partition(sample, middle, axis=0)[middle]


def _gram(X, Y, weight, shift) -> np.ndarray:
    """Gram matrix (1+p+k, 1+p+k) of sqrt(weight) * [1, X - shift, Y - shift]."""
    n_features = X.shape[1]
    if sparse.issparse(X) and not shift[:n_features].any():
        return _sparse_gram(X, Y - shift[n_features:], weight)
    width = 1 + n_features + Y.shape[1]
    gram = np.zeros((width, width))
    for rows, block in row_blocks(X):
        part = None if weight is None else weight[rows]
        n_threads, blas_limit = _thread_plan(block.shape[0], width)
        with blas_limit:
            _engine.accumulate_gram(block, Y[rows], part, shift, gram, n_threads)
    # The engine fills one triangle, the upper one of this row-major array.
    gram += np.triu(gram, 1).T
    return gram


def _sparse_gram(X, Y, weight) -> np.ndarray:
    """Gram matrix (1+p+k, 1+p+k) of sqrt(weight) * [1, X, Y], X sparse."""
    root = np.ones(X.shape[0]) if weight is None else np.sqrt(weight)
    left = sparse.csr_array(sparse.diags_array(root) @ X, dtype=np.float64)
    right = root[:, None] * np.column_stack([np.ones(len(root)), Y])
    dense = right.T @ right
    mixed = left.T @ right
    return np.block(
        [
            [dense[:1, :1], mixed[:, :1].T, dense[:1, 1:]],
            [mixed[:, :1], (left.T @ left).toarray(), mixed[:, 1:]],
            [dense[1:, :1], mixed[:, 1:].T, dense[1:, 1:]],
        ]
    )


def row_blocks(X, size=_BLOCK_SIZE) -> Iterator[tuple[slice, np.ndarray]]:
    """Row slices and their dense data: all of dense X at once, sparse X bit by bit."""
    n_rows, n_features = X.shape
    if not sparse.issparse(X):
        yield slice(0, n_rows), X
        return
    step = max(1, size // n_features)
    for start in range(0, n_rows, step):
        rows = slice(start, min(start + step, n_rows))
        yield rows, X[rows].toarray()


def n_row_threads(n_rows, width) -> int:
    """Threads worth starting for work that grows with n_rows * width**2."""
    return allowed_threads() if n_rows * width**2 > _PARALLEL_WORK else 1


def _thread_plan(n_rows, width) -> tuple[int, AbstractContextManager]:
    """Threads over blocks of rows, and the limit on BLAS's own meanwhile."""
    n_threads = n_row_threads(n_rows, width)
    if n_threads == 1 or width > _BLAS_PARALLEL_WIDTH:
        return 1, nullcontext()
    return n_threads, single_threaded_blas
