"""Records of a training, an epoch each."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

__all__ = ["Records", "by_epoch"]

# How the records of an epoch's mini-batches become one: a unit counts as dead if it is
# silent in all of them, so that the least share is the nearest bound.
_REDUCTIONS = {"dead_fraction": np.min, "gradient_norm_max": np.max}


class Records(dict[str, np.ndarray]):
    """Measures by name, (n_epochs, n_arrays) or (n_epochs,), and names of the arrays.

    Those of states are (n_epochs, n_recurrent, n_steps).

    Empty where nothing was recorded. `columns` are the arrays' in the whole history.
    """

    def __init__(
        self,
        measures: Mapping[str, np.ndarray],
        names: Iterable[str] = (),
        columns: Iterable[int] | None = None,
    ):
        super().__init__(measures)
        self.names = tuple(names)
        self.columns = tuple(range(len(self.names)) if columns is None else columns)

    def without(self, names: Collection[str]) -> "Records":
        """Leave some arrays out."""
        if not names:
            return self
        left = [i for i, name in enumerate(self.names) if name not in names]
        measures = {n: m[:, left] if m.ndim == 2 else m for n, m in self.items()}
        return Records(
            measures,
            [self.names[i] for i in left],
            [self.columns[i] for i in left],
        )

    def places(self, mask: np.ndarray) -> tuple[int, ...]:
        """Give the columns, in the whole history, of arrays where mask is true."""
        return tuple(self.columns[i] for i in np.flatnonzero(mask))

    @property
    def have_hidden_layers(self) -> bool:
        """Tell whether there are columns before that of the output layer."""
        return bool(self) and self["gradient_norm"].shape[1] > 1

    def names_of(self, columns: Sequence[int]) -> tuple[str, ...]:
        """Give the names of some columns."""
        names = dict(zip(self.columns, self.names, strict=True))
        return tuple(names[column] for column in columns)


def by_epoch(
    history: Mapping[str, np.ndarray], n_epochs: int, names: Iterable[str] = ()
) -> Records:
    """Give records (n_epochs, ...) from those of epochs or of mini-batches."""
    if not all(map(len, history.values())):  # the very first step diverged
        return Records({})
    reduced = {n: _by_epoch(n, values, n_epochs) for n, values in history.items()}
    return Records(reduced, names)


def _by_epoch(name: str, values: np.ndarray, n_epochs: int) -> np.ndarray:
    if len(values) <= n_epochs:
        return values
    reduce = _REDUCTIONS.get(name, np.mean)
    parts = np.array_split(values, n_epochs)
    return np.array([reduce(part, axis=0) for part in parts])
