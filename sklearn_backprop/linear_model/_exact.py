"""The normal equation, and what it falls back to where squaring loses too much.

The road of a fit, shortest first: Cholesky of the scaled Gram matrix; QR of the data;
the minimum-norm solution where the rank is short. Then corrections by the corrected
semi-normal equations (Bjorck, 1987), their gradient accumulated in double-double.

Legend: X (n, p), Y (n, k), weight (n,) or None; coefficients are (p, k) inside.
"""

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np
from scipy import optimize

from .._immutable import immutable
from ..engine import _engine
from ._factor import Factor, as_factor, factorize
from ._gram import Moments, moments, n_row_threads, row_blocks
from ._normal_inverse import (
    NormalInverse,
    cholesky_inverse,
    factor_solution,
    penalized_triangle,
)
from ._wide import wide_solution

_TINY = np.finfo(np.float64).tiny
# A pass in double-double costs some nanoseconds a number: always worth it below this
# many numbers; above it, when the condition number says that digits are at stake: its
# square times the rounding of a sum. Up to 30, no more than 1e-14 of them is lost.
_ALWAYS_REFINE_SIZE = 1_000_000
_REFINE_CONDITION = 30
_MAX_CORRECTIONS = 4
# Relative size of a correction after which the next would only move the last digits.
_CORRECTED = 1e-10


@immutable
class Solution:
    """What an exact fit found, and by which road."""

    coef: np.ndarray  # (p, k)
    intercept: np.ndarray  # (k,)
    loss: float
    solver: str
    rank: int
    condition_number: float
    # What later rows can be merged into; None where that would be as large as the data.
    rows: Moments | Factor | None


class Table(ABC):
    """Rows of X (n, p), Y (n, k) and weights, wherever they lie, as a fit asks them."""

    n_rows: int
    n_features: int

    @abstractmethod
    def moments(self, *, centered) -> Moments:
        """Moments of all rows."""

    @abstractmethod
    def factor(self, *, centered) -> Factor:
        """Triangular factor of all rows."""

    @abstractmethod
    def residual_sums(self, coef, intercept) -> "_engine.ResidualSums":
        """Sums of residuals, times one and times X, in double-double."""

    @abstractmethod
    def solve_wide(self, *, fit_intercept, alpha) -> Solution:
        """Minimise the cost where rows are no more than columns."""


class TableInMemory(Table):
    """Rows in this process."""

    def __init__(self, X, Y, weight):
        self.n_rows, self.n_features = X.shape
        self._rows = X, Y, weight

    def moments(self, *, centered) -> Moments:
        return moments(*self._rows, centered=centered)

    def factor(self, *, centered) -> Factor:
        return factorize(*self._rows, centered=centered)

    def residual_sums(self, coef, intercept) -> "_engine.ResidualSums":
        return residual_sums(*self._rows, coef, intercept)

    def solve_wide(self, *, fit_intercept, alpha) -> Solution:
        return _solve_wide(*self._rows, fit_intercept, alpha)


def solve(table: Table, *, fit_intercept, alpha, positive) -> Solution:
    """Minimise the cost over the rows of a table."""
    if positive:
        factor = table.factor(centered=fit_intercept)
        return solve_factor(factor, alpha=alpha, positive=True)
    if table.n_rows <= table.n_features:
        return table.solve_wide(fit_intercept=fit_intercept, alpha=alpha)
    sums = table.moments(centered=fit_intercept)
    inverse: NormalInverse | None = cholesky_inverse(sums, alpha)
    if inverse is not None:
        coef = inverse.apply(sums.xy)
        rows: Moments | Factor = sums
    else:
        rows = table.factor(centered=fit_intercept)
        coef, inverse = factor_solution(rows, alpha)
    intercept = sums.y_mean - sums.x_mean @ coef
    squares = _squares_left(sums, coef)
    is_small = table.n_rows * table.n_features <= _ALWAYS_REFINE_SIZE
    if is_small or inverse.condition_number > _REFINE_CONDITION:
        penalty = sums.weight * alpha
        coef, intercept, squares = _refine(
            table.residual_sums, sums, penalty, fit_intercept, inverse, coef, intercept
        )
    if isinstance(rows, Moments):
        # Refinement has made the solution more exact than the products are.
        rows = replace(rows, xy=sums.xx @ coef + sums.weight * alpha * coef)
    return Solution(
        coef=coef,
        intercept=intercept,
        loss=cost(squares, sums.weight, coef, alpha),
        solver=inverse.solver,
        rank=inverse.rank,
        condition_number=inverse.condition_number,
        rows=rows,
    )


