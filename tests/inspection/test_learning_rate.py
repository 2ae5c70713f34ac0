"""The learning-rate range test: its sweep, its suggestion, and what theory knows."""

import pickle

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    GDLinearRegression,
)
from sklearn_backprop.exceptions import DivergenceError
from sklearn_backprop.inspection import LearningRateRangeDisplay
from sklearn_backprop.inspection._learning_rate import steepest_rate

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16, y


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True, scaled=False)


def sweep(*arguments, **options):
    return LearningRateRangeDisplay.from_estimator(*arguments, **options)


def falling_quietly(model, X, y):
    with pytest.warns(ConvergenceWarning):
        return model.fit(X, y)


# ------------------------------------------------------------------- suggestion
def test_suggestion_is_where_a_known_curve_falls_fastest():
    rates = np.geomspace(1e-6, 1.0, 121)
    decades = np.log10(rates)
    # A logistic fall falls fastest at its middle, 1e-3; then the loss blows up.
    losses = 2 - 1.5 / (1 + np.exp(-4 * (decades + 3))) + 10.0 ** (3 * (decades + 0.5))
    assert steepest_rate(rates, losses) == pytest.approx(1e-3, rel=0.15)


def test_a_fall_behind_the_least_loss_does_not_count():
    rates = np.geomspace(1e-3, 1e3, 7)
    losses = np.array([1.0, 0.95, 0.6, 0.1, 50.0, 9.0, 8.0])
    assert steepest_rate(rates, losses) == pytest.approx(0.1)


@pytest.mark.parametrize("losses", [np.ones(20), np.linspace(1, 3, 20)])
def test_nothing_is_suggested_where_nothing_is_learned(losses):
    assert steepest_rate(np.geomspace(1e-3, 1, 20), losses) is None


def test_the_suggestion_trains_and_rates_far_off_do_not(digits):
    X, y = digits
    model = BackpropMLPClassifier((64,), max_iter=10, random_state=0)
    display = sweep(model, X, y)
    scores = {}
    for multiple in (0.01, 1.0, 300.0):
        rate = multiple * display.suggestion
        fitted = falling_quietly(model.set_params(learning_rate_init=rate), X, y)
        scores[multiple] = fitted.score(X, y)
    assert scores[1.0] > 0.95
    assert scores[0.01] < 0.8
    assert scores[300.0] < 0.8


def test_smoothing_keeps_a_straight_line_and_takes_noise_out():
    from sklearn_backprop.inspection._learning_rate import _smooth

    line = np.linspace(2.0, 1.0, 200)
    np.testing.assert_allclose(_smooth(line, 200)[30:-30], line[30:-30], rtol=1e-6)
    noise = 0.1 * np.random.default_rng(0).standard_normal(200)
    assert np.std(_smooth(line + noise, 200) - line) < 0.04
    # What blows up counts as twice the start, and so lifts its neighbours by little.
    spoiled = np.append(line[:-1], 1e300)
    smoothed = _smooth(spoiled, 200)
    assert smoothed.max() < 2 * 2.0
    np.testing.assert_allclose(smoothed[:-12], _smooth(line, 200)[:-12], rtol=0.1)


# --------------------------------------------------------------------- networks
def test_the_sweep_is_one_training_by_rising_rates(iris):
    X, y = iris
    model = BackpropMLPClassifier(
        (5,), batch_size=150, solver="sgd", momentum=0.0, alpha=3.0, random_state=0
    )
    display = sweep(model, X, y, min_rate=1e-4, max_rate=1e-1, n_rates=12)
    np.testing.assert_allclose(display.rates, np.geomspace(1e-4, 1e-1, 12))
    # The same by warm starts: all rows in every step, a rate each.
    oracle = BackpropMLPClassifier(**model.get_params()).set_params(
        warm_start=True, max_iter=1
    )
    for rate in display.rates:
        falling_quietly(oracle.set_params(learning_rate_init=rate), X, y)
    np.testing.assert_allclose(display.losses, oracle.loss_curve_, rtol=1e-12)


def test_the_penalty_is_that_of_a_training_on_all_rows(iris):
    X, y = iris
    model = BackpropMLPClassifier((5,), alpha=100.0, random_state=0)
    whole = sweep(model.set_params(batch_size=150), X, y, max_rate=1e-5, n_rates=10)
    parts = sweep(model.set_params(batch_size=30), X, y, max_rate=1e-5, n_rates=10)
    # Rates so small that weights hardly move: the mean over one epoch is the whole.
    np.testing.assert_allclose(parts.losses[:5].mean(), whole.losses[0], rtol=1e-3)


def test_the_sweep_stops_where_training_blows_up(diabetes):
    X, y = diabetes
    X = StandardScaler().fit_transform(X)
    y = (y - y.mean()) / y.std()
    model = BackpropMLPRegressor((20, 20), solver="sgd", random_state=0)
    display = sweep(model, X, y, max_rate=1e6)
    assert 50 < len(display.losses) < 200
    assert np.isfinite(display.losses).all()
    assert len(display.rates) == len(display.smoothed_losses) == len(display.losses)


