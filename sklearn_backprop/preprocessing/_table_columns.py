"""Columns of raw tables, from data frames or arrays, as numbers or as labels."""

from collections import Counter
from collections.abc import Hashable, Iterator
from numbers import Complex, Number, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils.validation import validate_data

from .._finite import within_floats

__all__ = ["Column", "columns_of", "read_raw_table"]

_DAY = np.timedelta64(1, "D")


class Column(NamedTuple):
    """A column of a table; missing numbers are NaN, missing labels are None."""

    name: Any  # as the user knows it: its name, or its place
    values: np.ndarray  # (n,) float64 or objects
    order: np.ndarray | None = None  # all labels, ascending, where it declares that

    @property
    def is_numeric(self) -> bool:
        """Whether it holds numbers."""
        return self.values.dtype.kind == "f"


def read_raw_table(estimator, X, *, reset: bool):
    """Check the shape and names of a table; data frames stay data frames."""
    if hasattr(X, "collect"):
        raise TypeError(
            f"X is a {type(X).__name__}, which is a plan for rows and not the rows: "
            "pass X.collect()."
        )
    if not _is_data_frame(X):
        return validate_data(
            estimator, X, dtype=None, ensure_all_finite=False, reset=reset
        )
    for axis, what in enumerate(("sample", "feature")):
        if X.shape[axis] == 0:
            raise ValueError(
                f"Found array with 0 {what}(s) (shape={X.shape}) while a minimum of 1 "
                f"is required by {type(estimator).__name__}."
            )
    repeated = [name for name, count in Counter(X.columns).items() if count > 1]
    if repeated:
        raise ValueError(
            f"X has several columns of the name {repeated[0]!r}, so that a name does "
            "not tell which is meant: rename them."
        )
    return validate_data(estimator, X, skip_check_array=True, reset=reset)


def columns_of(X) -> Iterator[Column]:
    """Read one column after the other of a table that was checked."""
    if hasattr(X, "iloc"):
        for j, name in enumerate(X.columns):
            values = X.iloc[:, j]
            yield Column(name, _numbers_or_labels(values, name), _order_of(values))
    elif _is_data_frame(X):
        for series in X.get_columns():
            yield Column(
                series.name, _numbers_or_labels(series.to_numpy(), series.name)
            )
    else:
        for j in range(X.shape[1]):
            yield Column(j, _numbers_or_labels(X[:, j], j))


def _is_data_frame(X) -> bool:
    """Tell pandas' and polars' data frames from all else."""
    is_frame = hasattr(X, "iloc") or hasattr(X, "get_columns")
    return is_frame and len(X.shape) == 2  # a series is none


def _numbers_or_labels(values, name) -> np.ndarray:
    """Numbers (n,) as float64, all else (n,) as objects."""
    if len(values.shape) > 1:  # structs and arrays of polars
        raise TypeError(
            f"Column {name!r} of X holds {values.shape[1]} values in each row, and a "
            "number or a label is expected: make each of them a column."
        )
    if values.dtype == "category":
        return _labels(np.asarray(values, dtype=object), name)
    kind = values.dtype.kind
    if kind in "biuf":  # pandas' nullable columns, too
        if isinstance(values, np.ndarray):
            return values.astype(np.float64)
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    if kind in "Mm":
        return _days(values, name)
    return _from_objects(np.asarray(values, dtype=object), name)


def _order_of(values) -> np.ndarray | None:
    """Categories (m,) of a pandas column, in the order that it declares for them."""
    if not getattr(values.dtype, "ordered", False):
        return None
    return np.asarray(values.dtype.categories, dtype=object)


def _days(values, name) -> np.ndarray:
    """Dates as days since 1970, spans of time as days."""
    if getattr(values.dtype, "tz", None) is not None:
        values = values.dt.tz_convert(None)
    values = np.asarray(values)
    span = values - np.datetime64(0, "D") if values.dtype.kind == "M" else values
    days = span / _DAY
    return np.where(np.isnat(values), np.nan, days)


def _from_objects(values: np.ndarray, name) -> np.ndarray:
    """Objects (n,) that are all numbers as float64; others as labels."""
    missing = _are_missing(values)
    known = values[~missing]
    if not all(isinstance(value, Number | np.bool_) for value in known):
        return _labels(values, name)
    for value in known:
        if isinstance(value, Complex) and not isinstance(value, Real):
            raise ValueError(
                f"Complex data not supported: column {name!r} of X holds {value!r}. "
                "Pass its real and its imaginary part as columns."
            )
    numbers = np.full(len(values), np.nan)
    with within_floats(f"Column {name!r} of X"):
        numbers[~missing] = known.astype(np.float64)
    return numbers


def _labels(values: np.ndarray, name) -> np.ndarray:
    """Objects (n,) that can be told apart, missing ones as None."""
    missing = _are_missing(values)
    for value in values[~missing]:
        if not isinstance(value, Hashable):
            raise TypeError(
                f"Column {name!r} of X holds {value!r}: the argument must be a string "
                f"or a real number, not a {type(value).__name__!r}."
            )
    labels = values.copy()
    labels[missing] = None
    return labels


def _are_missing(values: np.ndarray) -> np.ndarray:
    return np.fromiter(map(_is_missing, values), dtype=bool, count=len(values))


def _is_missing(value) -> bool:
    return (
        value is None
        or is_scalar_nan(value)
        or is_pandas_na(value)
        or (isinstance(value, np.datetime64) and np.isnat(value))
    )
