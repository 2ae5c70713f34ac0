"""Where a pipeline keeps what there is to inspect."""

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

__all__ = ["fitted_last_step", "last_step"]


def last_step(estimator):
    """The estimator, or the last step of a pipeline."""
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def fitted_last_step(estimator):
    """The same, if it is fitted."""
    last = last_step(estimator)
    check_is_fitted(last)
    return last
