"""From the record of a linear regression's fit to what is wrong with it."""

from collections.abc import Iterable

from ._data import DESCENT_FEATURE_RATIO, feature_scales, ill_conditioning
from ._finding import Finding
from ._steps import large_step, shorter_descent, small_step
from ._training_record import DescentRecord

__all__ = ["diagnose_descent"]


def diagnose_descent(record: DescentRecord) -> list[Finding]:
    """Find what is wrong; never an empty list."""
    if record.solver != "gd":
        return [_solved_directly(record)]
    found = [finding for finding in _ailments(record) if finding is not None]
    return found or [_healthy(record)]


def _ailments(record: DescentRecord) -> Iterable[Finding | None]:
    loss, rate = record.loss, record.learning_rate
    step = None
    if not loss[-1] < loss.max():  # a rise that ended; so do blocks of partial_fit
        step = large_step(loss, shorter_descent(rate))
    if step is None and record.n_iter < record.params["max_iter"]:
        return []
    found = [step, _feature_scales(record)]
    if step is None:
        found.append(small_step(loss, record.params, rate=rate))
    if not any(found):
        found.append(ill_conditioning(record.condition_number, record.params))
    return found


def _feature_scales(record: DescentRecord) -> Finding | None:
    if record.params["feature_scaling"] is not None:
        return None
    return feature_scales(
        record.feature_scale,
        "feature_scaling='standard'",
        bound=DESCENT_FEATURE_RATIO,
    )


def _solved_directly(record: DescentRecord) -> Finding:
    return Finding(
        "healthy",
        f"solved directly by {record.solver!r}, with a condition number of "
        f"{record.condition_number:.3g}",
    )


def _healthy(record: DescentRecord) -> Finding:
    loss = record.loss
    evidence = f"the loss fell from {loss[0]:.3g} to {min(loss):.3g}"
    return Finding("healthy", evidence, epochs=(1, len(loss)))
