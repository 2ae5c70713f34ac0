"""What a network knows of the columns of X before it is trained."""

from dataclasses import field
from typing import Any

import numpy as np
from scipy.sparse import issparse

from .._immutable import immutable
from .._stored import stored

__all__ = ["Inputs", "columns_of", "refuse_missing"]


@stored
@immutable
class Inputs:
    """How the columns of X enter: embedded, as codes of levels, or as they are.

    Each survey of a table is another.
    """

    n_columns: int
    embedded: list[int] = field(default_factory=list)  # columns, ascending
    embedding: dict[str, Any] = field(default_factory=dict)  # its kind and parameters
    edges: list[np.ndarray] = field(default_factory=list)  # of each embedded column
    missing: list[int] = field(default_factory=list)  # those that had missing values
    coded: list[int] = field(default_factory=list)  # columns of codes 0, 1, ...
    n_levels: list[int] = field(default_factory=list)  # of each of them

    @property
    def as_they_are(self) -> list[int]:
        """Columns that are neither embedded nor codes."""
        taken = {*self.embedded, *self.coded}
        return [j for j in range(self.n_columns) if j not in taken]


def columns_of(chosen, n_columns: int, names) -> list[int]:
    """Read columns given as None (all), a mask, indices or names: ascending indices."""
    if chosen is None:
        return list(range(n_columns))
    given = np.asarray(chosen)
    if given.dtype == bool:
        if given.shape != (n_columns,):
            raise ValueError(
                f"embedded_features is a mask of shape {given.shape}, but X has "
                f"{n_columns} features. Pass one value for each."
            )
        columns = np.flatnonzero(given).tolist()
    elif given.dtype.kind in "iu":
        columns = _by_index(given.ravel().tolist(), n_columns)
    else:
        columns = [_by_name(name, names) for name in given.ravel().tolist()]
    if not columns:
        raise ValueError(
            "embedded_features chooses no feature. Pass numerical_embedding=None to "
            "have none embedded."
        )
    return sorted(set(columns))


def _by_index(indices: list[int], n_columns: int) -> list[int]:
    outside = [j for j in indices if not -n_columns <= j < n_columns]
    if outside:
        raise ValueError(
            f"embedded_features has {outside[0]}, but X has features 0 to "
            f"{n_columns - 1}."
        )
    return [j % n_columns for j in indices]


def _by_name(name, names) -> int:
    if not isinstance(name, str):
        raise ValueError(
            "embedded_features must be None, names, indices or a mask of features, "
            f"got {name!r} in it."
        )
    if names is None:
        raise ValueError(
            f"embedded_features has the name {name!r}, but X has no names of features. "
            "Pass a data frame, or indices."
        )
    places = np.flatnonzero(np.asarray(names) == name)
    if not len(places):
        raise ValueError(
            f"embedded_features has {name!r}, which is not a feature of X; its "
            f"features are {list(names)}."
        )
    return int(places[0])


def refuse_missing(X, inputs: Inputs) -> None:
    """Raise a ValueError where X (n, p) lacks a value and no embedding takes it."""
    columns = np.array(inputs.as_they_are, dtype=int)
    if not len(columns):
        return
    if issparse(X):
        lacking = np.intersect1d(X.indices[np.isnan(X.data)], columns)
    else:
        sums = np.array([X[:, j].sum(dtype=np.float64) for j in columns])
        suspect = columns[np.isnan(sums)]
        lacking = np.array([j for j in suspect if np.isnan(X[:, j]).any()], dtype=int)
    if len(lacking):
        raise ValueError(
            f"Input X contains NaN in column {lacking[0]}, which is not embedded. "
            "Only embedded features may lack values: name it in embedded_features, or "
            "impute it."
        )
