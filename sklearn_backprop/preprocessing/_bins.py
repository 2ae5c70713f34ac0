"""Bins of a column of numbers: their edges, and how far into each a number lies."""

import numpy as np
from scipy.sparse import issparse

from .._late_imports import import_late

__all__ = ["BINS", "column_of", "edges_of_columns", "passed_shares"]

_NARROWEST = 1e-6  # of the column's range


def _count_values(x, weight):
    """Distinct values of x (n,) in ascending order, and what each weighs."""
    if weight is None:
        return np.unique(x, return_counts=True)
    values, place = np.unique(x, return_inverse=True)
    return values, np.bincount(place, weights=weight)


def _spread_by_quantiles(x, n_bins, weight):
    """Place edges at quantiles of distinct values, each of weight sqrt(count).

    Quantiles of rows give a value that most rows have nearly all edges; quantiles of
    distinct values give rare ones too many. With the root both count: a value with 92 %
    of the rows leaves edges for the others, and where all values differ, these are the
    quantiles of rows.
    """
    values, counts = _count_values(x, weight)
    if len(values) <= n_bins + 1:
        return values
    steps = np.sqrt(counts)
    middle = np.cumsum(steps) - steps / 2
    at = (middle - middle[0]) / (middle[-1] - middle[0])
    return np.interp(np.linspace(0, 1, n_bins + 1), at, values)


def _split_by_tree(x, n_bins, weight, y, is_classification, min_samples_leaf):
    """Place edges where a tree that sees this column alone splits it for y."""
    # Late, for trees take as long to import as half of this package.
    trees = import_late("sklearn.tree")
    kind = (
        trees.DecisionTreeClassifier
        if is_classification
        else trees.DecisionTreeRegressor
    )
    tree = kind(
        max_leaf_nodes=n_bins, min_samples_leaf=min_samples_leaf, random_state=0
    )
    column = x.astype(np.float32)  # what trees compute in
    tree.fit(column[:, None], y, sample_weight=weight)
    splits = tree.tree_.threshold[tree.tree_.feature >= 0]
    return np.concatenate([[x.min()], np.sort(splits), [x.max()]])


BINS = ("quantile", "tree")


def _merge_narrow(edges, dtype):
    """Drop inner edges that leave a bin of no width to speak of, also once rounded."""
    rounding = 8 * np.finfo(dtype).eps * np.abs(edges[[0, -1]]).max()
    least = max(_NARROWEST * (edges[-1] - edges[0]), rounding)
    kept = [edges[0]]
    for edge in edges[1:-1]:
        if edge - kept[-1] > least and edges[-1] - edge > least:
            kept.append(edge)
    return np.array([*kept, edges[-1]], dtype=dtype)


def _single_bin(x, dtype):
    """Give a column of one value, or of none, a bin that begins there."""
    first = x[0] if x.size else 0.0
    return np.array([first, first + max(1.0, abs(first))], dtype=dtype)


def column_of(X, j) -> np.ndarray:
    """Read column j of an array or a sparse matrix as (n,) numbers."""
    return X[:, [j]].toarray().ravel() if issparse(X) else X[:, j]


def edges_of_columns(
    X,
    columns,
    *,
    n_bins: int,
    bins: str = "quantile",
    weight=None,
    y=None,
    is_classification: bool = False,
    min_samples_leaf: int = 1,
    rows=None,
) -> list[np.ndarray]:
    """Find the edges (n_bins + 1,) or fewer of each of some columns; NaN is passed by.

    A column of one value gets one bin that begins there. `rows` says which rows of X
    count, to which weight (m,) and y (m, ...) belong.
    """
    edges = []
    for j in columns:
        x = np.asarray(column_of(X, j), dtype=np.float64)
        x = x if rows is None else x[rows]
        known = ~np.isnan(x)
        x, own = x[known], None if weight is None else weight[known]
        if x.size == 0 or x.min() == x.max():
            edges.append(_single_bin(x, X.dtype))
            continue
        if x.max() / 2 - x.min() / 2 > np.finfo(X.dtype).max / 2:
            raise ValueError(
                f"Column {j} of X reaches from {x.min():.3g} to {x.max():.3g}, a range "
                "beyond the largest float: it cannot be cut into bins. Scale it first."
            )
        if bins == "tree":
            found = _split_by_tree(
                x, n_bins, own, y[known], is_classification, min_samples_leaf
            )
        else:
            found = _spread_by_quantiles(x, n_bins, own)
        edges.append(_merge_narrow(found, X.dtype))
    return edges


def passed_shares(x, edges) -> np.ndarray:
    """Say how much of each bin lies below each number: (n,) -> (n, n_bins).

    0 for bins above it, 1 for those below, the share of its own; the first bin goes on
    below all edges, the last one above them.
    """
    shares = (x[:, None] - edges[:-1]) / np.diff(edges)
    shares[:, 1:] = np.maximum(shares[:, 1:], 0)
    shares[:, :-1] = np.minimum(shares[:, :-1], 1)
    return shares
