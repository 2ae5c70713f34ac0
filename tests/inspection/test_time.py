"""Gradients through time: what is found, drawn and shown of recurrent networks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference_sequences import Recurrent

from sklearn_backprop import (
    BackpropMLPRegressor,
    BackpropRNNClassifier,
    BackpropRNNRegressor,
)
from sklearn_backprop._diagnosis import NetworkRecord, diagnose_record
from sklearn_backprop.inspection import (
    BackpropagationDisplay,
    GradientFlowDisplay,
    backpropagate,
    diagnose,
    input_gradients,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


# ---- Findings, from records set by hand ----------------------------------------------
N_STEPS = 10


def record_of(norms, *, error=1.0, spread=0.3, backwards=(False,), **params):
    """A training of three epochs, the last of which had these norms in time."""
    n_recurrent = len(backwards)
    norms = np.asarray(norms, dtype=float).reshape(n_recurrent, -1)
    epochs = np.stack([np.ones_like(norms), np.ones_like(norms), norms])
    names = ["hidden 1 weights", "hidden 1 recurrent weights", "output weights"]
    of_arrays = {
        "gradient_norm": 1.0, "gradient_norm_max": 1.0, "update_ratio": 1e-3,
        "dead_fraction": np.nan, "saturated_fraction": np.nan,
    }  # fmt: skip
    history = {name: np.full((3, 3), value) for name, value in of_arrays.items()}
    history |= {"clipped_fraction": np.zeros(3), "global_norm": np.ones(3)}
    rng = np.random.default_rng(0)
    return NetworkRecord(
        params=BackpropRNNRegressor(**params).get_params(),
        loss=np.array([1.0, 0.999, 0.998]),
        n_iter=3,
        step_name="epoch",
        feature_scale=np.ones(1),
        history={**history, "time_gradient_norm": epochs},
        names=names,
        recurrent_names=["hidden 1", "hidden 1 reverse"][:n_recurrent],
        reads_backwards=backwards,
        weights={name: rng.normal(size=(3, 3)) for name in names},
        prediction_spread=spread,
        prediction_error=error,
        target_mean=np.zeros(1),
        target_spread=np.ones(1),
    )


def kinds(record):
    return {finding.kind for finding in diagnose_record(record)}


def falling(factor):
    """Norms from the first step to the last, times the factor in each step back."""
    return 0.5 * factor ** np.arange(N_STEPS)[::-1]


@pytest.mark.parametrize(
    ("factor", "settings", "is_found"),
    [
        (0.70, {"error": 0.95}, True),
        (0.70, {"error": 0.85}, False),  # it learned something all the same
        (0.70, {"error": None, "spread": 0.01}, True),
        (0.75, {"error": 0.95}, False),
    ],
)
def test_vanishing_through_time_where_nothing_was_learned(factor, settings, is_found):
    assert ("vanishing_gradients" in kinds(record_of(falling(factor), **settings))) is (
        is_found
    )


def test_vanishing_through_time_says_where_and_what_to_do():
    found = diagnose_record(record_of(falling(0.5), cell="tanh", init_scale=0.5))[0]
    assert found.kind == "vanishing_gradients"
    assert found.steps == (1, 10)
    assert found.names == ("hidden 1",)
    assert "from 0.5 in step 10 to 0.00098 in step 1, by a factor of 0.50" in (
        found.evidence
    )
    assert found.remedy.startswith("init_scale=1.0, cell='lstm', pooling='mean'")
    assert "(hidden 1, steps 1 to 10, epoch 3)" in str(found)


def test_of_two_directions_each_has_its_far_end():
    both = np.stack([falling(1.0), falling(0.5)[::-1]])
    found = diagnose_record(record_of(both, backwards=(False, True)))[0]
    assert found.names == ("hidden 1 reverse",)
    assert "from 0.5 in step 1 to 0.00098 in step 10" in found.evidence


@pytest.mark.parametrize(("factor", "is_found"), [(2.1, False), (2.3, True)])
def test_exploding_through_time_is_found_in_any_case(factor, is_found):
    record = record_of(falling(factor), error=0.1, spread=1.0)
    assert ("exploding_gradients" in kinds(record)) is is_found


def test_exploding_through_time_says_where_and_what_to_do():
    norms = falling(4.0)
    norms[-2:] = np.nan  # no sequence has these steps
    found = diagnose_record(record_of(norms, init_scale=2.0, cell="tanh"))[0]
    assert found.kind == "exploding_gradients"
    assert found.steps == (1, 8)
    assert found.epochs == (3, 3)
    assert "by a factor of 4.00 per step" in found.evidence
    assert found.remedy.startswith("init_scale=1.0, clip=1.0, cell='lstm'")


@pytest.mark.parametrize("norms", [np.full(N_STEPS, np.nan), falling(0.5)[-4:]])
def test_too_few_steps_tell_nothing(norms):
    assert not {"vanishing_gradients", "exploding_gradients"} & kinds(record_of(norms))


def test_sizes_are_those_of_channels():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5, 2)) * [1e-3, 10.0]
    model = BackpropRNNRegressor((3,), max_iter=2, random_state=0).fit(X, X[:, -1, 1])
    (found,) = (f for f in diagnose(model) if f.kind == "feature_scales")
    assert "channel 1 has a size of" in found.evidence


# ---- Pictures ------------------------------------------------------------------------
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


def test_norms_are_drawn_against_steps(network):
    for record in (0, -1):
        display = GradientFlowDisplay.from_estimator(
            network, quantity="time_gradient_norm", record=record
        )
        norms = network.gradient_history_["time_gradient_norm"][record]
        assert len(display.lines_) == len(network.recurrent_names_) == 4
        for line, of_layer in zip(display.lines_, norms, strict=True):
            assert_array_equal(line.get_xdata(), np.arange(1, 8))
            assert_array_equal(line.get_ydata(), of_layer)
        labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        assert labels == network.recurrent_names_
        assert display.ax_.get_xlabel() == "time step"


def test_what_has_no_norms_in_time_is_refused(network):
    plain = BackpropMLPRegressor((3,), max_iter=1).fit(Y, Y)
    with pytest.raises(ValueError, match="recorded for recurrent layers"):
        GradientFlowDisplay.from_estimator(plain, quantity="time_gradient_norm")
    with pytest.raises(ValueError, match="record=3 is not among the 3 records"):
        GradientFlowDisplay.from_estimator(
            network, quantity="time_gradient_norm", record=3
        )
    with pytest.raises(ValueError, match="draws units of perceptrons"):
        BackpropagationDisplay.from_estimator(network, X, Y)


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
