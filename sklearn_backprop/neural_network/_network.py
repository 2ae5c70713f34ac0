"""A network: its layers, the numbers they hold, and the engine that computes it."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._rows import Rows
from .._stored import stored
from .._threads import allowed_threads
from ..engine import _engine
from ._architecture import Architecture

__all__ = ["ENGINE_LINKS", "Network"]

# `out_activation_` as scikit-learn calls it -> its name in the engine.
ENGINE_LINKS = {
    "identity": "identity",
    "exp": "exp",
    "softmax": "softmax",
    "logistic": "sigmoid",
}
_ENGINES = {
    np.dtype(np.float32): _engine.NetworkFloat32,
    np.dtype(np.float64): _engine.NetworkFloat64,
}


@stored
@dataclass
class Network:
    """What a fit leaves and `predict` needs; plain data, so that it pickles."""

    architecture: Architecture
    loss: str
    loss_parameter: float
    out_activation: str  # from raw outputs to predictions
    theta: np.ndarray  # (n_theta,) all parameters
    running: np.ndarray  # (n_running,) statistics of batch normalization
    # Made of the above when they are first needed.
    _made: Any = field(default=None, repr=False, compare=False)
    _views: dict[str, list[np.ndarray]] = field(
        default_factory=dict, repr=False, compare=False
    )
    # What it was asked to be when it was last compared with what was wanted.
    _wishes: tuple | None = field(default=None, repr=False, compare=False)

    @property
    def dtype(self) -> np.dtype:
        """Precision of all that is computed."""
        return self.theta.dtype

    @property
    def engine(self):
        """The engine's network, made when it is first needed; it holds no numbers."""
        if self._made is None:
            self._made = self.make_engine(self.dtype)
        return self._made

    def make_engine(self, dtype: np.dtype, *, has_frozen=True, **options):
        """Make an engine of this network in some precision.

        Without frozen arrays it has the gradients of all.
        """
        return _ENGINES[np.dtype(dtype)](
            [
                row if has_frozen else {**row, "rate": 1.0}
                for row in self.architecture.table
            ],
            self.architecture.layers,
            loss=self.loss,
            link=ENGINE_LINKS[self.out_activation],
            loss_parameter=self.loss_parameter,
            n_members=self.n_members,
            **options,
        )

    def fulfils(self, wishes: tuple | None) -> bool:
        """Tell whether it is known to be what is wanted; None: it cannot be known."""
        return wishes is not None and self._wishes == wishes

    def note_fulfilled(self, wishes: tuple | None) -> None:
        """Remember that it is what is wanted."""
        self._wishes = wishes

    def computes_as(self, other: "Network") -> bool:
        """Tell whether, with equal numbers, it computes the same."""
        return self.architecture.has_layers_of(other.architecture) and (
            self.loss,
            self.loss_parameter,
            self.out_activation,
        ) == (other.loss, other.loss_parameter, other.out_activation)

    @property
    def n_members(self) -> int:
        """Count the members of an ensemble."""
        return self.architecture.n_members

    @property
    def constants(self) -> np.ndarray | None:
        """Numbers that layers read and nothing trains, in the network's precision."""
        values = self.architecture.constants
        if not values:
            return None
        return np.concatenate(values).astype(self.dtype, copy=False)

    def __getstate__(self):
        return {**self.__dict__, "_made": None, "_views": {}, "_wishes": None}

    # --- parameters
    def views(self, role: str) -> list[np.ndarray]:
        """Show all arrays of one role, from input to output, as views of theta.

        The views are always the same ones; the list is a new one.
        """
        if role not in self._views:
            self._views[role] = self.architecture.views(role, self.theta)
        return list(self._views[role])

    def copy_in(self, given: Sequence, role: str, name: str) -> bool:
        """Copy arrays that are not the views into theta; tell whether any was not."""
        views = self.views(role)
        if len(given) != len(views):
            raise ValueError(
                f"{name} has {len(given)} arrays, but this network has {len(views)} "
                "layers of weights."
            )
        if all(map(operator.is_, given, views)):
            return False
        for i, (array, view) in enumerate(zip(given, views, strict=True)):
            if np.shape(array) != view.shape:
                raise ValueError(
                    f"{name}[{i}] has shape {np.shape(array)}, but this network needs "
                    f"{view.shape}."
                )
            view[...] = array
        return True

    def snapshot(self) -> tuple[np.ndarray, np.ndarray]:
        """Copy the numbers."""
        return self.theta.copy(), self.running.copy()

    def restore(self, snapshot: tuple[np.ndarray, np.ndarray]) -> None:
        """Write numbers back in place, so that views of them stay true."""
        self.theta[...], self.running[...] = snapshot

    def make_writeable(self) -> None:
        """Replace vectors that cannot be written, such as memory-mapped ones."""
        self.theta, self.running = self.snapshot()
        self._views.clear()

    # --- computing
    def forward(self, X, order=None, *, raw=False) -> np.ndarray:
        """Compute outputs (n, n_outputs) behind the link, or all members' before it.

        Those are (n, n_members * n_outputs), one member's after the other's. `order`
        (n,) says which rows of X; None means all, as they lie.
        """
        compute = self.engine.raw_outputs if raw else self.engine.predict
        theta, running = np.asarray(self.theta), np.asarray(self.running)
        return compute(
            theta,
            running,
            X,
            order,
            constants=self.constants,
            n_threads=allowed_threads(),
        )

    def mean_loss(self, rows: Rows) -> float:
        """Weighted mean loss of rows in prediction mode, without the penalty."""
        return self.engine.loss(
            self.theta,
            self.running,
            *rows.table,
            rows.order,
            constants=self.constants,
            n_threads=allowed_threads(),
        )
