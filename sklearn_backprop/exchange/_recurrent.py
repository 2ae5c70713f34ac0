"""Recurrent layers as nodes of an ONNX graph: a Scan over steps.

Sequences stand as (n_steps, n, channels). What lies behind the end of one is NaN, in
the inputs as in all states, so that every layer knows it. ONNX has operators for these
cells, but onnxruntime has them in float32 alone.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ._graph import Graph, ModelGraph

__all__ = ["CELLS", "write_first_steps", "write_pooled", "write_states"]

Layer = Mapping[str, Any]


class Step(NamedTuple):
    """Names of what a cell reads in a step, (n, ...), and its width h."""

    of_input: str  # x W, with biases
    of_state: str  # y U, with biases where the cell has some
    y: str
    kept: str  # c of an LSTM
    width: int

    def gate(self, graph: Graph, name: str, number: int) -> str:
        """Cut one gate out of several."""
        begin = number * self.width
        return _cut(graph, name, begin, begin + self.width, axis=1)


def _tanh(graph, at):
    return graph.add("Tanh", graph.add("Add", at.of_input, at.of_state)), at.kept


def _lstm(graph, at):
    z = graph.add("Add", at.of_input, at.of_state)
    i, f, o = (graph.add("Sigmoid", at.gate(graph, z, k)) for k in range(3))
    g = graph.add("Tanh", at.gate(graph, z, 3))
    c = graph.add("Add", graph.add("Mul", f, at.kept), graph.add("Mul", i, g))
    return graph.add("Mul", o, graph.add("Tanh", c)), c


def _gru(graph, at):
    r, u = (
        graph.add(
            "Sigmoid",
            graph.add(
                "Add",
                at.gate(graph, at.of_input, k + 1),
                at.gate(graph, at.of_state, k),
            ),
        )
        for k in range(2)
    )
    s = at.gate(graph, at.of_state, 2)
    z_n = graph.add("Add", at.gate(graph, at.of_input, 0), graph.add("Mul", r, s))
    n = graph.add("Tanh", z_n)
    y = graph.add("Add", n, graph.add("Mul", u, graph.add("Sub", at.y, n)))
    return y, at.kept


class Cell(NamedTuple):
    """A cell's step, and which gates its arrays serve."""

    step: Callable[[Graph, Step], tuple[str, str]]  # y and what is kept
    n_of_input: int
    n_of_state: int
    has_biases_of_state: bool = False  # behind those of the input, of its last gate


CELLS = {
    "tanh": Cell(_tanh, 1, 1),
    "lstm": Cell(_lstm, 4, 4),
    "gru": Cell(_gru, 3, 3, has_biases_of_state=True),
}


def write_first_steps(graph: Graph, layer: Layer, x: str) -> str:
    """Write a table (n, n_steps * channels) as (n_steps, n, channels)."""
    shape = graph.integers([-1, layer["n_steps"], layer["n_channels"]])
    return graph.add("Transpose", graph.add("Reshape", x, shape), perm=[1, 0, 2])


def write_states(graph: Graph, layer: Layer, arrays: Mapping, x: str) -> str:
    """Write all states (n_steps, n, width) of a layer that reads x."""
    cell, width = CELLS[layer["cell"]], layer["width"]
    n_of_input = cell.n_of_input * width
    xW = graph.add("MatMul", x, graph.constant(arrays["W"]))
    of_input = graph.add("Add", xW, graph.constant(arrays["b"][:n_of_input]))
    of_state = np.zeros(cell.n_of_state * width)
    if cell.has_biases_of_state:
        of_state[-width:] = arrays["b"][n_of_input:]
    zeros = _zeros(graph, x, width)
    body = _body(graph, cell, width, arrays["U"], of_state, prefix=f"{of_input}_")
    direction = [int(layer["reverse"])]
    return graph.add(
        "Scan",
        zeros,
        zeros,
        of_input,
        n_outputs=3,
        body=body,
        num_scan_inputs=1,
        scan_input_directions=direction,
        scan_output_directions=direction,
    )


def _body(graph: Graph, cell: Cell, width: int, U, biases, *, prefix: str):
    """Make the graph of one step: (y, kept, of_input) -> (y, kept, y or NaN)."""
    body = ModelGraph(graph.dtype, graph.opset, prefix=prefix)
    n_of_input = cell.n_of_input * width
    y, kept = (body.declare_input(prefix + s, "n", width) for s in ("y", "kept"))
    of_input = body.declare_input(prefix + "of_input", "n", n_of_input)
    yU = body.add("MatMul", y, body.constant(U))
    of_state = body.add("Add", yU, body.constant(biases))
    y_new, kept_new = cell.step(body, Step(of_input, of_state, y, kept, width))
    is_over = body.add("IsNaN", _cut(body, of_input, 0, 1, axis=1))
    results = (
        body.add("Where", is_over, y, y_new),
        body.add("Where", is_over, kept, kept_new),
        body.add("Where", is_over, body.constant(np.nan), y_new),
    )
    for name, result in zip(("next_y", "next_kept", "state"), results, strict=True):
        body.add("Identity", result, output=prefix + name)
        body.declare_output(prefix + name, graph.dtype, "n", width)
    return body.graph(prefix + "step")


def write_pooled(graph: Graph, layer: Layer, states: str) -> str:
    """Write what predicts (n, width) of states: their mean, or the last ones."""
    is_over = graph.add("IsNaN", _cut(graph, states, 0, 1, axis=2))
    known = graph.add("Where", is_over, graph.constant(0.0), states)
    counts = graph.cast(graph.add("Not", is_over), graph.dtype)
    if layer["pooling"] == "mean":
        return graph.add("Div", _sum(graph, known), _sum(graph, counts))
    n_steps, n_forward = layer["n_steps"], layer["n_forward"]
    first, others = (_cut(graph, counts, *ends) for ends in ((0, 1), (1, n_steps)))
    nothing = graph.add("Mul", first, graph.constant(0.0))
    is_last = graph.add("Sub", counts, graph.add("Concat", others, nothing, axis=0))
    last = _sum(graph, graph.add("Mul", known, is_last))
    if n_forward == layer["n_out"]:
        return last
    forward = _cut(graph, last, 0, n_forward, axis=1)
    first_states = _sum(graph, _cut(graph, known, 0, 1))
    backward = _cut(graph, first_states, n_forward, layer["n_out"], axis=1)
    return graph.add("Concat", forward, backward, axis=1)


def _cut(graph: Graph, x: str, begin: int, end: int, axis: int = 0) -> str:
    ends = (graph.integers([number]) for number in (begin, end, axis))
    return graph.add("Slice", x, *ends)


def _sum(graph: Graph, x: str) -> str:
    """Sum over steps (n_steps, n, k) -> (n, k)."""
    return graph.add("ReduceSum", x, graph.integers([0]), keepdims=0)


def _zeros(graph: Graph, x: str, width: int) -> str:
    """Zeros (n, width), with n from x (n_steps, n, channels)."""
    n = _cut(graph, graph.add("Shape", x), 1, 2)
    shape = graph.add("Concat", n, graph.integers([width]), axis=0)
    zero = graph.tensor("zero", np.zeros(1, dtype=graph.dtype))
    return graph.add("ConstantOfShape", shape, value=zero)
