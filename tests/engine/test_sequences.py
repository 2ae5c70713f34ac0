"""Recurrent layers: the engine beside the reference, differences and PyTorch."""

import itertools

import numpy as np
import pytest
from reference_network import softmax_log_loss, squared_error
from sequence_layers import (
    N_CHANNELS,
    N_ROWS,
    N_STEPS,
    SequenceNetwork,
    as_engine_reads,
    make_engine,
    make_sequences,
    pack,
    recurrent_layers,
    unpack,
)

from sklearn_backprop.neural_network._records import cut_by_name

pytestmark = pytest.mark.once

LOSSES = {
    "squared_error": ("identity", squared_error),
    "log_loss": ("softmax", softmax_log_loss),
}
SHAPES = {
    "one": {"widths": (5,)},
    "both ways": {"widths": (5,), "bidirectional": True},
    "stacked": {"widths": (6, 6, 4), "residual": True},
    "stacked both ways": {"widths": (4, 4), "bidirectional": True, "residual": True},
}
CELLS = ("tanh", "lstm", "gru")


def make_case(cell, shape, pooling="last", loss="squared_error", n_outputs=2, **rest):
    """Return the reference's network, the engine's, and theta."""
    link, function = LOSSES[loss]
    layers = recurrent_layers(cell, **SHAPES[shape])
    reference = SequenceNetwork(layers, n_outputs, pooling, function)
    specification, n_theta = as_engine_reads(reference, **rest)
    network = make_engine(specification, loss, link)
    theta = np.random.default_rng(1).normal(scale=0.5, size=n_theta)
    return reference, network, theta


def make_targets(loss, n_rows=N_ROWS, n_outputs=2):
    rng = np.random.default_rng(2)
    if loss == "log_loss":
        return np.eye(n_outputs)[rng.integers(n_outputs, size=n_rows)]
    return rng.normal(size=(n_rows, n_outputs))


