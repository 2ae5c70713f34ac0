"""Perceptrons to and from scikit-learn: the same predictions, and the same training."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sklearn_backprop import BackpropMLPClassifier, BackpropMLPRegressor
from sklearn_backprop.exchange import from_sklearn, to_sklearn
from sklearn_backprop.inspection import backpropagate, diagnose

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::sklearn_backprop.exceptions.VanishedTrainingWarning",
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 4))
Y = np.column_stack([np.sin(X[:, 0]) + X[:, 1], X[:, 2] * X[:, 3]])
LABELS = np.digitize(Y[:, 0], [-0.5, 0.7])
TARGETS = {
    "one": Y[:, 0],
    "two": Y,
    "three classes": LABELS,
    "text": np.array(["no", "yes"])[(LABELS > 0).astype(int)],
    "several labels": (Y > 0).astype(int),
}


def fit(y, *, ours=False, X=X, hidden=(6, 5), **settings):
    is_regression = np.asarray(y).dtype.kind == "f"
    theirs = MLPRegressor if is_regression else MLPClassifier
    own = BackpropMLPRegressor if is_regression else BackpropMLPClassifier
    settings = {"max_iter": 8, "random_state": 0, "learning_rate_init": 0.01} | settings
    cls = own if ours else theirs
    return cls(hidden_layer_sizes=hidden, **settings).fit(X, y)


def assert_same_predictions(one, other, X=X):
    assert_allclose(one.coefs_[0], other.coefs_[0], rtol=0)
    predicted = other.predict(X)
    if predicted.dtype.kind == "f":
        assert_allclose(one.predict(X), predicted, rtol=1e-12)
    else:
        assert_array_equal(one.predict(X), predicted)
        assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
def test_predictions_are_the_same(y, activation, ours):
    model = fit(y, ours=ours, activation=activation)
    there = (to_sklearn if ours else from_sklearn)(model)
    assert isinstance(there, (MLPClassifier, MLPRegressor)) == ours
    assert_same_predictions(there, model)
    back = (from_sklearn if ours else to_sklearn)(there)
    assert type(back) is type(model)
    assert_same_predictions(back, model)


@pytest.mark.parametrize("hidden", [3, (3,), [4, 2]])
def test_widths_may_be_written_in_any_way(hidden):
    mlp = fit(Y, hidden=hidden)
    net = from_sklearn(mlp)
    assert net.hidden_layer_sizes == hidden
    assert_same_predictions(to_sklearn(net), mlp)


def test_poisson_and_float32_and_sparse_rows_and_names():
    counts = RNG.poisson(2.0, 50).astype(float)
    mlp = fit(counts, loss="poisson")
    net = from_sklearn(mlp)
    assert net.out_activation_ == "exp"
    assert_same_predictions(net, mlp)
    assert to_sklearn(net).loss == "poisson"
    rows = sparse.csr_matrix(np.where(X > 0, X, 0), dtype=np.float32)
    mlp = fit(LABELS, X=rows)
    net = from_sklearn(mlp)
    assert net.coefs_[0].dtype == np.float32
    assert_allclose(net.predict_proba(rows), mlp.predict_proba(rows), rtol=1e-5)
    table = pd.DataFrame(X, columns=list("abcd"))
    net = from_sklearn(fit(LABELS, X=table))
    assert_array_equal(net.feature_names_in_, list("abcd"))
    with pytest.raises(ValueError, match="feature names"):
        net.predict(table[["b", "a", "c", "d"]])


@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "adam", "beta_1": 0.8, "beta_2": 0.98, "epsilon": 1e-4},
        {"solver": "adam", "learning_rate": "invscaling"},  # which "adam" ignores
        {"solver": "sgd"},
        {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.7},
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0,
         "n_iter_no_change": 1},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("y", [Y[:, 0], LABELS], ids=["number", "label"])
def test_training_goes_on_as_it_would_have(y, settings):
    """One mini-batch of all rows, so that no order of rows plays a part."""
    mlp = fit(y, batch_size=50, alpha=0.1, **settings)
    there = from_sklearn(mlp)
    here_and_back = to_sklearn(from_sklearn(mlp))
    for _ in range(3):
        for model in (mlp, there, here_and_back):
            model.partial_fit(X, y)
    for W, expected in zip(there.coefs_, mlp.coefs_, strict=True):
        assert_allclose(W, expected, rtol=1e-9, atol=1e-11)
    for W, expected in zip(here_and_back.coefs_, mlp.coefs_, strict=True):
        assert_allclose(W, expected, rtol=1e-12)
    assert there.t_ == mlp.t_ == here_and_back.t_
    assert_allclose(there.loss_curve_, mlp.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_of_ours_goes_on_there(solver):
    net = fit(Y[:, 0], ours=True, solver=solver, batch_size=50)
    mlp = to_sklearn(net)
    for _ in range(3):
        net.partial_fit(X, Y[:, 0])
        mlp.partial_fit(X, Y[:, 0])
    for W, expected in zip(mlp.coefs_, net.coefs_, strict=True):
        assert_allclose(W, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_warm_start_goes_on(solver):
    mlp = fit(LABELS, solver=solver, warm_start=True, max_iter=30)
    before = mlp.loss_
    net = from_sklearn(mlp).fit(X, LABELS)
    assert net.loss_ < before
    assert len(net.loss_curve_) > net.n_iter_
    mlp = to_sklearn(net).fit(X, LABELS)
    assert mlp.loss_ < before


def test_other_copies_are_left_alone():
    mlp = fit(LABELS)
    before = pickle.dumps(mlp)
    net = from_sklearn(mlp)
    net.partial_fit(X, LABELS)
    assert pickle.dumps(mlp) == before
    net = from_sklearn(mlp)
    before = pickle.dumps(net)
    to_sklearn(net).partial_fit(X, LABELS)
    assert pickle.dumps(net) == before


@pytest.mark.parametrize(
    "settings",
    [{"solver": "adam"}, {"solver": "sgd"}, {"solver": "lbfgs"},
     {"early_stopping": True}],
    ids=str,
)  # fmt: skip
def test_all_fitted_attributes_come_back(settings):
    mlp = fit(LABELS, max_iter=20, **settings)
    back = to_sklearn(from_sklearn(mlp))
    unread = {"_coef_indptr", "_intercept_indptr", "_sklearn_output_config"}
    assert set(vars(back)) >= set(vars(mlp)) - unread
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_",
                 "best_loss_", "loss_curve_", "validation_scores_",
                 "best_validation_score_", "loss_"):  # fmt: skip
        if hasattr(mlp, name):
            assert getattr(back, name) == getattr(mlp, name), name
    assert_array_equal(back.classes_, mlp.classes_)
    assert back.get_params() == mlp.get_params()


def test_what_comes_over_can_be_used_as_if_it_were_fitted_here():
    net = from_sklearn(fit(LABELS, early_stopping=True, max_iter=40))
    assert len(net.validation_loss_curve_) == len(net.loss_curve_)
    assert "over_fitting" not in {finding.kind for finding in diagnose(net)}
    assert backpropagate(net, X, LABELS).check().worst < 1e-7
    again = pickle.loads(pickle.dumps(net))
    assert_array_equal(again.predict_proba(X), net.predict_proba(X))
    assert clone(net).get_params() == net.get_params()
    net.set_params(early_stopping=False).partial_fit(X, LABELS)
    assert net.gradient_history_["gradient_norm"].shape == (1, 3)
    assert diagnose(net)
    net = from_sklearn(fit(Y, solver="lbfgs"))
    assert diagnose(net)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"normalization": "batch"}, "no layers of kind 'batch_norm'"),
        ({"normalization": "layer"}, "no layers of kind 'layer_norm'"),
        ({"residual": "add"}, "no layers of kind 'add'"),
        ({"residual": "concat"}, "no layers of kind 'concat'"),
        ({"activation": "gelu"}, "'activation' parameter of MLPRegressor must be"),
        ({"activation": ["tanh", "relu"]}, "it has one for all hidden layers"),
        ({"dropout": 0.1}, r"dropout=0.1 \(it has no dropout\)"),
        ({"clip": 1.0}, r"clip=1.0 \(it does not clip gradients\)"),
        ({"warmup_epochs": 2}, r"warmup_epochs=2 \(its schedules have no warm-up\)"),
        ({"solver": "adamw"}, "Got 'adamw' instead"),
        ({"solver": "sgd", "learning_rate": "cosine"}, "Got 'cosine' instead"),
        ({"learning_rate": "adaptive"}, "it has schedules for 'sgd' alone"),
        ({"loss": "huber"}, "'loss' parameter of MLPRegressor must be"),
    ],
)
def test_what_scikit_learn_cannot_hold_is_named(settings, message):
    net = fit(Y, ours=True, **settings)
    with pytest.raises(ValueError, match=message) as raised:
        to_sklearn(net)
    assert "MLPRegressor cannot hold this network" in str(raised.value)


def test_all_reasons_come_at_once_and_those_of_training_can_be_given_up():
    net = fit(LABELS, ours=True, loss="squared_error", class_weight="balanced",
              solver="adamw", dropout=0.2)  # fmt: skip
    with pytest.raises(ValueError, match="set_params") as raised:
        to_sklearn(net)
    for reason in ("log loss alone", "no class weights", "'adamw'", "no dropout"):
        assert reason in str(raised.value)
    net.set_params(loss="log_loss", class_weight=None, solver="adam", dropout=0.0)
    assert_same_predictions(to_sklearn(net), net)
    # Layers that are there cannot be talked away.
    net = fit(LABELS, ours=True, normalization="batch").set_params(normalization=None)
    with pytest.raises(ValueError, match="no layers of kind 'batch_norm'"):
        to_sklearn(net)


def test_weights_put_in_by_hand_come_along():
    net = fit(Y, ours=True)
    net.coefs_ = [2.0 * W for W in net.coefs_]
    assert_same_predictions(to_sklearn(net), net)
    mlp = copy.deepcopy(fit(Y))
    mlp.coefs_[0] *= 3.0
    assert_same_predictions(from_sklearn(mlp), mlp)


def test_others_are_refused():
    with pytest.raises(NotFittedError):
        from_sklearn(MLPClassifier())
    with pytest.raises(NotFittedError):
        to_sklearn(BackpropMLPRegressor())
    with pytest.raises(
        TypeError, match="takes a MLPClassifier or MLPRegressor, got a L"
    ):
        from_sklearn(LogisticRegression())
    with pytest.raises(TypeError, match=r"takes a BackpropMLPC.* got a MLPRegressor"):
        to_sklearn(MLPRegressor())
