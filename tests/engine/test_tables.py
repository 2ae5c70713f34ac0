"""Embeddings and members: the engine beside the reference and central differences."""

import numpy as np
import pytest
import scipy.sparse as sp
from architectures import make_layers, make_network, start
from reference_network import softmax_log_loss, squared_error
from reference_tables import TableNetwork
from table_layers import N_COLUMNS, N_ROWS, TableLayout, make_rows, members

from sklearn_backprop.neural_network._records import cut_by_name

pytestmark = pytest.mark.once

K = 3
LOSSES = {
    "squared_error": ("identity", squared_error),
    "log_loss": ("softmax", softmax_log_loss),
}


def plain(layout, embedding):
    """Layers of one member."""
    layers = [embedding(layout, 4), layout.dense(16, 7), layout.activation(7)]
    return [*layers, layout.dense(7, 2)]


def mini(layout, embedding):
    layers = [
        embedding(layout, 4),
        layout.scaled_dense(16, 37, K, 3, 4),
        layout.activation(37),
        layout.dense(37, 7),
        layout.activation(7),
        layout.member_dense(7, 2, K),
    ]
    return [members(layers, 1, K, N_COLUMNS, 2)]


def mini_apart(layout, embedding):
    """The same with the split as a layer of its own, and no hidden layer."""
    layers = [
        embedding(layout, 4),
        layout.member_scale(16, K, 3, 4),
        layout.member_dense(16, 2, K),
    ]
    return [members(layers, 1, K, N_COLUMNS, 2)]


def adapters(layout, embedding):
    layers = [
        embedding(layout, 4),
        layout.scaled_dense(16, 7, K, 3, 4),
        layout.member_affine(7, K),
        layout.activation(7),
        layout.member_scale(7, K),
        layout.dense(7, 6),
        layout.member_affine(6, K),
        layout.activation(6),
        layout.member_dense(6, 2, K),
    ]
    return [members(layers, 1, K, N_COLUMNS, 2)]


EMBEDDINGS = {
    "piecewise_linear": lambda layout, size: layout.embedding("piecewise_linear", size),
    "periodic": lambda layout, size: layout.embedding("periodic", size),
    "periodic_apart": lambda layout, size: layout.embedding("periodic", size, False),
}
ARCHITECTURES = {f.__name__: f for f in (plain, mini, mini_apart, adapters)}


def make_case(architecture, embedding, loss, dtype="64"):
    """Return the engine's network, the reference's, and theta's start."""
    layout = TableLayout()
    layers = ARCHITECTURES[architecture](layout, EMBEDDINGS[embedding])
    k = 1 if architecture == "plain" else K
    link, function = LOSSES[loss]
    network = layout.network(layers, loss, link, dtype, n_members=k)
    theta = np.random.default_rng(1).normal(scale=0.5, size=layout.n_parameters)
    constants = np.array(layout.constants, dtype=f"float{dtype}")
    options = {"constants": constants} if len(constants) else {}
    return network, TableNetwork(layout.reference, function), layout, theta, options