def solve_rows(rows: Moments | Factor, *, alpha, positive) -> Solution:
    """Minimise the cost of the rows behind a summary."""
    inverse = None
    if isinstance(rows, Moments) and not positive:
        inverse = cholesky_inverse(rows, alpha)
    if inverse is None or isinstance(rows, Factor):
        return solve_factor(as_factor(rows), alpha=alpha, positive=positive)
    coef = inverse.apply(rows.xy)
    return Solution(
        coef=coef,
        intercept=rows.y_mean - rows.x_mean @ coef,
        loss=cost(_squares_left(rows, coef), rows.weight, coef, alpha),
        solver=inverse.solver,
        rank=inverse.rank,
        condition_number=inverse.condition_number,
        rows=rows,
    )


def solve_factor(factor: Factor, *, alpha, positive) -> Solution:
    """Minimise the cost of the rows behind a triangular factor."""
    data, targets = penalized_triangle(factor, alpha)
    coef, inverse = factor_solution(factor, alpha)
    solver = inverse.solver
    if positive:
        coef = np.column_stack([optimize.nnls(data, y)[0] for y in targets.T])
        solver = "nnls"
    p = factor.n_features
    misfit = factor.triangle[:, p:] - factor.triangle[:, :p] @ coef
    return Solution(
        coef=coef,
        intercept=factor.y_mean - factor.x_mean @ coef,
        loss=cost(np.sum(misfit**2, axis=0), factor.weight, coef, alpha),
        solver=solver,
        rank=inverse.rank,
        condition_number=inverse.condition_number,
        rows=factor,
    )


def cost(squares, weight, coef, alpha) -> float:
    """J of residual sums of squares (k,) and coefficients (p, k)."""
    data_cost = np.sum(np.maximum(squares, 0.0)) / (2.0 * weight)
    return float(data_cost + 0.5 * alpha * np.sum(coef**2))


def _squares_left(sums: Moments, coef) -> np.ndarray:
    """Residual sums of squares (k,) of coefficients (p, k)."""
    explained = np.einsum("jk,jk->k", coef, 2.0 * sums.xy - sums.xx @ coef)
    return np.diagonal(sums.yy) - explained


def _solve_wide(X, Y, weight, fit_intercept, alpha) -> Solution:
    """Minimise the cost where rows are no more than columns."""
    found = wide_solution(X, Y, weight, centered=fit_intercept, alpha=alpha)
    return Solution(
        coef=found.coef,
        intercept=found.y_mean - found.x_mean @ found.coef,
        loss=cost(found.squares, found.weight, found.coef, alpha),
        solver=found.solver,
        rank=found.rank,
        condition_number=found.condition_number,
        rows=None,
    )


def _refine(
    sums_at, sums, penalty, fit_intercept, inverse, coef, intercept
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients, intercept and residual squares (k,) after corrections.

    Each correction solves the normal equations for what the residuals still correlate
    with X; one is nearly always enough, more are made while they shrink.
    """
    last, p = np.inf, sums.n_features
    mean = sums.mean.center[:p], sums.mean.offset[:p]
    for _ in range(_MAX_CORRECTIONS):
        residuals = sums_at(coef, intercept)
        gradient = residuals.gradient(*mean).T - penalty * coef
        step = inverse.apply(gradient)
        size = float(np.linalg.norm(step) / max(np.linalg.norm(coef), _TINY))
        if not size < last:
            break
        coef = coef + step
        if fit_intercept:
            intercept = intercept + (
                residuals.residual / sums.weight - sums.x_mean @ step
            )
        last = size
        if size <= _CORRECTED:
            break
    return coef, intercept, residuals.squares


def residual_sums(X, Y, weight, coef, intercept) -> "_engine.ResidualSums":
    """Sums of residuals, times one and times X, in double-double."""
    sums = _engine.ResidualSums(*coef.shape)
    coef = np.ascontiguousarray(coef.T)
    for rows, block in row_blocks(X):
        part = None if weight is None else weight[rows]
        n_threads = n_row_threads(block.size, 4)
        sums.add(block, Y[rows], part, coef, intercept, n_threads)
    return sums
