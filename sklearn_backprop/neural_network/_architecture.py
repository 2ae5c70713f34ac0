"""The layers of a network, and the table of their parameters.

The table has a row for every array that theta, one flat vector, holds: for every hidden
layer W (n_in, n_out) and b, the projection P of the skip that ends there if the widths
differ, then gamma and beta where it is normalized; last the output layer's W and b.
Layers name their arrays by rows of the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from .._stored import stored

__all__ = ["ROLES", "Architecture", "Layer", "Parameter", "refuse_another_shape"]

Layer = dict[str, Any]


@dataclass(frozen=True)
class Role:
    """What an array is to its layer."""

    name: str  # behind that of the layer
    is_penalised: bool = False  # by alpha and the decay of weights
    is_recorded: bool = False  # histories have a column for it


ROLES = {
    "W": Role("weights", is_penalised=True, is_recorded=True),
    "b": Role("biases"),
    "P": Role("projection", is_penalised=True),
    "gamma": Role("scales"),
    "beta": Role("shifts"),
}


@stored
@dataclass(frozen=True)
class Parameter:
    """One row of the table of parameters: an array, and its place in theta."""

    layer: int  # hidden layers from 0, then the output layer
    role: str  # a key of ROLES
    start: int
    shape: tuple[int, ...]
    initializer: str  # what suits it: a key of INITIALIZERS
    is_output: bool = False
    rate: float = 1.0  # factor of the learning rate; 0: frozen

    @property
    def name(self) -> str:
        """Name the array, as columns of the records are."""
        layer = "output" if self.is_output else f"hidden {self.layer + 1}"
        return f"{layer} {ROLES[self.role].name}"

    @property
    def size(self) -> int:
        """Count its elements."""
        return prod(self.shape)

    @property
    def is_penalised(self) -> bool:
        """Tell whether alpha and the decay of weights act on it."""
        return ROLES[self.role].is_penalised

    @property
    def is_recorded(self) -> bool:
        """Tell whether histories have a column for it."""
        return ROLES[self.role].is_recorded

    def view(self, theta: np.ndarray) -> np.ndarray:
        """Show this stretch of theta in its own shape."""
        return theta[self.start : self.start + self.size].reshape(self.shape)

    def row(self) -> dict[str, Any]:
        """Write it as the engine reads it."""
        return {
            "name": self.name,
            "start": self.start,
            "size": self.size,
            "penalty": float(self.is_penalised),
            "rate": self.rate,
            "recorded": self.is_recorded,
        }


@stored
@dataclass
class Architecture:
    """The layers of a network as the engine takes them, and the table of parameters."""

    layers: list[Layer] = field(default_factory=list)
    parameters: list[Parameter] = field(default_factory=list)
    n_theta: int = 0
    n_running: int = 0
    # Hyper-parameter -> its value for every layer: what must not change in between.
    shaped_by: dict[str, Any] = field(default_factory=dict)

    def place(self, layer: int, role: str, shape: tuple[int, ...], **rest) -> int:
        """Append an array to theta and return its row in the table."""
        parameter = Parameter(layer, role, self.n_theta, shape, **rest)
        self.parameters.append(parameter)
        self.n_theta += parameter.size
        return len(self.parameters) - 1

    def place_running(self, width: int) -> int:
        """Reserve running means and variances and return where they start."""
        start = self.n_running
        self.n_running += 2 * width
        return start

    @property
    def table(self) -> list[dict[str, Any]]:
        """Give the table of parameters as the engine reads it."""
        return [parameter.row() for parameter in self.parameters]

    def views(self, role: str, theta: np.ndarray) -> list[np.ndarray]:
        """Show all arrays of one role, from input to output."""
        return [row.view(theta) for row in self.parameters if row.role == role]

    def shapes(self, role: str) -> list[tuple[int, ...]]:
        """Shapes of all arrays of one role, from input to output."""
        return [row.shape for row in self.parameters if row.role == role]

    @property
    def recorded_names(self) -> list[str]:
        """Names of the arrays that histories have a column for, in their order."""
        return [row.name for row in self.parameters if row.is_recorded]

    def recorded(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Show the recorded arrays of a vector as long as theta, by name."""
        rows = (row for row in self.parameters if row.is_recorded)
        return {row.name: row.view(vector) for row in rows}

    def start_running(self, dtype: np.dtype) -> np.ndarray:
        """Give running means of zero and variances of one, (n_running,)."""
        running = np.zeros(self.n_running, dtype=dtype)
        for layer in _flatten(self.layers):
            if layer["kind"] == "batch_norm":
                variances = layer["running"] + layer["width"]
                running[variances : variances + layer["width"]] = 1.0
        return running

    def where(self, number: int = -1, row: int = -1) -> str:
        """Say which layer the engine means by its number, or by a row of the table."""
        if row >= 0:
            layer = self.parameters[row].layer
        elif number >= 0:
            layer = list(_flatten(self.layers))[number]["layer"]
        else:
            layer = self.n_hidden
        if layer == self.n_hidden:
            return "the output layer"
        return f"hidden layer {layer + 1} of {self.n_hidden}"

    @property
    def n_hidden(self) -> int:
        """Count the hidden layers."""
        return self.parameters[-1].layer


def _flatten(layers: Sequence[Layer]):
    """Yield layers as the engine numbers them: a block before what it holds."""
    for layer in layers:
        yield layer
        yield from _flatten(layer.get("layers", ()))


def refuse_another_shape(there: Architecture, wanted: Architecture) -> None:
    """Say which parameters ask for another network than the one that is there."""
    changed = [
        f"{name} was {there.shaped_by[name]} and is {value}"
        for name, value in wanted.shaped_by.items()
        if there.shaped_by[name] != value
    ]
    if there.shapes("b")[-1] != wanted.shapes("b")[-1]:
        changed.append(
            f"y had {there.shapes('b')[-1][0]} output(s) and has "
            f"{wanted.shapes('b')[-1][0]}"
        )
    if changed:
        raise ValueError(
            f"This fit would continue another network: {'; '.join(changed)}. Restore "
            "what shapes the network, or fit a new one with warm_start=False."
        )
