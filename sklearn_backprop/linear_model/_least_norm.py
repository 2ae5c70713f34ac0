"""Of all coefficients that fit equally well, the least, whatever the columns' units.

Columns are first brought to unit norm, X / D = U S V', so that units decide neither the
rank nor what counts as rounding. Coefficients w fit where V'D w = t with t = S^-1 U'y;
the least of them, in the units of X, is Q T^-T t where D V = Q T. The rows of D V are
as different in length as the units are: sorted by length, with pivoted columns, QR
keeps the digits of each (Cox and Higham, 1998). Where they are so far apart (from 1e12
on) that even so no coefficients would fit, the least are those of the scaled columns.
"""

import numpy as np
from scipy import linalg

from ._gram import SMALLEST_SQUARE

__all__ = ["LeastNorm", "column_norms", "numerical_rank"]

_EPS = np.finfo(np.float64).eps
# Misfits below this, in units of what is to be fitted, are rounding.
_ROUNDING = 16 * _EPS


class LeastNorm:
    """The least coefficients w (p, k) with V'D w = t, for V (p, r) and D (p,).

    Columns with an infinite D are left out.
    """

    def __init__(self, right, scale):
        is_used = np.isfinite(scale)
        self._unit = scale[is_used].max(initial=0.0) or 1.0
        self._scale = np.where(is_used, scale, self._unit)[:, None]
        self.right = np.where(is_used[:, None], right, 0.0)
        rows = self.right * (self._scale / self._unit)
        order = np.argsort(-np.abs(rows).max(axis=1, initial=0.0), kind="stable")
        self._q = np.empty_like(rows)
        self._q[order], self._t, self._pivot = linalg.qr(
            rows[order], mode="economic", pivoting=True, check_finite=False
        )
        self._q[~is_used] = 0.0

    def coefficients(self, projected) -> np.ndarray:
        """Coefficients (p, k) for t (r, k)."""
        scaled = self._scaled(projected)
        for _ in range(2):  # the fit before the norm
            if self._fits(scaled, projected):
                return scaled / self._scale
            scaled = scaled + self.right @ (projected - self.right.T @ scaled)
        # Units too far apart for double precision: the least in scaled columns.
        return self.right @ projected / self._scale

    def _fits(self, scaled, projected) -> bool:
        """Whether V'D w is t to rounding."""
        misfit = np.abs(projected - self.right.T @ scaled).max(initial=0.0)
        rounding = _ROUNDING * np.sqrt(len(scaled)) * np.abs(projected).max(initial=0.0)
        return bool(misfit <= rounding)

    def _scaled(self, projected) -> np.ndarray:
        """D w (p, k)."""
        if not np.all(np.abs(np.diagonal(self._t)) > 0.0):
            return self.right @ projected
        inner = linalg.solve_triangular(
            self._t, projected[self._pivot], trans="T", check_finite=False
        )
        return self._q @ inner * (self._scale / self._unit)


def column_norms(data) -> np.ndarray:
    """Euclidean norms (p,) of columns (m, p), also where their squares overflow."""
    with np.errstate(over="ignore"):
        squares = np.einsum("ij,ij->j", data, data)
    norms = np.sqrt(squares)
    unsafe = ~((squares > SMALLEST_SQUARE) & (squares < np.inf))
    if unsafe.any():
        columns = data[:, unsafe]
        largest = np.abs(columns).max(axis=0, initial=0.0)
        unit = np.where(largest > 0.0, largest, 1.0)
        columns = columns / unit
        norms[unsafe] = unit * np.sqrt(np.einsum("ij,ij->j", columns, columns))
    return norms


def numerical_rank(singular, n_rows, n_columns) -> int:
    """How many singular values stand out from rounding, columns being of unit norm."""
    largest = singular.max(initial=0.0)
    cutoff = _EPS * max(10.0 * np.sqrt(n_rows), n_columns) * largest
    return int(np.count_nonzero(singular > cutoff))
