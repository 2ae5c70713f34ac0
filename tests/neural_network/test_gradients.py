"""The engine's gradient against the plain-NumPy network's, in every combination."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import LAYER_KINDS, draw_targets, make_pair, name_of
from reference_network import LOSSES

from sklearn_backprop.engine import _engine
from sklearn_backprop.neural_network._initializers import INITIALIZERS
from sklearn_backprop.neural_network._labels import CLASSIFICATION_LOSSES
from sklearn_backprop.neural_network._network import ENGINE_LINKS
from sklearn_backprop.neural_network._numbers import REGRESSION_LOSSES
from sklearn_backprop.neural_network._perceptron import ACTIVATIONS
from sklearn_backprop.neural_network._solvers import STOCHASTIC_SOLVERS

pytestmark = pytest.mark.once
N_ROWS, N_FEATURES, ALPHA, TOTAL_WEIGHT = 7, 4, 0.5, 11.0


def assert_same_vector(actual, expected, tolerance=1e-12):
    assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def compare_gradients(loss, link, n_outputs, weighted, **shape):
    rng = np.random.default_rng(0)
    engine, reference = make_pair(
        N_FEATURES, (5, 3), n_outputs, loss=loss, link=link, alpha=ALPHA, **shape
    )
    theta = reference.start_theta(rng)
    X = rng.standard_normal((N_ROWS, N_FEATURES))
    Y = draw_targets(link, N_ROWS, n_outputs, rng)
    w = rng.uniform(0.2, 3.0, N_ROWS) if weighted else None
    value, gradient = engine.value_and_gradient(
        theta, X, Y, w, alpha=ALPHA, total_weight=TOTAL_WEIGHT
    )
    expected = reference.objective(theta, X, Y, w, TOTAL_WEIGHT)
    assert_allclose(value, expected, rtol=1e-12)
    assert_same_vector(gradient, reference.gradient(theta, X, Y, w, TOTAL_WEIGHT))


@pytest.mark.parametrize("kind", LAYER_KINDS, ids=name_of)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_equals_the_reference(activation, kind):
    for (loss, link), n_outputs, weighted in product(LOSSES, (1, 3), (False, True)):
        if link == "softmax" and n_outputs == 1:
            continue
        compare_gradients(
            loss, link, n_outputs, weighted, activation=activation, **kind
        )


@pytest.mark.parametrize("kind", LAYER_KINDS, ids=name_of)
@pytest.mark.parametrize("block_size", [2, 3])
def test_longer_blocks(kind, block_size):
    rng = np.random.default_rng(1)
    engine, reference = make_pair(
        3, (4, 4, 3, 3, 3), 2, loss="squared_error", link="identity", alpha=ALPHA,
        activation=["tanh", "relu", "gelu", "silu", "elu"],
        residual_block_size=block_size, **kind,
    )  # fmt: skip
    theta = reference.start_theta(rng)
    X, Y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    _, gradient = engine.value_and_gradient(theta, X, Y, alpha=ALPHA)
    assert_same_vector(gradient, reference.gradient(theta, X, Y))


@pytest.mark.parametrize("kind", LAYER_KINDS, ids=name_of)
def test_prediction_equals_the_reference(kind):
    rng = np.random.default_rng(2)
    engine, reference = make_pair(
        3, (4, 5), 3, loss="log_loss", link="softmax", activation="gelu", **kind
    )
    theta, X = reference.start_theta(rng), rng.standard_normal((6, 3))
    running = rng.uniform(0.5, 2.0, reference.n_running)
    assert_same_vector(
        engine.predict(theta, running, X), reference.predict(theta, X, running)
    )


def test_registries_name_what_the_engine_knows():
    assert set(ACTIVATIONS) == set(_engine.activation_names())
    assert set(STOCHASTIC_SOLVERS) == set(_engine.optimizer_names())
    ours = {(loss, ENGINE_LINKS[link]) for loss, link in REGRESSION_LOSSES.items()}
    ours |= {
        (loss, link)
        for loss in CLASSIFICATION_LOSSES
        for link in ("sigmoid", "softmax")
    }
    assert ours == set(_engine.loss_links())
    assert set(ACTIVATIONS.values()) <= set(INITIALIZERS)
