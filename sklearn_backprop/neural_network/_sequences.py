"""Sequences as rows of a table: step after step, NaN behind a sequence's end."""

import numpy as np

__all__ = ["Unpacking", "flattened", "refuse_misplaced_nan", "steps_in"]


def flattened(X) -> tuple:
    """X as a table, and the channels of a step if X is (n, steps, channels)."""
    if not hasattr(X, "shape"):
        X = _as_array(X)
    if len(np.shape(X)) > 3:
        raise ValueError(
            f"X has shape {np.shape(X)}, which has too many dimensions: sequences are "
            "(n_samples, n_steps, n_channels), or rows of a table."
        )
    if len(np.shape(X)) != 3:
        return X, None
    n, n_steps, n_channels = X.shape
    if n_steps * n_channels == 0:
        raise ValueError(
            f"X has shape {X.shape}: a sequence needs at least one step of one channel."
        )
    return np.asarray(X).reshape(n, n_steps * n_channels), n_channels


def _as_array(nested):
    """Make an array of lists; refuse sequences of several lengths."""
    try:
        return np.asarray(nested)
    except ValueError as error:
        raise ValueError(
            "X holds sequences or rows of different lengths. Fill the shorter ones up "
            "with NaN behind their end."
        ) from error


def steps_in(n_columns: int, n_channels: int) -> int:
    """Count the steps in so many columns; refuse what is no whole number of them."""
    if n_columns % n_channels == 0:
        return n_columns // n_channels
    raise ValueError(
        f"X has {n_columns} features, which is no whole number of steps of "
        f"n_channels={n_channels}. Columns are to come step after step; pass X as "
        "(n_samples, n_steps, n_channels), or the right n_channels."
    )


def refuse_misplaced_nan(X: np.ndarray, n_channels: int) -> None:
    """Raise a ValueError where X (n, p) has NaN before the end of a sequence."""
    if not np.isnan(X.sum()):  # as a rule no sequence is shorter
        return
    lacking = np.isnan(X.reshape(len(X), -1, n_channels))
    is_over = lacking.all(axis=2)
    # Behind the end: there, and at all later steps, all channels are NaN.
    is_behind = np.logical_and.accumulate(is_over[:, ::-1], axis=1)[:, ::-1]
    if (empty := is_behind.all(axis=1)).any():
        raise ValueError(
            f"Row {np.argmax(empty)} of X is NaN throughout: a sequence needs at least "
            "one step. Leave such rows out."
        )
    inside = lacking.any(axis=2) & ~is_behind
    if inside.any():
        row, step = np.argwhere(inside)[0]
        raise ValueError(
            f"Input X contains NaN in step {step} of row {row}, before the end of its "
            "sequence. Only steps behind the end may be NaN, in all channels: impute "
            "what is missing."
        )


class Unpacking:
    """From the engine's packed rows, all first steps first, back to sequences.

    Those that have a step stand in the order of their lengths, longest first.
    """

    def __init__(self, X: np.ndarray, n_channels: int):
        self.inputs = X.reshape(len(X), -1, n_channels)
        lengths = (~np.isnan(self.inputs).all(axis=2)).sum(axis=1)
        order = np.argsort(-lengths, kind="stable")
        counts = [np.sum(lengths > t) for t in range(self.inputs.shape[1])]
        self._rows = np.concatenate([order[:n] for n in counts])
        self._steps = np.repeat(np.arange(len(counts)), counts)
        self.n_packed = len(self._rows)

    def __call__(self, packed: np.ndarray) -> np.ndarray:
        """Make (n, n_steps, k) of packed rows (n_packed, k), NaN behind the ends."""
        n, n_steps, _ = self.inputs.shape
        sequences = np.full((n, n_steps, packed.shape[1]), np.nan, dtype=packed.dtype)
        sequences[self._rows, self._steps] = packed
        return sequences
