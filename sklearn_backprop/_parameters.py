"""Checks of parameters, at the cost of a look where these values have passed before."""

from collections.abc import Callable
from functools import cache, lru_cache
from numbers import Integral, Real
from operator import attrgetter
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

__all__ = ["CheckedParameters"]

_LARGEST_INTEGER = int(np.iinfo(np.int64).max)
_LARGEST_FLOAT = int(np.finfo(np.float64).max)
_PLAIN = frozenset({bool, int, float, str, type(None)})


class CheckedParameters(BaseEstimator):
    """An estimator that checks its parameters in every call that learns.

    scikit-learn checks them in `fit` and in the first `partial_fit` only, and makes
    every constraint anew.
    """

    _parameter_constraints: dict[str, Any]

    @classmethod
    @cache
    def _get_param_names(cls):
        """Read the signature once: each time takes a tenth of a small fit."""
        return super()._get_param_names()

    @classmethod
    @cache
    def _read_parameters(cls) -> attrgetter:
        """Return what reads all parameters of an estimator, (n_parameters,)."""
        return attrgetter(*cls._get_param_names())

    def _plain_parameters(self) -> tuple | None:
        """All parameters, where they may be remembered: no model or table is there."""
        values = self._read_parameters()(self)
        return values if _are_plain(values) else None

    def _validate_params(self) -> None:
        """Raise a ValueError for the first parameter that breaks its constraints."""
        values = self._read_parameters()(self)
        check: Callable[..., None] = _check_once if _are_plain(values) else _check
        check(type(self), *values)


def _check(cls: type[CheckedParameters], *values) -> None:
    """Check all parameters; constraints see types and numbers, nothing that changes."""
    constraints = cls._parameter_constraints
    params = dict(zip(cls._get_param_names(), values, strict=True))
    validate_parameter_constraints(constraints, params, cls.__name__)
    for name, value in params.items():
        _refuse_huge_number(name, value, constraints.get(name, ()))


def _are_plain(values: tuple) -> bool:
    """Tell whether values may be remembered: they hold neither a model nor a table."""
    kinds = set(map(type, values)) - _PLAIN
    return not kinds or (
        kinds == {tuple}
        and all(_PLAIN.issuperset(map(type, v)) for v in values if type(v) is tuple)
    )


# 1 is not True, nor 1.0.
_check_once = lru_cache(maxsize=128, typed=True)(_check)


def _refuse_huge_number(name: str, value, constraints) -> None:
    """Raise a ValueError for an integer that no machine number holds."""
    if not isinstance(value, Integral) or abs(int(value)) <= _LARGEST_INTEGER:
        return
    value = abs(int(value))
    kinds = {c.type for c in constraints if isinstance(c, Interval)}
    if kinds == {Integral} or (Real in kinds and value > _LARGEST_FLOAT):
        raise ValueError(
            f"{name} has {len(str(value))} digits, beyond the largest "
            f"{'integer' if kinds == {Integral} else 'float'} that the engine "
            "counts with. Pass a smaller one."
        )
