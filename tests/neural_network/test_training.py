"""Epochs against the plain-NumPy network and against scikit-learn's perceptrons."""

import signal
import subprocess
import sys
import time
import warnings
from functools import partial

import numpy as np
import pytest
import sklearn.neural_network as theirs
from numpy.testing import assert_allclose, assert_array_equal
from problems import LAYER_KINDS, make_pair, name_of, start_of, weights_of
from reference_network import OPTIMIZERS, ReferenceNetwork, rate_of_epoch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mean_poisson_deviance
from sklearn.preprocessing import scale

from sklearn_backprop.neural_network import BackpropMLPClassifier, BackpropMLPRegressor
from sklearn_backprop.neural_network._records import cut_by_name
from sklearn_backprop.neural_network._schedules import SCHEDULES
from sklearn_backprop.neural_network._solvers import STOCHASTIC_SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
CLIPS = [
    {},
    {"clip": 0.05, "clip_mode": "norm"},
    {"clip": 0.01, "clip_mode": "value"},
    {"clip": 1e6, "clip_mode": "norm"},
]
STEPS = {
    "sgd": [{"momentum": 0.0, "nesterov": False}, {"nesterov": False}, {}],
    "adamw": [{"weight_decay": 0.1}],
    "muon": [{"weight_decay": 0.1}, {"nesterov": False, "momentum": 0.5}],
    **{name: [{}] for name in ("adam", "adagrad", "rmsprop")},
}
STEP_CASES = [(name, setting) for name in STEPS for setting in STEPS[name]]


def engine_epochs(engine, state, X, Y, w, order, n_epochs, step, **settings):
    """Train on the engine, in place; give losses and records of every epoch."""
    trainer = engine.trainer(step[0], **step[1])
    return [
        trainer.train_epoch(
            state["theta"], state["running"], X, Y, w, order, batch_size=4,
            learning_rate=0.05, alpha=0.5, record="epoch", **settings,
        )
        for _ in range(n_epochs)
    ]  # fmt: skip


def counting_parameters(reference):
    """Leave out the biases that batch normalization subtracts again.

    Their gradient is zero but for rounding, of which optimizers that divide by its
    size make full steps; the running means follow them.
    """
    hidden_bias = reference.normalization == "batch"
    named = {
        name: np.full(
            shape, not (hidden_bias and name[0] == "b" and name[1:].isdigit())
        )
        for name, shape in reference.shapes.items()
    }
    return reference.pack(named).astype(bool)


@pytest.mark.once
@pytest.mark.parametrize("kind", LAYER_KINDS, ids=name_of)
@pytest.mark.parametrize("clip", CLIPS, ids=name_of)
@pytest.mark.parametrize("step", STEP_CASES, ids=lambda c: f"{c[0]}-{name_of(c[1])}")
def test_epochs_equal_the_reference(step, clip, kind):
    rng = np.random.default_rng(0)
    engine, reference = make_pair(
        3, (5, 4), 2, loss="squared_error", link="identity", alpha=0.5,
        activation=["tanh", "gelu"], **kind,
    )  # fmt: skip
    X, Y = rng.standard_normal((11, 3)), rng.standard_normal((11, 2))
    w, order = rng.uniform(0.5, 2.0, 11), rng.permutation(11)
    start = reference.start_theta(rng)
    ours = {"theta": start.copy(), "running": reference.start_running()}
    expected = {"theta": start.copy(), "running": reference.start_running()}

    epochs = engine_epochs(engine, ours, X, Y, w, order, 3, step, **clip)
    for epoch in epochs:
        loss, records = reference.train_epoch(
            expected, X, Y, order=order, batch_size=4, w=w, rate=0.05,
            step=partial(OPTIMIZERS[step[0]], **step[1]), **clip,
        )  # fmt: skip
        assert_allclose(epoch["loss"], loss, rtol=1e-12)
        ours_by_name = cut_by_name(epoch["records"])
        for name, values in records.items():
            assert_allclose(ours_by_name[name][0], values, rtol=1e-10, err_msg=name)
    counts = counting_parameters(reference)
    difference = ours["theta"] - expected["theta"]
    assert np.abs(difference[counts]).max() <= 1e-12 * np.abs(start).max()
    variances = reference.start_running() == 1
    assert_allclose(
        ours["running"][variances], expected["running"][variances], rtol=1e-12
    )


