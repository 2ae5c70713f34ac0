"""What the gradients of states tell, step by step through sequences.

Legend: `norms` (n_recurrent, n_steps) are those of dJ/dh in one epoch, NaN where no
sequence has the step. Backpropagation enters them at the *near* end, where a layer has
read all, and leaves them at the *far* end, where it began. Each function returns a
`Finding` or None.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ._finding import Finding, Params, either, lower_rate, true_epochs
from ._predictions import is_at_chance_level
from ._records import Records
from ._training_record import NetworkRecord

__all__ = ["exploding_through_time", "vanishing_through_time"]

# Norm at the far end / norm at the near end. A network may forget what it does not
# need, so that a small one is an ailment only where nothing was learned. Of networks of
# 24 units on 60 steps, of which the first or the last counts, sound ones lay between
# 3e-7 and 7 in their epochs; those that learned nothing below 0.02, or, of tanh cells
# that start at twice the scale, at 1.5e3.
VANISHED_IN_TIME = 0.05
EXPLODED_IN_TIME = 1e3
# Error of predictions / error of the best constant, above which nothing was learned.
NOTHING_LEARNED = 0.9
FEWEST_STEPS = 5  # to tell vanishing from chance


class _Course(NamedTuple):
    """How the gradient passes through one recurrent layer in one epoch."""

    name: str
    near: tuple[int, float]  # step, from 1, and norm
    far: tuple[int, float]

    @property
    def growth(self) -> float:
        """Norm at the far end, relative to that at the near one."""
        return self.far[1] / self.near[1] if self.near[1] > 0 else np.nan

    @property
    def steps(self) -> tuple[int, int]:
        """First and last step, from 1."""
        first, last = sorted((self.near[0], self.far[0]))
        return first, last

    def __str__(self) -> str:
        """Say it in figures."""
        n_steps = abs(self.near[0] - self.far[0])
        with np.errstate(divide="ignore"):
            factor = float(np.exp(np.log(self.growth) / n_steps))
        return (
            f"on the way back through time the norm of dJ/dh went from "
            f"{self.near[1]:.2g} in step {self.near[0]} to {self.far[1]:.2g} in step "
            f"{self.far[0]}, by a factor of {factor:.2f} per step"
        )


def _courses(record: NetworkRecord, norms: np.ndarray) -> list[_Course]:
    """Read one epoch's norms, layer by layer; leave out what is not known."""
    layers = zip(record.recurrent_names, record.reads_backwards, norms, strict=True)
    return [
        _Course(name, *_ends(of_layer, is_backward))
        for name, is_backward, of_layer in layers
        if np.sum(~np.isnan(of_layer)) >= FEWEST_STEPS
    ]


def _ends(norms: np.ndarray, is_backward: bool) -> Sequence[tuple[int, float]]:
    """Near and far end (step, norm) of norms (n_steps,)."""
    known = np.flatnonzero(~np.isnan(norms))
    ends = [(int(t) + 1, float(norms[t])) for t in (known[-1], known[0])]
    return ends[::-1] if is_backward else ends


def vanishing_through_time(record: NetworkRecord, records: Records) -> Finding | None:
    """Find gradients that do not arrive at the far end, where nothing was learned."""
    norms, params = records.get("time_gradient_norm"), record.params
    if norms is None or not _learned_nothing(record):
        return None
    found = [c for c in _courses(record, norms[-1]) if c.growth < VANISHED_IN_TIME]
    if not found:
        return None
    worst = min(found, key=lambda course: course.growth)
    return Finding(
        "vanishing_gradients",
        str(worst),
        either(
            (params["init_scale"] < 1, "init_scale=1.0"),
            (params["cell"] != "lstm", "cell='lstm'"),
            (params["pooling"] == "last", "pooling='mean'"),
            "shorter sequences",
        ),
        epochs=(len(norms), len(norms)),
        names=(worst.name,),
        steps=worst.steps,
    )


def _learned_nothing(record: NetworkRecord) -> bool:
    error = record.prediction_error
    is_useless = error is not None and error > NOTHING_LEARNED
    return is_useless or is_at_chance_level(record.prediction_spread)


def exploding_through_time(record: NetworkRecord, records: Records) -> Finding | None:
    """Find gradients that grow on their way to the far end."""
    norms, params = records.get("time_gradient_norm"), record.params
    if norms is None:
        return None
    largest = [
        max(_courses(record, of_epoch), key=_growth, default=None) for of_epoch in norms
    ]
    exploded = np.array([c is not None and _has_exploded(c) for c in largest])
    if not exploded.any():
        return None
    worst = largest[int(np.argmax(exploded))]
    assert worst is not None
    return Finding(
        "exploding_gradients",
        str(worst),
        either(*_against_explosion(params)),
        epochs=true_epochs(exploded),
        names=(worst.name,),
        steps=worst.steps,
    )


def _growth(course: _Course) -> float:
    """Its growth, to sort by: unknown ones first."""
    return float(np.nan_to_num(course.growth, posinf=np.inf))


def _has_exploded(course: _Course) -> bool:
    return course.growth > EXPLODED_IN_TIME


def _against_explosion(params: Params) -> list[str | tuple[bool, str]]:
    return [
        (params["init_scale"] > 1, "init_scale=1.0"),
        (params["init"] != "auto", "init='auto'"),
        (params["clip"] is None, "clip=1.0"),
        (params["cell"] == "tanh", "cell='lstm'"),
        lower_rate(params),
    ]
