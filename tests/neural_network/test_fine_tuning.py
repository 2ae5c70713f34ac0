"""Networks that start as others, and layers that learn at rates of their own."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import weights_of
from reference_network import EPS
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sklearn_backprop import BackpropMLPClassifier, BackpropMLPRegressor
from sklearn_backprop.exchange import from_sklearn
from sklearn_backprop.inspection import backpropagate
from sklearn_backprop.neural_network import (
    BackpropRNNClassifier,
    PiecewiseLinearEmbedding,
)
from sklearn_backprop.neural_network._solvers import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:300] / 16, Y[:300]
LOW = Y < 5
A, A_LABELS, B, B_LABELS = X[LOW], Y[LOW], X[~LOW], Y[~LOW]
WIDTHS = (12, 8)
FROZEN = (0, 0, 1)
STILL = {"solver": "sgd", "learning_rate_init": 1e-300}  # steps that change zeros alone
SHAPES = [
    {},
    {"normalization": "batch"},
    {"normalization": "layer", "activation": "tanh"},
    {"residual": "add"},
    {"residual": "concat", "normalization": "batch"},
    {"numerical_embedding": PiecewiseLinearEmbedding(n_bins=4, size=2)},
    {"n_members": 3},
    {"n_members": 3, "member_weights": "adapters"},
    {"n_members": 2, "member_weights": "independent", "normalization": "batch"},
]


def make(**settings):
    usual = {"max_iter": 4, "batch_size": 40, "random_state": 0}
    return BackpropMLPClassifier(WIDTHS, **{**usual, **settings})


def trained(**settings):
    return make(**settings).fit(A, A_LABELS)


def network_of(model):
    return model._training.network


def arrays_of(model):
    """All arrays of theta by name."""
    network = network_of(model)
    rows = network.architecture.parameters
    return {row.name: row.view(network.theta).copy() for row in rows}


# --------------------------------------------------------------------- the start
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_but_the_output_layer_is_copied(shape):
    source = trained(**shape)
    fresh = make(**shape, **STILL, max_iter=1).fit(B, B_LABELS)
    tuned = make(**shape, **STILL, max_iter=1, pretrained=source)
    if "normalization" in shape:  # of which running statistics go on
        tuned.set_params(layer_rates=FROZEN)
    tuned.fit(B, B_LABELS)
    start, copied = arrays_of(fresh), arrays_of(tuned)
    for name, array in arrays_of(source).items():
        wanted = start[name] if name.startswith("output") else array
        assert_allclose(copied[name], wanted, rtol=0, atol=1e-290, err_msg=name)
    assert_array_equal(network_of(tuned).running, network_of(source).running)
    if network_of(source).constants is not None:  # not surveyed anew
        assert_array_equal(network_of(tuned).constants, network_of(source).constants)
        assert not np.array_equal(
            network_of(fresh).constants, network_of(source).constants
        )


def test_numbers_are_copied_and_not_shared():
    source = trained()
    before = weights_of(source)
    make(pretrained=source).fit(B, B_LABELS)
    assert_array_equal(weights_of(source), before)


def test_a_network_for_labels_starts_one_for_numbers_in_another_precision():
    source = trained()
    tuned = BackpropMLPRegressor(
        WIDTHS, pretrained=source, layer_rates=FROZEN, max_iter=2, random_state=0
    )
    tuned.fit(B.astype(np.float32), B_LABELS)
    assert tuned.coefs_[0].dtype == np.float32
    assert_array_equal(tuned.coefs_[0], source.coefs_[0].astype(np.float32))


def test_a_network_of_scikit_learns_is_tuned_by_way_of_ours():
    theirs = MLPClassifier(WIDTHS, max_iter=3, random_state=0).fit(A, A_LABELS)
    tuned = make(pretrained=from_sklearn(theirs), layer_rates=FROZEN).fit(B, B_LABELS)
    assert_array_equal(tuned.coefs_[1], theirs.coefs_[1])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    "shape", [{}, {"bidirectional": True, "residual": "add"}], ids=["one way", "both"]
)
def test_recurrent_networks_start_with_cells_of_other_sequences(shape, solver):
    settings = {**shape, "max_iter": 2, "random_state": 0}
    waves = np.random.default_rng(0).normal(size=(40, 9, 2))
    rising = waves[:, :, 0].sum(axis=1) > 0
    source = BackpropRNNClassifier((4, 4), **settings).fit(waves, rising)
    tuned = BackpropRNNClassifier(
        (4, 4), **settings, pretrained=source, layer_rates=(0, 1, 1), solver=solver
    ).fit(waves[:, :6], rising)  # shorter ones
    after = arrays_of(tuned)
    for row in network_of(source).architecture.parameters:
        is_same = np.array_equal(after[row.name], arrays_of(source)[row.name])
        assert is_same == (row.layer == 0), row.name
    norms = tuned.gradient_history_["gradient_norm"]
    is_frozen = [n.startswith("hidden 1") for n in tuned.gradient_history_names_]
    assert_array_equal(np.isnan(norms).all(axis=0), is_frozen)
    with pytest.raises(ValueError, match="cell was lstm and is gru"):
        BackpropRNNClassifier((4, 4), **settings, pretrained=source, cell="gru").fit(
            waves, rising
        )


def test_arrays_put_in_by_hand_are_those_that_are_copied():
    source = trained()
    source.coefs_ = [W + 1 for W in source.coefs_]
    tuned = make(pretrained=source, layer_rates=FROZEN).fit(B, B_LABELS)
    assert_array_equal(tuned.coefs_[0], source.coefs_[0])


# ----------------------------------------------------------------------- freezing
def standardized(z, mean, variance, gamma, beta):
    return (z - mean) / np.sqrt(variance + EPS) * gamma + beta


def features_of(model, rows):
    """What reaches the output layer, by the formulas of the layers."""
    arrays, running = arrays_of(model), network_of(model).running
    a = rows
    for layer, width in enumerate(WIDTHS, start=1):
        a = a @ arrays[f"hidden {layer} weights"] + arrays[f"hidden {layer} biases"]
        if model.normalization is not None:
            moments = a.mean(axis=1, keepdims=True), a.var(axis=1, keepdims=True)
            if model.normalization == "batch":
                moments, running = running[: 2 * width], running[2 * width :]
                moments = moments.reshape(2, width)
            a = standardized(
                a,
                *moments,
                arrays[f"hidden {layer} scales"],
                arrays[f"hidden {layer} shifts"],
            )
        a = np.maximum(a, 0)
    return a


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_a_frozen_network_is_a_linear_model_of_its_features(normalization, solver):
    settings = {
        "shuffle": False, "alpha": 0.1, "learning_rate_init": 0.01, "max_iter": 6,
        "solver": solver,
    }  # fmt: skip
    source = trained(normalization=normalization)
    shape = {"normalization": normalization, "pretrained": source}
    tuned = make(**shape, layer_rates=FROZEN, **settings).fit(B, B_LABELS)
    start = make(**shape, layer_rates=FROZEN, **STILL).fit(B, B_LABELS)

    features = features_of(source, B)
    linear = make(**STILL, max_iter=1, warm_start=True)
    linear.set_params(hidden_layer_sizes=()).fit(features, B_LABELS)
    linear.coefs_, linear.intercepts_ = start.coefs_[-1:], start.intercepts_[-1:]
    linear.set_params(**settings).fit(features, B_LABELS)

    assert_allclose(tuned.coefs_[-1], linear.coefs_[0], rtol=1e-6, atol=1e-9)
    weights = np.concatenate([W.ravel() for W in source.coefs_[:-1]])
    penalty = settings["alpha"] / (2 * len(B)) * weights @ weights
    losses = np.array(linear.loss_curve_[1:]) + penalty
    assert_allclose(tuned.loss_curve_, losses, rtol=1e-7)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_frozen_layers_keep_their_bits(shape, solver):
    source = trained(**shape)
    n_layers = 3 + ("numerical_embedding" in shape)
    rates = np.arange(n_layers) >= n_layers - (1 if "normalization" in shape else 2)
    tuned = make(**shape, pretrained=source, layer_rates=rates, solver=solver)
    tuned.fit(B, B_LABELS)
    after = arrays_of(tuned)
    for row in network_of(tuned).architecture.parameters:
        if row.is_output:
            continue
        is_same = np.array_equal(after[row.name], arrays_of(source)[row.name])
        assert is_same == (row.rate == 0), row.name
    if "normalization" in shape:
        assert_array_equal(network_of(tuned).running, network_of(source).running)


def test_statistics_of_layers_that_learn_go_on():
    source = trained(normalization="batch")
    tuned = make(normalization="batch", pretrained=source, layer_rates=(0, 1, 1))
    tuned.fit(B, B_LABELS)
    same = network_of(tuned).running == network_of(source).running
    assert same[: 2 * WIDTHS[0]].all()
    assert not same[2 * WIDTHS[0] :].any()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_threads_agree_on_frozen_normalization(n_threads):
    source = trained(normalization="batch")
    tuned = make(normalization="batch", pretrained=source, layer_rates=FROZEN)
    with threadpool_limits(n_threads):
        tuned.fit(B, B_LABELS)
    with threadpool_limits(1):
        alone = clone(tuned).set_params(pretrained=source).fit(B, B_LABELS)
    assert_allclose(weights_of(tuned), weights_of(alone), rtol=1e-9)


# -------------------------------------------------------------------------- rates
@pytest.mark.parametrize("solver", SOLVERS)
def test_rates_of_one_change_no_bit(solver):
    one = make(layer_rates=(1, 1, 1), solver=solver).fit(B, B_LABELS)
    none = make(solver=solver).fit(B, B_LABELS)
    assert_array_equal(weights_of(one), weights_of(none))
    assert one.loss_curve_ == none.loss_curve_
    for name, values in none.gradient_history_.items():
        assert_array_equal(one.gradient_history_[name], values)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_first_step_of_a_layer_is_as_long_as_its_rate(solver):
    rates = np.array([0.25, 0.5, 2.0])
    step = {"batch_size": len(B), "max_iter": 1, "solver": solver}
    start = make(**STILL, max_iter=1).fit(B, B_LABELS)
    own = make(**step, layer_rates=rates).fit(B, B_LABELS)
    plain = make(**step).fit(B, B_LABELS)
    W0, W, V = (model.coefs_ for model in (start, own, plain))
    changes = zip(W, V, W0, strict=True)
    ratios = [np.vdot(w - w0, v - w0) / np.sum((v - w0) ** 2) for w, v, w0 in changes]
    if solver == "lbfgs":  # the line search chooses the step of all
        ratios = np.array(ratios) / ratios[0] * rates[0]
    assert_allclose(ratios, rates, rtol=1e-6)
    for w, v, w0, ratio in zip(W, V, W0, ratios, strict=True):
        factor = np.vdot(w - w0, v - w0) / np.sum((v - w0) ** 2)
        assert factor / ratio > 0
        assert_allclose(w - w0, factor * (v - w0), rtol=1e-5, atol=1e-9)


def test_lbfgs_finds_the_minimum_at_any_rates():
    settings = {"solver": "lbfgs", "alpha": 1.0, "max_iter": 500, "tol": 1e-7}
    plain = make(**settings).set_params(hidden_layer_sizes=())
    slow = clone(plain).set_params(layer_rates=[1e-2])
    plain.fit(B, B_LABELS)
    slow.fit(B, B_LABELS)
    assert slow.loss_ == pytest.approx(plain.loss_, rel=1e-7)
    assert_allclose(slow.coefs_[0], plain.coefs_[0], atol=1e-3)


# ------------------------------------------------------------------------ history
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_the_history_says_nothing_of_gradients_that_nobody_computed(solver):
    tuned = make(pretrained=trained(), layer_rates=FROZEN, solver=solver, alpha=0)
    history = tuned.fit(B, B_LABELS).gradient_history_
    names = tuned.gradient_history_names_
    assert names == ["hidden 1 weights", "hidden 2 weights", "output weights"]
    for name in ("gradient_norm", "gradient_norm_max"):
        assert np.isnan(history[name][:, :2]).all()
        assert (history[name][:, 2] > 0).all()
    assert_array_equal(history["update_ratio"][:, :2], 0.0)
    assert (history["update_ratio"][:, 2] > 0).all()
    if solver == "lbfgs":  # whose record is of the weights that are left
        output = backpropagate(tuned, B, B_LABELS).layers[-1].gradients
        squares = {role: np.sum(gradient**2) for role, gradient in output.items()}
        last = history["gradient_norm"][-1, 2], history["global_norm"][-1]
        expected = np.sqrt([squares["W"], squares["W"] + squares["b"]])
        assert_allclose(last, expected, rtol=1e-9)


# ---------------------------------------------------------------- scikit-learn's way
def test_a_grid_search_over_rates_keeps_the_pretrained_network():
    source = trained()
    search = GridSearchCV(
        make(pretrained=FrozenEstimator(source)),
        {"layer_rates": [None, FROZEN, (0.1, 0.5, 1.0)]},
        cv=2,
    ).fit(B, B_LABELS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = make(pretrained=source, layer_rates=search.best_params_["layer_rates"])
    expected = best.fit(B, B_LABELS)
    assert_array_equal(weights_of(search.best_estimator_), weights_of(expected))


def test_a_clone_of_a_fitted_network_is_refused():
    tuned = clone(make(pretrained=trained()))
    with pytest.raises(NotFittedError, match=r"pass FrozenEstimator\(fitted\)"):
        tuned.fit(B, B_LABELS)


def test_a_stored_estimator_goes_on_as_if_it_had_not_been():
    tuned = make(pretrained=trained(), layer_rates=FROZEN, warm_start=True)
    tuned.fit(B, B_LABELS)
    stored = pickle.loads(pickle.dumps(tuned))
    assert_array_equal(stored.predict_proba(B), tuned.predict_proba(B))
    for model in (tuned, stored):
        model.fit(B, B_LABELS)
    assert_array_equal(weights_of(stored), weights_of(tuned))
    assert_array_equal(stored.coefs_[0], stored.pretrained.coefs_[0])


def test_layers_thaw_in_a_warm_start():
    source = trained(normalization="batch")
    tuned = make(
        normalization="batch", pretrained=source, layer_rates=FROZEN, warm_start=True
    )
    tuned.fit(B, B_LABELS)
    output = tuned.coefs_[-1].copy()
    tuned.set_params(layer_rates=(0, 0.1, 1)).fit(B, B_LABELS)
    assert len(tuned.loss_curve_) == 8
    assert_array_equal(tuned.coefs_[0], source.coefs_[0])
    assert not np.array_equal(tuned.coefs_[1], source.coefs_[1])
    assert not np.array_equal(tuned.coefs_[2], output)
    norms = tuned.gradient_history_["gradient_norm"]
    assert_array_equal(np.isnan(norms[:, 1]), [True] * 4 + [False] * 4)


def test_partial_fit_starts_once():
    source = trained()
    tuned = make(pretrained=source, layer_rates=FROZEN, shuffle=False)
    whole = clone(tuned).set_params(pretrained=source, max_iter=3)
    for _ in range(3):
        tuned.partial_fit(B, B_LABELS, classes=np.unique(B_LABELS))
    assert_array_equal(weights_of(tuned), weights_of(whole.fit(B, B_LABELS)))


# ----------------------------------------------------------------------- refusals
REFUSED = [
    ({"hidden_layer_sizes": (12, 5)},
     r"hidden 2 weights were \(12, 8\) and are \(12, 5\)"),
    ({"hidden_layer_sizes": (12,)}, r"hidden 2 weights were \(12, 8\) and are missing"),
    ({"hidden_layer_sizes": (12, 8, 4)},
     r"hidden 3 weights were missing and are \(8, 4\)"),
    ({"normalization": "layer"}, r"hidden 1 scales were missing and are \(12,\)"),
    ({"activation": "tanh"},
     r"activation was \['relu', 'relu'\] and is \['tanh', 'tanh'\]"),
    ({"n_members": 2}, r"hidden 1 factors of inputs were missing and are \(2, 64\)"),
    ({"layer_rates": [1, 1]},
     "2 factors, but this network has 3 layers: hidden 1, hidden 2, output"),
    ({"layer_rates": [0, 0, 0]}, "freezes every layer"),
    ({"layer_rates": [1, 1, -1]}, "finite numbers that are 0 or above"),
    ({"layer_rates": [1, 1, np.inf]}, "finite numbers that are 0 or above"),
    ({"layer_rates": ["a", 1, 1]}, "finite numbers that are 0 or above"),
    ({"pretrained": make()}, "BackpropMLPClassifier that is not fitted"),
    ({"pretrained": MLPClassifier()}, r"MLPClassifier.*exchange\.from_sklearn"),
    ({"pretrained": FrozenEstimator(make_pipeline(StandardScaler(), make()))},
     r"pretrained=pipeline\[-1\]"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "message"), REFUSED)
def test_what_cannot_be_is_refused(settings, message):
    settings = {"pretrained": trained(), **settings}
    with pytest.raises(ValueError, match=message):
        make().set_params(**settings).fit(B, B_LABELS)


def test_other_columns_are_refused_by_shape_and_by_name():
    pd = pytest.importorskip("pandas")
    with pytest.raises(
        ValueError, match=r"hidden 1 weights were \(64, 12\) and are \(60, 12\)"
    ):
        make(pretrained=trained()).fit(B[:, :60], B_LABELS)
    names = [f"p{i}" for i in range(64)]
    source = make().fit(pd.DataFrame(A, columns=names), A_LABELS)
    names[2], names[3] = names[3], names[2]
    with pytest.raises(ValueError, match="number 2 was 'p2' and is 'p3'"):
        make(pretrained=source).fit(pd.DataFrame(B, columns=names), B_LABELS)


def test_many_layers_are_not_all_named():
    with pytest.raises(ValueError, match=r"hidden 1, hidden 2, \.\.\., hidden 9, outp"):
        BackpropMLPClassifier((3,) * 9, layer_rates=[1]).fit(B, B_LABELS)


def test_lbfgs_takes_batch_normalization_where_all_of_it_is_frozen():
    source = trained(normalization="batch")
    shape = {"normalization": "batch", "pretrained": source, "solver": "lbfgs"}
    with pytest.raises(ValueError, match="normalization='batch'"):
        make(**shape, layer_rates=(0, 1, 1)).fit(B, B_LABELS)
    assert make(**shape, layer_rates=FROZEN).fit(B, B_LABELS).n_iter_ > 0
