"""What the history of a training tells: pure functions, below all estimators."""

from ._diagnose import diagnose_record
from ._finding import Finding
from ._predictions import (
    is_at_chance_level,
    is_worse_than_constant,
    prediction_error,
    prediction_spread,
    why_nothing_arrives,
)
from ._training_record import (
    DescentRecord,
    NetworkRecord,
    RecordsTraining,
    TrainingRecord,
)

__all__ = [
    "DescentRecord",
    "Finding",
    "NetworkRecord",
    "RecordsTraining",
    "TrainingRecord",
    "diagnose_record",
    "is_at_chance_level",
    "is_worse_than_constant",
    "prediction_error",
    "prediction_spread",
    "why_nothing_arrives",
]
