"""Least squares with no more rows than columns, solved among the rows.

Coefficients X'a, one multiplier a row, hold the minimum-norm solution and that of
ridge: both need only the Gram matrix of the rows, K = X X' (n, n).
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy import linalg, sparse

from .._immutable import immutable
from ._gram import SMALLEST_SQUARE
from ._least_norm import LeastNorm, column_norms, numerical_rank
from ._normal_inverse import is_constant

# Of K, the square of the data's own; corrections restore the digits that it costs.
_MAX_CONDITION = 1e8
_CORRECTIONS = 2
_MIN_BLOCK_COLUMNS = 256


@immutable
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
        self.norms = np.ones(X.shape[1])  # infinite for constant columns
        if centered:
            self.mean = self._mean()
        self.norms = self._norms()

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

    def _blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Slices of columns, and dense blocks (n, up to some hundreds) of them."""
        X = self._X.tocsc() if sparse.issparse(self._X) else self._X
        for columns in self._column_slices():
            block = X[:, columns]
            if sparse.issparse(block):
                block = block.toarray()
            block = (block - self.mean[columns]) * self.root[:, None]
            block[:, np.isinf(self.norms[columns])] = 0.0
            yield columns, block

    def _norms(self) -> np.ndarray:
        """Norms (p,) of columns; infinite where they hold rounding errors only."""
        norms = np.concatenate([column_norms(block) for _, block in self._blocks()])
        norms[is_constant(norms, self.weight, self.mean)] = np.inf
        return norms

    def scaled(self) -> list[np.ndarray]:
        """Dense blocks of columns of unit norm."""
        return [block / self.norms[columns] for columns, block in self._blocks()]

    def gram(self) -> np.ndarray:
        """K (n, n); only its lower triangle is filled."""
        K = np.zeros((len(self.root),) * 2, order="F")
        for _, block in self._blocks():
            K = linalg.blas.dsyrk(
                1.0, block.T, trans=1, beta=1.0, c=K, overwrite_c=1, lower=1
            )
        return K

    def scaled_triangle(self) -> np.ndarray:
        """R (n, n) with R'R the Gram matrix of rows whose columns have unit norm."""
        r = np.zeros((0, len(self.root)))
        for columns, block in self._blocks():
            stacked = np.vstack([r, (block / self.norms[columns]).T])
            (r,) = linalg.qr(stacked, mode="r", overwrite_a=True, check_finite=False)
            r = r[: r.shape[1]]
        return r

    def multiply(self, coef) -> np.ndarray:
        """Products (n, k) of the rows with coef (p, k)."""
        if sparse.issparse(self._X):
            return self.root[:, None] * (self._X @ coef - self.mean @ coef)
        return sum(block @ coef[columns] for columns, block in self._blocks())

    def multiply_transposed(self, a) -> np.ndarray:
        """Combination (p, k) of the rows with multipliers a (n, k)."""
        if not sparse.issparse(self._X):
            return np.concatenate([block.T @ a for _, block in self._blocks()])
        rooted = self.root[:, None] * a
        combined = self._X.T @ rooted - np.outer(self.mean, rooted.sum(axis=0))
        combined[np.isinf(self.norms)] = 0.0
        return combined


@immutable
class _RowInverse:
    """The (pseudo-)inverse of K + weight * alpha * I, and how it was come by."""

    apply: Callable[[np.ndarray], np.ndarray]  # (n, k) -> (n, k)
    rank: int  # of the data
    condition_number: float


def wide_solution(X, Y, weight, *, centered, alpha) -> WideFit:
    """Minimum-norm least squares, or ridge, of X (n, p) and Y (n, k) with n <= p."""
    rows = _CenteredRows(X, weight, centered)
    y_mean = (rows.root**2 @ Y) / rows.weight if centered else np.zeros(Y.shape[1])
    targets = rows.root[:, None] * (Y - y_mean)
    penalty = rows.weight * alpha
    K = rows.gram()
    inverse = _row_inverse(K, rows, centered, penalty)
    solver = "cholesky"
    if inverse is None:
        solver, inverse = "qr", _projected_inverse(K, rows, penalty)
    if inverse is not None:
        coef = _multiply_out(rows, targets, penalty, inverse)
        rank, condition_number = inverse.rank, inverse.condition_number
    else:
        coef, rank, condition_number = _scaled_solution(rows, targets, penalty)
    if penalty > 0.0:
        rank = len(rows.mean)
    residual = targets - rows.multiply(coef)
    return WideFit(
        coef=coef,
        x_mean=rows.mean,
        y_mean=y_mean,
        weight=rows.weight,
        squares=np.sum(residual**2, axis=0),
        solver=solver if rank == len(rows.mean) else "pinv",
        rank=rank,
        condition_number=condition_number,
    )


