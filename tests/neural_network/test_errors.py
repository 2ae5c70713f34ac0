"""What is refused, what is warned of, and in which words."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

from sklearn_backprop import GDLinearRegression
from sklearn_backprop.exceptions import DivergenceError, VanishedTrainingWarning
from sklearn_backprop.inspection import diagnose
from sklearn_backprop.neural_network import BackpropMLPClassifier, BackpropMLPRegressor
from sklearn_backprop.preprocessing import PiecewiseLinearEncoder

X, Y = load_iris(return_X_y=True)
X = scale(X)


def ignoring_max_iter():
    return pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")


REFUSED = [
    ({"activation": "swish"}, "'activation' parameter of BackpropMLPClassifier must"),
    ({"activation": ["relu", "swish"]}, "activation 'swish' is unknown; choose among"),
    ({"activation": ["relu"]}, "activation has 1 names for 2 hidden layers"),
    ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes must be > 0, got \[3, 0\]"),
    ({"hidden_layer_sizes": (3, None)}, r"list of integers, got \(3, None\)"),
    ({"hidden_layer_sizes": [[3]]}, r"list of integers, got \[\[3\]\]"),
    ({"hidden_layer_sizes": 2**40}, "must be at most 2147483647 each"),
    ({"activation": [["tanh"], "relu"]}, "a name or a list of names, got"),
    ({"max_iter": 2**63}, "max_iter has 19 digits, beyond the largest integer"),
    ({"tol": 10**400}, "tol has 401 digits, beyond the largest float"),
    ({"loss": "huber"}, "'loss' parameter"),
    ({"dropout": 1.0}, "'dropout' parameter"),
    ({"clip": 0}, "'clip' parameter"),
    ({"class_weight": {5: 2.0}}, r"class_weight names the classes \[5\]"),
    ({"solver": "lbfgs", "dropout": 0.5}, "cannot be combined with dropout=0.5: its"),
    ({"solver": "lbfgs", "clip": 1.0}, "cannot be combined with clip=1.0: a clipped"),
    ({"solver": "lbfgs", "normalization": "batch"}, "running statistics"),
    ({"normalization": "batch", "batch_size": 1}, "needs at least 2 of them"),
]


@pytest.mark.parametrize(("setting", "message"), REFUSED)
def test_settings_that_make_no_sense(setting, message):
    model = BackpropMLPClassifier(**{"hidden_layer_sizes": (3, 3), **setting})
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": X}, "X_val is provided, but y_val was not provided"),
        ({"y_val": Y}, "y_val is provided, but X_val was not provided"),
        ({"sample_weight_val": Y}, "sample_weight_val is provided, but X_val and"),
        ({"X_val": X[:, :2], "y_val": Y}, "X has 2 features, but .* expecting 4"),
        ({"X_val": X, "y_val": Y + 1}, r"`y` has classes not in .* 'y' has \[1 2 3\]"),
        (
            {"X_val": X, "y_val": np.where(Y == 0, np.nan, Y)},
            "Input y_val contains NaN",
        ),
        ({"X_val": X, "y_val": Y[:9]}, "inconsistent numbers of samples"),
        (
            {"sample_weight": -np.ones(150)},
            "Negative values in data passed to `sample_",
        ),
        (
            {"sample_weight": np.zeros(150)},
            "at least one (non-zero number|row needs a)",
        ),
    ],
)
def test_data_that_cannot_be_used(given, message):
    with pytest.raises(ValueError, match=message):
        BackpropMLPClassifier((3,)).fit(X, Y, **given)


def test_lbfgs_refuses_a_validation_set():
    with pytest.raises(ValueError, match="it has no epochs after which to look"):
        BackpropMLPClassifier((3,), solver="lbfgs").fit(X, Y, X_val=X, y_val=Y)


def test_poisson_refuses_negative_targets():
    with pytest.raises(ValueError, match=r"smallest is -1\.0.*squared_error"):
        BackpropMLPRegressor((3,), loss="poisson").fit(X, Y - 1.0)


@ignoring_max_iter()
def test_a_warm_start_of_another_shape():
    model = BackpropMLPClassifier((3,), max_iter=1, warm_start=True).fit(X, Y)
    model.set_params(hidden_layer_sizes=(4,), activation="tanh")
    message = (
        r"hidden_layer_sizes was \[3\] and is \[4\]; "
        r"activation was \['relu'\] and is \['tanh'\]\. Restore"
    )
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y)


def test_partial_fit_hides_where_it_cannot_work():
    assert not hasattr(BackpropMLPClassifier(solver="lbfgs"), "partial_fit")
    balanced = BackpropMLPClassifier(class_weight="balanced")
    assert not hasattr(balanced, "partial_fit")
    with pytest.raises(AttributeError) as error:
        _ = balanced.partial_fit
    assert "Pass the weights as a dict" in str(error.value.__cause__)


# ------------------------------------------------------------------- divergence
def diverging(learning_rate_init=1e120, **settings):
    return BackpropMLPRegressor(
        (20, 20), activation="identity", solver="sgd", random_state=0,
        learning_rate_init=learning_rate_init, **settings,
    )  # fmt: skip


@pytest.mark.parametrize("row", [0, 7])
def test_divergence_is_found_in_every_row(row):
    X = np.ones((8, 1), np.float32)
    X[row] = 3e38
    model = BackpropMLPRegressor((3,), activation="identity", shuffle=False)
    with pytest.raises(DivergenceError, match="beginning in hidden layer 1 of 1"):
        model.fit(X, np.arange(8.0))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_divergence_stops_where_it_happens(early_stopping):
    model = diverging(early_stopping=early_stopping)
    with pytest.raises(DivergenceError) as error:
        model.fit(X, Y)
    epoch = len(model.loss_curve_)
    message = str(error.value)
    assert f"diverged in epoch {epoch}:" in message
    assert early_stopping or "beginning in hidden layer 2 of 2" in message
    assert "Solver produced non-finite parameter weights" in message
    assert "lower learning_rate_init (the last rate was 1e+120)" in message
    assert "clip=1.0" in message
    assert len(model.gradient_history_["global_norm"]) in (epoch - 1, epoch)
    assert np.isfinite(model.loss_curve_[:-1]).all()
    assert np.isfinite(model.coefs_[0]).all()


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("rate", [3.0, 10.0])
def test_a_loss_that_runs_away_is_divergence_too(rate, activation, early_stopping):
    """Patience would end these fits with finite weights, and scores of -1e+30."""
    diabetes, progression = load_diabetes(return_X_y=True)
    model = BackpropMLPRegressor(
        activation=activation, solver="sgd", learning_rate_init=rate, random_state=0,
        early_stopping=early_stopping,
    )  # fmt: skip
    with pytest.raises(DivergenceError, match="lower learning_rate_init") as error:
        model.fit(diabetes, progression)
    *curve, last = model.loss_curve_
    where = f"in epoch {len(curve) + 1}"
    what = f"the loss went from {curve[0]:.3g} to {last:.3g}"
    assert f"{where}: {what}." in str(error.value)
    assert max(curve) <= 1e6 * curve[0] < last < np.inf
    assert np.isfinite(model.coefs_[0]).all()


def test_noise_above_an_exact_start_has_not_run_away():
    """The first epoch's loss is the square of a rounding error."""
    model = BackpropMLPRegressor(
        (1,), activation="identity", solver="sgd", learning_rate_init=3.0,
        warm_start=True, alpha=0.0, n_iter_no_change=1000, max_iter=1000,
    )  # fmt: skip
    x = np.linspace(-1, 1, 20)[:, None]
    model.coefs_ = [np.array([[0.1]]), np.array([[0.3]])]
    model.intercepts_ = [np.zeros(1), np.zeros(1)]
    with pytest.raises(DivergenceError, match="the loss went from"):
        model.fit(x, (1 + 1e-10) * 0.03 * x[:, 0])
    assert model.loss_curve_[0] < 1e-15
    assert model.loss_curve_[-1] > 1e6


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_new_rows_of_another_scale_are_no_divergence():
    model = BackpropMLPRegressor((3,), random_state=0).partial_fit(X, 0.0 * Y)
    model.partial_fit(X, 1e9 * Y)
    model.set_params(warm_start=True, max_iter=2).fit(X, 1e12 * Y)


