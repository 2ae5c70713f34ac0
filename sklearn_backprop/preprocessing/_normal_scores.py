"""Numbers as normal quantiles of their ranks."""

import numpy as np
from scipy.special import ndtri

__all__ = ["normal_scores", "weigh_values"]

_MOST_KNOTS = 1000


def weigh_values(x, weight):
    """Distinct values (m,) of x (n,), ascending, and their shares of the weight."""
    values, place = np.unique(x, return_inverse=True)
    masses = np.bincount(place, weights=weight, minlength=len(values))
    return values, masses / masses.sum()


def normal_scores(values, shares) -> tuple[np.ndarray, np.ndarray]:
    """Knots (k,) among distinct values (m,), and their normal quantiles.

    A value stands in the middle of the ranks that its rows have. So equal numbers get
    one score, without noise, and a value that most rows have, such as a zero, gets one
    near the middle and not the end of the scale. Where there are more values than
    knots, each value counts by the square root of its share, so that rare ones have
    knots beside a common one.
    """
    scores = ndtri(np.clip(np.cumsum(shares) - shares / 2, 1e-7, 1 - 1e-7))
    if len(values) <= _MOST_KNOTS:
        return values, scores
    roots = np.sqrt(shares)
    ends = np.cumsum(roots)
    grid = np.linspace(ends[0], ends[-1], _MOST_KNOTS)
    common = np.flatnonzero(roots > grid[1] - grid[0])  # their neighbours are knots
    at = np.concatenate([np.searchsorted(ends, grid), common - 1, common + 1])
    at = np.unique(np.clip(at, 0, len(values) - 1))
    return values[at], scores[at]
