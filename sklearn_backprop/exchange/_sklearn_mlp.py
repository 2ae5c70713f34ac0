"""Fitted perceptrons to and from scikit-learn's MLPClassifier and MLPRegressor."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import (
    InvalidParameterError,
    validate_parameter_constraints,
)
from sklearn.utils.validation import check_is_fitted

from .._fitted import fitted_network
from ..neural_network import BackpropMLPClassifier, BackpropMLPRegressor
from ..neural_network._inputs import Inputs
from ..neural_network._labels import LabelCoder
from ..neural_network._numbers import NumberCoder

__all__ = ["from_sklearn", "to_sklearn"]

_PAIRS = (
    (MLPClassifier, BackpropMLPClassifier),
    (MLPRegressor, BackpropMLPRegressor),
)
# Hyper-parameters that only say how a new network starts, what is recorded, or that
# another one reads: `residual`, `solver`, `learning_rate`, `loss`, `n_members`,
# `numerical_embedding`.
_READ_BY_OTHERS = {
    "init", "init_scale", "track_gradients", "residual_block_size", "weight_decay",
    "decay_rate", "quantile", "huber_delta", "embedded_features", "member_weights",
    "member_batches", "pretrained",
}  # fmt: skip
_LACKING = {
    "dropout": "it has no dropout",
    "numerical_embedding": "it has no embeddings of numbers",
    "n_members": "it is one network",
    "layer_rates": "its layers learn at one rate",
    "loss": "it minimises the log loss alone",
    "class_weight": "it has no class weights",
    "label_smoothing": "it learns labels as they are",
    "clip": "it does not clip gradients",
    "clip_mode": "it does not clip gradients",
    "warmup_epochs": "its schedules have no warm-up",
}
_LAYERS = ("dense", "activation", "dropout")
# Fitted attributes that both have, with the same meaning.
_SHARED = ("n_features_in_", "feature_names_in_", "classes_")


# ---- From scikit-learn ---------------------------------------------------------------


def from_sklearn(mlp):
    """Take over a fitted perceptron of scikit-learn.

    Its weights and hyper-parameters are copied, and so is the state of its training:
    the memory of its optimizer, how far its learning rate has come, and its curves.
    Predictions are the same to rounding, and `partial_fit` or a warm start goes on
    where it stands.

    Parameters
    ----------
    mlp : MLPClassifier or MLPRegressor
        A fitted one.

    Returns
    -------
    net : BackpropMLPClassifier or BackpropMLPRegressor
        The same network.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If it is another estimator.

    See Also
    --------
    to_sklearn : The way back.

    Notes
    -----
    Training goes on with the objective of this package: with several outputs a
    regressor's gradient is that of their mean (scikit-learn's is n_outputs times as
    long), and alpha does not depend on the batch size. What scikit-learn does not
    record, such as gradients by layer, begins with the next epoch.

    References
    ----------
    Pedregosa, F., et al. (2011). Scikit-learn: machine learning in Python. Journal of
    Machine Learning Research, 12.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from sklearn_backprop.exchange import from_sklearn
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((16,), learning_rate_init=0.01, max_iter=1000,
    ...                     random_state=0).fit(X, y)
    >>> net = from_sklearn(mlp)
    >>> bool(np.allclose(net.predict_proba(X), mlp.predict_proba(X)))
    True
    """
    cls = _counterpart(mlp, "from_sklearn")
    check_is_fitted(mlp)
    net = cls(**_taken_over(mlp))
    for name in _SHARED:
        if hasattr(mlp, name):
            setattr(net, name, copy.deepcopy(getattr(mlp, name)))
    net._coder = _label_coder(mlp) if is_classifier(mlp) else NumberCoder(net.loss)
    _take_weights(net, mlp)
    _take_progress(net, mlp)
    return net


def _label_coder(mlp) -> LabelCoder:
    binarizer = mlp._label_binarizer
    return LabelCoder(
        classes=binarizer.classes_.copy(),
        is_multilabel=binarizer.y_type_.startswith("multilabel"),
        is_sparse=bool(binarizer.sparse_input_),
        out_activation=mlp.out_activation_,
    )


def _label_binarizer(coder: LabelCoder) -> LabelBinarizer:
    """What scikit-learn has in a coder's place."""
    if not coder.is_multilabel:
        return LabelBinarizer().fit(coder.classes)
    indicators = np.eye(len(coder.classes), dtype=int)
    return LabelBinarizer().fit(
        csr_matrix(indicators) if coder.is_sparse else indicators
    )


def _counterpart(estimator, caller: str) -> type[BaseEstimator]:
    """The class on the other side."""
    for theirs, ours in _PAIRS:
        given, wanted = (theirs, ours) if caller == "from_sklearn" else (ours, theirs)
        if isinstance(estimator, given):
            return wanted
    names = " or ".join(pair[caller != "from_sklearn"].__name__ for pair in _PAIRS)
    raise TypeError(f"{caller} takes a {names}, got a {type(estimator).__name__}.")


