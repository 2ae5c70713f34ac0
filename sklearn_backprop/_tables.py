"""Tables and targets, checked as scikit-learn checks them."""

from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import check_consistent_length, validate_data

__all__ = ["read_examples", "read_table"]


def read_table(estimator, X, *, reset: bool, dtype, **checks):
    """Check X (n, p) as validate_data does; arrays that it would return are not copied.

    They are looked at only: finding out that they are no data frame takes longer than
    passing some rows through a network.
    """
    if not _is_ready_table(X, dtype, checks):
        return validate_data(estimator, X, reset=reset, dtype=dtype, **checks)
    _check_finite(estimator, X, "X", checks)
    return validate_data(estimator, X, reset=reset, skip_check_array=True)


def read_examples(estimator, X, y, *, reset: bool, dtype, y_numeric=False, **checks):
    """Check X (n, p) and y, (n,) or (n, k), in the same way."""
    if not (_is_ready_table(X, dtype, checks) and _is_ready_target(y)):
        return validate_data(
            estimator,
            X,
            y,
            reset=reset,
            dtype=dtype,
            multi_output=True,
            y_numeric=y_numeric,
            **checks,
        )
    _check_finite(estimator, X, "X", checks)
    _check_finite(estimator, y, "y", {})
    check_consistent_length(X, y)
    return validate_data(estimator, X, y, reset=reset, skip_check_array=True)


def _is_ready_table(X, dtype, checks: dict[str, Any]) -> bool:
    dtypes = dtype if isinstance(dtype, list | tuple) else [dtype]
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in dtypes
        and X.size > 0
        and (checks.get("order") != "C" or X.flags.c_contiguous)
    )


def _is_ready_target(y) -> bool:
    return (
        type(y) is np.ndarray
        and y.ndim in (1, 2)
        and y.dtype.kind in "biufU"
        and y.size > 0
    )


def _check_finite(estimator, values, name: str, checks: dict[str, Any]) -> None:
    assert_all_finite(
        values,
        allow_nan=checks.get("ensure_all_finite") == "allow-nan",
        estimator_name=type(estimator).__name__,
        input_name=name,
    )
