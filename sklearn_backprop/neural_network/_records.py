"""Records of training: rows of the engine's table, cut into arrays by name."""

from typing import Any

import numpy as np

from ..engine import _engine

__all__ = ["cut_by_name", "join_measures"]

_OF_LAYERS: list[str] = _engine.layer_measures()
_OF_STEPS: list[str] = _engine.step_measures()


def cut_by_name(records: np.ndarray) -> dict[str, np.ndarray]:
    """Give views of records (n, 5 C + 2): (n, C) or (n,) each."""
    n_layers = (records.shape[1] - len(_OF_STEPS)) // len(_OF_LAYERS)
    n_first = n_layers * len(_OF_LAYERS)
    of_layers = np.split(records[:, :n_first], len(_OF_LAYERS), axis=1)
    return {
        **dict(zip(_OF_LAYERS, of_layers, strict=True)),
        **dict(zip(_OF_STEPS, records[:, n_first:].T, strict=True)),
    }


def join_measures(measures: dict[str, Any]) -> np.ndarray:
    """Lay one record's measures, (C,) or a number, in order: a row (1, 5 C + 2)."""
    return np.hstack([measures[name] for name in (*_OF_LAYERS, *_OF_STEPS)])[None]