def test_the_remedy_names_large_inputs():
    with pytest.raises(DivergenceError, match="scale X, whose largest value is 3"):
        diverging().fit(X * 1e60, Y)


def test_the_remedy_of_divergence_works():
    model = diverging(0.01, clip=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert model.fit(X, Y).score(X, Y) > 0.8


def test_a_search_scores_a_diverging_candidate_nan():
    search = GridSearchCV(
        diverging(), {"learning_rate_init": [1e-3, 1.0]}, cv=2, n_jobs=1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores[0])
    assert np.isnan(scores[1])


def test_a_validation_set_beyond_all_numbers():
    with pytest.raises(DivergenceError, match="the loss of the validation set became"):
        BackpropMLPRegressor((3,)).fit(X, Y, X_val=X * 1e300, y_val=Y)


# ------------------------------------------------------------ vanished training
@ignoring_max_iter()
def test_a_deep_logistic_net_says_why_it_did_not_train():
    digits, labels = load_digits(return_X_y=True)
    model = BackpropMLPClassifier(
        (16,) * 30, activation="logistic", max_iter=5, random_state=0
    )
    with pytest.warns(VanishedTrainingWarning) as caught:
        model.fit(scale(digits), labels)
    message = str(caught.pop(VanishedTrainingWarning).message)
    assert "the gradient of hidden 1 weights" in message
    assert "residual='add'" in message


@ignoring_max_iter()
def test_dead_units_are_named():
    model = BackpropMLPRegressor((8, 8), random_state=0, max_iter=3, warm_start=True)
    model.fit(X, Y)
    model.intercepts_[1][:] = -1e3
    with pytest.warns(
        VanishedTrainingWarning, match="units behind hidden 2 weights are dead"
    ):
        model.fit(X, Y)


@ignoring_max_iter()
def test_saturated_layers_are_named():
    model = BackpropMLPRegressor(
        (8, 8), activation="tanh", random_state=0, max_iter=3, warm_start=True
    ).fit(X, Y)
    model.intercepts_[1][:] = 1e3
    with pytest.warns(VanishedTrainingWarning, match="hidden 2 weights are saturated"):
        model.fit(X, Y)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "gelu"])
