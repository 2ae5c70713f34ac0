"""From a fitted estimator to what its history tells."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from . import _diagnosis
from ._diagnosis import Finding
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
    params = _params_of(estimator)
    if not hasattr(estimator, "loss_curve_"):
        raise NotFittedError(
            f"This {type(estimator).__name__} instance is not fitted yet: there is no "
            "history to diagnose. Call fit first."
        )
    if "track_gradients" in params:
        return _diagnose_network(estimator, params)
    return _diagnose_descent(estimator, params)


def _params_of(estimator) -> dict:
    """Parameters of an estimator of this package; others are refused."""
    params = {}
    if isinstance(estimator, BaseEstimator):
        params = estimator.get_params(deep=False)
    if "track_gradients" in params or {"feature_scaling", "track_path"} <= set(params):
        return params
    name = estimator if isinstance(estimator, type) else type(estimator)
    raise TypeError(
        f"diagnose reads BackpropMLPClassifier, BackpropMLPRegressor and "
        f"GDLinearRegression, but got {name.__name__}. Of a search pass "
        "search.best_estimator_; of a class, a fitted instance."
    )


# ---------------------------------------------------------------------- networks
# Cause -> what follows from it and needs no finding of its own.
_FOLLOWS = {
    "symmetric_start": {"dead_units", "vanishing_gradients", "small_step"},
    "feature_scales": {
        "saturated_units",
        "dead_units",
        "exploding_gradients",
        "large_step",
        "small_step",
    },
    "saturated_units": {"dead_units", "exploding_gradients", "small_step"},
    "exploding_gradients": {"dead_units", "vanishing_gradients", "small_step"},
    "large_step": {
        "saturated_units",
        "dead_units",
        "vanishing_gradients",
        "small_step",
    },
    "dead_units": {"vanishing_gradients", "small_step"},
    "vanishing_gradients": {"small_step"},
    "clipping": {"small_step"},
}


def _diagnose_network(estimator, params) -> list[Finding]:
    loss = np.asarray(estimator.loss_curve_, dtype=np.float64)
    records = _diagnosis.by_epoch(estimator.gradient_history_, len(loss))
    spread = estimator.prediction_spread_
    chance = _diagnosis.is_at_chance_level(spread)
    vanishing = _diagnosis.vanishing_gradients(records, params, at_chance=chance)
    # Where no gradient arrives, units are dead because nothing moves them, too.
    bound = _diagnosis.BLOCKED_SHARE if vanishing else _diagnosis.DEAD_SHARE
    found = [
        _diagnosis.symmetric_start(estimator.coefs_, params),
        _diagnosis.feature_scales(estimator.feature_scale_, params),
        _diagnosis.saturated_units(records, params),
        _diagnosis.exploding_gradients(
            records, loss, params, unit=_unit_of_error(estimator, params)
        ),
        _diagnosis.large_step(loss, params, records=records),
        _diagnosis.dead_units(records, params, bound=bound),
        vanishing,
        _diagnosis.clipping(records, params),
        _late_fall(estimator, loss, records, params),
        _rise_of_validation_loss(estimator, loss, params),
    ]
    findings = _without_consequences(found)
    if chance and not findings:
        findings = [_diagnosis.at_chance(spread, params)]
    worse = _worse_than_constant(estimator, params)
    if worse is not None and _diagnosis.why_nothing_arrives(findings) is None:
        findings = [worse, *findings]
    findings = findings or [_healthy(estimator)]
    untold = _not_recorded(params, records)
    return findings if untold is None else [*findings, untold]


def _unit_of_error(estimator, params) -> float:
    """Half a Poisson deviance is (y - mean)^2 / (2 mean); others have no unit."""
    if params["loss"] != "poisson":
        return 1.0
    return float(np.sqrt(max(np.max(estimator.target_mean_), 1.0)))


def _worse_than_constant(estimator, params) -> Finding | None:
    if getattr(estimator, "prediction_error_", None) is None:
        return None
    return _diagnosis.worse_than_constant(
        estimator.prediction_error_,
        estimator.target_spread_,
        estimator.feature_scale_,
        params,
    )


def _without_consequences(found: list[Finding | None]) -> list[Finding]:
    """Leave out what another finding explains."""
    findings = [finding for finding in found if finding is not None]
    explained = set().union(*(_FOLLOWS.get(f.kind, set()) for f in findings))
    return [finding for finding in findings if finding.kind not in explained]


def _late_fall(estimator, loss, records, params) -> Finding | None:
    """Read the last fit's part of the curve; a validation set may end it early."""
    n_iter = estimator.n_iter_
    if estimator.validation_scores_ is not None and n_iter < estimator.max_iter:
        return None
    return _diagnosis.small_step(loss[len(loss) - n_iter :], params, records=records)


def _rise_of_validation_loss(estimator, loss, params) -> Finding | None:
    curve = estimator.validation_loss_curve_
    if curve is None:
        return None
    return _diagnosis.over_fitting(np.asarray(curve), loss[: len(curve)], params)


def _not_recorded(params, records) -> Finding | None:
    """Say what the records do not hold, if anything."""
    if not records:
        return Finding(
            "not_recorded",
            f"track_gradients={params['track_gradients']!r}, or no epoch; vanishing "
            "and exploding gradients, dead and saturated units and clipping cannot be "
            "told",
            "track_gradients='epoch'",
        )
    if params["solver"] == "lbfgs":
        return Finding(
            "not_recorded",
            "solver='lbfgs' counts no units; dead and saturated ones cannot be told",
            "a first-order solver such as 'adam' tells more",
        )
    return None


# ------------------------------------------------------------- linear regression
def _diagnose_descent(estimator, params) -> list[Finding]:
    if estimator.solver_ != "gd":
        return [_healthy(estimator)]
    loss = np.asarray(estimator.loss_curve_)
    rate = estimator.learning_rate_
    step = None
    if not loss[-1] < loss.max():  # a rise that ended; so do blocks of partial_fit
        step = _diagnosis.large_step(loss, params, rate=rate)
    if step is None and estimator.n_iter_ < params["max_iter"]:
        return [_healthy(estimator)]
    scales = None
    if params["feature_scaling"] is None:
        scales = _diagnosis.feature_scales(
            estimator.feature_scale_, params, bound=_diagnosis.DESCENT_FEATURE_RATIO
        )
    found = [step, scales]
    if step is None:
        found.append(_diagnosis.small_step(loss, params, rate=rate))
    if not any(found):
        found.append(_diagnosis.ill_conditioning(estimator.condition_number_, params))
    return [finding for finding in found if finding] or [_healthy(estimator)]


# ------------------------------------------------------------------ nothing wrong
def _healthy(estimator) -> Finding:
    loss = estimator.loss_curve_
    if len(loss) == 0:
        return Finding("healthy", "no epoch was run")
    if getattr(estimator, "solver_", "gd") != "gd":
        return Finding(
            "healthy",
            f"solved directly by {estimator.solver_!r}, with a condition number of "
            f"{estimator.condition_number_:.3g}",
        )
    evidence = f"the loss fell from {loss[0]:.3g} to {min(loss):.3g}"
    spread = getattr(estimator, "prediction_spread_", None)
    if spread is not None:
        evidence += f", predictions vary {spread:.2g} times as much as targets"
    return Finding("healthy", evidence, epochs=(1, len(loss)))
