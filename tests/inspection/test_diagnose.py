"""What `diagnose` reads from estimators, and what `fit` keeps for it."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    GDLinearRegression,
)
from sklearn_backprop.exceptions import DivergenceError, VanishedTrainingWarning
from sklearn_backprop.inspection import diagnose

X_WINE, Y_WINE = load_wine(return_X_y=True)
X_WINE = scale(X_WINE)
ESTIMATORS = [BackpropMLPClassifier, BackpropMLPRegressor, GDLinearRegression]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def kinds(estimator):
    return [finding.kind for finding in diagnose(estimator)]


# ------------------------------------------------------------------- what it takes
@pytest.mark.parametrize("make", ESTIMATORS)
def test_an_unfitted_estimator_is_refused(make):
    with pytest.raises(NotFittedError, match=f"{make.__name__} instance is not fitted"):
        diagnose(make())


@pytest.mark.parametrize(
    ("foreign", "name"),
    [
        (MLPClassifier(), "MLPClassifier"),
        (LinearRegression().fit(X_WINE, Y_WINE), "LinearRegression"),
        (make_pipeline(StandardScaler(), MLPClassifier()), "MLPClassifier"),
        (GridSearchCV(BackpropMLPClassifier(), {}), "GridSearchCV"),
        (BackpropMLPClassifier, "BackpropMLPClassifier"),
        ([1.0, 0.5], "list"),
    ],
)
def test_what_is_not_ours_is_refused(foreign, name):
    with pytest.raises(TypeError, match=rf"but got {name}\. Of a search pass"):
        diagnose(foreign)


def test_of_a_pipeline_it_reads_the_last_step():
    pipeline = make_pipeline(StandardScaler(), GDLinearRegression())
    with pytest.raises(NotFittedError, match="GDLinearRegression instance is not"):
        diagnose(pipeline)
    assert diagnose(pipeline.fit(X_WINE, Y_WINE)) == diagnose(pipeline[-1])


def test_a_subclass_is_ours():
    class Mine(GDLinearRegression):
        pass

    assert kinds(Mine().fit(X_WINE, Y_WINE)) == ["healthy"]


# ------------------------------------------------------------------ how it was fitted
def test_it_changes_nothing():
    model = BackpropMLPClassifier((8,), max_iter=20, random_state=0).fit(X_WINE, Y_WINE)
    before = pickle.dumps(model)
    findings = diagnose(model)
    assert pickle.dumps(model) == before
    assert diagnose(pickle.loads(before)) == findings


def test_after_partial_fit():
    model = BackpropMLPClassifier((32,), learning_rate_init=0.01, random_state=0)
    for _ in range(60):
        model.partial_fit(X_WINE, Y_WINE, classes=[0, 1, 2])
    assert model.prediction_spread_ is None
    (finding,) = diagnose(model)
    assert finding.kind == "healthy"
    assert finding.epochs == (1, 60)
    linear = GDLinearRegression()
    for block in np.array_split(np.arange(len(X_WINE)), 40):
        linear.partial_fit(X_WINE[block], Y_WINE[block])
    assert kinds(linear) == ["healthy"]


@pytest.mark.parametrize("track", ["epoch", "batch", None])
def test_after_divergence(track):
    model = BackpropMLPRegressor(
        (32,), solver="sgd", learning_rate_init=5.0, random_state=0, batch_size=30,
        track_gradients=track,
    )  # fmt: skip
    with pytest.raises(DivergenceError):
        model.fit(X_WINE, Y_WINE)
    assert np.isnan(model.loss_curve_[-1])  # no sum of half an epoch
    found = {finding.kind: finding for finding in diagnose(model)}
    assert f"diverged in epoch {model.n_iter_}" in found["large_step"].evidence
    if track is None:
        assert list(found) == ["large_step", "not_recorded"]
    else:
        assert "exploding_gradients" in found
        assert "not_recorded" not in found


def test_after_divergence_of_descent():
    model = GDLinearRegression(learning_rate_init=10.0)
    with pytest.raises(DivergenceError):
        model.fit(X_WINE, Y_WINE)
    (finding,) = diagnose(model)
    assert finding.kind == "large_step"
    assert "learning_rate_init='auto'" in finding.remedy


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (
            {"track_gradients": None},
            "track_gradients=None, or no epoch; vanishing and exploding gradients,",
        ),
        (
            {"solver": "lbfgs"},
            "solver='lbfgs' counts no units; dead and saturated ones cannot be told",
        ),
    ],
)
def test_without_records_it_says_what_cannot_be_told(settings, why):
    model = BackpropMLPClassifier((32,), random_state=0, max_iter=100, **settings)
    healthy, untold = diagnose(model.fit(X_WINE, Y_WINE))
    assert healthy.kind == "healthy"
    assert untold.kind == "not_recorded"
    assert not untold.is_ailment
    assert why in untold.evidence


def test_records_of_batches_tell_the_same():
    settings = {"activation": "logistic", "max_iter": 5, "random_state": 0}
    X, y = load_digits(return_X_y=True)
    found = {}
    for track in ("epoch", "batch"):
        model = BackpropMLPClassifier((16,) * 12, track_gradients=track, **settings)
        with pytest.warns(VanishedTrainingWarning):
            (found[track],) = diagnose(model.fit(X / 16, y))
    assert found["batch"].kind == found["epoch"].kind == "vanishing_gradients"
    assert found["batch"].epochs == found["epoch"].epochs == (1, 5)
    assert found["batch"].layers == found["epoch"].layers


def test_a_stopped_validation_is_no_slow_fall():
    settings = {"learning_rate_init": 1e-4, "max_iter": 40, "random_state": 0}
    model = BackpropMLPClassifier((32,), **settings).fit(X_WINE, Y_WINE)
    assert kinds(model) == ["small_step"]
    model.set_params(early_stopping=True, n_iter_no_change=2, tol=0.5)
    assert model.fit(X_WINE, Y_WINE).n_iter_ < 40
    assert kinds(model) == ["healthy"]


def test_a_network_without_hidden_layers():
    model = BackpropMLPClassifier((), learning_rate_init=0.1, init="zeros")
    assert kinds(model.fit(X_WINE, Y_WINE)) == ["healthy"]


def test_nothing_learned_for_another_reason():
    X = np.random.RandomState(0).standard_normal((300, 2))
    model = BackpropMLPRegressor(
        (8,),
        activation="tanh",
        alpha=1e4,
        learning_rate_init=0.01,
        random_state=0,
        max_iter=300,
    )
    (finding,) = diagnose(model.fit(X, X[:, 0]))
    assert finding.kind == "at_chance"
    assert finding.remedy.startswith("alpha below 10000")


# --------------------------------------------------------------- what fit keeps for it
@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_matrix])
def test_feature_scale_of_a_network_is_the_largest_magnitude(as_given):
    X = np.array([[1.0, 0.0, -3.0], [-2.0, 0.0, 0.5], [0.5, 0.0, 1.0], [0.0, 0.0, 2.0]])
    model = BackpropMLPRegressor((2,), max_iter=2).fit(as_given(X), np.arange(4.0))
    assert model.feature_scale_.tolist() == [2.0, 0.0, 3.0]
    model.partial_fit(as_given(X[2:] * 3), np.arange(2.0))
    assert model.feature_scale_.tolist() == [2.0, 0.0, 6.0]
    model.fit(as_given(X / 2), np.arange(4.0))
    assert model.feature_scale_.tolist() == [1.0, 0.0, 1.5]


@pytest.mark.parametrize("n_rows", [31, 32, 95, 30_001])  # long rows, and two blocks
@pytest.mark.parametrize("as_given", [np.ascontiguousarray, np.asfortranarray])
def test_feature_scale_of_many_rows_skips_what_is_missing(n_rows, as_given):
    X = np.random.RandomState(0).standard_normal((n_rows, 3))
    X[::7, 1] = np.nan
    X[:, 2] = np.nan
    y = np.nan_to_num(X[:, 0])
    model = BackpropMLPRegressor(
        (2,), numerical_embedding="piecewise_linear", max_iter=1
    ).fit(as_given(X), y)
    expected = [*np.nanmax(np.abs(X[:, :2]), axis=0), 0.0]
    np.testing.assert_array_equal(model.feature_scale_, expected)


@pytest.mark.parametrize("n_rows", [40, 3])  # on the Gram matrix, on the rows
@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_feature_scale_of_descent_is_the_root_mean_square(
    n_rows, as_given, fit_intercept
):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n_rows, 5)) * [1, 10, 0.1, 3, 2] + 1
    y, weight = rng.standard_normal(n_rows), rng.randint(1, 4, n_rows)
    model = GDLinearRegression(
        feature_scaling=None, fit_intercept=fit_intercept, max_iter=5
    ).fit(as_given(X), y, sample_weight=weight)
    rows = np.repeat(X, weight, axis=0)
    moved = rows - rows.mean(axis=0) * fit_intercept
    expected = np.sqrt((moved**2).mean(axis=0))
    if fit_intercept and model._scaling.center_and_scale(True)[0].any() is np.False_:
        expected = np.sqrt((rows**2).mean(axis=0))  # descent moves the intercept
    np.testing.assert_allclose(model.feature_scale_, expected, rtol=1e-9)


def test_scaled_features_have_one_scale():
    model = GDLinearRegression().fit(X_WINE * np.arange(1, 14), Y_WINE)
    np.testing.assert_allclose(model.feature_scale_, 1.0)


def test_prediction_spread():
    model = BackpropMLPRegressor((16,), max_iter=30, random_state=0)
    y = scale(Y_WINE.astype(float))
    model.fit(X_WINE, y)
    spread = model.predict(X_WINE).std() / y.std()
    assert model.prediction_spread_ == pytest.approx(spread, rel=1e-6)


# ------------------------------------------------------------- the warning of fit
def caught_message(model, X, y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("always", VanishedTrainingWarning)
        model.fit(X, y)
    (warning,) = caught
    return str(warning.message)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("vanishing_gradients", {"activation": "logistic"}),
        # Its first gradient is 1e-4 to 3e-4 of the last one.
        ("vanishing_gradients", {"hidden_layer_sizes": (32,) * 100, "init": "xavier"}),
        ("symmetric_start", {"init": "zeros"}),
        ("dead_units", {"hidden_layer_sizes": (3,) * 20}),
    ],
)
def test_the_warning_is_the_finding(kind, settings):
    X, y = load_digits(return_X_y=True)
    settings = {"hidden_layer_sizes": (16,) * 15, "max_iter": 8, **settings}
    model = BackpropMLPClassifier(random_state=0, **settings)
    message = caught_message(model, X[:600] / 16, y[:600])
    finding = diagnose(model)[0]
    assert finding.kind == kind
    assert message == (
        "The network stopped at chance level, its predictions do not vary with X. "
        f"{finding}"
    )


def test_the_warning_names_the_cause_not_its_consequence():
    X, y = load_breast_cancer(return_X_y=True)
    model = BackpropMLPClassifier(
        (16, 16), solver="sgd", learning_rate_init=0.1, max_iter=30, random_state=0
    )
    assert "features on very different scales" in caught_message(model, X, y)
    assert model.gradient_history_["dead_fraction"][-1, :-1].max() == 1.0
