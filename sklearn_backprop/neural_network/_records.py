"""Records of training: rows of the engine's table, cut into arrays by name."""

from typing import Any

import numpy as np

from ..engine import _engine

__all__ = ["cut_by_name", "join_measures"]

_OF_ARRAYS: list[str] = _engine.array_measures()
_OF_STEPS: list[str] = _engine.step_measures()


def cut_by_name(records: np.ndarray) -> dict[str, np.ndarray]:
    """Give views of records (n, 5 C + 2): (n, C) or (n,) each."""
    n_arrays = (records.shape[1] - len(_OF_STEPS)) // len(_OF_ARRAYS)
    n_first = n_arrays * len(_OF_ARRAYS)
    of_arrays = np.split(records[:, :n_first], len(_OF_ARRAYS), axis=1)
    return {
        **dict(zip(_OF_ARRAYS, of_arrays, strict=True)),
        **dict(zip(_OF_STEPS, records[:, n_first:].T, strict=True)),
    }


def join_measures(measures: dict[str, Any]) -> np.ndarray:
    """Lay one record's measures, (C,) or a number, in order: a row (1, 5 C + 2)."""
    return np.hstack([measures[name] for name in (*_OF_ARRAYS, *_OF_STEPS)])[None]
