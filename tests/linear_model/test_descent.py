"""Gradient descent against the textbook's loop, the exact road and the peers."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet

from sklearn_backprop import GDLinearRegression
from sklearn_backprop.exceptions import DivergenceError


def textbook(X, y, weight, rate, n_iter, *, momentum=0.0, nesterov=False, power_t=0.0):
    """Coefficients after each iteration on columns as they are, intercept last."""
    Z = np.column_stack([X, np.ones(len(X))])
    share = weight / weight.sum()
    theta = np.append(np.zeros(X.shape[1]), share @ y)
    velocity = np.zeros_like(theta)
    path, losses, norms = [theta], [], []
    for t in range(1, n_iter + 1):
        step = rate / t**power_t
        gradient = Z.T @ (share * (Z @ theta - y))
        velocity = momentum * velocity - step * gradient
        move = momentum * velocity - step * gradient if nesterov else velocity
        theta = theta + move
        path.append(theta)
        residual = Z @ theta - y
        losses.append(share @ residual**2 / 2)
        norms.append(np.linalg.norm(Z.T @ (share * residual)))
    return np.array(path), np.array(losses), np.array(norms)


def scaled(X, weight, scaling):
    if scaling == "standard":
        mean = np.average(X, axis=0, weights=weight)
        return (X - mean) / np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    if scaling == "minmax":
        return (X - X.min(axis=0)) / (X.max(axis=0) - X.min(axis=0))
    return X


@pytest.fixture(params=["tall", "wide"])
def problem(request):
    rng = np.random.default_rng(0)
    n_samples, n_features = {"tall": (40, 4), "wide": (6, 9)}[request.param]
    X = rng.normal(size=(n_samples, n_features)) + 1.0
    y = X @ rng.normal(size=n_features) + rng.normal(size=n_samples) + 3.0
    return X, y, rng.uniform(0.5, 2.0, size=n_samples)


@pytest.mark.parametrize("container", [np.asarray, np.asfortranarray, sparse.csr_array])
@pytest.mark.parametrize("scaling", ["standard", "minmax", None])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"momentum": 0.8},
        {"momentum": 0.8, "nesterov": True},
        {"power_t": 0.5},
    ],
)
def test_iterates_are_those_of_the_textbook(problem, container, scaling, how):
    X, y, weight = problem
    model = GDLinearRegression(
        feature_scaling=scaling,
        learning_rate_init=0.02,
        max_iter=30,
        tol=0.0,
        track_path=True,
        momentum=how.get("momentum", 0.0),
        nesterovs_momentum=how.get("nesterov", False),
        learning_rate="invscaling" if "power_t" in how else "constant",
        power_t=how.get("power_t", 0.25),
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(container(X), y, weight)
    Z = scaled(X, weight, scaling)
    path, losses, norms = textbook(Z, y, weight, 0.02, 30, **how)
    scale = np.ptp(X, axis=0) / np.ptp(Z, axis=0)
    np.testing.assert_allclose(
        model.coef_path_, path[:, :-1] / scale, rtol=1e-9, atol=1e-11
    )
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-9)
    np.testing.assert_allclose(model.gradient_norm_curve_, norms, rtol=1e-8)
    assert model.n_iter_ == 30
    assert model.loss_ == model.loss_curve_[-1]
    np.testing.assert_array_equal(model.coef_path_[-1], model.coef_)


def test_several_targets_descend_as_each_alone(problem):
    X, y, weight = problem
    Y = np.column_stack([y, -1e3 * y[::-1]])
    both = GDLinearRegression(max_iter=1_000_000).fit(X, Y, weight)
    for k in range(2):
        one = GDLinearRegression(max_iter=1_000_000).fit(X, Y[:, k], weight)
        np.testing.assert_allclose(both.coef_[k], one.coef_, rtol=1e-6)


@pytest.mark.parametrize("scaling", ["standard", "minmax"])
def test_scaling_never_changes_what_is_predicted(scaling):
    X, y = load_diabetes(return_X_y=True)
    exact = GDLinearRegression(solver="normal", alpha=1e-3).fit(X, y)
    model = GDLinearRegression(feature_scaling=scaling, alpha=1e-3, max_iter=1_000_000)
    np.testing.assert_allclose(model.fit(X, y).predict(X), exact.predict(X), rtol=1e-6)


@pytest.mark.parametrize("name", ["diabetes", "california"])
def test_defaults_reach_the_exact_coefficients(name, california):
    X, y = load_diabetes(return_X_y=True) if name == "diabetes" else california
    exact = GDLinearRegression(solver="normal").fit(X, y)
    model = GDLinearRegression().fit(X, y)
    np.testing.assert_allclose(model.coef_, exact.coef_, rtol=1e-6)
    np.testing.assert_allclose(model.intercept_, exact.intercept_, rtol=1e-6)


@pytest.mark.parametrize("scaling", ["standard", "minmax", None])
def test_auto_step_is_one_over_the_largest_curvature(scaling):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    Z = scaled(X, np.ones(50), scaling)
    if scaling != "standard":  # there the intercept is not moved
        Z = np.column_stack([Z, np.ones(50)])
    curvature = np.linalg.eigvalsh(Z.T @ Z / 50)[-1]
    model = GDLinearRegression(feature_scaling=scaling, max_iter=100_000).fit(X, y)
    assert model.learning_rate_ == pytest.approx(1 / curvature, rel=1e-12)


@pytest.mark.parametrize(
    ("momentum", "nesterov", "limit"),
    [(0.0, False, 2.0), (0.5, False, 3.0), (0.5, True, 1.5)],
)
def test_the_largest_stable_step_is_where_divergence_begins(momentum, nesterov, limit):
    X, y = load_diabetes(return_X_y=True)
    curvature = 1 / GDLinearRegression().fit(X, y).learning_rate_
    model = GDLinearRegression(momentum=momentum, nesterovs_momentum=nesterov)
    model.set_params(learning_rate_init=0.99 * limit / curvature).fit(X, y)
    model.set_params(learning_rate_init=1.01 * limit / curvature)
    with pytest.raises(DivergenceError) as caught:
        model.fit(X, y)
    named = re.search(r"largest stable step for these data is (\S+)", str(caught.value))
    assert float(named[1]) == pytest.approx(limit / curvature, rel=1e-5)


def test_divergence_is_found_early_and_its_curve_kept():
    X, y = load_diabetes(return_X_y=True)
    model = GDLinearRegression(learning_rate_init=0.6)
    with pytest.raises(DivergenceError) as caught:
        model.fit(X, y)
    message = str(caught.value)
    for part in ("0.6", "largest stable step", "0.49699", "'auto'", "adaptive"):
        assert part in message
    assert 2 <= model.n_iter_ <= 20
    assert model.loss_curve_[-1] > model.loss_curve_[0]
    assert np.isfinite(model.loss_curve_).all()


def test_adaptive_repairs_a_step_that_is_too_long():
    X, y = load_diabetes(return_X_y=True)
    exact = GDLinearRegression(solver="normal").fit(X, y)
    model = GDLinearRegression(learning_rate="adaptive", learning_rate_init=10.0)
    model.fit(X, y)
    assert model.learning_rate_ == pytest.approx(10.0 / 5**2)
    assert np.all(np.diff(model.loss_curve_) <= 1e-9)
    np.testing.assert_allclose(model.coef_, exact.coef_, rtol=1e-6)


@st.composite
def penalties(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(50, 6)) * 10.0 ** rng.uniform(-1, 1, size=6)
    y = X @ rng.normal(size=6) + rng.normal(size=50)
    return X, y, draw(st.floats(1e-3, 2.0)), draw(st.sampled_from([0.1, 0.5, 1.0]))


@given(penalties(), st.booleans())
@settings(max_examples=30, deadline=None)
def test_agrees_with_elastic_net(problem, positive):
    X, y, alpha, l1_ratio = problem
    weight = np.linspace(0.5, 2.0, len(y))
    params = {"alpha": alpha, "l1_ratio": l1_ratio, "positive": positive}
    theirs = ElasticNet(**params, tol=1e-14, max_iter=1_000_000).fit(X, y, weight)
    ours = GDLinearRegression(**params, max_iter=1_000_000).fit(X, y, weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(ours.coef_ == 0.0, theirs.coef_ == 0.0)


def test_positive_agrees_with_nnls():
    X, y = load_diabetes(return_X_y=True)
    exact = GDLinearRegression(solver="normal", positive=True).fit(X, y)
    model = GDLinearRegression(positive=True).fit(X, y)
    np.testing.assert_allclose(model.coef_, exact.coef_, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(model.coef_ == 0.0, exact.coef_ == 0.0)


def test_repeated_rows_are_whole_weights(problem):
    X, y, _ = problem
    weight = np.arange(len(y)) % 3 + 1
    a = GDLinearRegression(max_iter=1_000_000, feature_scaling=None).fit(X, y, weight)
    b = GDLinearRegression(max_iter=1_000_000, feature_scaling=None)
    b.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(a.predict(X), b.predict(X), rtol=1e-7)


def test_resumed_descent_is_uninterrupted_descent():
    X, y = load_diabetes(return_X_y=True)
    whole = GDLinearRegression(max_iter=60, tol=0.0, track_path=True)
    parts = GDLinearRegression(max_iter=20, tol=0.0, track_path=True, warm_start=True)
    with pytest.warns(ConvergenceWarning):
        whole.fit(X, y)
    for _ in range(3):
        with pytest.warns(ConvergenceWarning):
            parts.fit(X, y)
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-10)
    np.testing.assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-12)
    np.testing.assert_allclose(parts.coef_path_, whole.coef_path_, rtol=1e-9, atol=1e-9)
    assert parts.n_iter_ == len(parts.loss_curve_) == 60


def test_unfinished_descent_says_what_would_help():
    X, y = load_diabetes(return_X_y=True)
    with pytest.warns(
        ConvergenceWarning, match="max_iter=5 .*condition number"
    ) as record:
        GDLinearRegression(max_iter=5).fit(X, y)
    assert len(record) == 1
    assert record[0].filename == __file__


def test_constant_targets_and_features():
    X = np.column_stack([np.ones(5), np.arange(5.0)])
    model = GDLinearRegression().fit(X, np.full(5, 7.0))
    np.testing.assert_allclose(model.predict(X), 7.0)
    assert model.n_iter_ == 1


def test_verbose_prints_iterations(capsys):
    X, y = load_diabetes(return_X_y=True)
    with pytest.warns(ConvergenceWarning):
        GDLinearRegression(verbose=1, max_iter=12).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split()[1].rstrip(",")) for line in lines] == [1, 2, 5, 10, 12]
    assert "loss = " in lines[0]
    with pytest.warns(ConvergenceWarning):
        GDLinearRegression(verbose=2, max_iter=7).fit(X, y)
    assert len(capsys.readouterr().out.splitlines()) == 7


def test_nothing_is_printed_by_default(capsys):
    GDLinearRegression().fit(*load_diabetes(return_X_y=True))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_few_rows_whose_squares_overflow_are_refused(container):
    X = np.random.default_rng(0).normal(size=(4, 6))
    X[:, 1] *= 1e213
    with pytest.raises(ValueError, match="column 1 of X leave double precision"):
        GDLinearRegression(feature_scaling=None).fit(container(X), X[:, 0])
