"""The inverse of the normal matrix X'X + weight * alpha * I, in three strengths.

Cholesky of the Gram matrix where squaring the condition is harmless, the triangular
factor of the data where it is not, and singular values where the rank is short.
"""

from abc import ABC, abstractmethod

import numpy as np
from scipy import linalg

from ._factor import Factor
from ._gram import CONSTANT_SPREAD, Moments
from ._least_norm import LeastNorm, column_norms, numerical_rank

# Condition number of the scaled data up to which Cholesky keeps, after one correction,
# all digits: the correction's own error is of the order of eps * condition**2.
_MAX_CHOLESKY_CONDITION = 1e4


class NormalInverse(ABC):
    """The (pseudo-)inverse of the penalised normal matrix X'X + weight * alpha * I."""

    solver: str
    rank: int
    condition_number: float

    @abstractmethod
    def apply(self, products) -> np.ndarray:
        """Coefficients (p, k) whose normal equations have this right side (p, k)."""


class CholeskyInverse(NormalInverse):
    """By the Cholesky factor of the Gram matrix, scaled to a unit diagonal."""

    solver = "cholesky"

    def __init__(self, factor, scale, condition_number):
        self._factor = factor
        self._scale = scale[:, None]
        self.rank = len(scale)
        self.condition_number = condition_number

    def apply(self, products) -> np.ndarray:
        """Solve with both triangles."""
        solution, _ = linalg.lapack.dpotrs(
            self._factor, products / self._scale, lower=1
        )
        return solution / self._scale


class TriangularInverse(NormalInverse):
    """By the triangular factor of the data, columns scaled to unit norm."""

    solver = "qr"

    def __init__(self, triangle, scale, condition_number):
        self._triangle = triangle
        self._scale = scale[:, None]
        self.rank = len(scale)
        self.condition_number = condition_number

    def apply(self, products) -> np.ndarray:
        """Solve with the triangle and its transpose."""
        inner = self._solve(products / self._scale, trans="T")
        return self._solve(inner) / self._scale

    def solve_rotated(self, rotated) -> np.ndarray:
        """Least squares for targets already multiplied by Q' (p, k)."""
        return self._solve(rotated) / self._scale

    def _solve(self, right, trans="N") -> np.ndarray:
        return linalg.solve_triangular(
            self._triangle, right, trans=trans, check_finite=False
        )


class MinimumNormInverse(NormalInverse):
    """By singular values of the scaled data: of all solutions the one of least norm."""

    solver = "pinv"

    def __init__(self, singular, right, scale, condition_number):
        self._singular = singular[:, None]
        self._scale = scale[:, None]
        self._least_norm = LeastNorm(right, scale)
        self.rank = len(singular)
        self.condition_number = condition_number

    def apply(self, products) -> np.ndarray:
        """Coefficients in the row space of the data."""
        right = self._least_norm.right
        return self.solve_projected(right.T @ (products / self._scale) / self._singular)

    def solve_projected(self, projected) -> np.ndarray:
        """Least squares for targets already multiplied by U' (rank, k)."""
        if self.rank == 0:  # SciPy before 1.14 refuses empty systems
            return np.zeros((len(self._scale), projected.shape[1]))
        return self._least_norm.coefficients(projected / self._singular)


def cholesky_inverse(sums: Moments, alpha) -> CholeskyInverse | None:
    """Inverse from the Gram matrix, or None where that would cost digits."""
    penalty = sums.weight * alpha
    squares = np.diagonal(sums.xx) + penalty
    scale = np.sqrt(squares)
    if is_constant(scale, sums.weight, sums.x_mean).any():
        return None
    scaled = sums.xx / scale
    scaled /= scale[:, None]
    np.fill_diagonal(scaled, 1.0)  # the penalty's share included
    norm = np.abs(scaled).sum(axis=0).max()
    factor, info = linalg.lapack.dpotrf(scaled, lower=1, clean=0, overwrite_a=1)
    if info != 0:
        return None
    rcond, _ = linalg.lapack.dpocon(factor, norm, uplo="L")
    if rcond * _MAX_CHOLESKY_CONDITION**2 < 1.0:
        return None
    return CholeskyInverse(factor, scale, float(np.sqrt(1.0 / rcond)))


def factor_solution(factor: Factor, alpha) -> tuple[np.ndarray, NormalInverse]:
    """Coefficients (p, k) from the triangular factor, and the inverse behind them."""
    data, targets = penalized_triangle(factor, alpha)
    norms = column_norms(data)
    is_unused = is_constant(norms, factor.weight, factor.x_mean)
    scale = np.where(is_unused, np.inf, norms)
    scaled = data / scale
    rotated, triangle = linalg.qr(scaled, mode="economic", check_finite=False)
    left, singular, right = linalg.svd(triangle, check_finite=False)
    largest = singular.max(initial=0.0)
    rank = numerical_rank(singular, factor.n_rows, len(scale))
    if rank == len(scale):
        inverse = TriangularInverse(triangle, scale, float(largest / singular[-1]))
        return inverse.solve_rotated(rotated.T @ targets), inverse
    kept = slice(0, rank)
    condition = float(largest / singular[rank - 1]) if rank else 1.0
    minimum_norm = MinimumNormInverse(singular[kept], right[kept].T, scale, condition)
    projected = left[:, kept].T @ (rotated.T @ targets)
    return minimum_norm.solve_projected(projected), minimum_norm


def penalized_triangle(factor: Factor, alpha) -> tuple[np.ndarray, np.ndarray]:
    """Rows (m, p) and targets (m, k) whose least squares is the penalised problem."""
    p = factor.n_features
    data, targets = factor.triangle[:, :p], factor.triangle[:, p:]
    if alpha == 0.0:
        return data, targets
    ridge = np.sqrt(factor.weight * alpha) * np.eye(p)
    return (
        np.vstack([data, ridge]),
        np.vstack([targets, np.zeros((p, targets.shape[1]))]),
    )


def is_constant(norms, weight, mean) -> np.ndarray:
    """Which columns (p,) with these centred norms are rounding noise."""
    return norms <= np.sqrt(weight) * CONSTANT_SPREAD * np.abs(mean)
