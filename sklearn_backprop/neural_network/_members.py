"""Members of an ensemble that is one network: what they share, what each has alone.

A row passes once for every member, its loss is the mean of the members' losses, and its
prediction the mean of their predictions.
"""

from abc import ABC, abstractmethod

from .._immutable import immutable
from ._architecture import Architecture, Layer
from ._inputs import Inputs

__all__ = ["MEMBER_WEIGHTS", "Members", "members_of"]


@immutable
class Members(ABC):
    """How a network of members is laid out."""

    n: int

    def begin(self, architecture: Architecture) -> None:
        """Say how often every array is there."""
        architecture.n_members = self.n

    @abstractmethod
    def split(
        self, architecture: Architecture, inputs: Inputs, width: int
    ) -> list[Layer]:
        """Layers in which one row (width,) becomes one for every member."""

    @abstractmethod
    def hidden(
        self, architecture: Architecture, index: int, n_in: int, n_out: int, **start
    ) -> list[Layer]:
        """Layers that lead to pre-activations (n_out,) of a hidden layer."""

    @abstractmethod
    def output(
        self, architecture: Architecture, index: int, n_in: int, n_out: int, **start
    ) -> Layer:
        """The last layer."""

    @abstractmethod
    def join(self, front: list[Layer], layers: list[Layer], n_in: int) -> list[Layer]:
        """The whole network: `front` reads columns of X, `layers` what it gives."""


def dense(
    architecture: Architecture,
    index: int,
    n_in: int,
    n_out: int,
    *,
    has_biases: bool = True,
    **start,
) -> Layer:
    """Multiply by weights that start as `start` says, and add biases."""
    W = architecture.place(index, "W", (n_in, n_out), **start)
    layer = {"kind": "dense", "layer": index, "n_in": n_in, "n_out": n_out, "W": W}
    if has_biases:
        start = {**start, "initializer": "zeros"}
        layer["b"] = architecture.place(index, "b", (n_out,), **start)
    return layer


class Alone(Members):
    """One network."""

    def split(self, architecture, inputs, width):
        """Nothing to split."""
        return []

    def hidden(self, architecture, index, n_in, n_out, **start):
        """Give a dense layer."""
        return [dense(architecture, index, n_in, n_out, **start)]

    def output(self, architecture, index, n_in, n_out, **start):
        """Give a dense layer."""
        return dense(architecture, index, n_in, n_out, is_output=True, **start)

    def join(self, front, layers, n_in):
        """One layer behind the other."""
        return [*front, *layers]


class Independent(Alone):
    """Members that share nothing but the rows."""

    def begin(self, architecture):
        """Every array is there once for each member."""
        super().begin(architecture)
        architecture.n_copies = self.n

    def join(self, front, layers, n_in):
        """One layer behind the other, n times side by side."""
        whole = [*front, *layers]
        return [
            {
                "kind": "independent",
                "layer": whole[-1]["layer"],
                "n_members": self.n,
                "n_in": n_in,
                "n_out": self.n * whole[-1]["n_out"],
                "layers": whole,
            }
        ]


class Mini(Members):
    """Members that share all weights but factors of the inputs and the output layer."""

    def split(self, architecture, inputs, width):
        """Multiply each input by a number of each member, drawn at the start."""
        n_wide = len(inputs.embedded)
        group = inputs.embedding["size"] if n_wide else 1
        n_factors = width - n_wide * (group - 1)
        return [
            {
                "kind": "member_scale",
                "layer": 0,
                "n_members": self.n,
                "width": width,
                "n_wide": n_wide,
                "group": group,
                "r": architecture.place(
                    0,
                    "r",
                    (n_factors,),
                    n_copies=self.n,
                    initializer="normal" if n_wide else "signs",
                ),
            }
        ]

    def hidden(self, architecture, index, n_in, n_out, **start):
        """Give a dense layer of all members."""
        return [dense(architecture, index, n_in, n_out, **start)]

    def output(self, architecture, index, n_in, n_out, **start):
        """Give every member an output layer of its own."""
        layer = dense(
            architecture, index, n_in, n_out, is_output=True, n_copies=self.n, **start
        )
        return {**layer, "kind": "member_dense", "n_members": self.n}

    def join(self, front, layers, n_in):
        """`front` passes a row once, `layers` once for every member."""
        return [
            {
                "kind": "members",
                "layer": layers[-1]["layer"],
                "n_members": self.n,
                "n_front": len(front),
                "n_in": n_in,
                "n_out": self.n * layers[-1]["n_out"],
                "layers": [*front, *_with_split_fused(layers)],
            }
        ]


class Adapters(Mini):
    """Members with factors of every layer's inputs and outputs, and biases."""

    def hidden(self, architecture, index, n_in, n_out, **start):
        """((x r) W) s + b with r, s, b of each member; the split has the first r."""
        layers = []
        if index > 0:
            layers.append(_scale(architecture, index, n_in, self.n))
        return [
            *layers,
            dense(architecture, index, n_in, n_out, has_biases=False, **start),
            _affine(architecture, index, n_out, self.n),
        ]


def _scale(architecture: Architecture, index: int, width: int, n: int) -> Layer:
    """X r, with a row of r (n, width) for each member."""
    r = architecture.place(index, "r", (width,), n_copies=n, initializer="ones")
    return {
        "kind": "member_scale",
        "layer": index,
        "n_members": n,
        "width": width,
        "n_wide": 0,
        "group": 1,
        "r": r,
    }


def _affine(architecture: Architecture, index: int, width: int, n: int) -> Layer:
    """X s + b, with rows of s and b (n, width) for each member."""
    s = architecture.place(index, "s", (width,), n_copies=n, initializer="ones")
    b = architecture.place(index, "b", (width,), n_copies=n, initializer="zeros")
    return {
        "kind": "member_affine",
        "layer": index,
        "n_members": n,
        "width": width,
        "s": s,
        "b": b,
    }


def _with_split_fused(layers: list[Layer]) -> list[Layer]:
    """Make one layer of the split and a dense layer right behind it.

    That one need not multiply once for every member.
    """
    split, first, *others = layers
    if first["kind"] != "dense":
        return layers
    return [{**split, **first, "kind": "scaled_dense"}, *others]


# member_weights -> how members are laid out.
MEMBER_WEIGHTS: dict[str, type[Members]] = {
    "mini": Mini,
    "adapters": Adapters,
    "independent": Independent,
}


def members_of(n_members: int, member_weights: str) -> Members:
    """Read the hyper-parameters; one member is the plain network."""
    return Alone(1) if n_members == 1 else MEMBER_WEIGHTS[member_weights](n_members)
