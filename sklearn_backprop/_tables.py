"""Tables and targets, checked as scikit-learn checks them."""

from math import isfinite
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import check_consistent_length, validate_data

from ._finite import within_floats

__all__ = ["read_examples", "read_table"]


def read_table(estimator, X, *, reset: bool, dtype, **checks):
    """Check X (n, p) as validate_data does; arrays that it would return are not copied.

    They are looked at only: finding out that they are no data frame takes longer than
    passing some rows through a network.
    """
    if not _is_ready_table(X, dtype, checks):
        with within_floats("X"):
            return validate_data(estimator, X, reset=reset, dtype=dtype, **checks)
    _check_finite(estimator, X, "X", checks)
    _check_columns(estimator, X, reset=reset)
    return X


def read_examples(estimator, X, y, *, reset: bool, dtype, y_numeric=False, **checks):
    """Check X (n, p) and y, (n,) or (n, k), in the same way."""
    if not (_is_ready_table(X, dtype, checks) and _is_ready_target(y)):
        with within_floats("X or y"):
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
    if len(X) != len(y):
        check_consistent_length(X, y)  # says it
    _check_columns(estimator, X, reset=reset)
    return X, y


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
    """Refuse what is not finite; a finite sum needs no second look."""
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        total = values.sum()
    if not isfinite(total):
        assert_all_finite(
            values,
            allow_nan=checks.get("ensure_all_finite") == "allow-nan",
            estimator_name=type(estimator).__name__,
            input_name=name,
        )


def _check_columns(estimator, X, *, reset: bool) -> None:
    """Note how many columns there are, which have no names; or see that they fit."""
    known = vars(estimator)
    if reset:
        estimator.n_features_in_ = X.shape[1]
        known.pop("feature_names_in_", None)
    elif "feature_names_in_" in known or known.get("n_features_in_") != X.shape[1]:
        validate_data(estimator, X, reset=False, skip_check_array=True)
