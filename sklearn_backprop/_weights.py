"""Weights of rows in a unit of their own, so that only their ratios matter."""

import numpy as np

__all__ = ["LIGHTEST", "drop_rows_without_weight", "weight_unit"]

# In that unit: lighter rows move nothing, and would underflow.
LIGHTEST = 1e-200


def drop_rows_without_weight(X, y, weight, *, by=None):
    """X (n, p), y and weight (n,) of the rows that count, `by` other weights or these.

    Without weights all do.
    """
    by = weight if by is None else by
    if by is None or by.all():
        return X, y, weight
    kept = np.flatnonzero(by)
    return X[kept], y[kept], None if weight is None else weight[kept]


def weight_unit(weight) -> float:
    """The power of four below the largest weight, by which they divide exactly.

    So do their roots; sums of weights as large or small as floats can be stay finite.
    """
    if weight is None:
        return 1.0
    _, exponent = np.frexp(weight.max())
    even = (int(exponent) - 1) // 2 * 2
    return float(np.ldexp(1.0, max(even, -1022)))  # the inverse is a float, too
