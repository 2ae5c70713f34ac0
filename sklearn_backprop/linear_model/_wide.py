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
_MAX_CORRECTIONS = 2
# A correction of this share of the coefficients needs no other.
_CORRECTED = 1e-12
_MIN_BLOCK_SIZE = 2**16  # elements: long stretches of each row, and still in the cache


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
        n_rows, n_columns = X.shape
        self._X = X.tocsc() if sparse.issparse(X) else X
        self._is_weighted = weight is not None
        self.root = np.sqrt(weight) if self._is_weighted else np.ones(n_rows)
        self.weight = float(self.root @ self.root)
        self._block_width = max(_MIN_BLOCK_SIZE // n_rows, n_rows // 4)
        self._scratch = np.empty(n_rows * self._block_width)
        # A mean has two parts: what rounding takes from the first, left in all rows,
        # would be a direction that the data do not have.
        self.mean = np.zeros(n_columns)
        self._rest_of_mean = np.zeros(n_columns)
        self.norms = np.ones(n_columns)  # infinite for constant columns
        self.gram = np.zeros((n_rows, n_rows), order="F")  # only its lower triangle
        self._measure(centered)

    def _measure(self, centered):
        """Find means, norms and K, of a block of columns while it is in the cache."""
        share = self.root**2 / self.weight
        for columns in self._column_slices():
            if centered:
                self.mean[columns] = self._mean(columns, share)
            block = self._shifted(columns, self.mean[columns])
            if centered:
                self._rest_of_mean[columns] = share @ block
                block -= self._rest_of_mean[columns]
            self._finish(columns, block)
            # Of a column that holds rounding errors only nothing is left.
            norms = column_norms(block)
            is_empty = is_constant(norms, self.weight, self.mean[columns])
            self.norms[columns] = np.where(is_empty, np.inf, norms)
            block[:, is_empty] = 0.0
            self.gram = linalg.blas.dsyrk(
                1.0, block.T, trans=1, beta=1.0, c=self.gram, overwrite_c=1, lower=1
            )

    def _mean(self, columns: slice, share) -> np.ndarray:
        """Column means (m,), from offsets to the first row so that none cancel."""
        if sparse.issparse(self._X):
            return self._X[:, columns].T @ share
        first = np.asarray(self._X[0, columns], dtype=np.float64)
        return first + share @ self._shifted(columns, first)

    def _column_slices(self) -> Iterator[slice]:
        n_columns = self._X.shape[1]
        for start in range(0, n_columns, self._block_width):
            yield slice(start, min(start + self._block_width, n_columns))

    def _shifted(self, columns: slice, origin) -> np.ndarray:
        """Columns (n, m) less their origin (m,), until the next call."""
        block = self._X[:, columns]
        if sparse.issparse(block):
            block = block.toarray()
        room = self._scratch[: block.size].reshape(block.shape)
        return np.subtract(block, origin, out=room)

    def _finish(self, columns: slice, block):
        """Make rows of shifted columns (n, m), in place."""
        if self._is_weighted:
            block *= self.root[:, None]
        is_empty = np.isinf(self.norms[columns])
        if is_empty.any():
            block[:, is_empty] = 0.0

    def _blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Slices of columns, and blocks of them, each until the next one.

        Rows keep the rest of the mean: multipliers have no part in its direction.
        """
        for columns in self._column_slices():
            block = self._shifted(columns, self.mean[columns])
            self._finish(columns, block)
            yield columns, block

    def scaled_blocks(self) -> Iterator[np.ndarray]:
        """Blocks of columns of unit norm, free of the mean to the last digit."""
        for columns in self._column_slices():
            block = self._shifted(columns, self.mean[columns])
            block -= self._rest_of_mean[columns]
            self._finish(columns, block)
            yield block / self.norms[columns]

    def scaled_triangle(self) -> np.ndarray:
        """R (n, n) with R'R the Gram matrix of rows whose columns have unit norm."""
        r = np.zeros((0, len(self.root)))
        for block in self.scaled_blocks():
            stacked = np.vstack([r, block.T])
            (r,) = linalg.qr(stacked, mode="r", overwrite_a=True, check_finite=False)
            r = r[: r.shape[1]]
        return r

    def multiply(self, coef) -> np.ndarray:
        """Products (n, k) of the rows with coef (p, k)."""
        if sparse.issparse(self._X):
            return self.root[:, None] * (self._X @ coef - self.mean @ coef)
        return sum(block @ coef[columns] for columns, block in self._blocks())

    def add_combination(self, coef, a) -> tuple[np.ndarray, np.ndarray]:
        """Add the rows' combination by multipliers a (n, k) to coef (p, k).

        Return the sum, and its products (n, k) with the rows.
        """
        if sparse.issparse(self._X):
            coef = coef + self._combine_sparse(a)
            return coef, self.multiply(coef)
        # Each block is made once for both.
        coef, products = coef.copy(), np.zeros(a.shape)
        for columns, block in self._blocks():
            coef[columns] += block.T @ a
            products += block @ coef[columns]
        return coef, products

    def _combine_sparse(self, a) -> np.ndarray:
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
    K = rows.gram
    inverse = _row_inverse(K, rows, centered, penalty)
    solver = "cholesky"
    if inverse is None:
        solver, inverse = "qr", _projected_inverse(K, rows, penalty)
    if inverse is not None:
        coef, products = _multiply_out(rows, targets, penalty, inverse)
        rank, condition_number = inverse.rank, inverse.condition_number
    else:
        coef, rank, condition_number = _scaled_solution(rows, targets, penalty)
        products = rows.multiply(coef)
    if penalty > 0.0:
        rank = len(rows.mean)
    residual = targets - products
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


def _multiply_out(
    rows: _CenteredRows, targets, penalty, inverse
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (p, k) from multipliers of the rows, and their products (n, k).

    What corrections add to the multipliers goes into the coefficients by itself:
    together they would lose it in rounding.
    """
    multipliers = inverse.apply(targets)
    nothing = np.zeros((len(rows.mean), targets.shape[1]))
    coef, products = rows.add_combination(nothing, multipliers)
    for _ in range(_MAX_CORRECTIONS):
        residual = targets - products - penalty * multipliers
        correction = inverse.apply(residual)
        multipliers = multipliers + correction
        last = coef
        coef, products = rows.add_combination(last, correction)
        change, size = (np.abs(c).max(axis=0) for c in (coef - last, coef))
        if np.all(change <= _CORRECTED * size):
            break
    return coef, products


def _row_inverse(K, rows: _CenteredRows, centered, penalty) -> _RowInverse | None:
    """By Cholesky of K (n, n), where that is safe."""
    n_rows = len(K)
    size = np.trace(K) / n_rows
    if not SMALLEST_SQUARE < size < np.inf:
        return None
    penalized = K.copy(order="F")
    penalized[np.diag_indices(n_rows)] += penalty
    if centered:
        # Centring leaves one direction without length: give it one. No target has a
        # part in it, so no solution does.
        direction = rows.root / linalg.norm(rows.root)
        penalized += size * np.outer(direction, direction).T
    return _cholesky_inverse(penalized, None, n_rows - int(centered))


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
    """B (B'KB)^-1 B' for a basis B (n, r), or None where it would lose too much.

    `projected`, B'KB, is overwritten. No basis is that of the rows themselves.
    """
    norm = linalg.norm(projected, 1, check_finite=False)
    if not 0.0 < norm < np.inf:
        return None
    factor, info = linalg.lapack.dpotrf(projected, lower=1, clean=0, overwrite_a=1)
    rcond = linalg.lapack.dpocon(factor, norm, uplo="L")[0] if info == 0 else 0.0
    if rcond * _MAX_CONDITION < 1.0:
        return None

    def solve(right):
        return linalg.cho_solve((factor, True), right, check_finite=False)

    def solve_projected(right):
        return basis @ solve(basis.T @ right)

    apply = solve if basis is None else solve_projected
    return _RowInverse(apply, rank, float(np.sqrt(1.0 / rcond)))


def _scaled_solution(
    rows: _CenteredRows, targets, penalty
) -> tuple[np.ndarray, int, float]:
    """Coefficients (p, k), rank and condition by singular values of scaled columns.

    With a penalty P they are the first of the least coefficients that fit
    [X, sqrt(P) I] exactly: the others are the residuals.
    """
    n_rows, n_columns, norms = len(targets), len(rows.norms), rows.norms
    blocks = list(rows.scaled_blocks())
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
