"""Embeddings of columns, and members of ensembles, as nodes of an ONNX graph.

Legend: x the name of rows (n, p) of the table, with gaps as NaN, or of what members
read: (n, k, width) for k members, (n, 1, width) where they all read the same.
"""

import numpy as np

from ._graph import Graph

__all__ = [
    "write_columns",
    "write_indicators_of_levels",
    "write_member_affine",
    "write_member_dense",
    "write_member_scale",
    "write_periodic",
    "write_piecewise_linear",
    "write_scaled_dense",
]


# ---- Columns -----------------------------------------------------------------------


def write_columns(graph: Graph, layer, numbers, x):
    """Pick columns: (n, p) -> (n, C)."""
    return graph.add("Gather", x, graph.integers(layer["columns"]), axis=1)


def write_indicators_of_levels(graph, layer, numbers, x):
    """Write codes 0, 1, ... as indicators; other codes give zeros."""
    pieces = []
    for column, n_levels in zip(layer["columns"], layer["n_levels"], strict=True):
        code = graph.add("Gather", x, graph.integers([column]), axis=1)
        is_level = graph.add("Equal", code, graph.constant([np.arange(n_levels)]))
        pieces.append(graph.cast(is_level, graph.dtype))
    return graph.add("Concat", *pieces, axis=1)


def write_piecewise_linear(graph, layer, numbers, x):
    """(u x + v) + e V, with bins that a column lacks filled up by ones that stay 0."""
    n, size, n_bins = len(layer["columns"]), layer["size"], np.array(layer["n_bins"])
    cuts = np.cumsum(n_bins)
    is_bin = np.arange(n_bins.max()) < n_bins[:, None]
    left, width, low, high = np.zeros((4, *is_bin.shape))
    width += 1
    edges = np.split(
        numbers.constant(layer["edges"], cuts[-1] + n), cuts[:-1] + range(1, n)
    )
    left[is_bin] = np.concatenate([own[:-1] for own in edges])
    width[is_bin] = np.concatenate([np.diff(own) for own in edges])
    high[is_bin] = 1.0
    low[:, 0], high[np.arange(n), n_bins - 1] = -np.inf, np.inf
    V = np.zeros((*is_bin.shape, size))
    V[is_bin] = numbers.parameter(layer["V"], cuts[-1], size)
    number, gap = _numbers_and_gaps(graph, layer, x)
    e = graph.add("Sub", number, graph.constant(left))
    e = graph.add("Div", e, graph.constant(width))
    e = graph.add("Min", graph.add("Max", e, graph.constant(low)), graph.constant(high))
    line = graph.add(
        "Mul", number, graph.constant(numbers.parameter(layer["u"], n, size))
    )
    line = graph.add(
        "Add", line, graph.constant(numbers.parameter(layer["v"], n, size))
    )
    y = graph.add("Add", line, _multiply_apart(graph, e, V))
    return _with_gaps(graph, layer, numbers, y, gap)


def write_periodic(graph, layer, numbers, x):
    """relu([cos 2 pi w x, sin 2 pi w x] W + b), of what whole turns leave of w x."""
    n, size, n_waves = len(layer["columns"]), layer["size"], 2 * layer["n_frequencies"]
    number, gap = _numbers_and_gaps(graph, layer, x)
    w = numbers.parameter(layer["w"], n, layer["n_frequencies"])
    turns = graph.add("Mul", number, graph.constant(w))
    turns = graph.add("Sub", turns, graph.add("Round", turns))
    phase = graph.add("Mul", turns, graph.constant(2 * np.pi))
    waves = graph.add(
        "Concat", graph.add("Cos", phase), graph.add("Sin", phase), axis=2
    )
    copies = () if layer["shared"] else (n,)
    W = numbers.parameter(layer["W"], *copies, n_waves, size)
    if layer["shared"]:
        z = graph.add("MatMul", waves, graph.constant(W))
    else:
        z = _multiply_apart(graph, waves, W)
    b = graph.constant(numbers.parameter(layer["b"], *copies, size))
    y = graph.add("Relu", graph.add("Add", z, b))
    return _with_gaps(graph, layer, numbers, y, gap)


def _numbers_and_gaps(graph, layer, x):
    """Embedded columns (n, C, 1) with 0 in gaps, and where those are."""
    x = graph.expand(write_columns(graph, layer, None, x), axis=2)
    gap = graph.add("IsNaN", x)
    return graph.add("Where", gap, graph.constant(0.0), x), gap


def _with_gaps(graph, layer, numbers, y, gap):
    """Put the vectors of missing values into y (n, C, size); give (n, C size)."""
    n, size = len(layer["columns"]), layer["size"]
    vectors = np.zeros((n, size))
    if "missing" in layer:
        places = layer["missing_columns"]
        vectors[places] = numbers.parameter(layer["missing"], len(places), size)
    y = graph.add("Where", gap, graph.constant(vectors), y)
    return graph.add("Reshape", y, graph.integers([-1, n * size]))


def _multiply_apart(graph, x, W):
    """x_c W_c (n, C, m) for each c of x (n, C, l) and W (C, l, m)."""
    by_place = graph.add("Transpose", x, perm=[1, 0, 2])
    product = graph.add("MatMul", by_place, graph.constant(W))
    return graph.add("Transpose", product, perm=[1, 0, 2])


# ---- Members -----------------------------------------------------------------------


def write_member_scale(graph, layer, numbers, x):
    """Write x r_m; the first groups of columns have one number each."""
    k, n_wide, group = layer["n_members"], layer["n_wide"], layer["group"]
    width = layer["width"] if "width" in layer else layer["n_in"]
    widths = [group] * n_wide + [1] * (width - group * n_wide)
    r = numbers.parameter(layer["r"], k, len(widths))
    return graph.add("Mul", x, graph.constant(np.repeat(r, widths, axis=1)))


def write_scaled_dense(graph, layer, numbers, x):
    """(x r_m) W + b."""
    x = write_member_scale(graph, layer, numbers, x)
    W = numbers.parameter(layer["W"], layer["n_in"], layer["n_out"])
    z = graph.add("MatMul", x, graph.constant(W))
    if "b" not in layer:
        return z
    return graph.add(
        "Add", z, graph.constant(numbers.parameter(layer["b"], layer["n_out"]))
    )


def write_member_affine(graph, layer, numbers, x):
    """Write x s_m + b_m."""
    shape = layer["n_members"], layer["width"]
    scaled = graph.add("Mul", x, graph.constant(numbers.parameter(layer["s"], *shape)))
    return graph.add(
        "Add", scaled, graph.constant(numbers.parameter(layer["b"], *shape))
    )


def write_member_dense(graph, layer, numbers, x):
    """x_m W_m + b_m."""
    k, n_in, n_out = layer["n_members"], layer["n_in"], layer["n_out"]
    z = _multiply_apart(graph, x, numbers.parameter(layer["W"], k, n_in, n_out))
    return graph.add("Add", z, graph.constant(numbers.parameter(layer["b"], k, n_out)))