def test_a_network_that_diverges_at_once_says_so(diabetes):
    X, y = diabetes
    model = BackpropMLPRegressor((20, 20), solver="sgd", random_state=0)
    with pytest.raises(DivergenceError):
        sweep(model, 1e100 * X, y)


NETWORKS = {
    "classifier": BackpropMLPClassifier((5,)),
    "two classes": BackpropMLPClassifier((5,)),
    "labels": BackpropMLPClassifier((5,)),
    "names": BackpropMLPClassifier((5,), class_weight="balanced"),
    "regressor": BackpropMLPRegressor((5,)),
    "targets": BackpropMLPRegressor((5,), loss="huber"),
    "column": BackpropMLPRegressor((5,)),
}


def targets_of(kind, y):
    return {
        "classifier": y,
        "two classes": y > 0,
        "labels": np.column_stack([y > 0, y > 1, y == 1]).astype(int),
        "names": np.array(["a", "b", "c"])[y],
        "regressor": y.astype(float),
        "targets": np.column_stack([y, -y]).astype(float),
        "column": y[:, None].astype(float),
    }[kind]


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("is_weighted", [False, True])
def test_all_kinds_of_targets_and_weights(iris, kind, is_weighted):
    X, y = iris
    weight = (np.arange(len(y)) % 4).astype(float) if is_weighted else None
    model = NETWORKS[kind].set_params(random_state=0, batch_size=20)
    display = sweep(
        model, X, targets_of(kind, y), sample_weight=weight, max_rate=1.0, n_rates=80
    )
    assert display.suggestion is not None
    assert display.smoothed_losses.min() < display.smoothed_losses[0]
    plt.close("all")


def test_weights_of_zero_leave_rows_out(iris):
    X, y = iris
    keep = np.arange(len(y)) % 3 > 0
    model = BackpropMLPClassifier((5,), random_state=0, batch_size=20)
    weighted = sweep(model, X, y, sample_weight=keep.astype(float), n_rates=30)
    without = sweep(model, X[keep], y[keep], n_rates=30)
    np.testing.assert_allclose(weighted.losses, without.losses, rtol=1e-10)


def test_balanced_classes_weigh_as_in_fit(iris):
    X, y = iris[0][:120], iris[1][:120]  # 50, 50 and 20 rows
    model = BackpropMLPClassifier(
        (5,), class_weight="balanced", batch_size=120, alpha=0.0, random_state=0
    )
    display = sweep(model, X, y, n_rates=10)
    model.set_params(max_iter=1)
    falling_quietly(model, X, y)
    assert display.losses[0] == pytest.approx(model.loss_curve_[0], rel=1e-10)


def test_sparse_rows_lists_frames_and_pipelines(iris):
    pd = pytest.importorskip("pandas")
    X, y = iris
    model = BackpropMLPClassifier((5,), random_state=0)
    dense = sweep(model, X, y, n_rates=20).losses
    for rows in (csr_array(X), coo_array(X), X.tolist(), pd.DataFrame(X)):
        np.testing.assert_allclose(
            sweep(model, rows, y, n_rates=20).losses, dense, rtol=1e-10
        )
    pipeline = make_pipeline(StandardScaler(), model)
    scaled = sweep(model, StandardScaler().fit_transform(X), y, n_rates=20)
    display = sweep(pipeline, X, y, n_rates=20)
    np.testing.assert_array_equal(display.losses, scaled.losses)
    assert display.estimator_name == "BackpropMLPClassifier"


@pytest.mark.parametrize(
    "parameters",
    [
        {"early_stopping": True},
        {"learning_rate": "cosine", "warmup_epochs": 3},
        {"learning_rate": "adaptive"},
        {"verbose": 1},
        {"warm_start": True},
    ],
)
def test_schedules_and_stopping_play_no_part(iris, parameters, capsys):
    X, y = iris
    model = BackpropMLPClassifier((5,), random_state=0)
    plain = sweep(model, X, y, n_rates=20).losses
    other = sweep(BackpropMLPClassifier((5,), random_state=0, **parameters), X, y,
                  n_rates=20)  # fmt: skip
    np.testing.assert_array_equal(other.losses, plain)
    assert capsys.readouterr().out == ""


# --------------------------------------------------------------- linear descent
def curvature(X):
    """L of standardised features: the largest eigenvalue of their correlations."""
    return np.linalg.eigvalsh(np.corrcoef(X.T))[-1]


def test_stable_limit_is_two_over_the_largest_eigenvalue(diabetes):
    X, y = diabetes
    display = sweep(GDLinearRegression(), X, y)
    assert display.suggestion == pytest.approx(1 / curvature(X), rel=1e-8)
    assert display.stable_limit == pytest.approx(2 / curvature(X), rel=1e-8)
    assert display.suggestion_line_.get_xdata()[0] == display.suggestion
    assert display.limit_line_.get_xdata()[0] == display.stable_limit


