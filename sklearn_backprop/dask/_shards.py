"""Shards: what one task trains on, parts of a table joined, encoded and weighed."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from distributed import Future
from scipy import sparse

from .._immutable import immutable
from .._rows import Rows, TrainingRows
from .._sparse import with_equal_indices
from .._weights import weight_unit
from ..neural_network._examples import Examples
from ..neural_network._inputs import Inputs
from ..preprocessing._bins import column_of
from ._cluster import Cluster
from ._parts import Part, Survey

__all__ = ["ShardedExamples", "ShardedRows", "deal"]

# Share of the spread of targets between shards, relative to that of sorted rows, from
# which on averages of networks are worth a warning.
_SORTED = 0.1
# How often that share of a random cut, on average, belongs to chance.
_CHANCE = 5.0


def deal(n_rows: Sequence[int], n_shards: int) -> list[list[int]]:
    """Deal parts of so many rows out, each to the shard that has the fewest so far."""
    shards: list[list[int]] = [[] for _ in range(n_shards)]
    held = [0] * n_shards
    for part, n in enumerate(n_rows):
        poorest = held.index(min(held))
        shards[poorest].append(part)
        held[poorest] += n
    return shards


class ShardedExamples:
    """Examples in shards on workers.

    `plain` is an estimator of one process that is not fitted, but codes and weighs y.
    """

    def __init__(
        self,
        cluster: Cluster,
        plain: Any,
        parts: Sequence[Future],
        surveys: Sequence[Survey],
        n_shards: int,
        n_outputs: int,
        dtype: np.dtype,
    ):
        self.n_given = sum(survey.n_given for survey in surveys)
        self.n_features = surveys[0].n_features
        self.n_outputs = n_outputs
        self.dtype = dtype
        self._n_rows = sum(survey.n_rows for survey in surveys)
        self._cluster, self._plain = cluster, plain
        is_balanced = getattr(plain, "class_weight", None) == "balanced"
        joining = clone_with(plain, class_weight=None) if is_balanced else plain
        dealt = [
            [parts[surveys[i].number] for i in own]
            for own in deal([survey.n_rows for survey in surveys], n_shards)
        ]
        self.shards = cluster.submit_each(_join, dealt, common=[joining, dtype])
        if is_balanced:
            self._balance()
        self._weights = cluster.gather(self._each(_heaviest_and_total))

    def __len__(self) -> int:
        return self._n_rows

    @property
    def total_weight(self) -> float | None:
        """Sum of the weights of the rows that count, if there are any."""
        if self._weights[0] is None:
            return None
        return float(sum(total for _, total in self._weights))

    def survey(self) -> Inputs:
        """What layers are to know of the columns of X: bins of the first shard's."""
        first = self._cluster.submit(_survey_inputs, self.shards[0], self._plain)
        inputs: Inputs = self._cluster.gather([first])[0]
        lacking = self._cluster.gather(self._each(_lacking, inputs.embedded))
        return replace(inputs, missing=sorted(set().union(*lacking)))

    def refuse_missing(self, inputs: Inputs) -> None:
        """Refuse missing values of columns that no embedding reads."""
        self._cluster.gather(self._each(Examples.refuse_missing, inputs))

    def rows(self) -> "ShardedRows":
        """Give the rows as the engine takes them, weights in a unit of their own."""
        unit = 1.0
        if self._weights[0] is not None:
            unit = weight_unit(np.array([heaviest for heaviest, _ in self._weights]))
        return ShardedRows(self._cluster, self._each(Examples.rows, unit), unit)

    def _each(self, function: Callable, *args) -> list[Future]:
        return self._cluster.submit_each(function, self.shards, common=args)

    def _balance(self) -> None:
        """Give all classes the same weight in all rows, not in those of a shard."""
        members = self._plain._coder.members
        totals = self._cluster.merge(self._each(_weight_of_classes, members), np.add)
        factors = _balanced(totals, self._plain.classes_)
        plain = clone_with(self._plain, class_weight=factors)
        self.shards = self._each(_weigh, plain._weigh)


@immutable
class _RowsSurvey:
    """What is known of some rows; means and deviations of targets are unweighted."""

    n_rows: int
    total_weight: float
    feature_scale: np.ndarray  # (p,)
    target_mean: np.ndarray  # (K,)
    target_std: np.ndarray  # (K,)
    largest_target: float

    @classmethod
    def of(cls, rows: Rows) -> "_RowsSurvey":
        return cls(
            len(rows),
            rows.total_weight,
            rows.feature_scale(),
            *rows.target_moments(),
            rows.largest_target(),
        )

    def merge(self, other: "_RowsSurvey") -> "_RowsSurvey":
        n_rows = self.n_rows + other.n_rows
        share = other.n_rows / n_rows
        step = other.target_mean - self.target_mean
        variance = (
            (1 - share) * self.target_std**2
            + share * other.target_std**2
            + share * (1 - share) * step**2
        )
        return _RowsSurvey(
            n_rows,
            self.total_weight + other.total_weight,
            np.maximum(self.feature_scale, other.feature_scale),
            self.target_mean + share * step,
            np.sqrt(variance),
            max(self.largest_target, other.largest_target),
        )