def _taken_over(mlp) -> dict[str, Any]:
    """Hyper-parameters as this package means them."""
    params = mlp.get_params(deep=False)
    if mlp.solver != "sgd":  # scikit-learn's schedules act on "sgd" alone
        params["learning_rate"] = "constant"
    return params


def _take_weights(net, mlp) -> None:
    n_outputs = mlp.intercepts_[-1].size
    architecture = net._lay_out(Inputs(mlp.n_features_in_), n_outputs)
    theta = np.zeros(architecture.n_theta, dtype=mlp.coefs_[0].dtype)
    for role, arrays in (("W", mlp.coefs_), ("b", mlp.intercepts_)):
        for view, array in zip(architecture.views(role, theta), arrays, strict=True):
            view[...] = array
    rng = copy.deepcopy(check_random_state(getattr(mlp, "_random_state", None)))
    net._begin_training(architecture, theta, rng)
    net._show_views()


def _take_progress(net, mlp) -> None:
    state = net._training
    curve = [float(loss) for loss in getattr(mlp, "loss_curve_", [mlp.loss_])]
    state.loss_curve = curve
    state.learning_rates = [np.nan] * len(curve)
    state.progress.epoch = len(curve)
    state.progress.rows_seen = int(mlp.t_)
    state.stalled = getattr(mlp, "_no_improvement_count", 0)
    state.best_loss = min(curve)
    if getattr(mlp, "validation_scores_", None) is not None:
        state.validated = True
        state.validation_scores = [float(score) for score in mlp.validation_scores_]
        state.validation_losses = [np.nan] * len(state.validation_scores)
        state.best_score = float(mlp.best_validation_score_)
        state.best = state.network.snapshot()
    optimizer = getattr(mlp, "_optimizer", None)
    if optimizer is not None:
        state.optimizer = mlp.solver, _memory_of(optimizer, state.network)
        state.progress.cuts = _count_cuts(mlp, optimizer)
    net.n_iter_ = mlp.n_iter_
    net.feature_scale_ = np.zeros(mlp.n_features_in_, dtype=state.network.dtype)
    net.prediction_spread_ = None
    net._publish()


def _memory_of(optimizer, network) -> dict[str, Any]:
    """What an optimizer remembers, as the engine has it: (n_slots, n_theta)."""
    slots = _slots_of(optimizer)
    moments = np.zeros((len(slots), network.theta.size), dtype=network.dtype)
    for row, arrays in zip(moments, slots, strict=True):
        for view, array in zip(_views(network, row), arrays, strict=True):
            view[...] = array
    return {"t": getattr(optimizer, "t", 0), "moments": moments}


def _slots_of(optimizer) -> list[list[np.ndarray]]:
    """Lists of arrays, coefs_ before intercepts_."""
    if isinstance(optimizer, SGDOptimizer):
        return [optimizer.velocities]
    return [optimizer.ms, optimizer.vs]


def _views(network, vector) -> list[np.ndarray]:
    """Show a vector in the shapes of coefs_, then of intercepts_."""
    layout = network.architecture
    return [*layout.views("W", vector), *layout.views("b", vector)]


def _count_cuts(mlp, optimizer) -> int:
    """How often "adaptive" has divided the rate by 5."""
    if mlp.solver != "sgd" or mlp.learning_rate != "adaptive":
        return 0
    return round(np.log(mlp.learning_rate_init / optimizer.learning_rate) / np.log(5))


# ---- To scikit-learn -----------------------------------------------------------------


def to_sklearn(net):
    """Give a fitted network to scikit-learn's class of perceptrons.

    Weights, hyper-parameters and the state of training are copied as by
    :func:`from_sklearn`, so that predictions are the same and training goes on.

    Parameters
    ----------
    net : BackpropMLPClassifier or BackpropMLPRegressor
        A fitted one, that scikit-learn can hold: activations "identity", "logistic",
        "tanh" or "relu", the same in all hidden layers; no residual blocks,
        normalization, dropout, clipping, warm-up or class weights; a solver, schedule
        and loss that its class has.

    Returns
    -------
    mlp : MLPClassifier or MLPRegressor
        The same network.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If it is another estimator.
    ValueError
        If scikit-learn cannot hold it; the message names what, and why.

    See Also
    --------
    from_sklearn : The way back.

    Notes
    -----
    What matters in training alone, such as `dropout` or `solver="adamw"`, does not
    change predictions: set it to what scikit-learn has by `set_params` first.

    References
    ----------
    Pedregosa, F., et al. (2011). Scikit-learn: machine learning in Python. Journal of
    Machine Learning Research, 12.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_backprop import BackpropMLPClassifier
    >>> from sklearn_backprop.exchange import to_sklearn
    >>> X, y = load_iris(return_X_y=True)
    >>> net = BackpropMLPClassifier((16,), solver="adamw", learning_rate_init=0.01,
    ...                             tol=1e-3, random_state=0).fit(X, y)
    >>> mlp = to_sklearn(net.set_params(solver="adam"))
    >>> bool(np.allclose(net.predict_proba(X), mlp.predict_proba(X)))
    True
    """
    cls = _counterpart(net, "to_sklearn")
    network = fitted_network(net)
    _refuse_what_is_lacking(net, network, cls)
    mlp = cls(**_given(net, network, cls))
    for name in (*_SHARED, "n_layers_", "n_outputs_", "out_activation_", "n_iter_"):
        if hasattr(net, name):
            setattr(mlp, name, copy.deepcopy(getattr(net, name)))
    if is_classifier(net):
        mlp._label_binarizer = _label_binarizer(net._coder)
    mlp.coefs_ = [W.copy() for W in net.coefs_]
    mlp.intercepts_ = [b.copy() for b in net.intercepts_]
    mlp._best_coefs = [W.copy() for W in net.coefs_]
    mlp._best_intercepts = [b.copy() for b in net.intercepts_]
    _give_progress(mlp, net, network)
    return mlp


