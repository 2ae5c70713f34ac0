"""Checks of parameters that scikit-learn's constraints do not make."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval

__all__ = ["refuse_huge_numbers"]

_LARGEST_FLOAT = int(np.finfo(np.float64).max)


def refuse_huge_numbers(params) -> None:
    """Raise a ValueError for numbers that no machine number holds."""
    largest = np.iinfo(np.int64).max
    for name, constraints in params._parameter_constraints.items():
        value = getattr(params, name)
        if not isinstance(value, Integral) or abs(int(value)) <= largest:
            continue
        value = abs(int(value))
        kinds = {c.type for c in constraints if isinstance(c, Interval)}
        if kinds == {Integral} or (Real in kinds and value > _LARGEST_FLOAT):
            raise ValueError(
                f"{name} has {len(str(value))} digits, beyond the largest "
                f"{'integer' if kinds == {Integral} else 'float'} that the engine "
                "counts with. Pass a smaller one."
            )