def test_cost_after_some_steps_is_that_of_descent_by_hand(diabetes):
    X, y = diabetes
    Z, t = StandardScaler().fit_transform(X), y - y.mean()
    display = sweep(GDLinearRegression(), X, y, n_steps=8, n_rates=15)
    for rate, loss in zip(display.rates, display.losses, strict=True):
        coef = np.zeros(Z.shape[1])
        for _ in range(8):
            coef += rate * Z.T @ (t - Z @ coef) / len(t)
        by_hand = np.mean((t - Z @ coef) ** 2) / 2
        assert loss == pytest.approx(by_hand, rel=1e-8)
    assert display.loss_name == "J after 8 steps"


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
def test_descent_is_stable_below_the_limit_and_not_above(diabetes, momentum, nesterov):
    X, y = diabetes
    model = GDLinearRegression(momentum=momentum, nesterovs_momentum=nesterov)
    limit = sweep(model, X, y).stable_limit
    losses = sweep(
        model, X, y, min_rate=0.97 * limit, max_rate=1.03 * limit, n_rates=11,
        n_steps=2000,
    ).losses  # fmt: skip
    start = np.var(y) / 2
    assert (losses[:4] < start).all()
    assert not (losses[-4:] < start).any()


def test_penalty_weights_targets_and_batches(diabetes):
    X, y = diabetes
    ridge = sweep(GDLinearRegression(alpha=1.0), X, y)
    scale = X.std(axis=0)
    hessian = np.corrcoef(X.T) + np.diag(1 / scale**2)
    assert ridge.suggestion == pytest.approx(1 / np.linalg.eigvalsh(hessian)[-1])

    weight = np.arange(len(y)) % 3
    repeated = np.repeat(np.arange(len(y)), weight)
    weighted = sweep(GDLinearRegression(), X, y, sample_weight=weight)
    by_rows = sweep(GDLinearRegression(), X[repeated], y[repeated])
    np.testing.assert_allclose(weighted.losses, by_rows.losses, rtol=1e-8)

    both = sweep(GDLinearRegression(), X, np.column_stack([y, y]))
    one = sweep(GDLinearRegression(), X, y)
    np.testing.assert_allclose(both.losses, 2 * one.losses)

    batches = sweep(GDLinearRegression(batch_size=50, random_state=0), X, y, n_rates=12)
    assert batches.stable_limit is None
    assert batches.limit_line_ is None


# ------------------------------------------------------------------ conventions
@pytest.mark.parametrize("is_fitted", [False, True])
@pytest.mark.parametrize(
    "model",
    [
        BackpropMLPClassifier((5,), random_state=np.random.RandomState(0), max_iter=2),
        BackpropMLPRegressor((5,), max_iter=2, random_state=0),
        GDLinearRegression(track_path=True, max_iter=5),
        make_pipeline(StandardScaler(), GDLinearRegression(max_iter=5)),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_estimator_passed_in_is_not_changed(iris, model, is_fitted):
    X, y = iris
    if is_fitted:
        model.fit(X, y)
    before, attributes = pickle.dumps(model), set(vars(model))
    X_before = X.copy()
    sweep(model, X, y, n_rates=20)
    assert pickle.dumps(model) == before
    assert set(vars(model)) == attributes
    np.testing.assert_array_equal(X, X_before)


def test_what_is_drawn_is_what_was_found(digits):
    X, y = digits
    model = BackpropMLPClassifier((16,), random_state=0)
    display = sweep(model, X[:500], y[:500], n_rates=60)
    np.testing.assert_array_equal(display.line_.get_xdata(), display.rates)
    np.testing.assert_array_equal(display.line_.get_ydata(), display.smoothed_losses)
    np.testing.assert_array_equal(display.raw_line_.get_ydata(), display.losses)
    assert display.ax_.get_xscale() == "log"
    bottom, top = display.ax_.get_ylim()
    assert bottom < display.smoothed_losses.min()
    assert display.smoothed_losses[0] < top < 2 * display.smoothed_losses[0]


def test_a_curve_without_suggestion_can_be_drawn():
    display = LearningRateRangeDisplay(rates=[1, 2, 3], losses=[1.0, 1.0, np.inf])
    display.plot().figure_.canvas.draw()
    assert display.suggestion_line_ is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LinearRegression(), "LinearRegression has no learning rate"),
        (
            GDLinearRegression(solver="normal"),
            "solver='normal' takes no steps .*solver='gd'",
        ),
        (BackpropMLPRegressor(solver="lbfgs"), r"solver='lbfgs'.*'adam' or 'sgd'"),
    ],
)
def test_what_takes_no_steps_is_refused(diabetes, model, message):
    with pytest.raises(ValueError, match=message):
        sweep(model, *diabetes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_rate": 1.0, "max_rate": 0.1}, "min_rate=1 and max_rate=0.1"),
        ({"min_rate": -1.0}, "both positive; got min_rate=-1"),
        ({"n_rates": 3}, "n_rates=3 shows no curve"),
    ],
)
def test_a_sweep_that_does_not_rise_is_refused(iris, options, message):
    with pytest.raises(ValueError, match=message):
        sweep(BackpropMLPClassifier((3,)), *iris, **options)
