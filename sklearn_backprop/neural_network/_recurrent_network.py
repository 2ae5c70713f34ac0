"""From the hyper-parameters of a recurrent network to its layers."""

from collections.abc import Iterator

from .._immutable import immutable
from ._architecture import Architecture, Layer
from ._inputs import Inputs
from ._members import dense
from ._perceptron import ACTIVATIONS, hidden_sizes

__all__ = ["CELLS", "POOLINGS", "build_recurrent_architecture"]

POOLINGS = ("last", "mean")


@immutable
class Cell:
    """How many gates each array of a cell serves, and how its biases start."""

    n_of_input: int  # W
    n_of_state: int  # U
    n_biases: int
    biases: str = "zeros"


CELLS = {
    "lstm": Cell(4, 4, 4, "open_forget_gate"),
    "gru": Cell(3, 3, 4),
    "tanh": Cell(1, 1, 1),
}


def build_recurrent_architecture(
    inputs: Inputs,
    n_outputs: int,
    *,
    n_steps: int,
    n_channels: int,
    cell: str = "lstm",
    hidden_layer_sizes=(64,),
    bidirectional: bool = False,
    pooling: str = "last",
    residual: str | None = None,
    dropout: float = 0.0,
) -> Architecture:
    """Lay out a network that reads sequences, and a dense layer of their states."""
    sizes = hidden_sizes(hidden_layer_sizes)
    if not sizes:
        raise ValueError(
            "hidden_layer_sizes is empty: a recurrent network needs at least one layer."
        )
    architecture = Architecture(
        inputs=inputs,
        shaped_by={
            "n_channels": n_channels,
            "cell": cell,
            "hidden_layer_sizes": sizes,
            "bidirectional": bidirectional,
            "pooling": pooling,
            "residual": residual,
        },
    )
    network = _Recurrent(architecture, cell, bidirectional)
    inner = list(network.stacked(n_channels, sizes, residual, dropout))
    last, n_out = len(sizes) - 1, inner[-1]["n_out"]
    architecture.layers = [
        {
            "kind": "sequence",
            "layer": 0,
            "n_steps": n_steps,
            "n_channels": n_channels,
            "pooling": pooling,
            "n_forward": sizes[-1],
            "n_out": n_out,
            "layers": inner,
        },
        *_dropout(dropout, last, n_out),
        {
            **dense(
                architecture,
                len(sizes),
                n_out,
                n_outputs,
                initializer=ACTIVATIONS["identity"],
                is_output=True,
            ),
            "row_by_row": 1,  # so that a batch is its rows one by one
        },
    ]
    return architecture


def _dropout(rate: float, index: int, width: int) -> list[Layer]:
    if not rate:
        return []
    return [{"kind": "dropout", "rate": rate, "layer": index, "width": width}]


@immutable
class _Recurrent:
    """Recurrent layers of a network that is being laid out."""

    architecture: Architecture
    cell: str
    bidirectional: bool

    def stacked(
        self, n_in: int, sizes: list[int], residual: str | None, dropout: float
    ) -> Iterator[Layer]:
        """Yield layers one behind the other; skips go around those that keep a width.

        Each of B skipped branches is scaled by 1/sqrt(B), as in residual perceptrons.
        """
        ways = 2 if self.bidirectional else 1
        widths = [n_in, *(ways * size for size in sizes)]
        is_block = [
            residual == "add" and index > 0 and widths[index] == widths[index + 1]
            for index in range(len(sizes))
        ]
        for index, size in enumerate(sizes):
            if index > 0:
                yield from _dropout(dropout, index - 1, widths[index])
            layer = self.layer(index, widths[index], size)
            if is_block[index]:
                layer = {
                    "kind": "add",
                    "layer": index,
                    "n_in": widths[index],
                    "n_out": widths[index + 1],
                    "scale": sum(is_block) ** -0.5,
                    "layers": [layer],
                }
            yield layer

    def layer(self, index: int, n_in: int, size: int) -> Layer:
        """One layer, in one direction or in both."""
        if not self.bidirectional:
            return self.direction(index, n_in, size)
        return {
            "kind": "beside",
            "layer": index,
            "n_in": n_in,
            "n_out": 2 * size,
            "layers": [
                self.direction(index, n_in, size),
                self.direction(index, n_in, size, part="reverse"),
            ],
        }

    def direction(self, index: int, n_in: int, size: int, part: str = "") -> Layer:
        """A cell that passes from step to step, or back if it is the reverse part."""
        gates, place = CELLS[self.cell], self.architecture.place
        return {
            "kind": "recurrent",
            "layer": index,
            "cell": self.cell,
            "n_in": n_in,
            "n_out": size,
            "width": size,
            "reverse": int(part == "reverse"),
            "W": place(
                index,
                "W",
                (n_in, gates.n_of_input * size),
                initializer="xavier_uniform",
                n_gates=gates.n_of_input,
                part=part,
            ),
            "U": place(
                index,
                "U",
                (size, gates.n_of_state * size),
                initializer="orthogonal",
                n_gates=gates.n_of_state,
                part=part,
            ),
            "b": place(
                index,
                "b",
                (gates.n_biases * size,),
                initializer=gates.biases,
                part=part,
            ),
        }
