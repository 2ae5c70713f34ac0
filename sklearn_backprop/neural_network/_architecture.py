"""From hyper-parameters to a list of layers and their places in one flat vector.

Theta holds, for every hidden layer, W (n_in, n_out) and b, the projection P of the skip
that ends there if the widths differ, then gamma and beta where it is normalized; last
the output layer's W and b.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

__all__ = [
    "ACTIVATIONS",
    "ACTIVATION_ALIASES",
    "NORMALIZATIONS",
    "RESIDUALS",
    "Architecture",
    "Piece",
    "activation_per_layer",
    "build_architecture",
]

# Name -> the initializer that keeps the variance of its signal ("auto").
ACTIVATIONS = {
    "relu": "he_normal",
    "leaky_relu": "he_normal",
    "elu": "he_normal",
    "selu": "lecun_normal",
    "gelu": "he_normal",
    "silu": "he_normal",
    "mish": "he_normal",
    "softplus": "he_normal",
    "tanh": "xavier_uniform",
    "logistic": "xavier_uniform",
    "identity": "lecun_normal",
}
ACTIVATION_ALIASES = {"sigmoid": "logistic"}
NORMALIZATIONS = ("batch", "layer")
RESIDUALS = ("add", "concat")

Layer = dict[str, Any]


@dataclass(frozen=True)
class Piece:
    """One parameter array's place in theta."""

    role: str  # "W", "b", "gamma", "beta" or "P"
    start: int
    shape: tuple[int, ...]
    activation: str  # of the layer it feeds; "identity" for output and skip

    def view(self, theta: np.ndarray) -> np.ndarray:
        """Show this piece of theta in its own shape."""
        return theta[self.start : self.start + prod(self.shape)].reshape(self.shape)


@dataclass
class Architecture:
    """The layers of a network as the engine takes them, and the pieces of theta."""

    layers: list[Layer] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    n_theta: int = 0
    n_running: int = 0

    def place(
        self, role: str, shape: tuple[int, ...], activation: str = "identity"
    ) -> int:
        """Append a piece to theta and return where it starts."""
        start = self.n_theta
        self.pieces.append(Piece(role, start, shape, activation))
        self.n_theta += prod(shape)
        return start

    def place_running(self, width: int) -> int:
        """Reserve running means and variances and return where they start."""
        start = self.n_running
        self.n_running += 2 * width
        return start

    def views(self, role: str, theta: np.ndarray) -> list[np.ndarray]:
        """Show all pieces of one role, from input to output."""
        return [piece.view(theta) for piece in self.pieces if piece.role == role]

    def shapes(self, role: str) -> list[tuple[int, ...]]:
        """Shapes of all pieces of one role, from input to output."""
        return [piece.shape for piece in self.pieces if piece.role == role]

    def start_running(self, dtype: np.dtype) -> np.ndarray:
        """Give running means of zero and variances of one, (n_running,)."""
        running = np.zeros(self.n_running, dtype=dtype)
        for layer in _flatten(self.layers):
            if layer["kind"] == "batch_norm":
                variances = layer["running"] + layer["width"]
                running[variances : variances + layer["width"]] = 1.0
        return running


def _flatten(layers: Sequence[Layer]):
    for layer in layers:
        yield layer
        yield from _flatten(layer.get("layers", ()))


@dataclass(frozen=True)
class _HiddenLayer:
    width: int
    activation: str
    normalization: str | None
    dropout: float


def hidden_sizes(hidden_layer_sizes) -> list[int]:
    """Read one width or a sequence of widths, each at least 1."""
    sizes = np.atleast_1d(np.asarray(hidden_layer_sizes, dtype=object)).tolist()
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def activation_per_layer(activation, n_hidden: int) -> list[str]:
    """Read one name for all hidden layers or one name for each."""
    names = [activation] * n_hidden if isinstance(activation, str) else list(activation)
    if len(names) != n_hidden:
        raise ValueError(
            f"activation has {len(names)} names for {n_hidden} hidden layers; pass one "
            "name for all layers or exactly one for each."
        )
    names = [ACTIVATION_ALIASES.get(name, name) for name in names]
    for name in names:
        if name not in ACTIVATIONS:
            known = sorted(ACTIVATIONS) + sorted(ACTIVATION_ALIASES)
            raise ValueError(f"activation {name!r} is unknown; choose among {known}.")
    return names


