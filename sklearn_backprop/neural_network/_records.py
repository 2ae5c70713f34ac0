"""Records of training: rows of the engine's table, cut into arrays by name."""

from math import prod
from typing import Any

import numpy as np

from ..engine import _engine

__all__ = ["cut_by_name", "join_measures"]

_OF_ARRAYS: list[str] = _engine.array_measures()
_OF_STEPS: list[str] = _engine.step_measures()
_OF_TIMES = "time_gradient_norm"


def cut_by_name(
    records: np.ndarray, times: tuple[int, int] = (0, 0)
) -> dict[str, np.ndarray]:
    """Give views of records (n, 5 C + 2 + R S): (n, C), (n,) or (n, R, S) each.

    times: R and S, how many recurrent layers there are, and steps.
    """
    n_times = prod(times)
    n_last = len(_OF_STEPS) + n_times
    n_first = records.shape[1] - n_last
    n_arrays = n_first // len(_OF_ARRAYS)
    cut = {
        name: records[:, i * n_arrays : (i + 1) * n_arrays]
        for i, name in enumerate(_OF_ARRAYS)
    }
    cut.update((name, records[:, i]) for i, name in enumerate(_OF_STEPS, n_first))
    if n_times:
        cut[_OF_TIMES] = records[:, -n_times:].reshape(len(records), *times)
    return cut


def join_measures(
    measures: dict[str, Any], times: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """Lay one record's measures in order: a row (1, 5 C + 2 + R S).

    They are (C,) or a number each; norms in time are not known.
    """
    row = [measures[name] for name in (*_OF_ARRAYS, *_OF_STEPS)]
    return np.hstack([*row, np.full(prod(times), np.nan)])[None]
