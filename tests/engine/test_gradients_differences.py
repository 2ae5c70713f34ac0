"""The engine's gradients against central differences, and its equivalences."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from architectures import make_layers, make_network, parameter, start
from reference_network import OPTIMIZERS, Places
from scipy import special

from sklearn_backprop.engine import _engine
from sklearn_backprop.neural_network._records import cut_by_name

pytestmark = pytest.mark.once

N_ROWS, N_FEATURES = 11, 4


def make_data(loss, link, n_outputs, seed=0, n_rows=N_ROWS):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, N_FEATURES))
    X[rng.random(X.shape) < 0.3] = 0.0
    if link == "softmax":
        Y = np.eye(n_outputs)[rng.integers(n_outputs, size=n_rows)]
    elif link == "sigmoid":
        Y = rng.integers(2, size=(n_rows, n_outputs)).astype(float)
    elif loss == "poisson":
        Y = rng.poisson(2.0, size=(n_rows, n_outputs)).astype(float)
    else:
        Y = rng.normal(size=(n_rows, n_outputs))
    weight = rng.integers(0, 4, size=n_rows).astype(float)
    return X, np.ascontiguousarray(Y), weight


def directional_difference(value, theta, direction):
    """Derivative along a direction: central differences, extrapolated once."""

    def central(h):
        return (value(theta + h * direction) - value(theta - h * direction)) / (2 * h)

    h = 1e-3
    return (4 * central(h / 2) - central(h)) / 3


def latin_square():
    """Activation x loss, and x residual and normalization in the squares of a table.

    Any two of the choices meet. That all three do is not asked for: a layer knows what
    comes in and goes out, not from where.
    """
    blocks = [*itertools.product([None, "add", "concat"], [None, "batch", "layer"])]
    for i, activation in enumerate(_engine.activation_names()):
        for j, loss_link in enumerate(_engine.loss_links()):
            yield activation, loss_link, *blocks[(i + j) % len(blocks)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("activation", "loss_link", "residual", "normalization"),
    latin_square(),
    ids=lambda choice: "-".join(choice) if isinstance(choice, tuple) else None,
)
def test_gradient_is_that_of_the_objective(
    activation, loss_link, residual, normalization, weighted
):
    layers, n, n_running = make_layers(
        N_FEATURES,
        (5, 3, 3),
        3,
        activation,
        residual=residual,
        block_size=2,
        normalization=normalization,
    )
    network = make_network(layers, *loss_link)
    assert network.n_parameters == n
    assert network.n_running == n_running
    assert network.n_recorded == 4
    X, Y, weight = make_data(*loss_link, 3)
    theta, _ = start(n, n_running, scale=0.4)
    options = {"alpha": 0.3, "total_weight": 50.0}
    weight = weight if weighted else None

    def value(at):
        return network.value_and_gradient(at, X, Y, weight, **options)[0]

    _, gradient = network.value_and_gradient(theta, X, Y, weight, **options)
    # Kinks lie somewhere: of several directions the median error is away from them.
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(5):
        direction = rng.normal(size=n) / np.sqrt(n)
        expected = directional_difference(value, theta, direction)
        size = np.linalg.norm(gradient) * np.linalg.norm(direction)
        errors.append(abs(gradient @ direction - expected) / size)
    assert np.median(errors) < 1e-7


@pytest.mark.parametrize("activation", ["gelu", "relu"])  # relu drops in place
@pytest.mark.parametrize("residual", [None, "add", "concat"])
def test_gradient_with_dropout_is_that_of_the_masked_network(residual, activation):
    layers, n, _ = make_layers(
        N_FEATURES, (6, 6), 2, activation, residual=residual, dropout=0.4
    )
    network = make_network(layers, "squared_error", "identity")
    X, Y, weight = make_data("squared_error", "identity", 2)
    theta, _ = start(n, 0)

    def evaluate(at):
        return network.value_and_gradient(at, X, Y, weight, seed=3, step=7)

    value, gradient = evaluate(theta)
    assert value != network.value_and_gradient(theta, X, Y, weight)[0]
    assert value != network.value_and_gradient(theta, X, Y, weight, seed=3, step=8)[0]
    direction = np.random.default_rng(0).normal(size=n)
    expected = directional_difference(lambda at: evaluate(at)[0], theta, direction)
    np.testing.assert_allclose(gradient @ direction, expected, rtol=1e-7)


ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": special.expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "selu": lambda z: (
        1.0507009873554805
        * np.where(z > 0, z, 1.6732632423543772 * np.expm1(np.minimum(z, 0)))
    ),
    "softplus": lambda z: np.logaddexp(0, z),
    "gelu": lambda z: z * special.ndtr(z),
    "silu": lambda z: z * special.expit(z),
    "mish": lambda z: z * np.tanh(np.logaddexp(0, z)),
}


@pytest.mark.parametrize("dtype", ["32", "64"])
@pytest.mark.parametrize("name", _engine.activation_names())
def test_activations_are_their_formulas(name, dtype):
    table = [parameter(role, i, 1) for i, role in enumerate("WbWb")]
    layers = [
        {"kind": "dense", "n_in": 1, "n_out": 1, "W": 0, "b": 1},
        {"kind": "activation", "name": name, "width": 1},
        {"kind": "dense", "n_in": 1, "n_out": 1, "W": 2, "b": 3},
    ]
    network = make_network((table, layers), "squared_error", "identity", dtype)
    grid = np.concatenate([np.linspace(-30, 30, 4001), np.logspace(-12, 4, 400)])
    z = np.concatenate([grid, -grid, [0.0]])[:, None]
    z = np.ascontiguousarray(z, dtype=f"float{dtype}")
    theta = np.array([1, 0, 1, 0], dtype=z.dtype)
    got = network.raw_outputs(theta, np.zeros(0, z.dtype), z)
    expected = ACTIVATIONS[name](z.astype(np.float64))
    rtol = 1e-13 if dtype == "64" else 2e-6
    # Far down the tail of gelu, exp(-z^2/2) loses as many digits as z^2 has.
    tiny = 1e-18 if dtype == "64" else 1e-10
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=tiny)


# Not Poisson's: exp(1e4) is infinite.
BOUNDED = [pair for pair in _engine.loss_links() if pair[0] != "poisson"]


@pytest.mark.parametrize("loss_link", BOUNDED, ids="-".join)
@pytest.mark.parametrize("dtype", ["32", "64"])
def test_losses_stay_finite_for_large_outputs(loss_link, dtype):
    layers, _, _ = make_layers(3, (), 3, "relu")
    network = make_network(layers, *loss_link, dtype)
    theta = np.concatenate([np.eye(3).ravel(), np.zeros(3)]).astype(f"float{dtype}")
    X = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [0, 0, 0]], dtype=theta.dtype)
    Y = np.eye(3, dtype=theta.dtype)
    value, gradient = network.value_and_gradient(theta, X, Y)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))
    assert np.all(np.isfinite(network.predict(theta, theta[:0], X)))
    if loss_link == ("log_loss", "softmax"):
        expected = (0 + np.log(2) + np.log(3)) / 3
        np.testing.assert_allclose(value, expected, rtol=1e-6)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("residual", [None, "add", "concat"])
@pytest.mark.parametrize("widths", [(4,), (6, 3)])
def test_sparse_rows_are_dense_rows(residual, widths, wide):
    layers, n, _ = make_layers(N_FEATURES, widths, 2, "tanh", residual=residual)
    network = make_network(layers, "squared_error", "identity")
    X, Y, weight = make_data("squared_error", "identity", 2)
    S = sp.csr_array(X)
    if wide:
        S.indices, S.indptr = S.indices.astype(np.int64), S.indptr.astype(np.int64)
    theta, running = start(n, 0)
    for method in (network.value_and_gradient,):
        for got, expected in zip(
            method(theta, S, Y, weight), method(theta, X, Y, weight), strict=True
        ):
            np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(
        network.predict(theta, running, S), network.predict(theta, running, X)
    )
    order = np.random.default_rng(0).permutation(N_ROWS)
    trained = []
    for data in (X, S):
        at = theta.copy()
        network.trainer("adam").train_epoch(
            at, running, data, Y, weight, order, batch_size=4, learning_rate=0.01
        )
        trained.append(at)
    np.testing.assert_allclose(*trained, rtol=1e-10)


def train(network, theta, running, data, optimizer="adam", n_epochs=3, **options):
    """Return (theta, running, epochs) after training on shuffled mini-batches."""
    theta, running = theta.copy(), running.copy()
    trainer = network.trainer(optimizer)
    X, Y, weight = data
    epochs = []
    for epoch in range(n_epochs):
        order = np.random.default_rng(epoch).permutation(len(Y))
        settings = {"batch_size": 32, "learning_rate": 0.01, "alpha": 0.1, **options}
        epochs.append(
            trainer.train_epoch(theta, running, X, Y, weight, order, **settings)
        )
    return theta, running, epochs


DEEP = list(
    itertools.product([None, "add", "concat"], [None, "batch", "layer"], ["32", "64"])
)


@pytest.mark.parametrize(("residual", "normalization", "dtype"), DEEP)
def test_recording_changes_no_bit(residual, normalization, dtype):
    layers, n, n_running = make_layers(
        N_FEATURES,
        (17, 9),
        3,
        "relu",
        residual=residual,
        normalization=normalization,
        dropout=0.2,
    )
    network = make_network(layers, "log_loss", "softmax", dtype)
    data = [
        array.astype(f"float{dtype}")
        for array in make_data("log_loss", "softmax", 3, n_rows=150)
    ]
    theta, running = start(n, n_running, dtype=f"float{dtype}")
    runs = [
        train(network, theta, running, data, record=record, clip=0.5, seed=5)
        for record in (None, "epoch", "batch", None)
    ]
    for other in runs[1:]:
        np.testing.assert_array_equal(runs[0][0], other[0])
        np.testing.assert_array_equal(runs[0][1], other[1])
        for mine, theirs in zip(runs[0][2], other[2], strict=True):
            assert mine["loss"] == theirs["loss"]
    assert not np.array_equal(runs[0][0], theta)


def test_records_of_one_step():
    layers, n, _ = make_layers(N_FEATURES, (5,), 1, "relu")
    network = make_network(layers, "squared_error", "identity")
    X, Y, _ = make_data("squared_error", "identity", 1)
    theta, running = start(n, 0)
    theta[20:25] = [0, 0, -100, 0, -100]  # the biases of units 2 and 4 silence them
    _, gradient = network.value_and_gradient(theta, X, Y, alpha=0.3)
    after = theta.copy()
    epoch = network.trainer("sgd", momentum=0.0).train_epoch(
        after,
        running,
        X,
        Y,
        batch_size=N_ROWS,
        learning_rate=0.1,
        alpha=0.3,
        clip=1e-3,
        record="batch",
    )
    records = cut_by_name(epoch["records"])
    weights = [slice(0, 20), slice(25, 30)]
    norms = [np.linalg.norm(gradient[w]) for w in weights]
    np.testing.assert_allclose(records["gradient_norm"], [norms], rtol=1e-12)
    np.testing.assert_allclose(records["gradient_norm_max"], [norms], rtol=1e-12)
    ratios = [
        np.linalg.norm(after[w] - theta[w]) / np.linalg.norm(after[w]) for w in weights
    ]
    np.testing.assert_allclose(records["update_ratio"], [ratios], rtol=1e-9)
    np.testing.assert_allclose(records["global_norm"], [np.linalg.norm(gradient)])
    np.testing.assert_array_equal(records["clipped_fraction"], [1.0])
    np.testing.assert_array_equal(records["dead_fraction"], [[0.4, np.nan]])
    np.testing.assert_array_equal(records["saturated_fraction"], [[0.0, np.nan]])
    np.testing.assert_allclose(np.linalg.norm(after - theta), 0.1 * 1e-3, rtol=1e-9)


@pytest.mark.parametrize("optimizer", [*_engine.optimizer_names(), "heavy_ball"])
def test_optimizers_are_their_formulas(optimizer):
    name = "sgd" if optimizer == "heavy_ball" else optimizer
    settings = {
        "heavy_ball": {"nesterov": False},
        "adamw": {"weight_decay": 0.1},
        "muon": {"weight_decay": 0.1},
    }.get(optimizer, {})
    layers, n, _ = make_layers(N_FEATURES, (5,), 1, "tanh")
    layers[0][0]["matrix"] = 4, 5
    network = make_network(layers, "squared_error", "identity")
    X, Y, _ = make_data("squared_error", "identity", 1)
    is_weight = np.zeros(n, bool)
    is_weight[0:20] = is_weight[25:30] = True
    places = Places(is_weight, [(0, (4, 5))])
    theta, running = start(n, 0)
    expected = {"theta": theta.copy()}
    trainer = network.trainer(name, **settings)
    for _ in range(5):
        _, g = network.value_and_gradient(expected["theta"], X, Y)
        OPTIMIZERS[name](expected, g, 0.05, places, **settings)
        trainer.train_epoch(theta, running, X, Y, batch_size=N_ROWS, learning_rate=0.05)
        np.testing.assert_allclose(theta, expected["theta"], rtol=1e-12, atol=1e-14)
    state = trainer.get_state()
    assert state["t"] == 5
    moments = [expected[name] for name in expected if name not in ("theta", "t")]
    for got, moment in zip(state["moments"], moments, strict=True):
        np.testing.assert_allclose(got, moment, rtol=1e-11, atol=1e-16)


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (3, 8), (8, 3), (40, 40)])
@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_muon_turns_each_matrix_and_keeps_its_singular_vectors(shape, size):
    rng = np.random.default_rng(0)
    n_matrices, n = 3, shape[0] * shape[1]
    table = [
        {"name": "Ws", "start": 0, "size": 3 * n, "penalty": 1.0, "rate": 1.0,
         "recorded": True, "matrix": shape},
    ]  # fmt: skip
    layers = [
        {"kind": "member_scale", "n_members": 1, "width": 3 * n, "n_wide": 0,
         "group": 1, "r": 0},
    ]  # fmt: skip
    network = _engine.NetworkFloat64(
        table, layers, loss="squared_error", link="identity"
    )
    theta = np.zeros(n_matrices * n)
    gradient = size * rng.standard_normal((n_matrices, *shape))
    gradient[1] = 0
    network.trainer("muon").step(theta, gradient.ravel(), learning_rate=0.5)
    steps = theta.reshape(gradient.shape) / (-0.5 * 0.2 * max(shape) ** 0.5)
    assert not steps[1].any()
    for G, step in zip(gradient[::2], steps[::2], strict=True):
        U, s, Vt = np.linalg.svd(G, full_matrices=False)
        within = U.T @ step @ Vt.T
        values = np.diag(within)
        np.testing.assert_allclose(within, np.diag(values), atol=1e-11)
        np.testing.assert_allclose(U * values @ Vt, step, atol=1e-11)
        large = s > 0.05 * np.linalg.norm(G)
        assert (values[large] > 0.65).all()
        assert (values < 1.25).all()


def test_an_array_is_made_of_whole_matrices():
    layers, *_ = make_layers(N_FEATURES, (5,), 1, "tanh")
    layers[0][0]["matrix"] = 3, 5
    with pytest.raises(
        ValueError, match="of 20 elements is not made of matrices of 15"
    ):
        make_network(layers, "squared_error", "identity")


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(("dtype", "n_steps"), [("32", 1200), ("64", 7500)])
def test_moments_of_dead_units_end_at_zero(dtype, n_steps, n_threads):
    """In the numbers below the normal range they would halt, and every step be slow."""
    n_hidden, n_rows = 300, 512  # enough for two threads
    layers, n, _ = make_layers(N_FEATURES, (n_hidden,), 1, "relu")
    network = make_network(layers, "squared_error", "identity", dtype)
    theta, running = (a.astype(f"float{dtype}") for a in start(n, 0))
    rng = np.random.default_rng(0)
    X = rng.random((n_rows, N_FEATURES)).astype(theta.dtype)
    Y = rng.random((n_rows, 1)).astype(theta.dtype)
    trainer = network.trainer("adam", beta_1=0.9, beta_2=0.9)
    step = {"batch_size": n_rows, "learning_rate": 1e-6, "n_threads": n_threads}
    trainer.train_epoch(theta, running, X, Y, **step)
    is_dead = slice(N_FEATURES * n_hidden, (N_FEATURES + 1) * n_hidden)
    theta[: N_FEATURES * n_hidden] = 0
    theta[is_dead] = -1.0  # the biases: no row passes any more
    for _ in range(n_steps):  # 0.9 ** n_steps is less than any number of this type
        trainer.train_epoch(theta, running, X[:1], Y[:1], **step)
    tiny = np.finfo(theta.dtype).tiny
    for moment in trainer.get_state()["moments"]:
        assert not np.any(moment[is_dead])
        assert not np.any((moment != 0) & (np.abs(moment) < tiny))


def test_a_restored_trainer_continues_exactly():
    layers, n, n_running = make_layers(
        N_FEATURES, (8,), 1, "relu", normalization="batch", dropout=0.3
    )
    network = make_network(layers, "squared_error", "identity")
    X, Y, _ = make_data("squared_error", "identity", 1, n_rows=60)
    thetas = []
    for interrupted in (False, True):
        theta, running = start(n, n_running)
        running[8:] = 1.0
        trainer = network.trainer("adam")
        for epoch in range(4):
            if interrupted and epoch == 2:
                state = trainer.get_state()
                trainer = network.trainer("adam")
                trainer.set_state(state)
            trainer.train_epoch(
                theta, running, X, Y, batch_size=16, learning_rate=0.01, seed=9
            )
        thetas.append(theta)
    np.testing.assert_array_equal(*thetas)


def test_batches_of_zero_weight_make_no_step():
    layers, n, _ = make_layers(N_FEATURES, (5,), 1, "tanh")
    network = make_network(layers, "squared_error", "identity")
    X, Y, weight = make_data("squared_error", "identity", 1, n_rows=12)
    weight[:] = 2.0
    weight[4:8] = 0.0
    theta, running = start(n, 0)
    epoch = network.trainer("adam").train_epoch(
        theta, running, X, Y, weight, batch_size=4, learning_rate=0.1
    )
    assert epoch["n_steps"] == 2


@pytest.mark.parametrize("normalization", [None, "layer"])
def test_the_gradients_of_mini_batches_average_to_that_of_all_rows(normalization):
    layers, n, _ = make_layers(
        N_FEATURES, (5, 4), 2, "tanh", residual="add", normalization=normalization
    )
    network = make_network(layers, "squared_error", "identity")
    X, Y, weight = make_data("squared_error", "identity", 2, n_rows=30)
    theta, running = start(n, 0)
    value, gradient = network.value_and_gradient(theta, X, Y, weight, alpha=0.5)
    order = np.random.default_rng(0).permutation(30)
    rate, moved = 1e-8, theta.copy()  # so short that the batches see the same theta
    epoch = network.trainer("sgd", momentum=0.0, nesterov=False).train_epoch(
        moved, running, X, Y, weight, order, batch_size=6, learning_rate=rate, alpha=0.5
    )
    assert epoch["n_steps"] == 5
    np.testing.assert_allclose(epoch["loss"], value, rtol=1e-6)
    np.testing.assert_allclose((theta - moved) / (5 * rate), gradient, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_halves_of_a_mini_batch_make_the_step_of_the_whole(optimizer):
    layers, n, _ = make_layers(N_FEATURES, (6, 5), 2, "gelu", dropout=0.3)
    network = make_network(layers, "squared_error", "identity")
    X, Y, weight = make_data("squared_error", "identity", 2, n_rows=24)
    theta, running = start(n, 0)
    whole, apart = theta.copy(), theta.copy()
    trainer = network.trainer(optimizer)
    trainer.train_epoch(
        whole, running, X, Y, weight, batch_size=24, learning_rate=0.1, alpha=0.5,
        clip=0.5, seed=3,
    )  # fmt: skip
    other, gradient, total = network.trainer(optimizer), 0.0, weight.sum()
    for first in (0, 10):
        rows = np.arange(first, 10 if first == 0 else 24)
        _, part = other.gradient(
            apart, running, X, Y, weight, rows, first_row=first, alpha=0.5, seed=3,
            total_weight=total,
        )  # fmt: skip
        gradient = gradient + weight[rows].sum() / total * part
    other.step(apart, gradient, learning_rate=0.1, clip=0.5)
    np.testing.assert_allclose(apart, whole, rtol=1e-13, atol=1e-15)
    assert other.get_state()["t"] == 1
    assert not np.allclose(apart, theta)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_a_rate_of_zero_leaves_the_bits_of_an_array(optimizer):
    layers, n, _ = make_layers(N_FEATURES, (6, 5), 2, "tanh")
    table, _ = layers
    table[0]["matrix"], table[2]["matrix"] = (4, 6), (6, 5)
    table[2]["rate"] = 0.0
    table[4]["rate"] = 0.5
    network = make_network(layers, "squared_error", "identity")
    X, Y, _ = make_data("squared_error", "identity", 2, n_rows=24)
    theta, running = start(n, 0)
    after = theta.copy()
    network.trainer(optimizer, weight_decay=0.1).train_epoch(
        after, running, X, Y, batch_size=24, learning_rate=0.1
    )
    for row in table:
        stretch = slice(row["start"], row["start"] + row["size"])
        assert np.array_equal(after[stretch], theta[stretch]) == (row["rate"] == 0)
    table[4]["rate"] = 1.0
    whole = theta.copy()
    make_network(layers, "squared_error", "identity").trainer(
        optimizer, weight_decay=0.1
    ).train_epoch(whole, running, X, Y, batch_size=24, learning_rate=0.1)
    half = slice(table[4]["start"], table[4]["start"] + table[4]["size"])
    np.testing.assert_allclose(
        after[half] - theta[half], 0.5 * (whole[half] - theta[half]), rtol=1e-9
    )


def test_a_trace_holds_what_passes_between_layers():
    layers, n, _ = make_layers(N_FEATURES, (5,), 2, "tanh")
    X, Y, weight = make_data("squared_error", "identity", 2)
    theta, _ = start(n, 0)
    network = _engine.NetworkFloat64(
        *layers, loss="squared_error", link="identity", fuse=False
    )
    trace = network.trace(theta, X, Y, weight, alpha=0.3)
    value, gradient = network.value_and_gradient(theta, X, Y, weight, alpha=0.3)
    assert trace["value"] == value
    np.testing.assert_array_equal(trace["gradient"], gradient)
    W1, b1 = theta[:20].reshape(4, 5), theta[20:25]
    W2, b2 = theta[25:35].reshape(5, 2), theta[35:]
    z = X @ W1 + b1
    f = np.tanh(z) @ W2 + b2
    delta = (f - Y) / 2 * (weight / weight.sum())[:, None]
    delta_a = delta @ W2.T
    dense, activation, output = trace["layers"]
    np.testing.assert_allclose(dense["output"], z, rtol=1e-12)
    np.testing.assert_allclose(activation["output"], np.tanh(z), rtol=1e-12)
    np.testing.assert_allclose(output["input_gradient"], delta_a, rtol=1e-10)
    np.testing.assert_allclose(
        activation["input_gradient"], delta_a * (1 - np.tanh(z) ** 2), rtol=1e-10
    )
    np.testing.assert_allclose(output["output_gradient"], delta, rtol=1e-10)
    np.testing.assert_allclose(dense["input_gradient"], trace["input_gradient"])
    assert [layer["number"] for layer in trace["layers"]] == [0, 1, 2]


@pytest.mark.parametrize(
    ("loss", "link"), [("log_loss", "softmax"), ("poisson", "exp")]
)
def test_members_are_averaged(loss, link):
    """The loss of the mean member, and the mean of the predictions."""
    n_members, k = 3, 2
    layers, n, _ = make_layers(N_FEATURES, (), n_members * k, "relu")
    network = _engine.NetworkFloat64(*layers, loss=loss, link=link, n_members=n_members)
    assert network.n_outputs == k
    X, Y, weight = make_data(loss, link, k)
    theta, running = start(n, 0)
    W, b = theta[: N_FEATURES * 6].reshape(N_FEATURES, 6), theta[N_FEATURES * 6 :]
    values, predictions, gradients = [], [], []
    alone = make_network(make_layers(N_FEATURES, (), k, "relu")[0], loss, link)
    for m in range(n_members):
        of = slice(m * k, m * k + k)
        own = np.concatenate([W[:, of].ravel(), b[of]])
        value, gradient = alone.value_and_gradient(own, X, Y, weight)
        values.append(value)
        gradients.append(gradient[: N_FEATURES * k].reshape(N_FEATURES, k))
        predictions.append(alone.predict(own, running, X))
    value, gradient = network.value_and_gradient(theta, X, Y, weight)
    np.testing.assert_allclose(value, np.mean(values), rtol=1e-13)
    np.testing.assert_allclose(
        gradient[: N_FEATURES * 6].reshape(N_FEATURES, 6),
        np.hstack(gradients) / n_members,
        rtol=1e-11,
        atol=1e-15,
    )
    np.testing.assert_allclose(
        network.predict(theta, running, X), np.mean(predictions, axis=0), rtol=1e-13
    )


@pytest.mark.parametrize(
    ("theta_at", "status", "layer"), [(0, "activation", 0), (35, "activation", 2)]
)
def test_divergence_names_the_layer(theta_at, status, layer):
    layers, n, _ = make_layers(N_FEATURES, (5, 5), 1, "relu")
    network = make_network(layers, "squared_error", "identity")
    X, Y, _ = make_data("squared_error", "identity", 1)
    theta, running = start(n, 0)
    theta[theta_at] = np.nan
    before = theta.copy()
    epoch = network.trainer("adam").train_epoch(
        theta, running, X, Y, batch_size=4, learning_rate=0.1
    )
    assert (epoch["status"], epoch["layer"]) == (status, layer)
    assert epoch["n_steps"] == 0
    np.testing.assert_array_equal(theta, before)


def test_divergence_of_the_loss_and_of_the_gradient():
    layers, n, _ = make_layers(N_FEATURES, (5,), 1, "identity")
    network = make_network(layers, "squared_error", "identity", "32")
    X, Y, _ = make_data("squared_error", "identity", 1)
    X, Y = X.astype(np.float32), Y.astype(np.float32)
    theta, running = start(n, 0, dtype=np.float32)
    arguments = {"batch_size": N_ROWS, "learning_rate": 0.1}
    epoch = network.trainer("sgd").train_epoch(theta, running, X, Y * 1e30, **arguments)
    assert (epoch["status"], epoch["layer"], epoch["parameter"]) == ("loss", -1, -1)
    network = make_network(layers, "absolute_error", "identity", "32")
    theta[25:30] = 1e38
    X *= 100
    theta[:25] = 0
    epoch = network.trainer("sgd").train_epoch(theta, running, X, Y, **arguments)
    assert (epoch["status"], epoch["parameter"]) == ("gradient", 0)


@pytest.mark.parametrize("normalization", [None, "layer"])
def test_two_threads_are_one_to_rounding_and_the_same_each_time(normalization):
    layers, n, _ = make_layers(
        N_FEATURES, (64, 64), 3, "relu", normalization=normalization, dropout=0.2
    )
    network = make_network(layers, "log_loss", "softmax")
    X, Y, weight = make_data("log_loss", "softmax", 3, n_rows=2000)
    theta, running = start(n, 0, scale=0.1)
    options = {"seed": 1, "alpha": 0.1}
    one = network.value_and_gradient(theta, X, Y, weight, **options)
    two = network.value_and_gradient(theta, X, Y, weight, n_threads=2, **options)
    again = network.value_and_gradient(theta, X, Y, weight, n_threads=2, **options)
    np.testing.assert_allclose(one[0], two[0], rtol=1e-13)
    np.testing.assert_allclose(one[1], two[1], rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(two[1], again[1])
    kwargs = {"record": "epoch", "batch_size": 500, "n_threads": 2}
    a = train(network, theta, running, (X, Y, weight), **kwargs)
    b = train(network, theta, running, (X, Y, weight), **kwargs)
    np.testing.assert_array_equal(a[0], b[0])
    np.testing.assert_array_equal(
        network.predict(theta, running, X),
        network.predict(theta, running, X, n_threads=2),
    )


@pytest.mark.parametrize("n_threads", [2, 3])
@pytest.mark.parametrize("n_rows", [6_011, 20_011, 400_009])
def test_who_does_a_share_of_many_rows_changes_no_bit(n_rows, n_threads):
    """There are several for each thread, and whoever is free takes the next."""
    layers, n, _ = make_layers(N_FEATURES, (12,), 3, "tanh", dropout=0.2)
    network = make_network(layers, "log_loss", "softmax")
    X, Y, weight = make_data("log_loss", "softmax", 3, n_rows=n_rows)
    theta, _ = start(n, 0, scale=0.1)
    options = {"seed": 1, "alpha": 0.1}
    one = network.value_and_gradient(theta, X, Y, weight, **options)
    options["n_threads"] = n_threads
    first = network.value_and_gradient(theta, X, Y, weight, **options)
    np.testing.assert_allclose(first[0], one[0], rtol=1e-12)
    np.testing.assert_allclose(first[1], one[1], rtol=1e-9, atol=1e-14)
    for _ in range(5):
        again = network.value_and_gradient(theta, X, Y, weight, **options)
        assert again[0] == first[0]
        np.testing.assert_array_equal(again[1], first[1])


def test_mini_batches_may_have_rates_of_their_own():
    """An epoch of two is two of one; a weightless one keeps its rate."""
    layers, n, _ = make_layers(N_FEATURES, (5,), 1, "tanh")
    network = make_network(layers, "squared_error", "identity")
    X, Y, _ = make_data("squared_error", "identity", 1, n_rows=24)
    weight = np.repeat([1.0, 0.0, 1.0], 8)
    theta, running = start(n, 0)
    whole, rates = theta.copy(), np.array([0.1, 7.0, 0.01])
    network.trainer("sgd").train_epoch(
        whole, running, X, Y, weight, batch_size=8, learning_rate=rates
    )
    trainer = network.trainer("sgd")
    for rate, rows in ((0.1, slice(0, 8)), (0.01, slice(16, 24))):
        trainer.train_epoch(
            theta, running, X[rows], Y[rows], weight[rows], batch_size=8,
            learning_rate=rate, total_weight=8 * 16 / 24,
        )  # fmt: skip
    np.testing.assert_allclose(whole, theta, rtol=1e-13)
    with pytest.raises(ValueError, match="learning_rate has 3 elements, expected 6"):
        trainer.train_epoch(theta, running, X, Y, batch_size=4, learning_rate=rates)


def test_batch_norm_predicts_with_running_statistics():
    layers, n, n_running = make_layers(
        N_FEATURES, (3,), 1, "identity", normalization="batch"
    )
    network = make_network(layers, "squared_error", "identity")
    X, Y, weight = make_data("squared_error", "identity", 1)
    theta, running = start(n, n_running)
    running[3:] = 1.0
    z = X @ theta[:12].reshape(4, 3) + theta[12:15]
    mean = np.average(z, axis=0, weights=weight)
    variance = np.average((z - mean) ** 2, axis=0, weights=weight)
    network.trainer("sgd").train_epoch(
        theta, running, X, Y, weight, batch_size=N_ROWS, learning_rate=0.0
    )
    np.testing.assert_allclose(running[:3], 0.1 * mean, rtol=1e-12)
    np.testing.assert_allclose(running[3:], 0.9 + 0.1 * variance, rtol=1e-12)
    hidden = (z - running[:3]) / np.sqrt(running[3:] + 1e-5) * theta[15:18]
    expected = (hidden + theta[18:21]) @ theta[21:24] + theta[24]
    np.testing.assert_allclose(network.predict(theta, running, X)[:, 0], expected)


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9])
def test_dropout_drops_the_stated_share(rate):
    layers, n, _ = make_layers(1, (100,), 1, "identity", dropout=rate)
    network = make_network(layers, "squared_error", "identity", fuse=False)
    theta = np.ones(n)
    X, Y = np.ones((1000, 1)), np.zeros((1000, 1))
    traced = network.trace(theta, X, Y, seed=0)["layers"]
    after = traced[2]["output"] if rate else traced[1]["output"]
    kept = after != 0
    np.testing.assert_allclose(after[kept], 2.0 / (1.0 - rate), rtol=1e-4)
    assert len(np.unique(after[kept])) == 1
    assert abs(kept.mean() - (1.0 - rate)) < 0.005
    # Every row and every unit has its own.
    assert np.abs(kept.mean(axis=0) - (1.0 - rate)).max() < 0.08
    assert np.abs(kept.mean(axis=1) - (1.0 - rate)).max() < 0.25


def test_dropped_units_are_seen_as_they_were_before():
    """Dropout works in the memory of relu; what looks at a pass is not told so."""
    layers, n, _ = make_layers(1, (100,), 1, "relu", dropout=0.5)
    network = make_network(layers, "squared_error", "identity", fuse=False)
    X, Y = np.ones((20, 1)), np.zeros((20, 1))
    traced = network.trace(np.ones(n), X, Y, seed=0)["layers"]
    np.testing.assert_array_equal(traced[1]["output"], 2.0)
    assert set(np.unique(traced[2]["output"])) == {0.0, 4.0}
    kept = traced[2]["output"] != 0
    given = traced[2]["output_gradient"]
    np.testing.assert_array_equal(traced[2]["input_gradient"], 2 * given * kept)


def test_each_step_and_seed_and_place_has_its_own_masks():
    layers, n, _ = make_layers(1, (50,), 1, "identity", dropout=0.5)
    network = make_network(layers, "squared_error", "identity", fuse=False)
    X, Y = np.ones((20, 1)), np.zeros((20, 1))

    def mask(seed, step):
        traced = network.trace(np.ones(n), X, Y, seed=seed, step=step)
        return traced["layers"][2]["output"] != 0

    masks = [mask(0, 1), mask(0, 2), mask(1, 1)]
    for i, one in enumerate(masks):
        for other in masks[i + 1 :]:
            assert 0.4 < (one != other).mean() < 0.6
    np.testing.assert_array_equal(masks[0], mask(0, 1))


def test_wrong_arguments_are_named():
    layers, n, _ = make_layers(N_FEATURES, (5,), 1, "tanh")
    network = make_network(layers, "squared_error", "identity")
    X, _, _ = make_data("squared_error", "identity", 1)
    theta, running = start(n, 0)
    with pytest.raises(ValueError, match="theta has"):
        network.predict(theta[:-1], running, X)
    with pytest.raises(ValueError, match="columns"):
        network.predict(theta, running, X[:, :2].copy())
    with pytest.raises(TypeError, match="C-contiguous"):
        network.predict(theta, running, X.astype(np.float32))
    with pytest.raises(ValueError, match="Unknown activation"):
        make_network(make_layers(2, (2,), 1, "nope")[0], "huber", "identity")
    with pytest.raises(ValueError, match="No loss"):
        make_network(layers, "huber", "softmax")
    with pytest.raises(ValueError, match="Unknown optimizer"):
        network.trainer("nope")
    table, _ = layers
    table[-1]["start"] += 1
    with pytest.raises(ValueError, match="without gaps"):
        make_network(layers, "huber", "identity")
