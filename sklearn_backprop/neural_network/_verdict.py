"""What `fit` says where training ended early, or in vain."""

from collections.abc import Callable, Iterable

from sklearn.exceptions import ConvergenceWarning

from .._diagnosis import (
    NetworkRecord,
    diagnose_record,
    is_at_chance_level,
    is_worse_than_constant,
    why_nothing_arrives,
)
from ..exceptions import VanishedTrainingWarning
from ._state import TrainingState

__all__ = ["verdicts"]


def verdicts(
    state: TrainingState,
    spread: float | None,
    error: float | None,
    record: Callable[[], NetworkRecord],
) -> Iterable[tuple[str, type[Warning]]]:
    """Yield warnings, each a message and its category; none of a healthy fit.

    `spread` and `error` are those of predictions; `record` is asked for in need only.
    """
    why = None
    if is_at_chance_level(spread):
        why = why_nothing_arrives(diagnose_record(record()))
    if why is None and is_worse_than_constant(error) and not state.was_stopped:
        message = (
            "The network predicts its own training rows worse than a constant would, "
            f"with an error {error:.3g} times as large. {diagnose_record(record())[0]}"
        )
        parts = [state.unfinished, message]
        yield " ".join(filter(None, parts)), ConvergenceWarning
        return
    if state.unfinished:
        yield state.unfinished, ConvergenceWarning
    if why is not None:
        yield (
            "The network stopped at chance level, its predictions do not vary with X. "
            f"{why}",
            VanishedTrainingWarning,
        )