@pytest.mark.parametrize("Estimator", [BackpropMLPClassifier, BackpropMLPRegressor])
def test_a_healthy_fit_warns_of_nothing(Estimator, activation):
    Estimator(
        (16, 16), activation=activation, learning_rate_init=0.01, max_iter=1000,
        random_state=0,
    ).fit(X, Y)  # fmt: skip


@ignoring_max_iter()
def test_noise_is_no_reason_to_warn():
    noise = np.random.default_rng(0).standard_normal(150)
    BackpropMLPRegressor((8,), alpha=1e3, max_iter=300, random_state=0).fit(X, noise)


@pytest.mark.parametrize(
    "setting",
    [
        {"max_iter": 1},
        {"solver": "lbfgs", "max_iter": 1},
        {"batch_size": 1000, "tol": 100.0},
        {"hidden_layer_sizes": (8,) * 30, "activation": "logistic", "tol": 10.0},
    ],
)
def test_warnings_point_at_the_line_that_fits(setting):
    model = BackpropMLPClassifier(
        **{"hidden_layer_sizes": (3,), "random_state": 0, **setting}
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("weight", [np.nan, np.inf, -1.0, "heavy", None])
def test_class_weights_are_checked_as_sample_weights_are(weight):
    X, y = np.arange(10.0)[:, None], np.arange(10) % 2
    network = BackpropMLPClassifier((2,), max_iter=2, class_weight={0: 1.0, 1: weight})
    with pytest.raises(ValueError, match="values of class_weight must be finite"):
        network.fit(X, y)


def test_class_weights_that_leave_nothing_are_refused():
    X, y = np.arange(10.0)[:, None], np.arange(10) % 2
    network = BackpropMLPClassifier((2,), max_iter=2, class_weight={0: 0, 1: 0})
    with pytest.raises(ValueError, match="no row a positive weight"):
        network.fit(X, y)


def test_weights_after_the_last_step_are_looked_at():
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20.0)
    network = BackpropMLPRegressor(
        (4,), solver="sgd", learning_rate_init=1e308, max_iter=1
    )
    with pytest.raises(DivergenceError, match="the weights or running statistics"):
        network.fit(X, y)
    assert all(np.isfinite(W).all() for W in network.coefs_)


# --- what does not fit into the numbers
@pytest.mark.parametrize("name", ["epsilon", "learning_rate_init", "clip"])
@pytest.mark.parametrize("value", [1e-320, 1e300])
def test_steps_that_float32_does_not_hold_are_refused(name, value):
    model = BackpropMLPClassifier((3,), **{name: value})
    with pytest.raises(ValueError, match=rf"{name}=1e.* in float32, the dtype of X"):
        model.fit(X.astype(np.float32), Y)


def test_predictions_are_finite_or_an_error():
    model = BackpropMLPRegressor((3,), max_iter=1, random_state=0, loss="poisson")
    with pytest.warns(ConvergenceWarning):
        model.fit(X, Y)
    model.coefs_[1][:], model.coefs_[0][:] = 1.0, 1.0
    with pytest.raises(ValueError, match=r"row 2 of X is not finite.*1e\+08; bring X"):
        model.predict([[0.0] * 4, [1.0] * 4, [1e8] * 4])


