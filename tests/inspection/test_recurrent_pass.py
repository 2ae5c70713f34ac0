"""One pass of recurrent networks: states and gradients, step by step."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference_sequences import Recurrent

from sklearn_backprop import BackpropRNNClassifier, BackpropRNNRegressor
from sklearn_backprop.inspection import (
    BackpropagationDisplay,
    backpropagate,
    input_gradients,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(13, 7, 3))
LENGTHS = np.random.default_rng(1).integers(1, 8, size=13)
X[np.arange(7) >= LENGTHS[:, None]] = np.nan
Y = np.random.default_rng(2).normal(size=(13, 2))


@pytest.fixture(scope="module")
def network():
    return BackpropRNNRegressor(
        (4, 4),
        bidirectional=True,
        residual="add",
        max_iter=3,
        random_state=0,
        alpha=0.1,
    ).fit(X, Y)


# ---- One pass ------------------------------------------------------------------------
@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
def test_a_pass_shows_states_and_gradients(cell):
    net = BackpropRNNRegressor((4,), cell=cell, max_iter=2, random_state=0).fit(X, Y)
    passed = backpropagate(net, X, Y)
    hidden, output = passed.layers
    assert (hidden.name, hidden.activation) == ("hidden 1", cell)
    assert hidden.z is None
    assert_array_equal(hidden.inputs, X)
    named = {"W": net.coefs_[0], "U": net.recurrent_coefs_[0], "b": net.intercepts_[0]}
    for row, x in enumerate(X):
        n = LENGTHS[row]
        states, _ = Recurrent(cell, 3, 4).forward(named, x[:n])
        assert_allclose(hidden.a[row, :n], states, rtol=1e-12)
        assert np.isnan(hidden.a[row, n:]).all()
    last = hidden.a[np.arange(13), LENGTHS - 1]
    assert_array_equal(output.inputs, last)
    assert set(hidden.gradients) == {"W", "U", "b"}
    assert "hidden 1" in repr(passed)
    assert "lstm" in repr(hidden) or cell != "lstm"


def test_gradients_of_a_deep_pass_are_differences(network):
    passed = backpropagate(network, X, Y)
    first, second, _ = passed.layers
    assert set(first.gradients) == {
        "W", "U", "b", "reverse W", "reverse U", "reverse b",
    }  # fmt: skip
    assert [step.kind for step in second.steps] == ["beside", "add"]
    assert second.skip_from == 1
    assert_array_equal(second.inputs, first.a)
    check = passed.check(n_elements=8)
    assert check.worst < 1e-7


def test_sensitivity_is_a_difference():
    y = (np.nan_to_num(X[:, 0, 0]) > 0).astype(int)
    net = BackpropRNNClassifier((4,), max_iter=2, random_state=0).fit(X, y)
    gradients = input_gradients(net, X).reshape(X.shape)
    moved, h = X.copy(), 1e-5
    moved[:, 0, 1] += h
    change = (net.predict_proba(moved) - net.predict_proba(X))[:, 1] / h
    assert_allclose(gradients[:, 0, 1], change, rtol=1e-3, atol=1e-8)
    assert_array_equal(gradients[np.isnan(X)], 0)


def test_units_of_recurrent_layers_are_not_drawn(network):
    pytest.importorskip("matplotlib").use("Agg")
    with pytest.raises(ValueError, match="draws units of perceptrons"):
        BackpropagationDisplay.from_estimator(network, X, Y)