def _activations(network) -> list[str]:
    return [
        layer["name"]
        for layer in network.architecture.layers
        if layer["kind"] == "activation"
    ]


def _refuse_what_is_lacking(net, network, cls) -> None:
    reasons = [*_lacking_layers(network, cls), *_lacking_parameters(net, cls)]
    if reasons:
        raise ValueError(
            f"scikit-learn's {cls.__name__} cannot hold this network: "
            f"{'; '.join(reasons)}. What matters in training alone (dropout, solver, "
            "learning_rate, loss, ...) can be set to what it has by set_params; the "
            "layers cannot."
        )


def _lacking_layers(network, cls) -> Iterator[str]:
    kinds = {layer["kind"] for layer in network.architecture.layers}
    for kind in sorted(kinds - set(_LAYERS)):
        yield f"it has no layers of kind {kind!r}"
    names = _activations(network)
    if len(set(names)) > 1:
        yield f"activation={names} (it has one for all hidden layers)"
    for name in sorted(set(names)):
        reason = _why_not_accepted(cls, "activation", name)
        if reason:
            yield reason


def _lacking_parameters(net, cls) -> Iterator[str]:
    defaults = type(net)().get_params(deep=False)
    theirs = cls().get_params(deep=False)
    for name, value in net.get_params(deep=False).items():
        if name == "activation" or name in _READ_BY_OTHERS:
            continue
        if name in theirs:
            reason = _why_not_accepted(cls, name, value)
            if reason:
                yield reason
        elif value != defaults[name]:
            why = _LACKING.get(name, "it has no such parameter")
            yield f"{name}={value!r} ({why})"
    if net.solver == "adam" and net.learning_rate != "constant":
        yield f"learning_rate={net.learning_rate!r} (it has schedules for 'sgd' alone)"


def _why_not_accepted(cls, name: str, value) -> str:
    """What scikit-learn says of a value that it does not take, or nothing."""
    constraints = {name: cls._parameter_constraints[name]}
    try:
        validate_parameter_constraints(constraints, {name: value}, cls.__name__)
    except InvalidParameterError as error:
        return str(error).rstrip(".")
    return ""


def _given(net, network, cls) -> dict[str, Any]:
    """Hyper-parameters as scikit-learn means them."""
    params: Mapping[str, Any] = net.get_params(deep=False)
    shared = {name: params[name] for name in cls().get_params() if name in params}
    names = _activations(network)
    shared["activation"] = names[0] if names else "identity"
    return shared


def _give_progress(mlp, net, network) -> None:
    state = net._training
    mlp.t_ = state.progress.rows_seen
    mlp.loss_ = net.loss_
    mlp._random_state = copy.deepcopy(state.random_state)
    if mlp.solver == "lbfgs":
        return
    mlp.loss_curve_ = list(state.loss_curve)
    mlp._no_improvement_count = state.stalled
    validated = mlp.early_stopping
    mlp.best_loss_ = None if validated else net.best_loss_
    mlp.validation_scores_ = list(state.validation_scores) if validated else None
    mlp.best_validation_score_ = state.best_score if validated else None
    mlp._optimizer = _optimizer_of(mlp, state)


def _optimizer_of(mlp, state):
    """Scikit-learn's optimizer, with the memory of ours if it is of the same kind."""
    params = [*mlp.coefs_, *mlp.intercepts_]
    if mlp.solver == "sgd":
        optimizer = SGDOptimizer(
            params, mlp.learning_rate_init, mlp.learning_rate, mlp.momentum,
            mlp.nesterovs_momentum, mlp.power_t,
        )  # fmt: skip
        optimizer.learning_rate /= 5.0**state.progress.cuts
        optimizer.iteration_ends(mlp.t_)
    else:
        optimizer = AdamOptimizer(
            params, mlp.learning_rate_init, mlp.beta_1, mlp.beta_2, mlp.epsilon
        )
    if state.optimizer is None or state.optimizer[0] != mlp.solver:
        return optimizer
    memory = state.optimizer[1]
    slots = [
        [view.copy() for view in _views(state.network, row)]
        for row in memory["moments"]
    ]
    if mlp.solver == "sgd":
        (optimizer.velocities,) = slots
    else:
        optimizer.ms, optimizer.vs = slots
        optimizer.t = memory["t"]
    return optimizer