class ShardedRows(TrainingRows):
    """Rows in shards on workers."""

    def __init__(self, cluster: Cluster, shards: Sequence[Future], unit: float):
        self.cluster, self.shards, self.weight_unit = cluster, list(shards), unit
        self._surveys = cluster.gather(cluster.submit_each(_RowsSurvey.of, shards))
        self._whole = reduce(_RowsSurvey.merge, self._surveys)
        self._spread_out: dict[int, Rows] = {}

    def __len__(self) -> int:
        return self._whole.n_rows

    @property
    def total_weight(self) -> float:
        return self._whole.total_weight

    def feature_scale(self) -> np.ndarray:
        return self._whole.feature_scale

    def target_moments(self) -> tuple[np.ndarray, np.ndarray]:
        return self._whole.target_mean, self._whole.target_std

    def largest_target(self) -> float:
        return self._whole.largest_target

    def spread_out(self, n_rows: int) -> Rows:
        """Pick rows, one shard after the other; they are fetched once."""
        if n_rows not in self._spread_out:
            self._spread_out[n_rows] = self._fetch(n_rows)
        return self._spread_out[n_rows]

    def are_sorted(self) -> bool:
        """Whether targets differ from shard to shard as chance does not make them."""
        n_shards, n_classes = len(self.shards), max(2, len(self._whole.target_mean))
        between = sum(
            shard.n_rows * (shard.target_mean - self._whole.target_mean) ** 2
            for shard in self._surveys
        )
        total = len(self) * np.sum(self._whole.target_std**2)
        if n_shards == 1 or total == 0:
            return False
        largest = (n_shards - 1) / (max(n_shards, n_classes) - 1)
        by_chance = (n_shards - 1) / len(self)
        return np.sum(between) / total > _SORTED * largest + _CHANCE * by_chance

    def _fetch(self, n_rows: int) -> Rows:
        ends = np.cumsum([survey.n_rows for survey in self._surveys])
        places = np.unique(np.linspace(0, len(self) - 1, n_rows).astype(int))
        per_shard = np.split(places, np.searchsorted(places, ends[:-1]))
        starts = [0, *ends[:-1]]
        own = [places - start for places, start in zip(per_shard, starts, strict=True)]
        picked = self.cluster.gather(self.cluster.submit_each(_pick, self.shards, own))
        return Rows(
            _stack([X for X, _ in picked]), np.concatenate([Y for _, Y in picked])
        )


def _stack(blocks: Sequence[Any]):
    """Stack rows (n, p), which stay sparse where all are."""
    if len(blocks) == 1:
        return blocks[0]
    if all(map(sparse.issparse, blocks)):
        return with_equal_indices(sparse.vstack(blocks, format="csr"))
    return np.concatenate(
        [block.toarray() if sparse.issparse(block) else block for block in blocks]
    )


def _join(parts: Sequence[Part], plain, dtype: np.dtype) -> Examples:
    """Join parts, encode y, and leave out rows without weight."""
    X = _stack([part.X.astype(dtype, copy=False) for part in parts])
    y = _stack([part.y for part in parts])
    weight = None
    if parts[0].weight is not None:
        weight = np.concatenate([part.weight for part in parts])
    return plain._encode_by_coder(X, y, weight)


def clone_with(plain, **params):
    """A shallow copy with other parameters."""
    twin = copy.copy(plain)
    for name, value in params.items():
        setattr(twin, name, value)
    return twin


def _weight_of_classes(examples: Examples, members: Callable) -> np.ndarray:
    """Total weight (n_classes + 1,) of each class, and of all rows."""
    member = members(examples.of(examples.Y))
    weight = examples.of(examples.sample_weight)
    weight = np.ones(len(member)) if weight is None else weight
    return np.append(weight @ member, weight.sum())


def _balanced(totals: np.ndarray, classes: np.ndarray) -> dict:
    """Factors by class that give each the same total, as in one process."""
    *of_classes, whole = totals
    return {
        label: whole / (len(classes) * of_class) if of_class > 0 else 1.0
        for label, of_class in zip(classes.tolist(), of_classes, strict=True)
    }


def _weigh(examples: Examples, weigh: Callable) -> Examples:
    return replace(examples, weigh=weigh).without_weightless_classes()


def _heaviest_and_total(examples: Examples) -> tuple[float, float] | None:
    weight = examples.weight()
    return None if weight is None else (float(weight.max()), float(np.sum(weight)))


def _survey_inputs(examples: Examples, plain) -> Inputs:
    return plain._survey(examples)


def _lacking(examples: Examples, columns: Sequence[int]) -> list[int]:
    """Those of the columns in which a value is missing."""
    return [j for j in columns if np.isnan(examples.of(column_of(examples.X, j))).any()]


def _pick(rows: Rows, places: np.ndarray):
    """X (m, p) and Y (m, K) of some rows."""
    places = places if rows.order is None else rows.order[places]
    return rows.X[places], rows.Y[places]
