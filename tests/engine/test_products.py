"""Matrix products and norms of the engine against NumPy, whatever their shape."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_backprop.engine import _engine
from sklearn_backprop.neural_network._records import cut_by_name

pytestmark = pytest.mark.once

NETWORKS = {np.float32: _engine.NetworkFloat32, np.float64: _engine.NetworkFloat64}
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-13}


def two_dense_layers(n_in, width, n_out):
    """X W1 W2, without biases: all three products of a dense layer, nothing else."""
    sizes = [n_in * width, width * n_out]
    table = [
        {"name": name, "start": start, "size": size, "penalty": 1.0, "rate": 1.0,
         "recorded": True}
        for name, start, size in zip(("W1", "W2"), (0, sizes[0]), sizes, strict=True)
    ]  # fmt: skip
    layers = [
        {"kind": "dense", "n_in": n_in, "n_out": width, "W": 0},
        {"kind": "dense", "n_in": width, "n_out": n_out, "W": 1},
    ]
    return table, layers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("n_rows", "n_in", "width", "n_out"),
    [
        (1, 1, 1, 1),
        (3, 5, 7, 2),  # fewer columns than a pack
        (5, 9, 8, 4),  # whole packs
        (13, 3, 10, 9),  # packs that overlap
        (7, 30, 12, 17),
        (200, 64, 100, 10),  # more than a tiny product
        (129, 31, 67, 3),  # packs along the inputs
        (1, 40, 9, 5),
        (23, 1300, 20, 3),  # deeper than one panel
        (40, 500, 100, 12),  # rows that fill the cache as they lie
        (200, 64, 99, 12),  # short packs that cross lines of the cache
        (50, 1300, 20, 40),  # whole packs and a half, deeper than one panel
        (21, 40, 72, 56),  # a pack and a half, and three and a half
        (1100, 1, 2100, 2),  # more rows than pass at once: gradients add up
        (300, 200, 150, 33),  # BLAS
    ],
)
def test_products_of_any_shape_are_those_of_numpy(n_rows, n_in, width, n_out, dtype):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((n_rows, n_in)), rng.standard_normal((n_rows, n_out))
    W1 = rng.standard_normal((n_in, width)) / np.sqrt(n_in)
    W2 = rng.standard_normal((width, n_out)) / np.sqrt(width)
    network = NETWORKS[dtype](
        *two_dense_layers(n_in, width, n_out),
        loss="squared_error",
        link="identity",
        loss_parameter=0.0,
    )
    X_, Y_, theta = (
        np.ascontiguousarray(array, dtype=dtype)
        for array in (X, Y, np.concatenate([W1.ravel(), W2.ravel()]))
    )
    running = np.zeros(0, dtype)
    compare = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}

    hidden = X @ W1
    assert_allclose(network.raw_outputs(theta, running, X_), hidden @ W2, **compare)
    _, gradient = network.value_and_gradient(theta, X_, Y_)
    delta = (hidden @ W2 - Y) / (n_rows * n_out)
    expected = [X.T @ (delta @ W2.T), hidden.T @ delta]
    assert_allclose(gradient, np.concatenate([g.ravel() for g in expected]), **compare)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 15, 16, 33, 1024, 1030, 5000])
@pytest.mark.parametrize("size", [1.0, 1e-25, 1e25])
def test_norms_of_any_length_and_size(n, size, dtype):
    """The norm of x, as that of the gradient of w'x by w, at w = 0 and y = -1."""
    x = (np.random.default_rng(n).standard_normal(n) * size).astype(dtype)
    row = {"name": "w", "start": 0, "size": n, "penalty": 1.0, "rate": 1.0}
    layer = {"kind": "dense", "n_in": n, "n_out": 1, "W": 0}
    network = NETWORKS[dtype](
        [row | {"recorded": True}],
        [layer],
        loss="squared_error",
        link="identity",
        loss_parameter=0.0,
    )
    epoch = network.trainer("sgd").train_epoch(
        np.zeros(n, dtype), np.zeros(0, dtype), x[None], -np.ones((1, 1), dtype),
        None, None, batch_size=1, learning_rate=0.0, record="epoch",
    )  # fmt: skip
    expected = np.linalg.norm(x.astype(np.float64))
    records = cut_by_name(epoch["records"])
    assert_allclose(records["gradient_norm"], [[expected]], rtol=1e-6)
