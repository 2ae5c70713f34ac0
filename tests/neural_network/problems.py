"""Small problems, and the reference network that belongs to an estimator."""

import numpy as np
from reference_network import ReferenceNetwork

from sklearn_backprop.engine import _engine
from sklearn_backprop.neural_network._initializers import draw_parameters
from sklearn_backprop.neural_network._inputs import Inputs
from sklearn_backprop.neural_network._perceptron import build_architecture

LOSS_PARAMETER = {"huber": 0.7, "quantile": 0.3}
LAYER_KINDS = [
    {"normalization": normalization, "residual": residual}
    for normalization in (None, "batch", "layer")
    for residual in (None, "add", "concat")
]


def name_of(setting):
    """Write a dict of settings as the name of a test."""
    return "-".join(f"{value}" for value in setting.values()) or "default"


def draw_targets(link, n_rows, n_outputs, rng):
    if link == "softmax":
        return np.eye(n_outputs)[rng.integers(n_outputs, size=n_rows)]
    if link == "logistic":
        return rng.integers(2, size=(n_rows, n_outputs)).astype(float)
    if link == "exp":
        return rng.poisson(2.0, (n_rows, n_outputs)).astype(float)
    return rng.standard_normal((n_rows, n_outputs))


def make_pair(n_features, widths, n_outputs, *, loss, link, alpha=0.0, **shape):
    """Make the engine's network and the reference of the same shape."""
    parameter = LOSS_PARAMETER.get(loss)
    architecture = build_architecture(
        Inputs(n_features), n_outputs, hidden_layer_sizes=widths, **shape
    )
    engine = _engine.NetworkFloat64(
        architecture.table,
        architecture.layers,
        loss=loss,
        link={"logistic": "sigmoid"}.get(link, link),
        loss_parameter=parameter or 0.0,
    )
    reference = ReferenceNetwork(
        n_features, widths, n_outputs, loss=loss, link=link, alpha=alpha,
        loss_parameter=parameter, **shape,
    )  # fmt: skip
    return engine, reference


def start_of(estimator, n_features, n_outputs, seed):
    """Draw the weights with which a fit of this random_state starts."""
    architecture = build_architecture(
        Inputs(n_features),
        n_outputs,
        hidden_layer_sizes=estimator.hidden_layer_sizes,
        activation=estimator.activation,
        normalization=estimator.normalization,
        residual=estimator.residual,
        residual_block_size=estimator.residual_block_size,
    )
    rng = np.random.RandomState(seed)
    dtype = np.dtype(np.float64)
    return draw_parameters(
        architecture, estimator.init, estimator.init_scale, rng, dtype
    )


def weights_of(estimator):
    """Join coefs_ and intercepts_ in one vector."""
    return np.concatenate(
        [a.ravel() for a in (*estimator.coefs_, *estimator.intercepts_)]
    )
