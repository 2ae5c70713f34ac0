"""Errors and warnings of this package."""

from sklearn.exceptions import ConvergenceWarning

__all__ = ["DivergenceError", "VanishedTrainingWarning"]


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
