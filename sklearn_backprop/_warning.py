"""Warnings that point at the user's line, whatever lies between it and here."""

import os
import sys
import warnings
from functools import lru_cache

import joblib
import sklearn

__all__ = ["warn"]

# What passes a call of the user on to an estimator; their lines say nothing to him.
_PASSERS_ON = tuple(
    os.path.join(os.path.dirname(os.path.abspath(path)), "")
    for path in (__file__, sklearn.__file__, joblib.__file__)
)


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn at the first line outside this package, scikit-learn and joblib."""
    warnings.warn(message, category, stacklevel=1 + _lines_to_user())


def _lines_to_user() -> int:
    """Count the frames from `warn` up to the user's; those that are there, if none."""
    frame, level = sys._getframe(1), 0
    while frame.f_back is not None and _passes_on(frame.f_code.co_filename):
        frame, level = frame.f_back, level + 1
    return level


@lru_cache
def _passes_on(filename: str) -> bool:
    return os.path.abspath(filename).startswith(_PASSERS_ON)