def _multiply_out(rows: _CenteredRows, targets, penalty, inverse) -> np.ndarray:
    """Coefficients (p, k) from multipliers of the rows.

    What corrections add to the multipliers goes into the coefficients by itself:
    together they would lose it in rounding.
    """
    multipliers = inverse.apply(targets)
    coef = rows.multiply_transposed(multipliers)
    for _ in range(_CORRECTIONS):
        residual = targets - rows.multiply(coef) - penalty * multipliers
        correction = inverse.apply(residual)
        multipliers = multipliers + correction
        coef = coef + rows.multiply_transposed(correction)
    return coef


def _row_inverse(K, rows: _CenteredRows, centered, penalty) -> _RowInverse | None:
    """By Cholesky of K (n, n), where that is safe."""
    n_rows = len(K)
    size = np.trace(K) / n_rows
    if not SMALLEST_SQUARE < size < np.inf:
        return None
    penalized = K + penalty * np.eye(n_rows)
    if centered:
        # Centring leaves one direction without length: give it one. No target has a
        # part in it, so no solution does.
        direction = rows.root / linalg.norm(rows.root)
        penalized += size * np.outer(direction, direction)
    return _cholesky_inverse(penalized, np.eye(n_rows), n_rows - int(centered))


def _projected_inverse(K, rows, penalty) -> _RowInverse | None:
    """By K (n, n) on what the scaled columns reach, where squaring it is safe."""
    _, singular, right = linalg.svd(rows.scaled_triangle(), check_finite=False)
    rank = numerical_rank(singular, len(rows.norms), len(K))
    if rank == 0:
        return _RowInverse(np.zeros_like, 0, 1.0)
    basis = right[:rank].T
    whole = np.tril(K) + np.tril(K, -1).T
    with np.errstate(over="ignore", invalid="ignore"):
        projected = basis.T @ whole @ basis + penalty * np.eye(rank)
    return _cholesky_inverse(projected, basis, rank)


def _cholesky_inverse(projected, basis, rank) -> _RowInverse | None:
    """B (B'KB)^-1 B' for a basis B (n, r), or None where it would lose too much."""
    norm = linalg.norm(projected, 1, check_finite=False)
    if not 0.0 < norm < np.inf:
        return None
    factor, info = linalg.lapack.dpotrf(projected, lower=1, clean=0)
    rcond = linalg.lapack.dpocon(factor, norm, uplo="L")[0] if info == 0 else 0.0
    if rcond * _MAX_CONDITION < 1.0:
        return None

    def apply(right):
        solved = linalg.cho_solve((factor, True), basis.T @ right, check_finite=False)
        return basis @ solved

    return _RowInverse(apply, rank, float(np.sqrt(1.0 / rcond)))


def _scaled_solution(
    rows: _CenteredRows, targets, penalty
) -> tuple[np.ndarray, int, float]:
    """Coefficients (p, k), rank and condition by singular values of scaled columns.

    With a penalty P they are the first of the least coefficients that fit
    [X, sqrt(P) I] exactly: the others are the residuals.
    """
    n_rows, n_columns, norms = len(targets), len(rows.norms), rows.norms
    blocks = rows.scaled()
    if penalty > 0.0:
        blocks.append(np.eye(n_rows))
        norms = np.concatenate([norms, np.full(n_rows, np.sqrt(penalty))])
    left, singular, right = linalg.svd(
        np.hstack(blocks),
        full_matrices=False,
        overwrite_a=True,
        check_finite=False,
    )
    rank = numerical_rank(singular, len(norms), n_rows)
    left, kept, right = left[:, :rank], singular[:rank, None], right[:rank].T
    coef = LeastNorm(right, norms).coefficients(left.T @ targets / kept)
    return coef[:n_columns], rank, float(kept[0, 0] / kept[-1, 0])
