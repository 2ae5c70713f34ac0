"""What suits a table of so many rows: batches, members, epochs and precision."""

from bisect import bisect_right

import numpy as np

__all__ = ["FEWEST_ROWS", "precision_of_size", "settings_of_size"]

# Tables of fewer rows are trained on whole, in one step an epoch and without chance, so
# that a row of weight two is two rows; a part of them would tell little about the rest.
FEWEST_ROWS = 64
# Rows, ascending, from which on a mini-batch has so many: some 100 steps an epoch.
_BATCHES = {0: 32, 2_800: 64, 4_500: 128, 6_400: 256, 32_000: 512, 108_000: 1024}
# Rows from which on there are so many members: the more rows, the less a single network
# depends on chance, and the dearer is another.
_MEMBERS = {0: 16, 64_000: 8, 200_000: 4}
# Shared weights step along the mean of their members' gradients; one network has the
# noise of its own alone, and steps half as far. On rows held out of the training rows
# its error is then 0.9 % smaller on MAGIC and 2.4 % on Texas, and within noise the same
# on California, digits, breast cancer and diabetes. An ensemble that steps half as far
# takes up to twice as many epochs; on held-out rows, one seed, its error is 14 to 16 %
# smaller on digits and breast cancer, 3.5 % on Texas and 1 % on MAGIC, but larger on
# California (two seeds: by 0.1 and 1.1 %).
_RATE, _RATE_OF_ONE = 0.002, 0.001
# One network steps by whole matrices where mini-batches have so many rows. To turn a
# matrix of 256 columns takes as long as a step on 512 rows: beside 256 of them a fit is
# mostly three to four times as long; beside 32 it would be as long as an ensemble's. On
# held-out rows, three seeds, its error is then smaller on five of five real tables
# (California 2.1 %, MAGIC 2.0 %, flights' delays as numbers 1.5 % and as labels 1.4 %,
# visits to doctors 0.4 %) and within noise the same on made-up incomes and gems; but
# larger on two more that are made up: by 7 +- 4 % on prices of which five of 2 400 rows
# hold a quarter of the squares, and by 1 % on terrain of random waves (one seed of
# 60 000 rows: by 2.6 %). Neither half the rate nor half the decay mends these.
_ROWS_WORTH_A_TURN = 256
# Weights are forgotten in so many steps, by a decay of 1 / (steps x rate). Without,
# error of one network is larger on held-out rows of fifteen tables, two of them made
# up: its log loss by 17 % on digits, 5 % on breast cancer and 0.9 % on MAGIC, its RMSE
# by 10 % on made-up prices, 4 % on later years of Texas, and by between 0 and 1.1 % on
# the others. Of an ensemble (one seed, thirteen tables) it is larger by
# 8 % on digits, 6 % on breast cancer and later years of Texas, 0.8 % on MAGIC and 0.5 %
# on California and made-up prices; smaller by 0.8 % on a table of insurance and 0.3 %
# on diabetes; and within 0.2 % the same on five. With half as many steps, one network
# loses 0.3 to 0.6 % on three of fifteen tables.
_MEMORY = 2_000
# Rows x members x epochs of the longest fit: some ten minutes on two cores.
_MOST_WORK = 64_000_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 20, 400
# Where the work limits epochs, so few that the rate should fall to zero with the last.
_SHORT = 100


def settings_of_size(n_rows: int, n_members) -> dict[str, float | str]:
    """Give what "auto" stands for, by names of parameters."""
    is_small = n_rows < FEWEST_ROWS
    if isinstance(n_members, str):
        n_members = _at(_MEMBERS, n_rows)
    n_epochs = _MOST_WORK // (n_rows * n_members)
    n_epochs = min(max(n_epochs, _FEWEST_EPOCHS), _MOST_EPOCHS)
    batch_size = n_rows if is_small else _at(_BATCHES, n_rows)
    is_one = n_members == 1
    rate = _RATE_OF_ONE if is_one else _RATE
    turns_matrices = is_one and batch_size >= _ROWS_WORTH_A_TURN
    return {
        "batch_size": batch_size,
        "dropout": 0.0 if is_small else 0.1,
        "learning_rate": "cosine" if n_epochs < _SHORT else "constant",
        "learning_rate_init": rate,
        "n_members": n_members,
        "max_iter": n_epochs,
        "solver": "muon" if turns_matrices else "adamw",
        "weight_decay": 1 / (_MEMORY * rate),
    }


def precision_of_size(n_rows: int) -> type[np.floating]:
    """Give float32, but for tables so small that rounding is what costs."""
    return np.float64 if n_rows < FEWEST_ROWS else np.float32


def _at(steps: dict[int, int], n_rows: int) -> int:
    """Read a step function: the value of the last bound that is not above n_rows."""
    return list(steps.values())[bisect_right(list(steps), n_rows) - 1]
