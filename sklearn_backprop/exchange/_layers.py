"""Layers and activations as nodes of an ONNX graph, by the engine's names.

Legend: x the name of a layer's input (n, n_in). Operators that onnxruntime has in
float32 alone, or whose attributes are float32 and would cost digits, are written out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import erfcx

from .._immutable import immutable
from . import _tables as tables
from ._graph import Graph
from ._recurrent import CELLS, write_first_steps, write_pooled, write_states

__all__ = ["ACTIVATIONS", "LAYERS", "Numbers", "write_layers"]

# As the engine has them.
_LEAK = 0.01
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_NORM_EPSILON = 1e-5


@immutable
class Numbers:
    """The vectors that layers read, and where their arrays lie in them."""

    starts: Sequence[int]  # of each row of the table of parameters, in theta
    theta: np.ndarray
    running: np.ndarray
    constants: np.ndarray
    copy: int = 0  # which of several copies of all arrays

    def parameter(self, row: int, *shape: int) -> np.ndarray:
        """Give the array that begins with a row of the table."""
        start = self.starts[row] + self.copy * prod(shape)
        return self.theta[start : start + prod(shape)].reshape(shape)

    def constant(self, start: int, n: int) -> np.ndarray:
        """Give numbers that nothing trains."""
        return self.constants[start : start + n]

    def statistics(self, start: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Give running means and variances."""
        start += self.copy * 2 * width
        mean, variance = self.running[start : start + 2 * width].reshape(2, width)
        return mean, variance


Layer = Mapping[str, Any]


# ---- Activations -------------------------------------------------------------------


def _identity(graph: Graph, z: str) -> str:
    return z


def _operator(op: str) -> Callable[[Graph, str], str]:
    return lambda graph, z: graph.add(op, z)


def _leaky_relu(graph, z):
    return graph.add("Max", z, graph.add("Mul", z, graph.constant(_LEAK)))


def _exp_minus_1(graph, z):
    """e^min(z, 0) - 1: the branch of elu below zero; 0 above."""
    below = graph.add("Min", z, graph.constant(0.0))
    return graph.add("Sub", graph.add("Exp", below), graph.constant(1.0))


def _elu(graph, z):
    return graph.add("Add", graph.add("Relu", z), _exp_minus_1(graph, z))


def _selu(graph, z):
    below = graph.add("Mul", _exp_minus_1(graph, z), graph.constant(_SELU_ALPHA))
    whole = graph.add("Add", graph.add("Relu", z), below)
    return graph.add("Mul", whole, graph.constant(_SELU_SCALE))


def _softplus(graph, z):
    """max(z, 0) + log(1 + e^-|z|), which does not overflow."""
    e = graph.add("Exp", graph.add("Neg", graph.add("Abs", z)))
    log = graph.add("Log", graph.add("Add", e, graph.constant(1.0)))
    return graph.add("Add", graph.add("Relu", z), log)


def _silu(graph, z):
    return graph.add("Mul", z, graph.add("Sigmoid", z))


def _mish(graph, z):
    return graph.add("Mul", z, graph.add("Tanh", _softplus(graph, z)))


def _gelu(graph, z):
    scaled = graph.add("Mul", z, graph.constant(np.sqrt(0.5)))
    has_erf = graph.dtype == np.float32
    erf = graph.add("Erf", scaled) if has_erf else _erf(graph, scaled)
    cdf = graph.add("Mul", graph.add("Add", erf, graph.constant(1.0)), _half(graph))
    return graph.add("Mul", z, cdf)


def _half(graph):
    return graph.constant(0.5)


def _erf(graph, x):
    """Sign(x) (1 - erfc |x|), with erfc z = t exp(g(t) - z^2) and t = 1/(1 + z/2).

    The form of Press et al. (Numerical Recipes, section 6.2).
    """
    one, z = graph.constant(1.0), graph.add("Abs", x)
    t = graph.add("Div", one, graph.add("Add", graph.add("Mul", z, _half(graph)), one))
    u = graph.add("Sub", graph.add("Add", t, t), one)
    g = _polynomial(graph, _erfc_exponent(), u)
    exponent = graph.add("Sub", g, graph.add("Mul", z, z))
    erfc = graph.add("Mul", t, graph.add("Exp", exponent))
    return graph.add("Mul", graph.add("Sign", x), graph.add("Sub", one, erfc))


def _erfc_exponent(degree: int = 25) -> np.ndarray:
    """Coefficients of g: log(erfc(z) e^(z^2) / t) over u = 2t - 1 in [-1, 1]."""

    def g(u):
        t = (u + 1) / 2
        return np.log(erfcx(2 / t - 2) / t)

    return chebyshev.cheb2poly(chebyshev.chebinterpolate(g, degree))


def _polynomial(graph, coefficients, u):
    """Evaluate c0 + u (c1 + u (c2 + ...))."""
    value = graph.constant(coefficients[-1])
    for c in coefficients[-2::-1]:
        value = graph.add("Add", graph.add("Mul", value, u), graph.constant(c))
    return value


ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "identity": _identity,
    "relu": _operator("Relu"),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "silu": _silu,
    "mish": _mish,
    "softplus": _softplus,
    "tanh": _operator("Tanh"),
    "logistic": _operator("Sigmoid"),
}


