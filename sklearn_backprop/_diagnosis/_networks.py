"""From the record of a network's training to what is wrong with it."""

from collections.abc import Iterable

import numpy as np

from ._data import feature_scales, over_fitting
from ._finding import Finding
from ._layers import (
    BLOCKED_SHARE,
    DEAD_SHARE,
    dead_units,
    saturated_units,
    symmetric_start,
    vanishing_gradients,
)
from ._predictions import (
    at_chance,
    is_at_chance_level,
    why_nothing_arrives,
    worse_than_constant,
)
from ._records import Records
from ._steps import (
    clipping,
    exploding_gradients,
    large_step,
    shorter_steps,
    small_step,
)
from ._time import exploding_through_time, vanishing_through_time
from ._training_record import NetworkRecord

__all__ = ["diagnose_network"]

# Cause -> what follows from it and needs no finding of its own.
_FOLLOWS = {
    "symmetric_start": {"dead_units", "vanishing_gradients", "small_step"},
    "feature_scales": {
        "saturated_units",
        "dead_units",
        "exploding_gradients",
        "large_step",
        "small_step",
    },
    "saturated_units": {"dead_units", "exploding_gradients", "small_step"},
    "exploding_gradients": {"dead_units", "vanishing_gradients", "small_step"},
    "large_step": {
        "saturated_units",
        "dead_units",
        "vanishing_gradients",
        "small_step",
    },
    "dead_units": {"vanishing_gradients", "small_step"},
    "vanishing_gradients": {"small_step"},
    "clipping": {"small_step"},
}


def diagnose_network(record: NetworkRecord) -> list[Finding]:
    """Find what is wrong, causes before consequences; never an empty list."""
    records = record.records
    findings = _without_consequences(_ailments(record, records))
    spread = record.prediction_spread
    if spread is not None and is_at_chance_level(spread) and not findings:
        findings = [at_chance(spread, record.params)]
    worse = _worse_than_constant(record)
    if worse is not None and why_nothing_arrives(findings) is None:
        findings = [worse, *findings]
    findings = findings or [_healthy(record)]
    untold = _not_recorded(record, records)
    return findings if untold is None else [*findings, untold]


def _ailments(record: NetworkRecord, records: Records) -> Iterable[Finding | None]:
    loss, params, frozen = record.loss, record.params, record.frozen
    learning = records.without(frozen)
    yield symmetric_start(record.weights, params, frozen)
    if record.names[0] not in frozen:
        yield feature_scales(
            record.feature_scale,
            "StandardScaler before the network",
            noun=record.feature_name,
        )
    yield saturated_units(records, params, frozen)
    yield exploding_through_time(record, records) or exploding_gradients(
        learning, loss, params, unit=_unit_of_error(record)
    )
    yield large_step(loss, shorter_steps(params), records=learning)
    vanishing = vanishing_through_time(record, records) or vanishing_gradients(
        learning, params, at_chance=is_at_chance_level(record.prediction_spread)
    )
    # Where no gradient arrives, units are dead because nothing moves them, too.
    bound = BLOCKED_SHARE if vanishing else DEAD_SHARE
    yield dead_units(records, params, frozen, bound=bound)
    yield vanishing
    yield clipping(learning, params)
    yield _late_fall(record, learning)
    yield _rise_of_validation_loss(record)


def _unit_of_error(record: NetworkRecord) -> float:
    """Half a Poisson deviance is (y - mean)^2 / (2 mean); others have no unit."""
    if record.params["loss"] != "poisson" or record.target_mean is None:
        return 1.0
    return float(np.sqrt(max(np.max(record.target_mean), 1.0)))


def _worse_than_constant(record: NetworkRecord) -> Finding | None:
    if record.prediction_error is None:
        return None
    return worse_than_constant(
        record.prediction_error,
        record.target_spread,
        record.feature_scale,
        record.params,
    )


def _without_consequences(found: Iterable[Finding | None]) -> list[Finding]:
    """Leave out what another finding explains."""
    findings = [finding for finding in found if finding is not None]
    explained = set().union(*(_FOLLOWS.get(f.kind, set()) for f in findings))
    return [finding for finding in findings if finding.kind not in explained]


def _late_fall(record: NetworkRecord, records: Records) -> Finding | None:
    """Read the last fit's part of the curve; a validation set may end it early."""
    n_iter, params = record.n_iter, record.params
    if record.validation_scores is not None and n_iter < params["max_iter"]:
        return None
    loss = record.loss[len(record.loss) - n_iter :]
    return small_step(loss, params, records=records)


def _rise_of_validation_loss(record: NetworkRecord) -> Finding | None:
    if record.validation_loss is None:
        return None
    curve = np.asarray(record.validation_loss)
    return over_fitting(curve, record.loss[: len(curve)], record.params)


def _not_recorded(record: NetworkRecord, records: Records) -> Finding | None:
    """Say what the records do not hold, if anything."""
    if not records:
        return Finding(
            "not_recorded",
            f"track_gradients={record.params['track_gradients']!r}, or no epoch; "
            "vanishing and exploding gradients, dead and saturated units and clipping "
            "cannot be told",
            "track_gradients='epoch'",
        )
    if record.params["solver"] == "lbfgs":
        return Finding(
            "not_recorded",
            "solver='lbfgs' counts no units; dead and saturated ones cannot be told",
            "a first-order solver such as 'adam' tells more",
        )
    return None


def _healthy(record: NetworkRecord) -> Finding:
    loss = record.loss
    if len(loss) == 0:
        return Finding("healthy", "no epoch was run")
    evidence = f"the loss fell from {loss[0]:.3g} to {min(loss):.3g}"
    spread = record.prediction_spread
    if spread is not None:
        evidence += f", predictions vary {spread:.2g} times as much as targets"
    return Finding("healthy", evidence, epochs=(1, len(loss)))