@pytest.mark.once
@pytest.mark.parametrize("solver", STOCHASTIC_SOLVERS)
@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
@pytest.mark.parametrize("warmup_epochs", [0, 2])
def test_schedules_of_a_fit_equal_the_reference(solver, schedule, warmup_epochs):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((10, 3)), rng.standard_normal(10)
    model = BackpropMLPRegressor(
        (4,), solver=solver, learning_rate=schedule, warmup_epochs=warmup_epochs,
        activation="tanh", batch_size=4, shuffle=False, random_state=5, max_iter=6,
        learning_rate_init=0.05, alpha=0.1, tol=0, weight_decay=0.02,
    ).fit(X, y)  # fmt: skip

    reference = ReferenceNetwork(3, (4,), 1, "tanh", alpha=0.1)
    state = {"theta": start_of(model, 3, 1, seed=5), "running": np.zeros(0)}
    decay = {"weight_decay": 0.02} if solver in ("adamw", "muon") else {}
    losses, rates = [], []
    for epoch in range(6):
        rates.append(
            rate_of_epoch(
                schedule, epoch, 0.05, max_iter=6, rows_seen=10 * epoch,
                warmup_epochs=warmup_epochs, n_steps=3,
            )
        )  # fmt: skip
        loss, _ = reference.train_epoch(
            state, X, y[:, None], order=np.arange(10), batch_size=4, rate=rates[-1],
            step=partial(OPTIMIZERS[solver], **decay),
        )  # fmt: skip
        losses.append(loss)
    assert_allclose(model.learning_rate_curve_, [np.mean(r) for r in rates], rtol=1e-14)
    assert_allclose(model.loss_curve_, losses, rtol=1e-12)


# ------------------------------------------------------------------ scikit-learn
SAME_STEP = {
    "sgd": {"solver": "sgd", "momentum": 0.0},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "nesterov": {"solver": "sgd"},
    "adam": {"solver": "adam"},
}
TABLES = {
    "regression": lambda: load_diabetes(return_X_y=True),
    "binary": lambda: load_breast_cancer(return_X_y=True),
    "multiclass": lambda: load_iris(return_X_y=True),
}


def pair_of_classes(task):
    if task == "regression":
        return BackpropMLPRegressor, theirs.MLPRegressor
    return BackpropMLPClassifier, theirs.MLPClassifier


@pytest.mark.once
@pytest.mark.parametrize("task", TABLES)
@pytest.mark.parametrize("step", SAME_STEP)
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_loss_curve_follows_scikit_learn(task, step, activation):
    X, y = TABLES[task]()
    X = scale(X)
    y = scale(y) if task == "regression" else y
    Ours, Theirs = pair_of_classes(task)
    settings = {
        "hidden_layer_sizes": (10, 6), "activation": activation, "alpha": 0,
        "shuffle": False, "batch_size": 32, "tol": 0, "learning_rate_init": 0.01,
        **SAME_STEP[step],
    }  # fmt: skip
    # A start to copy: theirs after one epoch at a rate that changes nothing.
    start = Theirs(**{**settings, "learning_rate_init": 1e-300}, max_iter=1)
    start.set_params(random_state=0).fit(X, y)
    expected = Theirs(**settings, max_iter=20, random_state=0).fit(X, y)

    ours = Ours(**settings, max_iter=20, warm_start=True)
    ours.coefs_, ours.intercepts_ = start.coefs_, start.intercepts_
    ours.fit(X, y)
    assert_allclose(ours.loss_curve_, expected.loss_curve_, rtol=1e-9)
    assert_allclose(weights_of(ours), weights_of(expected), rtol=1e-6, atol=1e-9)


# ------------------------------------------------------------------------ stopping
X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X_IRIS = scale(X_IRIS)


def test_adaptive_rate_is_cut_until_it_is_too_small():
    model = BackpropMLPClassifier(
        (3,), tol=0.5, max_iter=3000, solver="sgd", learning_rate="adaptive",
        random_state=0,
    ).fit([[3, 2], [1, 6]], [1, 0])  # fmt: skip
    rates = np.array(model.learning_rate_curve_)
    ratios = rates[1:] / rates[:-1]
    assert set(np.round(ratios, 12)) == {1.0, 0.2}
    assert rates[-1] <= 1e-6
    assert model.n_iter_ < 3000


def test_invscaling_goes_on_in_a_warm_start():
    model = BackpropMLPClassifier(
        4, solver="sgd", learning_rate="invscaling", max_iter=1, power_t=0.25,
        warm_start=True, random_state=0,
    )  # fmt: skip
    for _ in range(2):
        model.fit([[3, 2], [1, 6], [5, 6], [-2, -4]], [1, 1, 1, 0])
    # scikit-learn's rate after t rows: learning_rate_init / (t + 1) ** power_t
    assert_allclose(model.learning_rate_curve_, [0.001, 0.001 / 5**0.25])
    assert model.t_ == 8


def test_early_stopping_restores_the_best_weights():
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    model = BackpropMLPClassifier(
        (8,), learning_rate_init=0.05, n_iter_no_change=5, random_state=3,
    ).fit(X[:300], y[:300], X_val=X[300:400], y_val=y[300:400])  # fmt: skip
    best = int(np.argmax(model.validation_scores_))
    assert model.best_validation_score_ == model.validation_scores_[best]
    assert model.score(X[300:400], y[300:400]) == model.best_validation_score_
    assert len(model.validation_loss_curve_) == len(model.validation_scores_)
    assert model.best_loss_ is None

    short = model.__class__(**model.get_params()).set_params(
        max_iter=best + 1, n_iter_no_change=100
    )
    short.fit(X[:300], y[:300])
    assert_array_equal(weights_of(short), weights_of(model))


