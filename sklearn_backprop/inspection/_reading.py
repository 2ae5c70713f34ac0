"""From a fitted estimator to what its history tells."""

from sklearn.exceptions import NotFittedError

from .._diagnosis import Finding, RecordsTraining, diagnose_record
from ._pipeline import last_step

__all__ = ["diagnose"]


def diagnose(estimator) -> list[Finding]:
    """Tell what went wrong in a training, and what to change.

    It reads fitted attributes only, those that record the course of training, and
    takes milliseconds. Causes come before their consequences, and a consequence that
    a cause found explains is left out: mend the first, fit, and ask again.

    Parameters
    ----------
    estimator : BackpropMLPClassifier, BackpropMLPRegressor, GDLinearRegression or \
            Pipeline
        Fitted, also by `partial_fit`, or left by a
        :class:`~sklearn_backprop.exceptions.DivergenceError`; or a pipeline that ends
        in one.

    Returns
    -------
    findings : list of Finding
        Never empty. Where nothing is wrong, the first has ``kind="healthy"``. A network
        whose `gradient_history_` is empty (``track_gradients=None``) or counts no units
        (``solver="lbfgs"``) gets a last one, ``kind="not_recorded"``, that says what
        could not be told. All others are ailments (``finding.is_ailment``).

    Raises
    ------
    NotFittedError
        If the estimator was not fitted.
    TypeError
        If it is none of this package.

    See Also
    --------
    sklearn_backprop.exceptions.VanishedTrainingWarning : The finding that `fit` itself
        tells of.

    References
    ----------
    Glorot, X., & Bengio, Y. (2010). Understanding the difficulty of training deep
    feedforward neural networks. AISTATS.

    Pascanu, R., Mikolov, T., & Bengio, Y. (2013). On the difficulty of training
    recurrent neural networks. ICML.

    Prechelt, L. (1998). Early stopping - but when? In: Neural networks: tricks of the
    trade. Springer.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.preprocessing import scale
    >>> from sklearn_backprop import BackpropMLPClassifier
    >>> from sklearn_backprop.inspection import diagnose
    >>> X, y = load_wine(return_X_y=True)
    >>> network = BackpropMLPClassifier(
    ...     (32,), learning_rate_init=0.01, max_iter=500, random_state=0
    ... )
    >>> for finding in diagnose(network.fit(X, y)):
    ...     print(finding)
    features on very different scales: feature 12 has a size of 1.68e+03, ...
    >>> diagnose(network.fit(scale(X), y))[0].kind
    'healthy'
    """
    estimator = last_step(estimator)
    if not isinstance(estimator, RecordsTraining):
        name = estimator if isinstance(estimator, type) else type(estimator)
        raise TypeError(
            f"diagnose reads BackpropMLPClassifier, BackpropMLPRegressor and "
            f"GDLinearRegression, but got {name.__name__}. Of a search pass "
            "search.best_estimator_; of a class, a fitted instance."
        )
    if not hasattr(estimator, "loss_curve_"):
        raise NotFittedError(
            f"This {type(estimator).__name__} instance is not fitted yet: there is no "
            "history to diagnose. Call fit first."
        )
    return diagnose_record(estimator._training_record())