def build_architecture(
    n_features: int,
    n_outputs: int,
    *,
    hidden_layer_sizes,
    activation="relu",
    normalization: str | None = None,
    dropout: float = 0.0,
    residual: str | None = None,
    residual_block_size: int = 1,
) -> Architecture:
    """Lay out a network; shapes follow from the widths alone."""
    sizes = hidden_sizes(hidden_layer_sizes)
    hidden = [
        _HiddenLayer(width, name, normalization, dropout)
        for width, name in zip(
            sizes, activation_per_layer(activation, len(sizes)), strict=True
        )
    ]
    architecture = Architecture()
    if residual == "add" and hidden:
        layers, width = _add_blocks(
            architecture, n_features, hidden, residual_block_size
        )
    elif residual == "concat":
        layers, width = _concat_blocks(
            architecture, n_features, hidden, residual_block_size
        )
    else:
        layers, width = _chain(architecture, n_features, hidden)
    output = _dense(architecture, width, n_outputs, "identity")
    architecture.layers = [*layers, output]
    return architecture


def _dense(architecture: Architecture, n_in: int, n_out: int, activation: str) -> Layer:
    return {
        "kind": "dense",
        "n_in": n_in,
        "n_out": n_out,
        "W": architecture.place("W", (n_in, n_out), activation),
        "b": architecture.place("b", (n_out,)),
    }


def _normalization(architecture: Architecture, kind: str, width: int) -> Layer:
    layer: Layer = {
        "kind": f"{kind}_norm",
        "width": width,
        "gamma": architecture.place("gamma", (width,)),
        "beta": architecture.place("beta", (width,)),
    }
    if kind == "batch":
        layer["running"] = architecture.place_running(width)
    return layer


def _behind(architecture: Architecture, spec: _HiddenLayer) -> list[Layer]:
    """Chain [normalization] -> activation -> [dropout], what follows a dense layer."""
    width = spec.width
    layers: list[Layer] = []
    if spec.normalization:
        layers.append(_normalization(architecture, spec.normalization, width))
    layers.append({"kind": "activation", "name": spec.activation, "width": width})
    if spec.dropout:
        layers.append({"kind": "dropout", "width": width, "rate": spec.dropout})
    return layers


def _chain(
    architecture: Architecture, n_in: int, hidden: Sequence[_HiddenLayer]
) -> tuple[list[Layer], int]:
    """Hidden layers one behind the other, and the width of the last."""
    layers: list[Layer] = []
    for spec in hidden:
        layers.append(_dense(architecture, n_in, spec.width, spec.activation))
        layers += _behind(architecture, spec)
        n_in = spec.width
    return layers, n_in


def _concat_blocks(
    architecture: Architecture,
    n_in: int,
    hidden: Sequence[_HiddenLayer],
    block_size: int,
) -> tuple[list[Layer], int]:
    """Blocks of hidden layers, each beside its input, and the width behind them."""
    layers: list[Layer] = []
    for start in range(0, len(hidden), block_size):
        block = hidden[start : start + block_size]
        inner, width = _chain(architecture, n_in, block)
        n_out = n_in + width
        layers.append({"kind": "concat", "n_in": n_in, "n_out": n_out, "layers": inner})
        n_in = n_out
    return layers, n_in


def _add_blocks(
    architecture: Architecture,
    n_in: int,
    hidden: Sequence[_HiddenLayer],
    block_size: int,
) -> tuple[list[Layer], int]:
    """The chain of hidden layers, with skips from each dense layer to a later one.

    What lies between two dense layers belongs to the branch (He et al., 2016,
    "Identity mappings"): a branch then has mean zero at the start, and since each of
    B branches is scaled by 1/sqrt(B), the variance of the stream stays bounded for
    every depth (Hayou et al., 2021, "Stable ResNet").
    """
    first, *others = hidden
    layers = [_dense(architecture, n_in, first.width, first.activation)]
    n_blocks = -(-len(others) // block_size)
    for start in range(0, len(others), block_size):
        block = hidden[start : start + block_size + 1]
        inner: list[Layer] = []
        for before, spec in pairwise(block):
            inner += _behind(architecture, before)
            inner.append(
                _dense(architecture, before.width, spec.width, spec.activation)
            )
        layers.append(
            _skip(architecture, block[0].width, block[-1].width, inner, n_blocks)
        )
    return layers + _behind(architecture, hidden[-1]), hidden[-1].width


def _skip(
    architecture: Architecture, n_in: int, n_out: int, inner: list[Layer], n_blocks: int
) -> Layer:
    """Add the branch to its input, projected where the widths differ."""
    layer: Layer = {"kind": "add", "n_in": n_in, "n_out": n_out, "layers": inner}
    layer["scale"] = 1 / np.sqrt(n_blocks)
    if n_in != n_out:
        layer["P"] = architecture.place("P", (n_in, n_out))
    return layer
