"""A network's pass forward and back, from the engine's trace."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from .._fitted import (
    fitted_network,
    plain_engine,
    refuse_raw_tables,
    rows_of,
    sequences_of,
)
from .._threads import allowed_threads, single_threaded_blas
from ._backpropagation import Backpropagation, shares_of
from ._gradient_check import Objective
from ._layer_pass import LayerPass, Step

__all__ = ["pass_through_network"]


def pass_through_network(estimator, X, y, sample_weight) -> Backpropagation:
    """Go through a fitted perceptron once."""
    refuse_raw_tables(estimator, "backpropagate")
    network = fitted_network(estimator)
    _refuse_networks_side_by_side(network)
    rows = rows_of(estimator, X, y, sample_weight)
    engine = plain_engine(network, network.dtype)
    alpha = float(estimator.alpha) / rows.weight_unit
    with single_threaded_blas:
        trace = engine.trace(
            network.theta,
            rows.X,
            rows.Y,
            rows.weight,
            running=network.running,
            constants=network.constants,
            alpha=alpha,
        )
    # Of members there is a row for each.
    raw = trace["layers"][-1]["output"].reshape(len(rows.Y), -1)
    return Backpropagation(
        J=trace["value"],
        row_losses=engine.row_losses(raw, rows.Y),
        row_weights=shares_of(rows.weight, len(rows.Y)),
        layers=list(_layers(network, rows.X, trace, engine.predictions(raw))),
        targets=rows.Y,
        dJ_dX=trace["input_gradient"],
        _objective=_objective(network, rows, alpha),
    )


def _refuse_networks_side_by_side(network) -> None:
    if network.architecture.n_copies > 1:
        raise ValueError(
            "backpropagate shows one network, but members of "
            f"member_weights='independent' are {network.n_members} side by side. Fit "
            "one of them with n_members=1, or members that share weights "
            "(member_weights='mini' or 'adapters')."
        )


def _objective(network, rows, alpha: float) -> Objective:
    engine = plain_engine(network, np.float64)
    Y = rows.Y.astype(np.float64)
    weight = None if rows.weight is None else rows.weight.astype(np.float64)

    def value(theta, X):
        options = {"running": running, "constants": constants, "alpha": alpha}
        return engine.value_and_gradient(
            theta, X, Y, weight, n_threads=n_threads, **options
        )[0]

    places = {
        f"{layer} {row.key}": slice(row.start, row.start + row.size)
        for layer, group in _parameters_by_layer(network.architecture).items()
        for row in group
    }
    n_threads = allowed_threads()
    running = network.running.astype(np.float64)
    constants = network.architecture.constants
    constants = np.concatenate(constants).astype(np.float64) if constants else None
    theta, X = network.theta.astype(np.float64), rows.X.astype(np.float64)
    return Objective(value, theta, X, places)


def _parameters_by_layer(architecture) -> dict[str, list]:
    """Rows of the table of parameters, by the name of their layer."""
    groups: dict[str, list] = {}
    for row in architecture.parameters:
        groups.setdefault(row.layer_name, []).append(row)
    return groups


class _Passed(NamedTuple):
    """One of the engine's layers, with what it read and what the trace tells of it."""

    spec: Mapping[str, Any]
    inputs: Any
    record: Mapping[str, Any]

    @property
    def step(self) -> Step:
        """What a user sees of it."""
        record = self.record
        return Step(self.spec["kind"], record["output"], record["output_gradient"])


def _passed(layers: Sequence, records, numbers, inputs) -> Iterator[_Passed]:
    """Go through layers as numbers do; a block comes behind what it holds.

    `records` are by the engine's numbers of layers, a block before what it holds, and
    lack the parts of layers side by side; `numbers` counts.
    """
    for spec in layers:
        record = records.get(next(numbers))
        yield from _passed(spec.get("layers", ()), records, numbers, inputs)
        if record is None:
            continue
        yield _Passed(spec, inputs, record)
        inputs = record["output"]