def make_targets(loss, n_rows, seed=2):
    rng = np.random.default_rng(seed)
    if loss == "log_loss":
        return np.eye(2)[rng.integers(2, size=n_rows)]
    return rng.normal(size=(n_rows, 2))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_value_and_gradients_are_the_references(architecture, embedding, loss):
    network, oracle, layout, theta, options = make_case(architecture, embedding, loss)
    X, Y = make_rows(), make_targets(loss, N_ROWS)
    weight = np.random.default_rng(3).integers(0, 4, size=N_ROWS).astype(float)
    value, gradient = network.value_and_gradient(theta, X, Y, weight, **options)
    expected, named, _ = oracle.value_and_gradient(layout.unpack(theta), X, Y, weight)
    flat = np.concatenate(
        [
            np.ravel(own[name])
            for own, shapes in zip(named, layout.shapes, strict=True)
            for name in shapes
        ]
    )
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(gradient, flat, rtol=1e-12, atol=1e-14)
    traced = network.trace(theta, X, Y, weight, **options)
    np.testing.assert_allclose(traced["gradient"], gradient, rtol=1e-12, atol=1e-15)
    _, f = oracle.forward(layout.unpack(theta), X)
    raw = network.raw_outputs(theta, np.zeros(0), X, **options)
    np.testing.assert_allclose(raw, f.reshape(N_ROWS, -1), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("architecture", ["mini", "mini_apart", "adapters"])
def test_members_with_rows_of_their_own(architecture, is_sparse):
    """A step on an order with a column for each member is the reference's."""
    case = make_case(architecture, "piecewise_linear", "squared_error")
    network, oracle, layout, theta, options = case
    X, Y = make_rows(missing=not is_sparse), make_targets("squared_error", N_ROWS)
    if is_sparse:  # what is not embedded, which has a way of its own
        X[:, [1, 4]] *= np.random.default_rng(5).random((N_ROWS, 2)) < 0.2
    weight = np.random.default_rng(3).integers(0, 4, size=N_ROWS).astype(float)
    rng = np.random.default_rng(4)
    order = np.stack([rng.permutation(N_ROWS) for _ in range(K)], axis=1)
    value, gradient = network.trainer("sgd").gradient(
        theta, np.zeros(0), X, Y, weight, order, **options
    )
    expected, named, _ = oracle.value_and_gradient(
        layout.unpack(theta), X[order], Y[order], weight[order]
    )
    flat = np.concatenate(
        [
            np.ravel(own[name])
            for own, shapes in zip(named, layout.shapes, strict=True)
            for name in shapes
        ]
    )
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(gradient, flat, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_step_forgets_the_gradient_before(architecture):
    """Three steps of one trainer are three gradients, each in memory of its own."""
    case = make_case(architecture, "piecewise_linear", "squared_error")
    network, _, _, theta, options = case
    X, Y = make_rows(), make_targets("squared_error", N_ROWS)
    rate, expected = 0.01, theta.copy()
    trainer = network.trainer("sgd", momentum=0.0)
    for _ in range(3):
        _, gradient = network.value_and_gradient(expected, X, Y, **options)
        expected -= rate * gradient
        trainer.train_epoch(
            theta, np.zeros(0), X, Y,
            batch_size=N_ROWS, learning_rate=rate, **options,
        )  # fmt: skip
    np.testing.assert_allclose(theta, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradients_are_central_differences(architecture, embedding):
    case = make_case(architecture, embedding, "log_loss")
    network, _, _, theta, options = case
    X, Y = make_rows(), make_targets("log_loss", N_ROWS)

    def value(at):
        return network.value_and_gradient(at, X, Y, alpha=0.3, **options)[0]

    _, gradient = network.value_and_gradient(theta, X, Y, alpha=0.3, **options)
    errors = []
    for seed in range(5):  # kinks of the periodic embedding lie somewhere
        direction = np.random.default_rng(seed).normal(size=len(theta))
        direction /= np.linalg.norm(direction)
        h = 1e-4
        ends = value(theta + h * direction), value(theta - h * direction)
        errors.append(abs(gradient @ direction - (ends[0] - ends[1]) / (2 * h)))
    assert np.median(errors) < 1e-8 * max(1, np.linalg.norm(gradient))


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_gradient_of_inputs_is_the_references(architecture, embedding):
    """Behind a first layer of its own, which changes nothing: x times one."""
    layout = TableLayout()
    first = layout.member_scale(N_COLUMNS, 1)
    layers = ARCHITECTURES[architecture](layout, EMBEDDINGS[embedding])
    k = 1 if architecture == "plain" else K
    network = layout.network([first, *layers], "squared_error", "identity", n_members=k)
    oracle = TableNetwork(layout.reference[1:], squared_error)
    theta = np.random.default_rng(1).normal(scale=0.5, size=layout.n_parameters)
    theta[:N_COLUMNS] = 1.0
    X, Y = make_rows(missing=False), make_targets("squared_error", N_ROWS)
    constants = np.array(layout.constants) if len(layout.constants) else None
    traced = network.trace(theta, X, Y, constants=constants)["layers"]
    _, _, expected = oracle.value_and_gradient(
        layout.unpack(theta)[1:], X, Y, np.ones(N_ROWS)
    )
    np.testing.assert_allclose(
        traced[1]["input_gradient"], expected, rtol=1e-12, atol=1e-15
    )


def of_members(layers):
    """Arrays k times as long, one member's after the other's."""
    table, specs = layers
    table = [
        row | {"start": K * row["start"], "size": K * row["size"]} for row in table
    ]

    def widen(spec):
        wide = dict(spec)
        if "running" in spec:
            wide["running"] = K * spec["running"]
        if "layers" in spec:
            wide["layers"] = [widen(inner) for inner in spec["layers"]]
        return wide

    block = {"kind": "independent", "n_members": K, "n_in": N_COLUMNS, "n_out": 2 * K}
    return table, [{**block, "layers": [widen(spec) for spec in specs]}]


def join(layers, vectors):
    """The vectors of the members (k, n) as one."""
    cuts = [slice(row["start"], row["start"] + row["size"]) for row in layers[0]]
    return np.concatenate([vectors[:, cut].ravel() for cut in cuts])


def test_independent_members_are_networks_trained_apart():
    """Same starts and batches; the mean of the losses divides every gradient by k."""
    layers, n, n_running = make_layers(
        N_COLUMNS, (6, 5), 2, "relu", normalization="batch", residual="concat"
    )
    link = ("squared_error", "identity")
    network = make_network(of_members(layers), *link, n_members=K)
    thetas = np.stack([start(n, 0, seed=m)[0] for m in range(K)])
    theta = join(layers, thetas)
    running = np.zeros(K * n_running)
    X, Y = make_rows(60, missing=False), make_targets("squared_error", 60)
    order = np.random.default_rng(0).permutation(60)
    options = {"batch_size": 16, "learning_rate": 0.03, "alpha": 0.0}
    trainer = network.trainer("sgd", momentum=0.5)
    options["record"] = "epoch"
    epoch = trainer.train_epoch(theta, running, X, Y, None, order, **options)
    losses, predictions, dead = [], [], []
    for m in range(K):
        alone, own = make_network(layers, *link), np.zeros(n_running)
        result = alone.trainer("sgd", momentum=0.5).train_epoch(
            thetas[m], own, X, Y, None, order, **{**options, "learning_rate": 0.01}
        )
        losses.append(result["loss"])
        dead.append(cut_by_name(result["records"])["dead_fraction"])
        predictions.append(alone.predict(thetas[m], own, X))
    np.testing.assert_allclose(epoch["loss"], np.mean(losses), rtol=1e-13)
    np.testing.assert_allclose(theta, join(layers, thetas), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(
        network.predict(theta, running, X), np.mean(predictions, axis=0), rtol=1e-12
    )
    dead_of_all = cut_by_name(epoch["records"])["dead_fraction"]
    np.testing.assert_allclose(dead_of_all, np.mean(dead, axis=0))
    assert 0 < np.nanmax(dead_of_all) < 1


def test_independent_members_with_rows_of_their_own():
    layers, n, _ = make_layers(N_COLUMNS, (6,), 2, "tanh")
    link = ("squared_error", "identity")
    network = make_network(of_members(layers), *link, n_members=K)
    thetas = np.stack([start(n, 0, seed=m)[0] for m in range(K)])
    theta = join(layers, thetas)
    X, Y = make_rows(40, missing=False), make_targets("squared_error", 40)
    rng = np.random.default_rng(0)
    order = np.stack([rng.permutation(40) for _ in range(K)], axis=1)
    options = {"batch_size": 16, "learning_rate": 0.03}
    network.trainer("sgd").train_epoch(theta, np.zeros(0), X, Y, None, order, **options)
    for m in range(K):
        make_network(layers, *link).trainer("sgd").train_epoch(
            thetas[m], np.zeros(0), X, Y, None, order[:, m].copy(),
            **{**options, "learning_rate": 0.01},
        )  # fmt: skip
    np.testing.assert_allclose(theta, join(layers, thetas), rtol=1e-11, atol=1e-14)


def test_one_member_with_scales_of_one_is_the_plain_network():
    one, many = TableLayout(), TableLayout()
    alone = plain(one, EMBEDDINGS["piecewise_linear"])
    block = [
        many.embedding("piecewise_linear", 4),
        many.scaled_dense(16, 7, 1, 3, 4),
        many.activation(7),
        many.member_dense(7, 2, 1),
    ]
    a = one.network(alone, "squared_error", "identity")
    b = many.network([members(block, 1, 1, N_COLUMNS, 2)], "squared_error", "identity")
    theta = np.random.default_rng(0).normal(size=one.n_parameters)
    r = next(row for row in many.table if row["name"].startswith("r"))
    beside = np.insert(theta, r["start"], np.ones(r["size"]))
    X, Y = make_rows(), make_targets("squared_error", N_ROWS)
    constants = {"constants": np.array(one.constants)}
    value, gradient = a.value_and_gradient(theta, X, Y, **constants)
    again, other = b.value_and_gradient(beside, X, Y, **constants)
    np.testing.assert_allclose(value, again, rtol=1e-14)
    other = np.delete(other, np.arange(r["start"], r["start"] + r["size"]))
    np.testing.assert_allclose(other, gradient, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", ["32", "64"])
@pytest.mark.parametrize("architecture", ["plain", "mini", "adapters"])
def test_stretches_threads_and_sparse_rows_change_nothing(architecture, dtype):
    """Many rows pass in stretches, by two threads; sparse ones are dense ones."""
    case = make_case(architecture, "piecewise_linear", "log_loss", dtype)
    network, _, _, theta, options = case
    X, Y = make_rows(3000), make_targets("log_loss", 3000)
    X, Y, theta = (array.astype(f"float{dtype}") for array in (X, Y, theta))
    one = network.value_and_gradient(theta, X, Y, **options)
    two = network.value_and_gradient(theta, X, Y, n_threads=2, **options)
    sparse = network.value_and_gradient(theta, sp.csr_array(X), Y, **options)
    rtol = 1e-4 if dtype == "32" else 1e-10
    np.testing.assert_allclose(one[1], two[1], rtol=rtol, atol=rtol / 100)
    np.testing.assert_allclose(one[1], sparse[1], rtol=rtol, atol=rtol / 100)
    empty = np.zeros(0, theta.dtype)
    np.testing.assert_array_equal(
        network.predict(theta, empty, X, **options),
        network.predict(theta, empty, X, n_threads=2, **options),
    )
    parts = [network.predict(theta, empty, X[i : i + 1], **options) for i in range(20)]
    np.testing.assert_allclose(
        np.vstack(parts), network.predict(theta, empty, X, **options)[:20], rtol=rtol
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_thread_may_have_no_rows(architecture):
    """The last mini-batch is one row, whatever the team."""
    case = make_case(architecture, "piecewise_linear", "log_loss")
    network, _, _, start, options = case
    X, Y = make_rows(3001), make_targets("log_loss", 3001)
    ends = []
    for n_threads in (1, 2, 3):
        theta = start.copy()
        network.trainer("sgd").train_epoch(
            theta, np.zeros(0), X, Y, batch_size=3000, learning_rate=0.1,
            n_threads=n_threads, **options,
        )  # fmt: skip
        ends.append(theta)
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-10)
    np.testing.assert_allclose(ends[2], ends[0], rtol=1e-10)


@pytest.mark.parametrize("dtype", ["32", "64"])
def test_waves_are_sines_and_cosines(dtype):
    """Whole turns, halves and quarters, and far from zero."""
    layout = TableLayout()
    layer = {
        "kind": "periodic", "n_in": 1, "columns": [0], "size": 2, "n_frequencies": 1,
        "shared": 1, **layout.place({"w": (1,), "W": (2, 2), "b": (2,)}),
    }  # fmt: skip
    network = layout.network([layer], "squared_error", "identity", dtype)
    x = np.concatenate([np.arange(-12, 12) / 8, np.linspace(-5, 5, 1001), [1e3, 1e30]])
    x = x[:, None].astype(f"float{dtype}")
    theta = np.array([1, 1, 0, 0, 1, 1, 1], dtype=x.dtype)  # cos + 1, sin + 1
    got = network.raw_outputs(theta, np.zeros(0, x.dtype), x)
    turns = x.astype(float) - np.rint(x.astype(float))
    expected = 1 + np.hstack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)])
    np.testing.assert_allclose(got, expected, atol=3e-7 if dtype == "32" else 5e-16)


def test_wrong_layers_of_tables_are_named():
    layout = TableLayout()
    embedding = layout.embedding("piecewise_linear", 4)
    embedding["layers"][0]["n_bins"] = [4, 1]
    with pytest.raises(ValueError, match="needs bins for each column"):
        layout.network([embedding], "squared_error", "identity")
    embedding["layers"][0]["columns"] = [0, 2, 9]
    with pytest.raises(ValueError, match="not among those of x"):
        layout.network([embedding], "squared_error", "identity")
    case = make_case("mini", "piecewise_linear", "squared_error")
    network, _, _, theta, options = case
    X, Y = make_rows(), make_targets("squared_error", N_ROWS)
    with pytest.raises(ValueError, match="a column for each of the 3 members"):
        network.trainer("sgd").gradient(
            theta, np.zeros(0), X, Y, None, np.zeros((5, 2), int), **options
        )
    with pytest.raises(ValueError, match="constants has 0 elements"):
        network.predict(theta, np.zeros(0), X)
