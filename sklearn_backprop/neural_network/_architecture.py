"""From hyper-parameters to a list of layers and their places in one flat vector.

Theta holds, for every hidden layer, W (n_in, n_out) and b, then gamma and beta where
it is normalized; behind the hidden layers of an "add" block whose widths differ, the
projection P of its skip; last the output layer's W and b.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
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
    if residual is None:
        layers, width = _chain(architecture, n_features, hidden)
    else:
        blocks = [
            hidden[start : start + residual_block_size]
            for start in range(0, len(hidden), residual_block_size)
        ]
        layers, width = _residual_chain(architecture, n_features, blocks, residual)
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


def _hidden(architecture: Architecture, n_in: int, spec: _HiddenLayer) -> list[Layer]:
    """Chain dense -> [normalization] -> activation -> [dropout]."""
    width = spec.width
    layers = [_dense(architecture, n_in, width, spec.activation)]
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
        layers += _hidden(architecture, n_in, spec)
        n_in = spec.width
    return layers, n_in


def _residual_chain(
    architecture: Architecture,
    n_in: int,
    blocks: Sequence[Sequence[_HiddenLayer]],
    residual: str,
) -> tuple[list[Layer], int]:
    """Blocks one behind the other, and the width of the stream behind them.

    Each of B "add" branches is scaled by 1/sqrt(B): the variance of the stream stays
    bounded for every depth (Hayou et al., 2021, "Stable ResNet").
    """
    layers: list[Layer] = []
    for block in blocks:
        inner, width = _chain(architecture, n_in, block)
        n_out = n_in + width if residual == "concat" else width
        layer: Layer = {"kind": residual, "n_in": n_in, "n_out": n_out, "layers": inner}
        if residual == "add":
            layer["scale"] = 1 / np.sqrt(len(blocks))
            if n_in != n_out:
                layer["P"] = architecture.place("P", (n_in, n_out))
        layers.append(layer)
        n_in = n_out
    return layers, n_in