# What a residual block is to the engine.
_BLOCKS = ("add", "concat")


def _start_of_block(passed: Sequence[_Passed]) -> int | None:
    """Number of the layer whose output the block that ends here adds to, or joins."""
    blocks = [one.spec for one in passed if one.spec["kind"] in _BLOCKS]
    if not blocks:
        return None
    first = blocks[-1]["layers"][0]
    # A block begins with what follows the layer before, or with the next dense one.
    return first["layer"] + 1 - ("W" in first)


def _layers(network, X, trace, predictions) -> Iterator[LayerPass]:
    """Sort what the engine's layers did by the layers that users know."""
    records = {record["number"]: record for record in trace["layers"]}
    passed = list(_passed(network.architecture.layers, records, count(), X))
    for name, rows in _parameters_by_layer(network.architecture).items():
        mine = [
            one
            for one in passed
            if one.spec["layer"] == rows[0].layer and one.spec["kind"] != "members"
        ]
        if any(row.role == "U" for row in rows):
            yield _recurrent_layer(network, X, trace, name, rows, mine)
            continue
        if name == "embedding":
            yield _embedding(network, name, rows, X, trace, mine)
            continue
        dense = next((one for one in mine if "W" in one.spec), mine[0])
        affine = [one for one in mine if one.spec["kind"] == "member_affine"]
        before = affine[0] if affine else dense
        activation = [one for one in mine if one.spec["kind"] == "activation"]
        if activation:
            function, a = activation[-1].spec["name"], activation[-1].record["output"]
        else:
            function, a = network.out_activation, predictions
        yield LayerPass(
            name=name,
            activation=function,
            inputs=dense.inputs,
            z=before.record["output"],
            a=a,
            dJ_dz=before.record["output_gradient"],
            steps=tuple(one.step for one in mine),
            skip_from=_start_of_block(mine),
            parameters=_by_role(rows, network.theta.copy()),
            gradients=_by_role(rows, trace["gradient"]),
        )


def _embedding(network, name, rows, X, trace, mine) -> LayerPass:
    """What columns of X became: vectors, codes, and those that enter as they are."""
    whole = mine[-1].record
    return LayerPass(
        name=name,
        activation="identity",
        inputs=X,
        z=whole["output"],
        a=whole["output"],
        dJ_dz=whole["output_gradient"],
        steps=tuple(one.step for one in mine),
        parameters=_by_role(rows, network.theta.copy()),
        gradients=_by_role(rows, trace["gradient"]),
    )


def _by_role(rows, vector) -> dict[str, np.ndarray]:
    """Arrays of a layer in a vector as long as theta."""
    return {row.key: row.view(vector) for row in rows}


def _recurrent_layer(network, X, trace, name, rows, mine) -> LayerPass:
    """What a recurrent layer read and gave, step by step; its gates are not kept."""
    sequence = network.architecture.layers[0]
    unpack = sequences_of(network, X)
    inside = [one for one in mine if one.spec is not sequence]
    inside = [one for one in inside if len(one.record["output"]) == unpack.n_packed]
    states = next(one for one in inside if one.spec["kind"] in ("recurrent", "beside"))
    first_cell = states.spec.get("layers", [states.spec])[0]
    is_first = mine[0].spec["layer"] == 0
    skips = [one.spec["layer"] for one in inside if one.spec["kind"] == "add"]
    return LayerPass(
        name=name,
        activation=first_cell["cell"],
        inputs=unpack.inputs if is_first else unpack(states.inputs),
        z=None,
        a=unpack(states.record["output"]),
        dJ_dz=None,
        steps=tuple(
            Step(one.spec["kind"], *map(unpack, one.step[1:])) for one in inside
        ),
        skip_from=skips[0] if skips else None,
        parameters=_by_role(rows, network.theta.copy()),
        gradients=_by_role(rows, trace["gradient"]),
    )
