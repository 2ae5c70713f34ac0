"""The layers of a network, and the table of their parameters.

The table has a row for every array that theta, one flat vector, holds: first what
embeds numbers; for every hidden layer W (n_in, n_out) and b, the projection P of the
skip that ends there if the widths differ, then gamma and beta where it is normalized;
last the output layer's W and b. Arrays that every member of an ensemble has of its own
are there once for each, (n_members, ...). Layers name arrays by rows of the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from .._immutable import immutable
from .._stored import stored
from ._inputs import Inputs

__all__ = [
    "EMBEDDING",
    "ROLES",
    "Architecture",
    "Layer",
    "Parameter",
    "refuse_another_shape",
]

Layer = dict[str, Any]
EMBEDDING = -1  # number of the layer that embeds numbers


@immutable
class Role:
    """What an array is to its layer."""

    name: str  # behind that of the layer
    is_penalised: bool = False  # by alpha and the decay of weights
    is_recorded: bool = False  # histories have a column for it
    follows_init: bool = False  # the start that `init` chooses, and `init_scale`
    is_matrix: bool = False  # in hidden layers: from one space of units to another


ROLES = {
    "W": Role(
        "weights",
        is_penalised=True,
        is_recorded=True,
        follows_init=True,
        is_matrix=True,
    ),
    "b": Role("biases"),
    "U": Role(
        "recurrent weights",
        is_penalised=True,
        is_recorded=True,
        follows_init=True,
        is_matrix=True,
    ),
    "P": Role("projection", is_penalised=True, follows_init=True, is_matrix=True),
    "gamma": Role("scales"),
    "beta": Role("shifts"),
    # of members
    "r": Role("factors of inputs"),
    "s": Role("factors of outputs"),
    # of embeddings
    "u": Role("slopes"),
    "v": Role("offsets"),
    "V": Role("bins", is_penalised=True, is_recorded=True),
    "w": Role("frequencies"),
    "E": Role("weights", is_penalised=True, is_recorded=True),
    "c": Role("biases"),
    "missing": Role("missing values"),
}


@stored
@dataclass(frozen=True)  # tables of them are compared
class Parameter:
    """One row of the table of parameters: an array, and its place in theta."""

    layer: int  # EMBEDDING, hidden layers from 0, then the output layer
    role: str  # a key of ROLES
    start: int
    shape: tuple[int, ...]
    initializer: str  # what suits it: a key of INITIALIZERS
    is_output: bool = False
    rate: float = 1.0  # factor of the learning rate; 0: frozen
    scale: float = 1.0  # factor of its start
    n_gates: int = 1  # matrices that lie side by side, each with a start of its own
    part: str = ""  # of its layer, where there are several
    n_copies: int = 1  # members that have one each: the first axis, where there are

    @property
    def layer_name(self) -> str:
        """Name its layer."""
        if self.is_output:
            return "output"
        return "embedding" if self.layer == EMBEDDING else f"hidden {self.layer + 1}"

    @cached_property
    def name(self) -> str:
        """Name the array, as columns of the records are."""
        words = self.layer_name, self.part, ROLES[self.role].name
        return " ".join(filter(None, words))

    @property
    def key(self) -> str:
        """Name it among the arrays of its layer."""
        return " ".join(filter(None, [self.part, self.role]))

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
        is_hidden_matrix = ROLES[self.role].is_matrix and not self.is_output
        return {
            "name": self.name,
            "start": self.start,
            "size": self.size,
            # The objective is the mean of the members', also its penalty.
            "penalty": self.is_penalised / self.n_copies,
            "rate": self.rate,
            "recorded": self.is_recorded,
            **({"matrix": self.shape[-2:]} if is_hidden_matrix else {}),
        }


@stored
@dataclass
class Architecture:
    """The layers of a network as the engine takes them, and the table of parameters."""

    layers: list[Layer] = field(default_factory=list)
    parameters: list[Parameter] = field(default_factory=list)
    n_theta: int = 0
    n_running: int = 0
    inputs: Inputs | None = None  # what it was laid out for
    constants: list[np.ndarray] = field(default_factory=list)
    n_members: int = 1
    n_copies: int = 1  # of every array
    # Hyper-parameter -> its value for every layer: what must not change in between.
    shaped_by: dict[str, Any] = field(default_factory=dict)

    def place(
        self, layer: int, role: str, shape: tuple[int, ...], *, n_copies=1, **rest
    ) -> int:
        """Append an array to theta, or one for each copy; return its row."""
        n_copies *= self.n_copies
        if n_copies > 1:
            shape, rest["n_copies"] = (n_copies, *shape), n_copies
        parameter = Parameter(layer, role, self.n_theta, shape, **rest)
        self.parameters.append(parameter)
        self.n_theta += parameter.size
        return len(self.parameters) - 1

    def place_running(self, width: int) -> int:
        """Reserve running means and variances and return where they start."""
        start = self.n_running
        self.n_running += 2 * width * self.n_copies
        return start

    def place_constants(self, values: np.ndarray) -> int:
        """Append numbers that nothing trains; say where they start."""
        start = sum(len(before) for before in self.constants)
        self.constants.append(values)
        return start

    def set_rates(self, rates: Sequence[float] | None) -> None:
        """Give each layer, from input to output, a factor of the learning rate."""
        if rates is None:
            return
        name_of = {row.layer: row.layer_name for row in self.parameters}
        layers = sorted(name_of)
        if len(rates) != len(layers):
            names = _enumeration([name_of[layer] for layer in layers])
            raise ValueError(
                f"layer_rates has {len(rates)} factors, but this network has "
                f"{len(layers)} layers: {names}. Pass one for each, from input to "
                "output."
            )
        of_layer = dict(zip(layers, rates, strict=True))
        self.parameters = [
            replace(row, rate=of_layer[row.layer]) for row in self.parameters
        ]
        for layer in _flatten(self.layers):
            if layer["kind"] == "batch_norm" and of_layer[layer["layer"]] == 0:
                layer["frozen"] = True

    def rates(self) -> np.ndarray:
        """Give the factor of the learning rate of each element of theta, (n_theta,)."""
        sizes = [row.size for row in self.parameters]
        return np.repeat([row.rate for row in self.parameters], sizes)

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

    @property
    def frozen_names(self) -> list[str]:
        """Names of the arrays that do not learn."""
        return [row.name for row in self.parameters if row.rate == 0]

    def recorded(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Show the recorded arrays of a vector as long as theta, by name."""
        rows = (row for row in self.parameters if row.is_recorded)
        return {row.name: row.view(vector) for row in rows}

    @property
    def recurrent_names(self) -> list[str]:
        """Names of the recurrent layers, in each direction they have."""
        states = [row for row in self.parameters if row.role == "U"]
        return [" ".join(filter(None, [row.layer_name, row.part])) for row in states]

    @property
    def reads_backwards(self) -> list[bool]:
        """Which of them begin at the last step."""
        return [row.part == "reverse" for row in self.parameters if row.role == "U"]

    @property
    def times(self) -> tuple[int, int]:
        """How many of them there are, and steps that they pass."""
        return len(self.recurrent_names), self.layers[0].get("n_steps", 0)

    def start_running(self, dtype: np.dtype) -> np.ndarray:
        """Give running means of zero and variances of one, (n_running,)."""
        running = np.zeros(self.n_running, dtype=dtype)
        for layer in _flatten(self.layers):
            if layer["kind"] == "batch_norm":
                start, width = layer["running"], layer["width"]
                of_copies = running[start : start + 2 * width * self.n_copies]
                of_copies.reshape(self.n_copies, 2, width)[:, 1] = 1.0
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
        if layer == EMBEDDING:
            return "the embedding of numbers"
        return f"hidden layer {layer + 1} of {self.n_hidden}"

    def has_layers_of(self, other: "Architecture") -> bool:
        """Tell whether layers and parameters are the same, for the same inputs."""
        return (
            self.inputs is other.inputs
            and self.layers == other.layers
            and self.parameters == other.parameters
        )

    @property
    def n_outputs(self) -> int:
        """Count the outputs of a member."""
        return self.parameters[-1].shape[-1]

    @property
    def n_hidden(self) -> int:
        """Count the hidden layers."""
        return self.parameters[-1].layer


def _flatten(layers: Sequence[Layer]):
    """Yield layers as the engine numbers them: a block before what it holds."""
    for layer in layers:
        yield layer
        yield from _flatten(layer.get("layers", ()))


def _enumeration(names: Sequence[str]) -> str:
    """Name all, or the ends of a long list."""
    if len(names) > 6:
        names = [*names[:2], "...", *names[-2:]]
    return ", ".join(names)


def refuse_another_shape(there: Architecture, wanted: Architecture) -> None:
    """Say which parameters ask for another network than the one that is there."""
    # None where a network was stored before the hyper-parameter was there.
    changed = [
        f"{name} was {there.shaped_by.get(name)} and is {value}"
        for name, value in wanted.shaped_by.items()
        if there.shaped_by.get(name) != value
    ]
    if there.n_outputs != wanted.n_outputs:
        changed.append(f"y had {there.n_outputs} output(s) and has {wanted.n_outputs}")
    if changed:
        raise ValueError(
            f"This fit would continue another network: {'; '.join(changed)}. Restore "
            "what shapes the network, or fit a new one with warm_start=False."
        )
