"""Errors and warnings of this package."""

from sklearn.exceptions import ConvergenceWarning
from sklearn.exceptions import InconsistentVersionWarning as _OfScikitLearn

__all__ = [
    "ClusterLostError",
    "DivergenceError",
    "InconsistentVersionWarning",
    "VanishedTrainingWarning",
]


class ClusterLostError(ConnectionError):
    """A Dask cluster has no workers left that could finish a computation.

    What was fitted up to there stays on the estimator: a network keeps the state after
    its last finished round, and goes on from it with ``warm_start=True`` where there
    are workers again.

    Examples
    --------
    >>> from sklearn_backprop.exceptions import ClusterLostError
    >>> issubclass(ClusterLostError, ConnectionError)
    True
    """


class DivergenceError(ValueError):
    """Training left the finite numbers or is about to: its step is too long.

    The message names where it began and what to change. It derives from
    :class:`ValueError`, so that model selection counts a diverging candidate as failed
    (``error_score``) and goes on. What was recorded up to there (``loss_curve_`` and
    its companions) stays on the estimator for plotting.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_backprop import GDLinearRegression
    >>> from sklearn_backprop.exceptions import DivergenceError
    >>> X, y = np.arange(10.0).reshape(-1, 1), np.arange(10.0)
    >>> try:
    ...     GDLinearRegression(learning_rate_init=10.0).fit(X, y)
    ... except DivergenceError:
    ...     print("the step is too long")
    the step is too long
    """


class VanishedTrainingWarning(ConvergenceWarning):
    """A network stopped at chance level because its gradients do not arrive.

    The message is the finding of :func:`~sklearn_backprop.inspection.diagnose`, with
    its evidence (vanished gradients, dead or saturated units, or what caused them) and
    the remedy. A network that trains never gets it.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.exceptions import ConvergenceWarning
    >>> from sklearn_backprop.exceptions import VanishedTrainingWarning
    >>> issubclass(VanishedTrainingWarning, ConvergenceWarning)
    True
    """


class InconsistentVersionWarning(_OfScikitLearn):
    """A stored estimator is read by another version of this package.

    It is one of scikit-learn's warnings of that name, so that a filter for those takes
    it, too. Models of earlier releases are read as they were; fit them again, or store
    them again with the version that serves them, to be rid of it. Models of later
    releases may hold what this one does not know.

    Parameters
    ----------
    estimator_name : str
        Class of the estimator.
    current_version : str
        Version of this package that reads it.
    original_version : str
        Version that wrote it.

    Examples
    --------
    >>> from sklearn_backprop.exceptions import InconsistentVersionWarning
    >>> warning = InconsistentVersionWarning(
    ...     estimator_name="GDLinearRegression",
    ...     current_version="0.2.0",
    ...     original_version="0.1.0",
    ... )
    >>> print(str(warning)[:81])
    This GDLinearRegression was stored by sklearn-backprop 0.1.0 and is read by 0.2.0
    """

    def __init__(self, *, estimator_name, current_version, original_version):
        super().__init__(
            estimator_name=estimator_name,
            current_sklearn_version=current_version,
            original_sklearn_version=original_version,
        )
        self.current_version = current_version
        self.original_version = original_version

    def __str__(self):
        """Say what was read, and what to do."""
        return (
            f"This {self.estimator_name} was stored by sklearn-backprop "
            f"{self.original_version} and is read by {self.current_version}. Compare "
            "its predictions with those that it gave, then store it again with this "
            "version, or fit it anew."
        )
