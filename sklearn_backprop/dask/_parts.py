"""Parts of a table: rows of X, y and weights that belong together, each on a worker."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from dask import delayed, is_dask_collection
from distributed import Future
from sklearn.utils import check_array

from .._immutable import immutable
from ._cluster import Cluster

__all__ = [
    "Part",
    "Read",
    "Survey",
    "blocks_of",
    "read_parts",
    "rows_of_blocks",
    "survey",
    "with_rows",
]

# (X, y) of a block -> both, validated.
Read = Callable[[Any, Any], tuple[Any, np.ndarray]]


@immutable
class Part:
    """Validated rows of a table; None in place of X and y where there are none."""

    number: int
    X: Any  # (n, p)
    y: Any  # (n,) or (n, k)
    weight: np.ndarray | None  # (n,)

    def __len__(self) -> int:
        return 0 if self.X is None else self.X.shape[0]


@immutable
class Survey:
    """What a part says of itself before it is summed up or trained on."""

    number: int
    n_given: int
    n_rows: int = 0  # of positive weight
    n_features: int = 0
    shape_of_y: tuple[int, ...] = ()  # of one row's
    dtype: np.dtype | None = None
    heaviest: float = 1.0
    targets: Any = None  # of some rows, in which every label occurs


def read_parts(cluster: Cluster, X, y, sample_weight, read: Read) -> list[Future]:
    """Parts of Dask collections that are cut alike, validated on the workers."""
    columns = {"X": X, "y": y, "sample_weight": sample_weight}
    blocks = {
        name: blocks_of(name, collection)
        for name, collection in columns.items()
        if collection is not None
    }
    _refuse_misaligned(
        {name: (len(blocks[name]), rows_of_blocks(columns[name])) for name in blocks}
    )
    names = _feature_names(X)
    weights = blocks.get("sample_weight", [None] * len(blocks["X"]))
    triples = zip(blocks["X"], blocks["y"], weights, strict=True)
    task = delayed(_read_part, pure=False)
    return cluster.compute(
        [task(number, *triple, names, read) for number, triple in enumerate(triples)]
    )


def _feature_names(X) -> list | None:
    """Column names of a Dask data frame."""
    return list(X.columns) if hasattr(X, "columns") else None


def blocks_of(name: str, collection) -> list:
    """Blocks of rows, as delayed objects."""
    if not is_dask_collection(collection) or not hasattr(collection, "to_delayed"):
        raise TypeError(
            f"{name} is a {type(collection).__name__}, not a Dask array or data frame. "
            "Pass a Dask collection, such as dask.array.from_array makes of an array; "
            "or take the estimator of the same name without Dask."
        )
    if hasattr(collection, "chunks"):
        collection = _in_one_chunk_of_columns(name, collection)
        blocks = collection.to_delayed()
    else:  # to optimize would join parts of files, by the columns that are read
        blocks = collection.to_delayed(optimize_graph=False)
    return np.ravel(np.asarray(blocks, dtype=object)).tolist()


def _in_one_chunk_of_columns(name: str, array):
    """Refuse arrays whose rows are cut, too."""
    wanted = (2,) if name == "X" else (1, 2)
    if array.ndim not in wanted:
        raise ValueError(
            f"{name} has {array.ndim} dimensions, expected "
            f"{' or '.join(map(str, wanted))}."
        )
    if array.ndim == 2 and array.numblocks[1] > 1:
        raise ValueError(
            f"{name} has {array.numblocks[1]} chunks of columns, but a part needs its "
            f"rows whole. Pass {name}.rechunk({{1: -1}})."
        )
    return array


def rows_of_blocks(collection) -> Sequence[float]:
    """Rows of each block, NaN where only computing tells."""
    if hasattr(collection, "chunks"):
        return collection.chunks[0]
    return [np.nan] * collection.npartitions


def _refuse_misaligned(sizes: dict[str, tuple[int, Sequence[float]]]) -> None:
    """Refuse blocks that differ in number, or in rows where these are known."""
    n_blocks, of_X = sizes["X"]
    for name, (n_others, rows) in sizes.items():
        if n_others != n_blocks:
            raise ValueError(
                f"X has {n_blocks} parts and {name} has {n_others}, so that nobody "
                "knows which rows belong together. Cut both alike: "
                f"{name}.rechunk(...) for arrays, or take both from one data frame."
            )
        is_other = ~np.isclose(of_X, rows, equal_nan=True)
        wrong = np.flatnonzero(is_other & ~np.isnan(of_X) & ~np.isnan(rows))
        if len(wrong):
            first = int(wrong[0])
            raise ValueError(
                f"X and {name} have different rows in parts {wrong.tolist()}: part "
                f"{first} of X has {of_X[first]}, that of {name} {rows[first]}. Cut "
                f"{name} as X is: {name}.rechunk((X.chunks[0], ...))."
            )


def _read_part(number: int, X, y, weight, names, read: Read) -> Part:
    """Validate a block, with its number in errors."""
    try:
        rows = {"X": X, "y": y} | ({} if weight is None else {"sample_weight": weight})
        sizes = {name: block.shape[0] for name, block in rows.items()}
        if len(set(sizes.values())) > 1:
            raise ValueError(f"its blocks differ in their rows, {sizes}.")
        if names is not None and list(X.columns) != names:
            raise ValueError(
                f"its columns are {list(X.columns)}, those of the table {names}."
            )
        if X.shape[0] == 0:
            return Part(number, None, None, None)
        X, y = read(X, y)
        weight = None if weight is None else _read_weights(weight)
    except ValueError as error:
        raise ValueError(f"Part {number}: {error}") from error
    return Part(number, X, y, weight)


def _read_weights(weight) -> np.ndarray:
    """Weights (n,) of a part, where all may be zero, unlike those of a table."""
    weight = check_array(
        weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weight.ndim != 1:
        raise ValueError(f"sample_weight has {weight.ndim} dimensions, expected 1.")
    if np.any(weight < 0):
        raise ValueError(
            f"sample_weight has negative values, such as {weight.min():g}: each row "
            "counts for nothing or for something."
        )
    return weight


def survey(part: Part, *, targets_of: Callable | None = None) -> Survey:
    """Look a part over; `targets_of` its y picks some with every label."""
    n_given, weight = len(part), part.weight
    if n_given == 0:
        return Survey(part.number, 0)
    return Survey(
        part.number,
        n_given,
        n_rows=n_given if weight is None else int(np.count_nonzero(weight)),
        n_features=part.X.shape[1],
        shape_of_y=part.y.shape[1:],
        dtype=part.X.dtype,
        heaviest=1.0 if weight is None else float(weight.max()),
        targets=None if targets_of is None else targets_of(part.y),
    )


def with_rows(surveys: Sequence[Survey]) -> list[Survey]:
    """Surveys of parts with rows that count; refuse parts of different tables."""
    found = [survey for survey in surveys if survey.n_rows > 0]
    if not found:
        raise ValueError(
            f"None of the {len(surveys)} parts of X has a row of positive weight: "
            "there is nothing to fit."
        )
    first = found[0]
    for other in found:
        for what, mine, theirs in (
            ("columns of X", first.n_features, other.n_features),
            ("y", first.shape_of_y, other.shape_of_y),
        ):
            if mine != theirs:
                raise ValueError(
                    f"Parts {first.number} and {other.number} differ in {what}: "
                    f"{mine} and {theirs}."
                )
    return found
