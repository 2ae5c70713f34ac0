"""From the hyper-parameters of a perceptron to its layers."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np

from .._immutable import immutable
from ._architecture import Architecture, Layer
from ._inputs import Inputs
from ._members import Members, members_of
from ._numerical_embeddings import lay_out_inputs

__all__ = [
    "ACTIVATIONS",
    "ACTIVATION_ALIASES",
    "NORMALIZATIONS",
    "RESIDUALS",
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
_WIDEST = 2**31 - 1


@immutable
class _HiddenLayer:
    index: int
    width: int
    activation: str
    normalization: str | None
    dropout: float


def hidden_sizes(hidden_layer_sizes) -> list[int]:
    """Read one width or a sequence of widths, each at least 1."""
    sizes = np.array(hidden_layer_sizes, dtype=object, ndmin=1).tolist()
    if not all(isinstance(size, Real) and float(size).is_integer() for size in sizes):
        raise ValueError(
            "hidden_layer_sizes must be an integer or a list of integers, got "
            f"{hidden_layer_sizes!r}."
        )
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    if any(size > _WIDEST for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes must be at most {_WIDEST} each, got {sizes}."
        )
    return [int(size) for size in sizes]


def activation_per_layer(activation, n_hidden: int) -> list[str]:
    """Read one name for all hidden layers or one name for each."""
    names = [activation] * n_hidden if isinstance(activation, str) else list(activation)
    if len(names) != n_hidden:
        raise ValueError(
            f"activation has {len(names)} names for {n_hidden} hidden layers; pass one "
            "name for all layers or exactly one for each."
        )
    if not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"activation must be a name or a list of names, got {activation!r}."
        )
    names = [ACTIVATION_ALIASES.get(name, name) for name in names]
    for name in names:
        if name not in ACTIVATIONS:
            known = sorted(ACTIVATIONS) + sorted(ACTIVATION_ALIASES)
            raise ValueError(f"activation {name!r} is unknown; choose among {known}.")
    return names


def build_architecture(
    inputs: Inputs,
    n_outputs: int,
    *,
    hidden_layer_sizes,
    activation="relu",
    normalization: str | None = None,
    dropout: float = 0.0,
    residual: str | None = None,
    residual_block_size: int = 1,
    n_members: int = 1,
    member_weights: str = "mini",
    shaped_by: Mapping[str, Any] | None = None,
) -> Architecture:
    """Lay out a network for such inputs; shapes follow from the widths alone.

    `shaped_by` names what else made the inputs what they are.
    """
    sizes = hidden_sizes(hidden_layer_sizes)
    activations = activation_per_layer(activation, len(sizes))
    hidden = [
        _HiddenLayer(index, width, name, normalization, dropout)
        for index, (width, name) in enumerate(zip(sizes, activations, strict=True))
    ]
    architecture = Architecture(
        inputs=inputs,
        shaped_by={
            **(shaped_by or {}),
            "hidden_layer_sizes": sizes,
            "activation": activations,
            "normalization": normalization,
            "residual": residual,
            "residual_block_size": residual_block_size if residual else None,
            "n_members": n_members if n_members > 1 else None,
            "member_weights": member_weights if n_members > 1 else None,
        },
    )
    members = members_of(n_members, member_weights)
    members.begin(architecture)
    front = lay_out_inputs(architecture, inputs)
    width = front[-1]["n_out"] if front else inputs.n_columns
    layers = members.split(architecture, inputs, width)
    perceptron = _Perceptron(architecture, members)
    if residual == "add" and hidden:
        others, width = perceptron.add_blocks(width, hidden, residual_block_size)
    elif residual == "concat":
        others, width = perceptron.concat_blocks(width, hidden, residual_block_size)
    else:
        others, width = perceptron.chain(width, hidden)
    output = members.output(
        architecture, len(sizes), width, n_outputs, initializer=ACTIVATIONS["identity"]
    )
    architecture.layers = members.join(
        front, [*layers, *others, output], inputs.n_columns
    )
    return architecture


@immutable
class _Perceptron:
    """Hidden layers of a network that is being laid out."""

    architecture: Architecture
    members: Members

    def hidden_dense(self, n_in: int, spec: _HiddenLayer) -> list[Layer]:
        """Lead to a hidden layer, with the start that suits its activation.

        He's rule doubles the variance because the activation before the matrix halves
        it; none stands before the first (He et al., 2015, section 2.2). That one starts
        with half the variance, for networks then predict new rows better
        (docs/design.md).
        """
        initializer = ACTIVATIONS[spec.activation]
        if spec.index == 0 and initializer == "he_normal":
            initializer = "half_lecun_normal"
        return self.members.hidden(
            self.architecture, spec.index, n_in, spec.width, initializer=initializer
        )

    def normalization(self, spec: _HiddenLayer) -> Layer:
        index, width = spec.index, spec.width
        layer: Layer = {
            "kind": f"{spec.normalization}_norm",
            "layer": index,
            "width": width,
            "gamma": self.architecture.place(
                index, "gamma", (width,), initializer="ones"
            ),
            "beta": self.architecture.place(
                index, "beta", (width,), initializer="zeros"
            ),
        }
        if spec.normalization == "batch":
            layer["running"] = self.architecture.place_running(width)
        return layer

    def after_dense(self, spec: _HiddenLayer) -> list[Layer]:
        """Chain [normalization] -> activation -> [dropout], behind a dense layer."""
        layers: list[Layer] = []
        if spec.normalization:
            layers.append(self.normalization(spec))
        common = {"layer": spec.index, "width": spec.width}
        layers.append({"kind": "activation", "name": spec.activation, **common})
        if spec.dropout:
            layers.append({"kind": "dropout", "rate": spec.dropout, **common})
        return layers

    def chain(
        self, n_in: int, hidden: Sequence[_HiddenLayer]
    ) -> tuple[list[Layer], int]:
        """Hidden layers one behind the other, and the width of the last."""
        layers: list[Layer] = []
        for spec in hidden:
            layers += self.hidden_dense(n_in, spec)
            layers += self.after_dense(spec)
            n_in = spec.width
        return layers, n_in

    def concat_blocks(
        self,
        n_in: int,
        hidden: Sequence[_HiddenLayer],
        block_size: int,
    ) -> tuple[list[Layer], int]:
        """Blocks of hidden layers, each beside its input, and the width behind them."""
        layers: list[Layer] = []
        for start in range(0, len(hidden), block_size):
            block = hidden[start : start + block_size]
            inner, width = self.chain(n_in, block)
            n_out = n_in + width
            layers.append(
                {
                    "kind": "concat",
                    "layer": block[-1].index,
                    "n_in": n_in,
                    "n_out": n_out,
                    "layers": inner,
                }
            )
            n_in = n_out
        return layers, n_in

    def add_blocks(
        self,
        n_in: int,
        hidden: Sequence[_HiddenLayer],
        block_size: int,
    ) -> tuple[list[Layer], int]:
        """The chain of hidden layers, with skips from each dense layer to a later one.

        What lies between two dense layers belongs to the branch (He et al., 2016,
        "Identity mappings"): a branch then has mean zero at the start, and since each
        of B branches is scaled by 1/sqrt(B), the variance of the stream stays bounded
        for every depth (Hayou et al., 2021, "Stable ResNet").
        """
        first, *others = hidden
        layers = self.hidden_dense(n_in, first)
        n_blocks = -(-len(others) // block_size)
        for start in range(0, len(others), block_size):
            block = hidden[start : start + block_size + 1]
            inner: list[Layer] = []
            for before, spec in pairwise(block):
                inner += self.after_dense(before)
                inner += self.hidden_dense(before.width, spec)
            layers.append(self.skip(block[0], block[-1], inner, n_blocks))
        return layers + self.after_dense(hidden[-1]), hidden[-1].width

    def skip(
        self,
        before: _HiddenLayer,
        last: _HiddenLayer,
        inner: list[Layer],
        n_blocks: int,
    ) -> Layer:
        """Add the branch to its input, projected where the widths differ."""
        n_in, n_out = before.width, last.width
        layer: Layer = {
            "kind": "add",
            "layer": last.index,
            "n_in": n_in,
            "n_out": n_out,
            "layers": inner,
            "scale": 1 / np.sqrt(n_blocks),
        }
        if n_in != n_out:
            layer["P"] = self.architecture.place(
                last.index, "P", (n_in, n_out), initializer=ACTIVATIONS["identity"]
            )
        return layer