@ignoring_max_iter()
@pytest.mark.parametrize("of_objects", [False, True])
def test_numbers_in_strings_are_targets_as_scikit_learn_has_it(of_objects):
    strings = np.array([f"{y}.5" for y in Y], dtype=object if of_objects else str)
    fits = [BackpropMLPRegressor((3,), max_iter=2, random_state=0) for _ in range(2)]
    given, expected = (
        fit.fit(X, y).predict(X)
        for fit, y in zip(fits, (strings, Y + 0.5), strict=True)
    )
    assert (given == expected).all()


@ignoring_max_iter()
@pytest.mark.parametrize(
    "model",
    [BackpropMLPRegressor(max_iter=1), GDLinearRegression(), PiecewiseLinearEncoder()],
)
def test_integers_beyond_all_floats_are_named(model):
    with pytest.raises(ValueError, match="holds an integer beyond the largest"):
        model.fit([[10**400], [1]], [1.0, 2.0])
    if hasattr(model, "predict"):
        with pytest.raises(ValueError, match="y holds an integer beyond the largest"):
            model.fit([[0.0], [1.0]], [10**400, 1])
        model.fit(X, Y)
        with pytest.raises(ValueError, match="X holds an integer beyond the largest"):
            model.predict([[10**400] * 4])


@pytest.mark.parametrize("model", [BackpropMLPRegressor(), GDLinearRegression()])
def test_dates_beside_numbers_are_named(model):
    table = pd.DataFrame({"x": [1.0, 2.0], "span": pd.to_timedelta(["1 D", "2 D"])})
    with pytest.raises(TypeError, match="X or y holds dates or spans of time beside"):
        model.fit(table, [1.0, 2.0])


def test_targets_that_are_no_numbers():
    for values, message in (("abc", "holds what is no number, such as"), (None, "NaN")):
        with pytest.raises(ValueError, match=message):
            BackpropMLPRegressor(loss="poisson").fit(X, np.full(150, values))
    mixed = ["1.5"] * 149 + ["abc"]
    with pytest.raises(ValueError, match=r"such as 'abc'.* use a classifier"):
        BackpropMLPRegressor().fit(X, mixed)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_huge_targets_are_named_as_the_cause(solver):
    model = BackpropMLPRegressor((3,), solver=solver)
    with pytest.raises(DivergenceError, match=r"Remedy: scale y, whose .* 2e\+160"):
        model.fit(X, Y * 1e160)


def test_no_memory_in_the_middle_keeps_the_last_epoch(monkeypatch):
    from sklearn_backprop.neural_network import _epochs

    settings = {"hidden_layer_sizes": (3,), "random_state": 0}
    with pytest.warns(ConvergenceWarning):
        expected = BackpropMLPClassifier(**settings, max_iter=2).fit(X, Y)
    run_epoch = _epochs.NetworkEpochs._pass

    def exhausted(loop):
        epoch = run_epoch(loop)
        if loop.n_epochs == 2:  # weights have moved
            raise MemoryError
        return epoch

    monkeypatch.setattr(_epochs.NetworkEpochs, "_pass", exhausted)
    model = BackpropMLPClassifier(**settings, max_iter=9)
    with pytest.raises(MemoryError):
        model.fit(X, Y)
    np.testing.assert_array_equal(model.coefs_[0], expected.coefs_[0])
    assert model.n_iter_ == 2


# --- worse than a constant
DIABETES = load_diabetes(return_X_y=True)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_worse_than_the_mean_is_said_once_with_the_remedy(solver):
    features, target = scale(DIABETES[0]), scale(DIABETES[1]) * 1e-6
    model = BackpropMLPRegressor((20,), solver=solver, random_state=0)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(features, target)
    (warning,) = caught
    message = str(warning.message)
    assert "worse than a constant" in message
    assert "Remedy: TransformedTargetRegressor" in message
    assert model.score(features, target) < 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of max_iter
        model.fit(features, target * 1e6)
    assert diagnose(model)[0].kind != "worse_than_constant"
    assert model.prediction_error_ == pytest.approx(
        1 - model.score(features, target * 1e6)
    )


def test_a_huge_constant_column_is_said_to_spoil_a_fit():
    features = np.column_stack([scale(DIABETES[0]), np.full(442, 1e8)])
    with pytest.warns(ConvergenceWarning, match="feature 10 has a size of 1e.08"):
        BackpropMLPRegressor(random_state=0).fit(features, scale(DIABETES[1]))


