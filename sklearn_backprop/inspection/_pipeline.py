"""Where pipelines and estimators keep what there is to inspect."""

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._diagnosis import RecordsTraining, TrainingRecord

__all__ = ["fitted_last_step", "last_step", "record_of"]


def last_step(estimator):
    """The estimator, or the last step of a pipeline."""
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def fitted_last_step(estimator):
    """The same, if it is fitted."""
    last = last_step(estimator)
    check_is_fitted(last)
    return last


def record_of(estimator) -> TrainingRecord | None:
    """What a fitted estimator declares of its training; None of another package's."""
    if isinstance(estimator, RecordsTraining):
        return estimator._training_record()
    return None
