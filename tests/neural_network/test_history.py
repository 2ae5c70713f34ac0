"""`gradient_history_`: exact, bounded, and of one length with its companions."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import start_of, weights_of
from reference_network import OPTIMIZERS, ReferenceNetwork
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale

from sklearn_backprop.neural_network import BackpropMLPClassifier, BackpropMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X_IRIS = scale(X_IRIS)
PER_LAYER = [
    "gradient_norm", "gradient_norm_max", "update_ratio", "dead_fraction",
    "saturated_fraction",
]  # fmt: skip
PER_RECORD = ["clipped_fraction", "global_norm"]


# ---------------------------------------------------------- weights set by hand
def relu_net_by_hand(**settings):
    """x -> relu(x [1, -1]) [2, 3] + 1 for the rows x = 1 and x = 3, targets 1 and 3.

    Unit 2 is silent for both. Outputs are 3 and 7, so dJ/d(output) is 2 and 4 per row;
    the gradients of W2 are 2 and 12 (relu(x) times it), of b2 2 and 4, of W1's first
    column 2 * 2 = 4 and 2 * 4 * 3 = 24, of b1 4 and 8, and zero elsewhere.
    """
    model = BackpropMLPRegressor(
        (2,), solver="sgd", momentum=0.0, learning_rate_init=0.01, alpha=0.0,
        shuffle=False, max_iter=1, warm_start=True, **settings,
    )  # fmt: skip
    model.coefs_ = [np.array([[1.0, -1.0]]), np.array([[2.0], [3.0]])]
    model.intercepts_ = [np.zeros(2), np.ones(1)]
    return model.fit([[1.0], [3.0]], [1.0, 3.0])


def test_one_step_by_hand():
    """The mean over both rows: W1 14, W2 7, b1 6, b2 3; steps of 0.01 times that."""
    history = relu_net_by_hand(batch_size=2).gradient_history_
    assert_allclose(history["gradient_norm"], [[14, 7]], rtol=1e-15)
    assert_allclose(history["gradient_norm_max"], [[14, 7]], rtol=1e-15)
    assert_allclose(history["global_norm"], [np.sqrt(14**2 + 7**2 + 6**2 + 3**2)])
    after = np.hypot(1 - 0.14, 1), np.hypot(2 - 0.07, 3)
    assert_allclose(history["update_ratio"], [[0.14 / after[0], 0.07 / after[1]]])
    assert_array_equal(history["dead_fraction"], [[0.5, np.nan]])
    assert_array_equal(history["saturated_fraction"], [[0, np.nan]])
    assert_array_equal(history["clipped_fraction"], [0])


def test_a_clipped_step_by_hand():
    """Norms are those before clipping, updates those behind it."""
    history = relu_net_by_hand(batch_size=2, clip=1.0).gradient_history_
    norm = np.sqrt(14**2 + 7**2 + 6**2 + 3**2)
    assert_allclose(history["gradient_norm"], [[14, 7]])
    assert_allclose(history["global_norm"], [norm])
    assert_array_equal(history["clipped_fraction"], [1])
    step = 0.01 / norm
    expected = 7 * step / np.hypot(2 - 7 * step, 3)
    assert_allclose(history["update_ratio"][0, 1], expected)


def test_two_steps_by_hand():
    """Rows one by one. After the first step, with gradients W1 4, W2 2, b1 4, b2 2:

    W1 = [0.96, -1], b1 = [-0.04, 0], W2 = [1.98, 3], b2 = 0.98. Then x = 3 gives
    a = 2.84, the output 1.98 * 2.84 + 0.98 and delta = that - 3.
    """
    delta = 1.98 * 2.84 + 0.98 - 3
    norms = np.array([[4, 2], [1.98 * delta * 3, 2.84 * delta]])
    biases = np.array([[4, 2], [1.98 * delta, delta]])
    squares = (norms**2).sum(axis=1) + (biases**2).sum(axis=1)

    steps = relu_net_by_hand(batch_size=1, track_gradients="batch").gradient_history_
    assert_allclose(steps["gradient_norm"], norms, rtol=1e-13)
    assert_allclose(steps["gradient_norm_max"], norms, rtol=1e-13)
    assert_allclose(steps["global_norm"], np.sqrt(squares), rtol=1e-13)

    epoch = relu_net_by_hand(batch_size=1).gradient_history_
    assert_allclose(epoch["gradient_norm"], [np.sqrt((norms**2).mean(axis=0))])
    assert_allclose(epoch["gradient_norm_max"], [norms.max(axis=0)])
    assert_allclose(epoch["global_norm"], [np.sqrt(squares.mean())])
    assert_allclose(epoch["update_ratio"], [steps["update_ratio"].mean(axis=0)])


@pytest.mark.parametrize(("activation", "stretch"), [("tanh", 1), ("logistic", 2)])
def test_units_by_hand(activation, stretch):
    """tanh of 0.1, 2.25, 3 and 6 times x, x = 1 and x = -1: |f'| = .99, .04, .01, 2e-5.

    Below 0.01 of the steepest slope is saturated, below 0.001 silent: the third unit is
    the first, the fourth both, in both rows. logistic(2 z) = (1 + tanh(z)) / 2.
    """
    model = BackpropMLPRegressor(
        (4,), activation=activation, solver="sgd", learning_rate_init=1e-9, max_iter=1,
        warm_start=True,
    )  # fmt: skip
    first = stretch * np.array([[0.1, 2.25, 3.0, 6.0]])
    model.coefs_ = [first, np.ones((4, 1))]
    model.intercepts_ = [np.zeros(4), np.zeros(1)]
    history = model.fit([[1.0], [-1.0]], [0.0, 1.0]).gradient_history_
    assert_array_equal(history["dead_fraction"], [[1 / 4, np.nan]])
    assert_array_equal(history["saturated_fraction"], [[2 / 4, np.nan]])


@pytest.mark.parametrize("n_units", [1, 5, 8, 11, 16, 29])
@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_a_unit_is_alive_that_one_row_of_any_batch_moves(n_units, activation):
    """Unit j sees feature j, which is -1000 but in one row; for every third, always."""
    rng = np.random.default_rng(n_units)
    X = np.full((100, n_units), -1000.0)
    moved = np.flatnonzero(np.arange(n_units) % 3)
    X[rng.integers(100, size=len(moved)), moved] = 1.0
    model = BackpropMLPRegressor(
        (n_units,), activation=activation, solver="sgd", learning_rate_init=1e-9,
        max_iter=1, batch_size=50, shuffle=False, warm_start=True,
    )  # fmt: skip
    model.coefs_ = [np.eye(n_units), np.ones((n_units, 1))]
    model.intercepts_ = [np.zeros(n_units), np.zeros(1)]
    dead = model.fit(X, X[:, 0]).gradient_history_["dead_fraction"]
    assert_array_equal(dead, [[(n_units - len(moved)) / n_units, np.nan]])


# --------------------------------------------------------- the reference network
@pytest.mark.parametrize("track", ["epoch", "batch"])
@pytest.mark.parametrize("clip", [None, 0.05])
def test_history_of_a_fit_equals_the_reference(track, clip):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((10, 3)), rng.standard_normal(10)
    model = BackpropMLPRegressor(
        (4, 3), activation="tanh", residual="add", batch_size=4, shuffle=False,
        random_state=5, max_iter=3, clip=clip, track_gradients=track, alpha=0.1,
    ).fit(X, y)  # fmt: skip
    reference = ReferenceNetwork(
        3, (4, 3), 1, ["tanh", "tanh"], alpha=0.1, residual="add"
    )
    state = {"theta": start_of(model, 3, 1, seed=5), "running": np.zeros(0)}
    step = partial(OPTIMIZERS["adam"])
    pieces = [np.arange(10)]
    if track == "batch":
        pieces = [np.arange(10)[i : i + 4] for i in (0, 4, 8)]
    expected = []
    for _ in range(3):
        for rows in pieces:
            # A mini-batch's objective knows the weight of all rows, by its penalty.
            reference.alpha = 0.1 * len(rows) / 10
            _, records = reference.train_epoch(
                state, X, y[:, None], order=rows, batch_size=4, rate=0.001, step=step,
                w=np.isin(np.arange(10), rows).astype(float), clip=clip,
            )  # fmt: skip
            expected.append(records)
    for name in expected[0]:
        assert_allclose(
            model.gradient_history_[name],
            [records[name] for records in expected],
            rtol=1e-9,
            err_msg=name,
        )


# -------------------------------------------------------------- same bits, bounds
VARIANTS = [
    {},
    {"solver": "lbfgs"},
    {"normalization": "batch", "residual": "concat", "dropout": 0.2},
    {"solver": "sgd", "clip": 0.1, "early_stopping": True},
]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("verbose", [False, True])
def test_recording_changes_no_bit(variant, verbose):
    fits = [
        BackpropMLPClassifier(
            (6, 5), max_iter=5, random_state=0, batch_size=40, track_gradients=track,
            verbose=verbose, **variant,
        ).fit(X_IRIS, Y_IRIS)
        for track in (None, "epoch", "batch")
    ]  # fmt: skip
    for model in fits[1:]:
        assert_array_equal(weights_of(model), weights_of(fits[0]))
        assert model.loss_curve_ == fits[0].loss_curve_
        assert model.validation_scores_ == fits[0].validation_scores_
    assert fits[0].gradient_history_ == {}


@pytest.mark.parametrize("track", ["epoch", "batch"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_memory_is_that_of_norms(track, solver):
    """Seven numbers per layer and record, whatever the width of layers."""
    model = BackpropMLPClassifier(
        (300, 300), max_iter=4, batch_size=50, track_gradients=track, solver=solver,
    ).fit(X_IRIS, Y_IRIS)  # fmt: skip
    n_records = 12 if (track, solver) == ("batch", "adam") else 4
    history = model.gradient_history_
    assert {n: a.shape for n, a in history.items()} == {
        **dict.fromkeys(PER_LAYER, (n_records, 3)),
        **dict.fromkeys(PER_RECORD, (n_records,)),
    }
    assert all(array.dtype == np.float64 for array in history.values())
    kept = sum(records.nbytes for records in model._training.records)
    assert kept == 8 * n_records * (5 * 3 + 2)


# --------------------------------------------------------------------- continuing
def test_records_are_joined_when_asked_for_not_at_every_call():
    model = BackpropMLPClassifier((4,), random_state=0)
    for _ in range(3):
        model.partial_fit(X_IRIS, Y_IRIS, classes=[0, 1, 2])
    rows = list(model._training.records)
    assert [row.shape for row in rows] == [(1, 5 * 2 + 2)] * 3
    history = model.gradient_history_
    assert len(model._training.records) == 1
    assert_array_equal(np.column_stack(list(history.values())), np.concatenate(rows))
    np.testing.assert_equal(model.gradient_history_, history)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_warm_start_appends(solver):
    model = BackpropMLPClassifier(
        (6,), max_iter=3, warm_start=True, random_state=0, solver=solver
    )
    lengths, earlier = [], None
    for _ in range(3):
        model.fit(X_IRIS, Y_IRIS)
        history = model.gradient_history_
        assert {len(values) for values in history.values()} == {len(model.loss_curve_)}
        assert model.n_iter_ == 3  # of the last fit, as scikit-learn counts
        if earlier is not None:
            for name, values in earlier.items():
                assert_array_equal(history[name][: len(values)], values)
        earlier = history
        lengths.append(len(model.loss_curve_))
    assert lengths == [3, 6, 9]
    model.set_params(warm_start=False).fit(X_IRIS, Y_IRIS)
    assert len(model.gradient_history_["global_norm"]) == model.n_iter_ == 3


def test_partial_fit_appends():
    model = BackpropMLPRegressor((6,), random_state=0, early_stopping=False)
    for n_calls in range(1, 5):
        model.partial_fit(X_IRIS, Y_IRIS)
        assert len(model.loss_curve_) == n_calls
        assert len(model.gradient_history_["update_ratio"]) == n_calls
    model.track_gradients = "batch"
    model.partial_fit(X_IRIS, Y_IRIS)
    assert len(model.gradient_history_["update_ratio"]) == 5  # one batch of 150 rows


@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy, "pickle"])
def test_history_survives_copies_and_clones_have_none(duplicate):
    model = BackpropMLPClassifier((6,), max_iter=3).fit(X_IRIS, Y_IRIS)
    if duplicate == "pickle":
        twin = pickle.loads(pickle.dumps(model))
    else:
        twin = duplicate(model)
    np.testing.assert_equal(twin.gradient_history_, model.gradient_history_)
    assert not hasattr(clone(model), "gradient_history_")


# -------------------------------------------------------------------------- lbfgs
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("residual", [None, "add"])
def test_lbfgs_records_the_gradient_at_the_end_of_each_iteration(dtype, residual):
    y = X_IRIS[:, :1] ** 2
    settings = {
        "hidden_layer_sizes": (4, 3), "solver": "lbfgs", "activation": "tanh",
        "alpha": 0.5, "random_state": 0, "residual": residual,
    }  # fmt: skip
    model = BackpropMLPRegressor(**settings, max_iter=6)
    model.fit(X_IRIS.astype(dtype), y.ravel())
    reference = ReferenceNetwork(
        4, (4, 3), 1, ["tanh", "tanh"], alpha=0.5, residual=residual
    )
    precision = 1e-9 if dtype == np.float64 else 1e-3
    before = start_of(BackpropMLPRegressor(**settings), 4, 1, seed=0).astype(dtype)
    for i in range(6):
        stop = BackpropMLPRegressor(**settings, max_iter=i + 1)
        stop.fit(X_IRIS.astype(dtype), y.ravel())
        after = stop._training.network.theta.astype(float)
        gradient = reference.gradient(after, X_IRIS, y, np.ones(150), total_weight=150)
        record = {name: a[i] for name, a in model.gradient_history_.items()}
        norms = [np.linalg.norm(W) for W in reference.weight_matrices(gradient)]
        assert_allclose(record["gradient_norm"], norms, rtol=precision)
        assert_array_equal(record["gradient_norm_max"], record["gradient_norm"])
        assert_allclose(record["global_norm"], np.linalg.norm(gradient), rtol=precision)
        ratios = [
            np.linalg.norm(change) / np.linalg.norm(W)
            for change, W in zip(
                reference.weight_matrices(after - before),
                reference.weight_matrices(after),
                strict=True,
            )
        ]
        assert_allclose(record["update_ratio"], ratios, rtol=precision)
        assert np.isnan([record["dead_fraction"], record["saturated_fraction"]]).all()
        assert record["clipped_fraction"] == 0
        before = after


def test_lbfgs_from_a_minimum_has_one_record():
    model = BackpropMLPRegressor((3,), solver="lbfgs", init="zeros", alpha=0.0)
    model.fit(X_IRIS, np.zeros(150))
    assert model.n_iter_ == 0
    assert len(model.loss_curve_) == len(model.gradient_history_["global_norm"]) == 1
    assert_array_equal(model.gradient_history_["gradient_norm"], [[0, 0]])
    assert_array_equal(model.gradient_history_["update_ratio"], [[0, 0]])


# ------------------------------------------------------------------------ verbose
def parse(line):
    step, *rest = line.split(", ")
    return step, {
        name: float(value.removesuffix(" s"))
        for name, value in (part.split(" = ") for part in rest)
    }


@pytest.mark.parametrize("track", ["epoch", "batch", None])
def test_verbose_prints_what_is_recorded(track, capsys):
    model = BackpropMLPClassifier(
        (3,), max_iter=3, verbose=True, track_gradients=track, early_stopping=True,
        batch_size=30, random_state=0,
    ).fit(X_IRIS, Y_IRIS)  # fmt: skip
    lines = [parse(line) for line in capsys.readouterr().out.splitlines()]
    twin = clone(model).set_params(track_gradients="epoch", verbose=False)
    norms = twin.fit(X_IRIS, Y_IRIS).gradient_history_["global_norm"]
    assert [step for step, _ in lines] == [f"Iteration {i}" for i in (1, 2, 3)]
    for i, (_, values) in enumerate(lines):
        assert list(values) == [
            "loss", "validation score", "gradient norm", "time", "left",
        ]  # fmt: skip
        assert_allclose(values["loss"], model.loss_curve_[i], atol=1e-8)
        assert_allclose(values["validation score"], model.validation_scores_[i], 1e-5)
        assert_allclose(values["gradient norm"], norms[i], rtol=1e-3)
    assert lines[-1][1]["left"] == 0
    times = [values["time"] for _, values in lines]
    assert sorted(times) == times
    assert 0 <= times[-1] < 60


def test_verbose_of_lbfgs(capsys):
    model = BackpropMLPClassifier((3,), solver="lbfgs", max_iter=3, verbose=True)
    model.set_params(random_state=0).fit(X_IRIS, Y_IRIS)
    for i, line in enumerate(capsys.readouterr().out.splitlines()):
        step, values = parse(line)
        assert step == f"Iteration {i + 1}"
        assert_allclose(values["loss"], model.loss_curve_[i], atol=1e-8)
        norm = model.gradient_history_["global_norm"][i]
        assert_allclose(values["gradient norm"], norm, rtol=1e-3)
