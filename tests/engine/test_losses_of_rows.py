"""Losses over whole rows against the reference, however many rows and outputs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference_network import LOSSES

from sklearn_backprop.engine import _engine

pytestmark = pytest.mark.once

NETWORKS = {np.float32: _engine.NetworkFloat32, np.float64: _engine.NetworkFloat64}
TOLERANCE = {np.float32: 3e-6, np.float64: 1e-14}


def dense_layer(n_in, n_outputs, loss, dtype):
    array = {"name": "W", "start": 0, "size": n_in * n_outputs, "penalty": 0.0,
             "rate": 1.0, "recorded": True}  # fmt: skip
    layer = {"kind": "dense", "n_in": n_in, "n_out": n_outputs, "W": 0}
    return NETWORKS[dtype]([array], [layer], loss=loss, link="softmax")


def value_and_gradient(X, W, y, weight, loss, dtype):
    """Weighted mean loss of raw outputs X W, and its gradient in W."""
    X, W, y, weight = (array.astype(dtype) for array in (X, W, y, weight))
    network = dense_layer(*W.shape, loss, dtype)
    value, gradient = network.value_and_gradient(W.ravel(), X, y, weight)[:2]
    return value, gradient.reshape(W.shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("n_outputs", [2, 3, 7, 8, 9, 16, 29, 300])
def test_row_losses_are_those_of_the_reference(n_outputs, loss, dtype):
    rng = np.random.default_rng(n_outputs)
    for n_rows in (1, 5, 15, 16, 17, 33):
        f = rng.normal(scale=4, size=(n_rows, n_outputs)).astype(dtype)
        f[0] *= 20  # but for one output, exp underflows
        y = np.eye(n_outputs)[rng.integers(n_outputs, size=n_rows)]
        y = (0.9 * y + 0.1 / n_outputs).astype(dtype)
        weight = rng.integers(0, 4, n_rows) + (np.arange(n_rows) == 0)
        X = np.eye(n_rows)  # so that the array of weights is f itself
        value, gradient = value_and_gradient(X, f, y, weight, loss, dtype)
        expected, delta = LOSSES[loss, "softmax"](f.astype(float), y.astype(float))
        share = weight / weight.sum()
        rounding = TOLERANCE[dtype] * max(1, n_outputs / 50)
        assert_allclose(value, share @ expected, rtol=10 * TOLERANCE[dtype])
        assert_allclose(gradient, share[:, None] * delta, rtol=0, atol=rounding)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 5, 18])
def test_a_row_that_is_no_number_makes_the_loss_none(place, bad, dtype):
    f, y = np.zeros((20, 3)), np.eye(3)[np.arange(20) % 3]
    f[place, 1] = bad
    for loss in ("log_loss", "squared_error"):
        value, _ = value_and_gradient(f, np.eye(3), y, np.ones(20), loss, dtype)
        assert np.isnan(value)
        raw = f[[place]].astype(dtype)  # the other outputs, and the target's, are 0
        network = dense_layer(3, 3, loss, dtype)
        assert np.isnan(network.row_losses(raw, np.eye(3, dtype=dtype)[[0]])).all()