@pytest.mark.parametrize(
    ("pooling", "loss"), [("last", "squared_error"), ("mean", "log_loss")]
)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cell", CELLS)
def test_value_and_gradients_are_the_references(cell, shape, pooling, loss):
    reference, network, theta = make_case(cell, shape, pooling, loss)
    rows, Y = make_sequences(), make_targets(loss)
    X = rows.reshape(N_ROWS, -1)
    weight = np.random.default_rng(3).integers(0, 4, size=N_ROWS).astype(float)
    value, gradient = network.value_and_gradient(theta, X, Y, weight)
    expected, named, d_rows, _ = reference.value_and_gradient(
        unpack(reference, theta), rows, Y, weight
    )
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient, pack(named), rtol=1e-12, atol=1e-14)
    traced = network.trace(theta, X, Y, weight)
    np.testing.assert_allclose(
        traced["input_gradient"], d_rows.reshape(X.shape), rtol=1e-12, atol=1e-14
    )
    f, _, _ = reference.forward(unpack(reference, theta), rows)
    raw = network.raw_outputs(theta, np.zeros(0), X)
    np.testing.assert_allclose(raw, f, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_is_that_of_the_objective(cell):
    _, network, theta = make_case(cell, "stacked both ways", "mean", dropout=0.3)
    X, Y = make_sequences().reshape(N_ROWS, -1), make_targets("squared_error")

    def evaluate(at):
        return network.value_and_gradient(at, X, Y, alpha=0.3, seed=3, step=7)

    _, gradient = evaluate(theta)
    direction = np.random.default_rng(0).normal(size=len(theta))
    h = 1e-4
    values = [evaluate(theta + k * h * direction)[0] for k in (-2, -1, 1, 2)]
    slope = np.dot([1, -8, 8, -1], values) / (12 * h)
    np.testing.assert_allclose(gradient @ direction, slope, rtol=1e-8)


# Widths around those of packs, and more than a panel holds.
@pytest.mark.parametrize("dtype", ["32", "64"])
@pytest.mark.parametrize("width", [1, 3, 17, 64, 300])
@pytest.mark.parametrize("cell", CELLS)
def test_a_padded_batch_is_its_rows_one_by_one(cell, width, dtype):
    reference = SequenceNetwork(
        recurrent_layers(cell, (width,), bidirectional=width < 64), 1, "mean", None
    )
    rows = make_sequences(n_rows=37, n_steps=9, seed=4).astype(f"float{dtype}")
    specification, n_theta = as_engine_reads(reference, n_steps=9)
    network = make_engine(specification, "squared_error", "identity", dtype)
    theta = np.random.default_rng(1).normal(scale=0.2, size=n_theta).astype(rows.dtype)
    nothing = theta[:0]
    together = network.raw_outputs(theta, nothing, rows.reshape(37, -1), n_threads=2)
    for row, expected in zip(rows, together, strict=True):
        n_steps = int((~np.isnan(row[:, 0])).sum())
        alone, _ = as_engine_reads(reference, n_steps=n_steps)
        alone = make_engine(alone, "squared_error", "identity", dtype)
        x = np.ascontiguousarray(row[:n_steps].reshape(1, -1))
        np.testing.assert_array_equal(alone.raw_outputs(theta, nothing, x)[0], expected)


@pytest.mark.parametrize("cell", CELLS)
def test_wide_layers_are_the_references(cell):
    """Products by panels, of more rows than one panel has."""
    reference = SequenceNetwork(
        recurrent_layers(cell, (300,)), 2, "last", squared_error
    )
    specification, n_theta = as_engine_reads(reference)
    network = make_engine(specification, "squared_error", "identity")
    theta = np.random.default_rng(1).normal(scale=0.05, size=n_theta)
    rows, Y = make_sequences(), make_targets("squared_error")
    _, gradient = network.value_and_gradient(theta, rows.reshape(N_ROWS, -1), Y)
    _, named, _, _ = reference.value_and_gradient(
        unpack(reference, theta), rows, Y, np.ones(N_ROWS)
    )
    np.testing.assert_allclose(gradient, pack(named), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cell", CELLS)
def test_norms_in_time_are_the_references(cell, shape):
    """Of one step; two threads see the same."""
    reference, network, theta = make_case(cell, shape)
    rows, Y = make_sequences(), make_targets("squared_error")
    X = rows.reshape(N_ROWS, -1)
    *_, expected = reference.value_and_gradient(
        unpack(reference, theta), rows, Y, np.ones(N_ROWS)
    )
    epoch = network.trainer("sgd").train_epoch(
        theta, theta[:0], X, Y, batch_size=N_ROWS, learning_rate=0.1, record="epoch"
    )
    records = cut_by_name(epoch["records"], expected.shape)
    measured = records["time_gradient_norm"][0]
    has_step = ~np.isnan(rows).all(axis=(0, 2))
    assert np.isnan(measured[:, ~has_step]).all()
    np.testing.assert_allclose(
        measured[:, has_step], expected[:, has_step], rtol=1e-11, atol=1e-14
    )


def test_norms_in_time_sum_over_steps_and_threads():
    reference = SequenceNetwork(
        recurrent_layers("tanh", (60, 60)), 2, "last", squared_error
    )
    specification, n_theta = as_engine_reads(reference)
    network = make_engine(specification, "squared_error", "identity")
    theta = np.random.default_rng(1).normal(scale=0.2, size=n_theta)
    X = make_sequences(n_rows=200).reshape(200, -1)
    Y = make_targets("squared_error", 200)
    options = {"batch_size": 100, "learning_rate": 1e-3}
    norms = {
        (record, n): cut_by_name(
            network.trainer("sgd").train_epoch(
                theta.copy(), theta[:0], X, Y, record=record, n_threads=n, **options
            )["records"],
            (2, N_STEPS),
        )["time_gradient_norm"]
        for record in ("epoch", "batch")
        for n in (1, 2)
    }
    for n in (1, 2):
        np.testing.assert_allclose(norms["epoch", n], norms["epoch", 1], rtol=1e-9)
        squares = norms["batch", n] ** 2
        np.testing.assert_allclose(
            norms["epoch", n][0] ** 2, squares.mean(axis=0), rtol=1e-12
        )
        assert squares.shape == (2, 2, N_STEPS)


def train(network, theta, X, Y, n_threads=1, n_epochs=2):
    theta = theta.copy()
    trainer = network.trainer("adam")
    for epoch in range(n_epochs):
        order = np.random.default_rng(epoch).permutation(len(X))
        trainer.train_epoch(
            theta, theta[:0], X, Y, None, order, batch_size=100, learning_rate=0.01,
            alpha=0.1, clip=0.5, seed=5, n_threads=n_threads,
        )  # fmt: skip
    return theta


@pytest.mark.parametrize("cell", CELLS)
def test_threads_do_not_change_the_result(cell):
    """Also where they drop units: masks go by row and step."""
    reference = SequenceNetwork(
        recurrent_layers(cell, (40, 40), residual=True), 2, "last", squared_error
    )
    specification, n_theta = as_engine_reads(reference, dropout=0.4)
    network = make_engine(specification, "squared_error", "identity")
    theta = np.random.default_rng(1).normal(scale=0.2, size=n_theta)
    X = make_sequences(n_rows=200).reshape(200, -1)
    Y = make_targets("squared_error", 200)
    one, two = (train(network, theta, X, Y, n) for n in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)
    assert not np.array_equal(one, two)  # two threads were at work
    np.testing.assert_array_equal(two, train(network, theta, X, Y, 2))


@pytest.mark.parametrize("cell", CELLS)
def test_float32_is_float64_to_rounding(cell):
    reference, network, theta = make_case(cell, "stacked both ways")
    specification, _ = as_engine_reads(reference)
    single = make_engine(specification, "squared_error", "identity", "32")
    X, Y = make_sequences().reshape(N_ROWS, -1), make_targets("squared_error")
    value, gradient = network.value_and_gradient(theta, X, Y)
    arrays = [array.astype(np.float32) for array in (theta, X, Y)]
    value_32, gradient_32 = single.value_and_gradient(*arrays)
    np.testing.assert_allclose(value_32, value, rtol=1e-5)
    np.testing.assert_allclose(gradient_32, gradient, rtol=1e-3, atol=1e-6)


def test_a_sequence_without_a_step_has_no_state():
    reference, network, theta = make_case("lstm", "both ways")
    X = make_sequences().reshape(N_ROWS, -1)
    X[3] = np.nan
    raw = network.raw_outputs(theta, np.zeros(0), X)
    np.testing.assert_array_equal(raw[3], unpack(reference, theta)[-1]["b"])
    _, gradient = network.value_and_gradient(theta, X, make_targets("squared_error"))
    assert np.isfinite(gradient).all()


def test_wrong_specifications_are_refused():
    reference, _, _ = make_case("lstm", "one")
    (table, layers), _ = as_engine_reads(reference)
    for key, value, message in (
        ("pooling", "most", "Unknown pooling 'most'"),
        ("n_steps", 0, "needs a step and a channel"),
        ("n_forward", 6, "more than there are columns"),
    ):
        wrong = [layers[0] | {key: value}, layers[1]]
        with pytest.raises(ValueError, match=message):
            make_engine((table, wrong), "squared_error", "identity")
    cell = layers[0]["layers"][0] | {"cell": "mgu"}
    wrong = [layers[0] | {"layers": [cell]}, layers[1]]
    with pytest.raises(ValueError, match="Unknown cell 'mgu'"):
        make_engine((table, wrong), "squared_error", "identity")


# ---------------------------------------------------------------- PyTorch
def blocks(matrix, order):
    """Gates of a cell in another order, as rows: PyTorch's layout."""
    pieces = np.split(matrix, len(order), axis=-1)
    return np.concatenate([pieces[k] for k in order], axis=-1).T


def torch_weights(torch, cell, own):
    """weight_ih, weight_hh, bias_ih and bias_hh of PyTorch's cells."""
    W, U, b = own["W"], own["U"], own["b"]
    if cell == "gru":  # W: n r u, U: r u n, PyTorch: r u n
        n, r, u, s = np.split(b, 4)
        arrays = blocks(W, (1, 2, 0)), U.T, np.hstack([r, u, n])
        second = np.hstack([0 * r, 0 * u, s])
    else:  # W: i f o g, PyTorch: i f g o
        order = (0, 1, 3, 2) if cell == "lstm" else (0,)
        arrays = blocks(W, order), blocks(U, order), blocks(b, order)
        second = np.zeros_like(b)
    return [torch.tensor(np.ascontiguousarray(a)) for a in (*arrays, second)]


@pytest.mark.parametrize(
    ("cell", "bidirectional"), itertools.product(CELLS, (False, True))
)
def test_cells_are_those_of_pytorch(cell, bidirectional):
    torch = pytest.importorskip("torch")
    reference = SequenceNetwork(
        recurrent_layers(cell, (5, 5), bidirectional=bidirectional), 2, "mean",
        squared_error,
    )  # fmt: skip
    specification, n_theta = as_engine_reads(reference)
    network = make_engine(specification, "squared_error", "identity")
    theta = np.random.default_rng(1).normal(scale=0.5, size=n_theta)
    named = unpack(reference, theta)
    module = {"tanh": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](
        N_CHANNELS, 5, 2, batch_first=True, bidirectional=bidirectional
    ).double()
    with torch.no_grad():
        for own, parameters in zip(named[:-1], module.all_weights, strict=True):
            for mine, theirs in zip(
                torch_weights(torch, cell, own), parameters, strict=True
            ):
                theirs.copy_(mine)
    rows = make_sequences(padded=False)
    x = torch.tensor(rows, requires_grad=True)
    states, _ = module(x)
    W, b = torch.tensor(named[-1]["W"]), torch.tensor(named[-1]["b"])
    f = states.mean(dim=1) @ W + b
    X, Y = rows.reshape(N_ROWS, N_STEPS * N_CHANNELS), make_targets("squared_error")
    raw = network.raw_outputs(theta, np.zeros(0), X)
    np.testing.assert_allclose(raw, f.detach().numpy(), rtol=1e-12, atol=1e-14)
    (((f - torch.tensor(Y)) ** 2).mean(dim=1) / 2).mean().backward()
    traced = network.trace(theta, X, Y)
    np.testing.assert_allclose(
        traced["input_gradient"],
        x.grad.numpy().reshape(X.shape),
        rtol=1e-11,
        atol=1e-14,
    )
