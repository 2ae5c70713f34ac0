"""Derivatives in the inputs, losses of rows, and what passes inside blocks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import LAYER_KINDS, draw_targets, make_pair, name_of
from reference_network import ACTIVATIONS, LINKS, LOSSES
from scipy import sparse

from sklearn_backprop.engine import _engine

pytestmark = pytest.mark.once

N_ROWS, N_FEATURES, N_OUTPUTS = 6, 4, 3


def differences(function, X, h=1e-3):
    """Derivatives of function(X) (...) in every element of X, (..., n, p).

    Central differences of the fourth order.
    """
    found = []
    for place in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[place] = h
        near = function(X + step) - function(X - step)
        far = function(X + 2 * step) - function(X - 2 * step)
        found.append((8 * near - far) / (12 * h))
    return np.moveaxis(np.array(found), 0, -1).reshape(*np.shape(found[0]), *X.shape)


def draw(loss, link, *, activation="gelu", seed=0, **kind):
    engine, reference = make_pair(
        N_FEATURES, (5, 3, 3), N_OUTPUTS, loss=loss, link=link, alpha=0.3,
        activation=activation, residual_block_size=2, **kind,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    theta = reference.start_theta(rng)
    X = rng.standard_normal((N_ROWS, N_FEATURES))
    Y = draw_targets(link, N_ROWS, N_OUTPUTS, rng)
    return engine, reference, theta, X, Y


@pytest.mark.parametrize("kind", LAYER_KINDS, ids=name_of)
@pytest.mark.parametrize(("loss", "link"), LOSSES)
def test_gradient_of_the_objective_in_x(loss, link, kind):
    engine, reference, theta, X, Y = draw(loss, link, **kind)
    w = np.array([1.0, 2.0, 0.5, 0.0, 1.0, 3.0])
    trace = engine.trace(theta, X, Y, w, alpha=0.3)
    expected = differences(lambda at: reference.objective(theta, at, Y, w), X)
    size = np.abs(expected).max()
    assert_allclose(trace["input_gradient"], expected, rtol=0, atol=1e-9 * size)


@pytest.mark.parametrize("kind", LAYER_KINDS, ids=name_of)
@pytest.mark.parametrize("link", LINKS)
def test_gradients_of_predictions(link, kind):
    loss = {"exp": "poisson"}.get(link, "squared_error")
    engine, reference, theta, X, _ = draw(loss, link, **kind)
    running = np.random.default_rng(1).uniform(0.5, 2.0, reference.n_running)
    found = engine.prediction_gradients(theta, running, X)
    assert found.shape == (N_ROWS, N_OUTPUTS, N_FEATURES)
    jacobian = differences(lambda at: reference.predict(theta, at, running), X)
    rows = np.arange(N_ROWS)
    expected = jacobian[rows, :, rows]
    size = np.abs(expected).max()
    assert_allclose(found, expected, rtol=0, atol=1e-9 * size)
    csr = sparse.csr_array(X)
    assert_allclose(
        engine.prediction_gradients(theta, running, csr), found, rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_of_predictions_through_each_activation(activation):
    engine, reference, theta, X, _ = draw(
        "squared_error", "identity", activation=activation
    )
    found = engine.prediction_gradients(theta, np.zeros(0), X)
    jacobian = differences(lambda at: reference.predict(theta, at), X, h=1e-4)
    rows = np.arange(N_ROWS)
    assert_allclose(found, jacobian[rows, :, rows], rtol=0, atol=1e-8)


def test_probabilities_close_to_one_keep_their_gradients():
    layers = [{"kind": "dense", "n_in": 1, "n_out": 2, "W": 0}]
    table = [{"name": "W", "start": 0, "size": 2, "penalty": 1.0, "rate": 1.0,
              "recorded": True}]  # fmt: skip
    one, zero = np.ones((1, 1)), np.zeros(0)
    for link, tail in (("sigmoid", np.exp(-40.0)), ("softmax", np.exp(-80.0))):
        network = _engine.NetworkFloat64(table, layers, loss="log_loss", link=link)
        found = network.prediction_gradients(np.array([40.0, -40.0]), zero, one)
        slope = {"sigmoid": tail, "softmax": tail * 80}[link]
        scale = {"sigmoid": 40.0, "softmax": 1.0}[link]
        assert_allclose(found[0, 0, 0], slope * scale, rtol=1e-12)


def test_gradients_of_many_rows_are_those_of_each():
    """More rows than pass at once."""
    engine, _, theta, X, _ = draw("log_loss", "softmax", residual="concat")
    few = engine.prediction_gradients(theta, np.zeros(0), X)
    times = 200_000 // N_ROWS
    many = engine.prediction_gradients(theta, np.zeros(0), np.tile(X, (times, 1)))
    many = many.reshape(times, *few.shape)
    assert_allclose(many, np.broadcast_to(few, many.shape), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(("loss", "link"), LOSSES)
def test_losses_of_rows(loss, link):
    engine, reference, theta, X, Y = draw(loss, link)
    raw, _ = reference.forward(theta, X)
    expected, _ = reference._rows(raw, Y)
    assert_allclose(engine.row_losses(raw, Y), expected, rtol=1e-12, atol=1e-15)
    assert_allclose(engine.predictions(raw), LINKS[link](raw), rtol=1e-12)
    objective = expected.mean() + reference.penalty(theta, N_ROWS)
    traced = engine.trace(theta, X, Y, alpha=0.3)
    assert_allclose(traced["value"], objective, rtol=1e-12)


def test_members_share_losses_and_gradients():
    n_members, k = 3, 2
    table = [{"name": "W", "start": 0, "size": 4 * n_members * k, "penalty": 1.0,
              "rate": 1.0, "recorded": True}]  # fmt: skip
    layers = [{"kind": "dense", "n_in": 4, "n_out": n_members * k, "W": 0}]
    settings = {"loss": "log_loss", "link": "softmax"}
    network = _engine.NetworkFloat64(table, layers, n_members=n_members, **settings)
    rng = np.random.default_rng(0)
    theta, X = rng.standard_normal(24), rng.standard_normal((5, 4))
    Y = np.eye(k)[rng.integers(k, size=5)]
    W, raw = theta.reshape(4, -1), X @ theta.reshape(4, -1)
    alone = [raw[:, m * k : (m + 1) * k] for m in range(n_members)]
    losses = [LOSSES["log_loss", "softmax"](f, Y)[0] for f in alone]
    assert_allclose(network.row_losses(raw, Y), np.mean(losses, axis=0), rtol=1e-12)
    p = np.mean([LINKS["softmax"](f) for f in alone], axis=0)
    assert_allclose(network.predictions(raw), p, rtol=1e-12)
    found = network.prediction_gradients(theta, np.zeros(0), X)

    def predict(at):
        members = (at @ W).reshape(5, n_members, k)
        return np.mean([LINKS["softmax"](members[:, m]) for m in range(n_members)], 0)

    rows = np.arange(5)
    assert_allclose(found, differences(predict, X)[rows, :, rows], rtol=1e-7, atol=1e-9)


def test_a_trace_sees_both_ends_of_every_layer():
    """Inside blocks, too: dJ/dy of a layer is dJ/dx of the next."""
    engine, _, theta, X, Y = draw("squared_error", "identity", residual="concat")
    layers = {one["number"]: one for one in engine.trace(theta, X, Y)["layers"]}
    # concat(dense, activation, dense, activation), concat(dense, activation), dense
    for number, behind in ((1, 2), (2, 3), (3, 4), (0, 5), (5, 8), (6, 7)):
        assert_array_equal(
            layers[number]["output_gradient"], layers[behind]["input_gradient"]
        )
    block = layers[0]["output_gradient"]
    assert_array_equal(layers[4]["output_gradient"], block[:, N_FEATURES:])


def test_wrong_shapes_are_named():
    engine, _, theta, X, Y = draw("squared_error", "identity")
    with pytest.raises(ValueError, match="raw must have 3 columns"):
        engine.predictions(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="Y must have one row per row of raw"):
        engine.row_losses(np.zeros((2, 3)), Y)
    with pytest.raises(ValueError, match="theta has"):
        engine.prediction_gradients(theta[1:], np.zeros(0), X)
    with pytest.raises(ValueError, match="columns"):
        engine.prediction_gradients(theta, np.zeros(0), X[:, :2].copy())
