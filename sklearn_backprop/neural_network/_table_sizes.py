"""What suits a table of so many rows: batches, members, patience and precision."""

from bisect import bisect_right

import numpy as np

__all__ = ["FEWEST_ROWS", "precision_of_size", "settings_of_size"]

# Tables of fewer rows are trained on whole, in one step an epoch and without chance, so
# that a row of weight two is two rows; a part of them would tell little about the rest.
FEWEST_ROWS = 64
# Rows, ascending, from which on a mini-batch has so many: some 100 steps an epoch.
_BATCHES = {0: 32, 2_800: 64, 4_500: 128, 6_400: 256, 32_000: 512, 108_000: 1024}
# Members, epochs and patience: the work of a fit is rows x members x epochs.
_MEMBERS = {0: 16, 108_000: 8, 250_000: 4}
_EPOCHS = {0: 200, FEWEST_ROWS: 500, 108_000: 100, 250_000: 50}
_PATIENCE = {0: 16, 108_000: 10, 250_000: 6}


def settings_of_size(n_rows: int) -> dict[str, float]:
    """Give what "auto" stands for, by names of parameters."""
    is_small = n_rows < FEWEST_ROWS
    return {
        "batch_size": n_rows if is_small else _at(_BATCHES, n_rows),
        "dropout": 0.0 if is_small else 0.1,
        "n_members": _at(_MEMBERS, n_rows),
        "max_iter": _at(_EPOCHS, n_rows),
        "n_iter_no_change": _at(_PATIENCE, n_rows),
    }


def precision_of_size(n_rows: int) -> type[np.floating]:
    """Give float32, but for tables so small that rounding is what costs."""
    return np.float64 if n_rows < FEWEST_ROWS else np.float32


def _at(steps: dict[int, int], n_rows: int) -> int:
    """Read a step function: the value of the last bound that is not above n_rows."""
    return list(steps.values())[bisect_right(list(steps), n_rows) - 1]
