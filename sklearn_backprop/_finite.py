"""Targets and predictions are finite numbers, or an error."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.exceptions import DTypePromotionError
from sklearn.utils import assert_all_finite

__all__ = ["as_numbers", "finite_predictions", "within_floats"]


@contextmanager
def within_floats(what: str) -> Iterator[None]:
    """Say what cannot become floats, where NumPy speaks of its types."""
    try:
        yield
    except OverflowError as error:
        raise ValueError(
            f"{what} holds an integer beyond the largest float, about 1.8e308. Pass it "
            "in another unit, or its logarithm."
        ) from error
    except DTypePromotionError as error:
        raise TypeError(
            f"{what} holds dates or spans of time beside numbers. Turn them into "
            "numbers, for instance days, by (x - x.min()) / numpy.timedelta64(1, 'D')."
        ) from error


def as_numbers(y) -> np.ndarray:
    """Targets, checked to be finite, as numbers where they are strings or objects."""
    if y.dtype.kind in "biuf":
        return y
    if y.dtype.kind in "Mm":
        raise ValueError(
            f"y holds dates or spans of time ({y.dtype}), and a regressor learns "
            "numbers, whose unit is yours to choose: pass days, for instance, by "
            "(y - y.min()) / numpy.timedelta64(1, 'D')."
        )
    try:
        with within_floats("y"):
            numbers = y.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"y has the dtype {y.dtype} and holds what is no number, such as "
            f"{_first_label(y)!r}. A regressor learns numbers; for labels use a "
            "classifier."
        ) from None
    assert_all_finite(numbers, input_name="y")
    return numbers


def _first_label(y):
    """The first value of y that is no number."""
    for value in y.ravel().tolist():
        try:
            float(value)
        except (TypeError, ValueError):
            return value


def finite_predictions(y, X):
    """Return predictions y (n,) or (n, k) of X (n, p), or say which row overflows."""
    if np.isfinite(y).all():
        return y
    row = int(np.flatnonzero(~np.isfinite(y.reshape(len(y), -1)).all(axis=1))[0])
    values = X[row] if isinstance(X, np.ndarray) else X.tocsr()[[row]].toarray()
    largest = np.nanmax(np.abs(values))
    raise ValueError(
        f"The prediction for row {row} of X is not finite: it leaves {y.dtype}. The "
        f"largest magnitude in that row is {largest:.3g}; bring X to the "
        "scale of the training data, or fit again on data of this scale."
    )
