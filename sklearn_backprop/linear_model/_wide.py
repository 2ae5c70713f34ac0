"""Least squares with no more rows than columns, solved among the rows.

Coefficients X'a, one multiplier a row, hold the minimum-norm solution and that of
ridge: both need only the Gram matrix of the rows, K = X X' (n, n).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

_EPS = np.finfo(np.float64).eps
# Of K, the square of the data's own; corrections restore the digits that it costs.
_MAX_CONDITION = 1e8
_CORRECTIONS = 2
_MIN_BLOCK_COLUMNS = 256


@dataclass(frozen=True)
class WideFit:
    """Coefficients (p, k) with what they rest on."""

    coef: np.ndarray
    x_mean: np.ndarray  # (p,)
    y_mean: np.ndarray  # (k,)
    weight: float
    squares: np.ndarray  # (k,)
    solver: str
    rank: int
    condition_number: float


class _CenteredRows:
    """Rows sqrt(weight) * (X - mean), never formed as a whole."""

    def __init__(self, X, weight, centered):
        self._X = X
        self.root = np.ones(X.shape[0]) if weight is None else np.sqrt(weight)
        self.weight = float(self.root @ self.root)
        self.mean = np.zeros(X.shape[1])
        if centered:
            self.mean = self._mean()

    def _mean(self) -> np.ndarray:
        """Column means (p,), from offsets to the first row so that none cancel."""
        share = self.root**2 / self.weight
        first = self._X[[0]]
        if sparse.issparse(self._X):
            return self._X.T @ share
        first = np.asarray(first[0], dtype=np.float64)
        mean = np.empty(len(first))
        for columns in self._column_slices():
            mean[columns] = share @ (self._X[:, columns] - first[columns])
        return first + mean

    def _column_slices(self) -> Iterator[slice]:
        n_rows, n_columns = self._X.shape
        step = max(_MIN_BLOCK_COLUMNS, n_rows // 4)
        for start in range(0, n_columns, step):
            yield slice(start, min(start + step, n_columns))

    def column_blocks(self) -> Iterator[np.ndarray]:
        """Dense blocks of columns, (n, up to some hundreds)."""
        X = self._X.tocsc() if sparse.issparse(self._X) else self._X
        for columns in self._column_slices():
            block = X[:, columns]
            if sparse.issparse(block):
                block = block.toarray()
            yield (block - self.mean[columns]) * self.root[:, None]

    def gram(self) -> np.ndarray:
        """K (n, n); only its lower triangle is filled."""
        K = np.zeros((len(self.root),) * 2, order="F")
        for block in self.column_blocks():
            K = linalg.blas.dsyrk(
                1.0, block.T, trans=1, beta=1.0, c=K, overwrite_c=1, lower=1
            )
        return K

    def triangle(self) -> np.ndarray:
        """R (n, n) with R'R = K, without squaring the condition."""
        r = np.zeros((0, len(self.root)))
        for block in self.column_blocks():
            stacked = np.vstack([r, block.T])
            (r,) = linalg.qr(stacked, mode="r", overwrite_a=True, check_finite=False)
            r = r[: r.shape[1]]
        return r

    def multiply(self, coef) -> np.ndarray:
        """Products (n, k) of the rows with coef (p, k)."""
        return self.root[:, None] * (self._X @ coef - self.mean @ coef)

    def multiply_transposed(self, a) -> np.ndarray:
        """Combination (p, k) of the rows with multipliers a (n, k)."""
        rooted = self.root[:, None] * a
        return self._X.T @ rooted - np.outer(self.mean, rooted.sum(axis=0))


@dataclass(frozen=True)
class _RowInverse:
    """The (pseudo-)inverse of K + weight * alpha * I, and how it was come by."""

    apply: Callable[[np.ndarray], np.ndarray]  # (n, k) -> (n, k)
    solver: str
    rank: int
    condition_number: float


def wide_solution(X, Y, weight, *, centered, alpha) -> WideFit:
    """Minimum-norm least squares, or ridge, of X (n, p) and Y (n, k) with n <= p."""
    if weight is not None and not weight.all():
        kept = weight > 0.0
        X, Y, weight = X[kept], Y[kept], weight[kept]
    rows = _CenteredRows(X, weight, centered)
    y_mean = (rows.root**2 @ Y) / rows.weight if centered else np.zeros(Y.shape[1])
    targets = rows.root[:, None] * (Y - y_mean)
    penalty = rows.weight * alpha
    inverse = _row_inverse(rows, centered, penalty)
    multipliers = inverse.apply(targets)
    for _ in range(_CORRECTIONS):
        residual = targets - rows.multiply(rows.multiply_transposed(multipliers))
        multipliers = multipliers + inverse.apply(residual - penalty * multipliers)
    coef = rows.multiply_transposed(multipliers)
    residual = targets - rows.multiply(coef)
    return WideFit(
        coef=coef,
        x_mean=rows.mean,
        y_mean=y_mean,
        weight=rows.weight,
        squares=np.sum(residual**2, axis=0),
        solver=inverse.solver,
        rank=inverse.rank,
        condition_number=inverse.condition_number,
    )


def _row_inverse(rows: _CenteredRows, centered, penalty) -> _RowInverse:
    """By Cholesky of K (n, n) where that is safe, else by singular values."""
    K = rows.gram()
    if not np.isfinite(np.trace(K)):
        raise ValueError(
            "The squares of X leave double precision. Rescale its columns, for "
            "instance with sklearn.preprocessing.MaxAbsScaler."
        )
    n_rows = len(K)
    size = np.trace(K) / n_rows
    K[np.diag_indices(n_rows)] += penalty
    if centered:
        # Centring leaves one direction without length: give it one. No target has a
        # part in it, so no solution does.
        direction = rows.root / linalg.norm(rows.root)
        K += size * np.outer(direction, direction)
    norm = linalg.norm(K, 1)
    factor, info = linalg.lapack.dpotrf(K, lower=1, clean=0, overwrite_a=1)
    rcond = linalg.lapack.dpocon(factor, norm, uplo="L")[0] if info == 0 else 0.0
    if rcond * _MAX_CONDITION < 1.0:
        return _truncated_row_inverse(rows, penalty)
    n_columns = rows.mean.shape[0]
    rank = n_columns if penalty > 0.0 else n_rows - int(centered)
    return _RowInverse(
        apply=lambda right: linalg.cho_solve((factor, True), right, check_finite=False),
        solver="cholesky" if rank == n_columns else "pinv",
        rank=rank,
        condition_number=float(np.sqrt(1.0 / rcond)),
    )


def _truncated_row_inverse(rows: _CenteredRows, penalty) -> _RowInverse:
    """By the singular values of the rows that stand out from rounding."""
    _, singular, right = linalg.svd(rows.triangle(), check_finite=False)
    n_columns = rows.mean.shape[0]
    largest = singular.max(initial=0.0)
    cutoff = _EPS * max(10.0 * np.sqrt(n_columns), len(singular)) * largest
    rank = int(np.count_nonzero(singular > cutoff))
    basis, kept = right[:rank].T, singular[:rank, None]
    rank = n_columns if penalty > 0.0 else rank
    return _RowInverse(
        apply=lambda right: basis @ (basis.T @ right / (kept**2 + penalty)),
        solver="qr" if rank == n_columns else "pinv",
        rank=rank,
        condition_number=float(kept[0, 0] / kept[-1, 0]) if len(kept) else 1.0,
    )