def test_lbfgs_says_where_it_did_not_move():
    model = BackpropMLPRegressor((20,), solver="lbfgs", tol=1e6, random_state=0)
    with pytest.warns(ConvergenceWarning, match="returned the weights that it started"):
        model.fit(scale(DIABETES[0]), scale(DIABETES[1]))


@pytest.mark.parametrize("loss", ["absolute_error", "quantile"])
def test_a_quantile_is_measured_by_its_own_constant(loss):
    features, target = scale(DIABETES[0]), scale(DIABETES[1])
    model = BackpropMLPRegressor(
        (20,), loss=loss, quantile=0.9, max_iter=400, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, target)
    q = 0.9 if loss == "quantile" else 0.5
    expected = mean_pinball_loss(target, model.predict(features), alpha=q)
    expected /= mean_pinball_loss(target, np.full(442, np.quantile(target, q)), alpha=q)
    assert model.prediction_error_ == pytest.approx(expected)


# --- rows without weight
@pytest.mark.parametrize(
    "setting",
    [
        {"solver": "adam", "batch_size": 16},
        {"solver": "lbfgs"},
        {"normalization": "batch"},
        {"early_stopping": True},
    ],
)
@pytest.mark.parametrize("by", ["sample_weight", "class_weight"])
def test_rows_without_weight_count_for_nothing(setting, by):
    rng = np.random.default_rng(0)
    features, target = X.copy(), Y % 2
    kept = rng.random(150) < 0.7 if by == "sample_weight" else target == 0
    if by == "class_weight":
        target = np.where(kept, rng.integers(2, size=150), 2)
        setting = {**setting, "class_weight": {2: 0.0}}
    features[~kept] = 1e30
    models = []
    for rows in (slice(None), kept):
        model = BackpropMLPClassifier((5,), max_iter=5, random_state=0, **setting)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            if by == "class_weight" and rows is kept:
                weight = np.where(kept, 1.0, 0.0)  # the classes are those of all rows
                model.fit(features, target, weight)
            else:
                weight = kept[rows].astype(float) if by == "sample_weight" else None
                model.fit(features[rows], target[rows], weight)
        models.append(model)
    np.testing.assert_array_equal(*(model.coefs_[0] for model in models))
    np.testing.assert_array_equal(*(model.feature_scale_ for model in models))


@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_weights_of_any_size_only_rescale(unit):
    settings = {"alpha": 0.0, "max_iter": 5, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        plain = BackpropMLPClassifier((5,), **settings).fit(X, Y)
        for dtype in (np.float32, np.float64):
            weighted = BackpropMLPClassifier((5,), **settings)
            weighted.fit(X.astype(dtype), Y, np.full(150, unit))
            np.testing.assert_allclose(
                weighted.coefs_[0], plain.coefs_[0], rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("by", ["sample_weight", "class_weight"])
def test_weights_too_small_for_the_penalty(by):
    model, weight = BackpropMLPClassifier((5,)), None
    if by == "sample_weight":
        weight = np.full(150, 1e-300)
    else:
        model.set_params(class_weight=dict.fromkeys(range(3), 1e-300))
    with pytest.raises(ValueError, match=r"rows sum to 1.5e-298.*Rescale sample_w"):
        model.fit(X, Y, weight)


def test_too_few_rows_of_positive_weight_to_hold_some_out():
    weight = np.zeros(150)
    weight[:3] = 1.0
    with pytest.raises(ValueError, match="of the 3 rows of positive weight, which"):
        BackpropMLPRegressor(early_stopping=True).fit(X, Y, weight)


# --- what was fitted stays
def test_parameters_set_after_fit_do_not_change_predictions():
    model = BackpropMLPRegressor((5,), max_iter=500, tol=1e-3, random_state=0)
    expected = model.fit(X, Y).predict(X)
    model.set_params(loss="poisson", activation="tanh", hidden_layer_sizes=(3,))
    np.testing.assert_array_equal(model.predict(X), expected)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(model)).predict(X), expected
    )


@pytest.mark.parametrize("types", [("i4", "i8"), ("i8", "i4"), ("i8", "i8")])
def test_all_integer_types_of_csr_indices(types):
    table = sparse.csr_array(np.where(X > 0, X, 0.0))
    expected = BackpropMLPClassifier((5,), max_iter=300, tol=1e-2, random_state=0)
    expected = expected.fit(table, Y).predict_proba(table)
    table.indices = table.indices.astype(types[0])
    table.indptr = table.indptr.astype(types[1])
    model = BackpropMLPClassifier((5,), max_iter=300, tol=1e-2, random_state=0)
    np.testing.assert_array_equal(model.fit(table, Y).predict_proba(table), expected)