def test_validation_loss_is_the_log_loss_without_penalty():
    from sklearn.metrics import log_loss

    model = BackpropMLPClassifier((5,), alpha=10.0, max_iter=1, random_state=0)
    w = np.linspace(0.5, 2, 50)
    rows = slice(None, None, 3)
    model.fit(
        X_IRIS, Y_IRIS, X_val=X_IRIS[rows], y_val=Y_IRIS[rows], sample_weight_val=w
    )
    expected = log_loss(
        Y_IRIS[rows], model.predict_proba(X_IRIS[rows]), sample_weight=w
    )
    assert_allclose(model.validation_loss_curve_, [expected], rtol=1e-12)
    expected = model.score(X_IRIS[rows], Y_IRIS[rows], sample_weight=w)
    assert_allclose(model.validation_scores_, [expected])


def test_interrupt_keeps_the_last_finished_epoch(monkeypatch):
    settings = {"hidden_layer_sizes": (5,), "random_state": 0}
    expected = BackpropMLPClassifier(**settings, max_iter=3).fit(X_IRIS, Y_IRIS)

    from sklearn_backprop.neural_network import _epochs

    run_epoch = _epochs.NetworkEpochs._pass

    def interrupted(loop):
        epoch = run_epoch(loop)
        if loop.n_epochs == 3:  # in the middle of the fourth, weights have moved
            raise KeyboardInterrupt
        return epoch

    monkeypatch.setattr(_epochs.NetworkEpochs, "_pass", interrupted)
    model = BackpropMLPClassifier(**settings, max_iter=100)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X_IRIS, Y_IRIS)
    assert model.n_iter_ == 3
    assert len(model.loss_curve_) == len(model.learning_rate_curve_) == 3
    assert_array_equal(weights_of(model), weights_of(expected))


@pytest.mark.once
def test_ctrl_c_inside_a_long_epoch(tmp_path):
    """A signal to a process that trains one epoch of minutes."""
    program = tmp_path / "long_epoch.py"
    program.write_text(
        "import numpy as np, signal, warnings\n"
        "from sklearn_backprop.neural_network import BackpropMLPRegressor\n"
        # A shell that runs the tests in the background has its children ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "X = np.zeros((40_000, 100))\n"
        "model = BackpropMLPRegressor((500, 500, 500), batch_size=10)\n"
        "print('ready', flush=True)\n"
        "warnings.simplefilter('ignore')\n"
        "model.fit(X, X[:, 0])\n"
        "print('finished epochs:', model.n_iter_)\n"
    )
    process = subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=600)  # a hang, not slowness
    assert out == "finished epochs: 0\n"


def test_lbfgs_keeps_a_falling_loss_curve():
    model = BackpropMLPClassifier((8,), solver="lbfgs", random_state=0)
    model.fit(X_IRIS, Y_IRIS)
    assert len(model.loss_curve_) == model.n_iter_
    assert np.all(np.diff(model.loss_curve_) <= 0)
    assert model.loss_ == model.best_loss_ == model.loss_curve_[-1]


def test_max_iter_reached_warns_as_scikit_learn_does():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        BackpropMLPClassifier((3,), max_iter=2).fit(X_IRIS, Y_IRIS)


def test_dropout_is_drawn_from_random_state():
    start = BackpropMLPClassifier((8,), max_iter=1, random_state=0).fit(X_IRIS, Y_IRIS)

    def fit(seed, dropout):
        model = BackpropMLPClassifier(
            (8,), dropout=dropout, max_iter=3, random_state=seed, shuffle=False,
            warm_start=True,
        )  # fmt: skip
        model.coefs_, model.intercepts_ = start.coefs_, start.intercepts_
        return weights_of(model.fit(X_IRIS, Y_IRIS))

    assert_array_equal(fit(0, 0.5), fit(0, 0.5))
    assert not np.array_equal(fit(0, 0.5), fit(1, 0.5))
    assert_array_equal(fit(0, 0.0), fit(1, 0.0))


def test_a_deep_residual_net_trains_at_defaults():
    X, y = load_breast_cancer(return_X_y=True)
    model = BackpropMLPClassifier((16,) * 50, residual="add", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(max_iter=60).fit(scale(X), y)
    assert model.score(scale(X), y) > 0.95


@pytest.mark.parametrize("log_mean", [0.0, 2.0, 5.0])
def test_poisson_reports_half_the_deviance(log_mean):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = rng.poisson(np.exp(log_mean + 0.3 * X[:, 0]))
    network = BackpropMLPRegressor(
        (8,), loss="poisson", alpha=0.0, solver="lbfgs", max_iter=1000, random_state=0
    ).fit(X, y)
    assert_allclose(
        network.loss_, mean_poisson_deviance(y, network.predict(X)) / 2, rtol=1e-6
    )
