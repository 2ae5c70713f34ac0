"""Errors and warnings that the estimators raise."""


class DivergenceError(ValueError):
    """Training left the finite numbers, or a step is too long to converge.

    It derives from :class:`ValueError`, so that model selection counts a diverging
    candidate as failed (``error_score``) and goes on. What the estimator recorded up to
    that point (``loss_curve_`` and its companions) stays readable on it.

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
