"""From raw outputs to labels, probabilities and values, as nodes of an ONNX graph."""

from typing import Any

import numpy as np

from ._graph import Graph

__all__ = ["LINKS", "write_indicators", "write_labels", "write_link", "write_maps"]

# `out_activation_` -> operator and its attributes.
LINKS: dict[str, tuple[str, dict]] = {
    "identity": ("Identity", {}),
    "exp": ("Exp", {}),
    "softmax": ("Softmax", {"axis": -1}),
    "logistic": ("Sigmoid", {}),
}


def write_link(graph: Graph, link: str, raw: str, output: str, n_members=1) -> None:
    """Write predictions (n, K) of raw outputs (n, K), or of members' (n, k, K)."""
    op, attributes = LINKS[link]
    _write_mean(graph, op, (raw,), output, n_members, **attributes)


def _write_mean(graph: Graph, op, inputs, output, n_members, **attributes) -> None:
    """Write what an operator gives; the mean of several members, over their axis."""
    if n_members == 1:
        graph.add(op, *inputs, output=output, **attributes)
    else:
        graph.mean(graph.add(op, *inputs, **attributes), 1, keepdims=0, output=output)


def write_both_probabilities(graph: Graph, raw: str, output: str, n_members=1) -> None:
    """Write probabilities (n, 2) of raw outputs f (n, 1), or of members' (n, k, 1).

    p = e^min(f, 0) / (1 + e^-|f|) keeps small ones, which runtimes' sigmoid rounds to
    zero.
    """
    both = graph.add("Concat", graph.add("Neg", raw), raw, axis=-1)
    above = graph.add("Exp", graph.add("Min", both, graph.constant(0.0)))
    e = graph.add("Exp", graph.add("Neg", graph.add("Abs", raw)))
    below = graph.add("Add", graph.constant(1.0), e)
    _write_mean(graph, "Div", (above, below), output, n_members)


def write_indicators(graph: Graph, probabilities: str, output: str) -> None:
    """Write which labels (n, K) are more probable than not."""
    above = graph.add("Greater", probabilities, graph.constant(0.5))
    graph.cast(above, np.int64, output=output)


def write_labels(graph: Graph, labels, probabilities: str, output: str) -> None:
    """Write the most probable label (n,) of each row."""
    if len(labels) == 1:  # the network still has an output for the other side
        labels = np.repeat(labels, 2)
    best = graph.add("ArgMax", probabilities, axis=1, keepdims=0)
    graph.add("Gather", graph.keep(labels), best, axis=0, output=output)


def write_maps(graph: Graph, labels, probabilities: str, output: str) -> None:
    """Write each row's map from label to probability; runtimes have float32 ones."""
    if graph.dtype != np.float32:
        probabilities = graph.cast(probabilities, np.float32)
    kind = "strings" if labels.dtype == object else "int64s"
    classes: dict[str, Any] = {f"classlabels_{kind}": list(labels)}
    graph.add("ZipMap", probabilities, output=output, domain="ai.onnx.ml", **classes)
