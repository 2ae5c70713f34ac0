"""The oracle must itself be right: central differences and scikit-learn's MLP."""

import warnings
from functools import partial
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference_network import ACTIVATIONS, LINKS, LOSSES, ReferenceNetwork, adam, sgd
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.once
LOSS_PARAMETER = {"huber": 0.7, "quantile": 0.3}


def make_problem(net, seed=0, n=7):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, net.n_features))
    if net.link == "identity":
        Y = rng.standard_normal((n, net.n_outputs))
    elif net.link == "exp":
        Y = rng.poisson(2.0, (n, net.n_outputs)).astype(float)
    elif net.link == "softmax":
        Y = np.eye(net.n_outputs)[rng.integers(net.n_outputs, size=n)]
    else:
        Y = rng.integers(2, size=(n, net.n_outputs)).astype(float)
    return net.start_theta(rng), X, Y, rng.uniform(0.2, 3.0, n), rng


def assert_gradient_is_the_slope(net, *, masks=None):
    """Compare with central differences of fourth order along coordinates."""
    theta, X, Y, w, _ = make_problem(net)
    gradient = net.gradient(theta, X, Y, w, total_weight=11.0, masks=masks)

    def objective(step):
        return net.objective(theta + step, X, Y, w, total_weight=11.0, masks=masks)

    h = 1e-4
    slopes = [
        (8 * (objective(e) - objective(-e)) - objective(2 * e) + objective(-2 * e))
        / (12 * h)
        for e in h * np.eye(net.n_theta)
    ]
    assert_allclose(gradient, slopes, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("z", [-30.0, -2.5, -0.3, 0.4, 1.7, 30.0])
def test_activation_derivatives_are_slopes(activation, z):
    f, derivative = ACTIVATIONS[activation]
    h = 1e-5
    slope = (f(np.array([z + h])) - f(np.array([z - h]))) / (2 * h)
    assert_allclose(derivative(np.array([z])), slope, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("loss", "link"), LOSSES)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_loss_gradients(loss, link, n_outputs):
    net = ReferenceNetwork(
        3, (4,), n_outputs, "tanh", loss, link, LOSS_PARAMETER.get(loss), alpha=0.3
    )
    assert_gradient_is_the_slope(net)


@pytest.mark.parametrize(
    ("normalization", "residual", "block_size"),
    list(product([None, "batch", "layer"], [None, "add", "concat"], [1, 2])),
)
def test_layer_gradients(normalization, residual, block_size):
    net = ReferenceNetwork(
        4, (4, 3, 3), 2, ("tanh", "gelu", "silu"), normalization=normalization,
        residual=residual, residual_block_size=block_size, alpha=0.5,
    )  # fmt: skip
    assert_gradient_is_the_slope(net)


def test_dropout_gradients():
    net = ReferenceNetwork(4, (5, 3), 2, "tanh", residual="add")
    rng = np.random.default_rng(3)
    masks = [(rng.random((7, width)) > 0.4) / 0.6 for width in (5, 3)]
    assert_gradient_is_the_slope(net, masks=masks)


def test_a_linear_net_has_no_blocks():
    net = ReferenceNetwork(4, (), 2, alpha=0.5)
    assert net.n_theta == 10
    assert_gradient_is_the_slope(net)


def test_rows_of_zero_weight_do_not_count():
    net = ReferenceNetwork(4, (5,), 1, "tanh", normalization="batch")
    theta, X, Y, w, _ = make_problem(net)
    w[[1, 4]] = 0
    keep = w > 0
    assert_allclose(
        net.gradient(theta, X, Y, w),
        net.gradient(theta, X[keep], Y[keep], w[keep]),
        atol=1e-15,
    )


@pytest.mark.parametrize("f", [-1e4, 1e4])
@pytest.mark.parametrize("link", ["softmax", "logistic"])
def test_log_loss_survives_large_outputs(f, link):
    raw = np.array([[f, 0.0, 0.0]])
    y = np.array([[1.0, 0.0, 0.0]])
    loss, derivative = LOSSES["log_loss", link](raw, y)
    assert np.isfinite(loss).all()
    assert np.isfinite(derivative).all()
    assert np.isfinite(LINKS[link](raw)).all()


def parameters(model):
    return zip(model.coefs_, model.intercepts_, strict=True)


SOLVERS = {
    "sgd": ({"momentum": 0.0}, partial(sgd, momentum=0.0, nesterov=False)),
    "momentum": ({"nesterovs_momentum": False}, partial(sgd, nesterov=False)),
    "nesterov": ({}, sgd),
    "adam": ({}, adam),
}


@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", "logistic"])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_follows_scikit_learn(activation, solver, task):
    """The same start gives the same loss after every epoch as scikit-learn's MLP."""
    settings, step = SOLVERS[solver]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 3))
    codes = np.r_[:3, rng.integers(3, size=17)]
    classes = {"binary": codes > 0, "multiclass": codes}
    y = classes.get(task, rng.standard_normal(20))
    Model = MLPRegressor if task == "regression" else MLPClassifier
    model = Model(
        hidden_layer_sizes=(5, 4),
        activation=activation,
        solver="adam" if solver == "adam" else "sgd",
        alpha=0,
        batch_size=6,
        shuffle=False,
        random_state=0,
        learning_rate_init=0.05,
        **settings,
    )

    theta = start_of(model, X, y)
    model.set_params(max_iter=5, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)

    loss = "squared_error" if task == "regression" else "log_loss"
    net = ReferenceNetwork(
        3, (5, 4), model.n_outputs_, activation, loss, model.out_activation_
    )
    Y = np.eye(3)[codes] if task == "multiclass" else np.reshape(y, (-1, 1))
    state = {"theta": theta, "running": net.start_running()}
    curve = [
        net.train_epoch(
            state, X, Y, order=np.arange(20), batch_size=6, step=step, rate=0.05
        )[0]
        for _ in range(5)
    ]
    assert_allclose(curve, model.loss_curve_, rtol=1e-11)
    fitted = [np.concatenate([W.ravel(), b]) for W, b in parameters(model)]
    assert_allclose(state["theta"], np.concatenate(fitted), rtol=1e-9, atol=1e-12)


def start_of(model, X, y):
    """Take the weights with which a fit of the same seed will start."""
    rate = model.learning_rate_init
    model.set_params(learning_rate_init=1e-300, max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    model.set_params(learning_rate_init=rate)
    return np.concatenate(
        [piece for W, b in parameters(model) for piece in (W.ravel(), b)]
    )
