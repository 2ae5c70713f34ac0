"""Deep networks: what trains, what does not and says so, and how they start."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sklearn_backprop import BackpropMLPClassifier
from sklearn_backprop.engine import _engine
from sklearn_backprop.exceptions import VanishedTrainingWarning
from sklearn_backprop.neural_network._initializers import draw_parameters
from sklearn_backprop.neural_network._inputs import Inputs
from sklearn_backprop.neural_network._perceptron import build_architecture

pytestmark = pytest.mark.once

WIDTH = 32
CHANCE = 0.1


@pytest.fixture(scope="module")
def digits():
    """600 rows to train on, and the rest; pixels from 0 to 1."""
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, train_size=600, stratify=y, random_state=0)


def accuracy(digits, depth, n_epochs, *, seed=0, **settings):
    """Train for some epochs at otherwise default settings and score."""
    X_train, X_test, y_train, y_test = digits
    model = BackpropMLPClassifier(
        (WIDTH,) * depth, max_iter=n_epochs, random_state=seed, **settings
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs are meant
        warnings.simplefilter("error", VanishedTrainingWarning)
        return model.fit(X_train, y_train).score(X_test, y_test)


def test_hundreds_of_residual_layers_train(digits):
    assert accuracy(digits, 300, 40, residual="add") > 9 * CHANCE


def test_hundred_plain_logistic_layers_stay_at_chance_and_say_why(digits):
    X_train, X_test, y_train, y_test = digits
    model = BackpropMLPClassifier(
        (WIDTH,) * 100, activation="logistic", max_iter=20, random_state=0
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("always", VanishedTrainingWarning)
        model.fit(X_train, y_train)
    (message,) = [str(warning.message) for warning in caught]
    assert model.score(X_test, y_test) == pytest.approx(CHANCE, abs=0.03)
    first, last = model.gradient_history_["gradient_norm"][-1][[0, -1]]
    evidence = f"hidden 1 weights ({first:.2g}) is vanishingly small beside that of"
    assert evidence in message
    assert f"output weights ({last:.2g})" in message
    assert "Remedy: residual='add'" in message


@pytest.mark.parametrize("seed", [0, 1])
def test_he_trains_thirty_relu_layers_where_xavier_stalls(digits, seed):
    he, xavier = (
        accuracy(digits, 30, 30, seed=seed, init=init) for init in ("he", "xavier")
    )
    assert xavier < 3.5 * CHANCE
    assert he > xavier + 2 * CHANCE


def starting_power(depth, activation):
    """Mean square of the starting outputs, the input's being 1.

    A relu net's first layer makes half of it. The output layer starts by LeCun's rule,
    so that its outputs have the mean square of the residual stream.
    """
    X = np.random.default_rng(0).standard_normal((200, 64))
    powers = []
    for seed in range(3):
        architecture = build_architecture(
            Inputs(64),
            64,
            hidden_layer_sizes=(64,) * depth,
            activation=activation,
            residual="add",
        )
        rng = np.random.RandomState(seed)
        theta = draw_parameters(architecture, "auto", 1.0, rng, np.dtype(np.float64))
        network = _engine.NetworkFloat64(
            architecture.table,
            architecture.layers,
            loss="squared_error",
            link="identity",
            loss_parameter=0.0,
        )
        running = architecture.start_running(theta.dtype)
        outputs = network.raw_outputs(theta, running, X, n_threads=1)
        powers.append((outputs**2).mean())
    return np.mean(powers)


@pytest.mark.parametrize("depth", [10, 300])
@pytest.mark.parametrize("activation", ["identity", "tanh", "relu", "gelu"])
def test_residual_stream_starts_bounded_at_any_depth(activation, depth):
    assert 0.2 < starting_power(depth, activation) < np.e**2