# ---- Layers ------------------------------------------------------------------------


def _dense(graph: Graph, layer: Layer, numbers: Numbers, x: str) -> str:
    W = numbers.parameter(layer["W"], layer["n_in"], layer["n_out"])
    z = graph.add("MatMul", x, graph.constant(W))
    if "b" not in layer:
        return z
    b = numbers.parameter(layer["b"], layer["n_out"])
    return graph.add("Add", z, graph.constant(b))


def _activation(graph, layer, numbers, x):
    return ACTIVATIONS[layer["name"]](graph, x)


def _dropout(graph, layer, numbers, x):
    return x


def _scale_and_shift(graph, layer, numbers, x_hat):
    gamma = numbers.parameter(layer["gamma"], layer["width"])
    beta = numbers.parameter(layer["beta"], layer["width"])
    scaled = graph.add("Mul", x_hat, graph.constant(gamma))
    return graph.add("Add", scaled, graph.constant(beta))


def _batch_norm(graph, layer, numbers, x):
    mean, variance = numbers.statistics(layer["running"], layer["width"])
    centred = graph.add("Sub", x, graph.constant(mean))
    scale = 1 / np.sqrt(variance.astype(np.float64) + _NORM_EPSILON)
    x_hat = graph.add("Mul", centred, graph.constant(scale))
    return _scale_and_shift(graph, layer, numbers, x_hat)


def _layer_norm(graph, layer, numbers, x):
    centred = graph.add("Sub", x, graph.mean(x, -1))
    variance = graph.mean(graph.add("Mul", centred, centred), -1)
    shifted = graph.add("Add", variance, graph.constant(_NORM_EPSILON))
    x_hat = graph.add("Div", centred, graph.add("Sqrt", shifted))
    return _scale_and_shift(graph, layer, numbers, x_hat)


def _add_block(graph, layer, numbers, x):
    branch = write_layers(graph, layer["layers"], numbers, x)
    scaled = graph.add("Mul", branch, graph.constant(layer["scale"]))
    skip = x
    if "P" in layer:
        P = numbers.parameter(layer["P"], layer["n_in"], layer["n_out"])
        skip = graph.add("MatMul", x, graph.constant(P))
    return graph.add("Add", skip, scaled)


def _concat_block(graph, layer, numbers, x):
    branch = write_layers(graph, layer["layers"], numbers, x)
    return graph.add("Concat", x, branch, axis=-1)


def _members(graph, layer, numbers, x):
    """Rows (n, p) once through the front, then k times: (n, k, n_out)."""
    n_front = layer["n_front"]
    x = write_layers(graph, layer["layers"][:n_front], numbers, x)
    x = graph.expand(x, axis=1)
    return write_layers(graph, layer["layers"][n_front:], numbers, x)


def _independent(graph, layer, numbers, x):
    """The same layers k times, each with numbers of its own: (n, k, n_out)."""
    outputs = [
        write_layers(graph, layer["layers"], replace(numbers, copy=member), x)
        for member in range(layer["n_members"])
    ]
    rows = [graph.expand(output, axis=1) for output in outputs]
    return graph.add("Concat", *rows, axis=1)


def _beside(graph, layer, numbers, x):
    parts = (write_layers(graph, [part], numbers, x) for part in layer["layers"])
    return graph.add("Concat", *parts, axis=-1)


def _sequence(graph, layer, numbers, x):
    steps = write_first_steps(graph, layer, x)
    states = write_layers(graph, layer["layers"], numbers, steps)
    return write_pooled(graph, layer, states)


def _recurrent(graph, layer, numbers, x):
    cell, width = CELLS[layer["cell"]], layer["width"]
    n_biases = cell.n_of_input + cell.has_biases_of_state
    arrays = {
        "W": numbers.parameter(layer["W"], layer["n_in"], cell.n_of_input * width),
        "U": numbers.parameter(layer["U"], width, cell.n_of_state * width),
        "b": numbers.parameter(layer["b"], n_biases * width),
    }
    return write_states(graph, layer, arrays, x)


LAYERS: dict[str, Callable[[Graph, Layer, Numbers, str], str]] = {
    "dense": _dense,
    "activation": _activation,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "dropout": _dropout,
    "add": _add_block,
    "concat": _concat_block,
    "beside": _beside,
    "sequence": _sequence,
    "recurrent": _recurrent,
    "select": tables.write_columns,
    "one_hot": tables.write_indicators_of_levels,
    "piecewise_linear": tables.write_piecewise_linear,
    "periodic": tables.write_periodic,
    "members": _members,
    "independent": _independent,
    "member_scale": tables.write_member_scale,
    "member_affine": tables.write_member_affine,
    "member_dense": tables.write_member_dense,
    "scaled_dense": tables.write_scaled_dense,
}


def write_layers(
    graph: Graph, layers: Sequence[Layer], numbers: Numbers, x: str
) -> str:
    """Write layers one behind the other and return the name of the last output."""
    for layer in layers:
        if layer["kind"] not in LAYERS:
            raise ValueError(
                f"Layers of kind {layer['kind']!r} cannot be written as ONNX yet; "
                f"these can: {', '.join(LAYERS)}."
            )
        x = LAYERS[layer["kind"]](graph, layer, numbers, x)
    return x
