"""Errors and warnings of this package."""

from sklearn.exceptions import ConvergenceWarning

__all__ = ["DivergenceError", "VanishedTrainingWarning"]


class DivergenceError(ValueError):
    """Training left the finite numbers and was stopped.

    The message names where it began and what to change. What was recorded up to there
    stays on the estimator for plotting.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_backprop.exceptions import DivergenceError
    >>> from sklearn_backprop.neural_network import BackpropMLPRegressor
    >>> X = np.arange(20.0).reshape(-1, 1) * 1e3
    >>> try:
    ...     BackpropMLPRegressor((4,), activation="identity", solver="sgd").fit(X, X[:, 0])
    ... except DivergenceError as error:
    ...     print(str(error).split(" in epoch")[0])
    Training diverged
    """


class VanishedTrainingWarning(ConvergenceWarning):
    """A network stopped at chance level because its gradients do not arrive.

    The message carries the evidence (vanished gradients, dead units or saturated
    layers) and the remedy. A network that trains never gets it.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.exceptions import ConvergenceWarning
    >>> from sklearn_backprop.exceptions import VanishedTrainingWarning
    >>> issubclass(VanishedTrainingWarning, ConvergenceWarning)
    True
    """
