"""From the record of a training to what is wrong with it."""

from ._descent import diagnose_descent
from ._finding import Finding
from ._networks import diagnose_network
from ._training_record import DescentRecord, NetworkRecord, TrainingRecord

__all__ = ["diagnose_record"]


def diagnose_record(record: TrainingRecord) -> list[Finding]:
    """Find what is wrong, causes before consequences; never an empty list."""
    if isinstance(record, NetworkRecord):
        return diagnose_network(record)
    assert isinstance(record, DescentRecord)
    return diagnose_descent(record)
