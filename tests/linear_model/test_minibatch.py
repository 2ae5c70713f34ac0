"""Mini-batch descent against the textbook's loop over batches."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from sklearn_backprop import GDLinearRegression
from sklearn_backprop.exceptions import DivergenceError

_path = Path(__file__).parents[2] / "benchmarks" / "divergence.py"
_spec = importlib.util.spec_from_file_location("divergence", _path)
divergence = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(divergence)


def textbook(Z, Y, weight, rate, size, n_epochs, *, orders, alpha, momentum, nesterov):
    """Coefficients (k, m) after each epoch, intercept last."""
    Z = np.column_stack([Z, np.ones(len(Z))])
    mean = np.average(Y, axis=0, weights=weight)
    share_of_all = weight / weight.mean()
    theta = np.zeros((Z.shape[1], Y.shape[1]))
    theta[-1] = mean
    velocity = np.zeros_like(theta)
    path = []
    for order in orders[:n_epochs]:
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            share = share_of_all[rows, None] / len(rows)
            gradient = Z[rows].T @ (share * (Z[rows] @ theta - Y[rows]))
            gradient[:-1] += alpha[:, None] * theta[:-1]
            velocity = momentum * velocity - rate * gradient
            theta = theta + (
                momentum * velocity - rate * gradient if nesterov else velocity
            )
        path.append(theta.T)
    return np.array(path)


@pytest.fixture(params=[1, 2], ids=["one target", "two targets"])
def problem(request):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 4)) * [1.0, 2.0, 3.0, 1.0] + 1.0
    Y = X @ rng.normal(size=(4, 2)) + rng.normal(size=(50, 2))
    Y = Y[:, : request.param]
    return X, Y, rng.uniform(0.5, 2.0, size=50)


@pytest.mark.parametrize("scaling", ["standard", "minmax", None])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    "how",
    [{}, {"momentum": 0.8}, {"momentum": 0.8, "nesterov": True}, {"alpha": 0.1}],
)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_epochs_are_those_of_the_textbook(problem, scaling, shuffle, how, container):
    X, Y, weight = problem
    model = GDLinearRegression(
        batch_size=8,
        learning_rate_init=0.01,
        feature_scaling=scaling,
        shuffle=shuffle,
        random_state=3,
        max_iter=6,
        tol=0.0,
        alpha=how.get("alpha", 0.0),
        momentum=how.get("momentum", 0.0),
        nesterovs_momentum=how.get("nesterov", False),
        track_path=True,
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(container(X), Y, weight)
    mean = np.average(X, axis=0, weights=weight)
    scale, center = np.ones(4), np.zeros(4)
    if scaling == "standard":
        center = mean
        scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    elif scaling == "minmax":
        center, scale = X.min(axis=0), np.ptp(X, axis=0)
    if container is not np.asarray:
        center = np.zeros(4)
    rng = np.random.RandomState(3)
    orders = [rng.permutation(50) if shuffle else np.arange(50) for _ in range(6)]
    path = textbook(
        (X - center) / scale,
        Y,
        weight,
        0.01,
        8,
        6,
        orders=orders,
        alpha=how.get("alpha", 0.0) / scale**2,  # of coef = theta / scale
        momentum=how.get("momentum", 0.0),
        nesterov=how.get("nesterov", False),
    )
    np.testing.assert_allclose(model.coef_path_[1:], path[..., :-1] / scale, rtol=1e-10)
    residual = Y - model.predict(X)
    cost = weight @ (residual**2).sum(axis=1) / (2 * weight.sum())
    cost += how.get("alpha", 0.0) / 2 * (model.coef_**2).sum()
    np.testing.assert_allclose(model.loss_, cost, rtol=1e-10)
    assert model.n_iter_ == len(model.loss_curve_) == 6


def test_an_adaptive_step_comes_to_the_minimum():
    X, y = load_diabetes(return_X_y=True)
    exact = GDLinearRegression(solver="normal").fit(X, y)
    constant = GDLinearRegression(batch_size=32, random_state=0).fit(X, y)
    adaptive = GDLinearRegression(
        batch_size=32, random_state=0, learning_rate="adaptive"
    ).fit(X, y)
    assert exact.loss_ < adaptive.loss_ < 1.005 * exact.loss_
    assert adaptive.loss_ < constant.loss_ < 1.05 * exact.loss_
    assert adaptive.learning_rate_ < constant.learning_rate_


def test_a_batch_of_all_rows_is_full_batch_descent():
    X, y = load_diabetes(return_X_y=True)
    full = GDLinearRegression().fit(X, y)
    batch = GDLinearRegression(batch_size=len(y)).fit(X, y)
    np.testing.assert_array_equal(full.coef_, batch.coef_)


def test_the_same_seed_gives_the_same_bits():
    X, y = load_diabetes(return_X_y=True)
    fits = [
        GDLinearRegression(batch_size=16, random_state=s).fit(X, y) for s in (0, 0, 1)
    ]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)
    assert not np.array_equal(fits[0].coef_, fits[2].coef_)


def test_a_step_that_is_too_long_for_its_batches():
    X, y = load_diabetes(return_X_y=True)
    model = GDLinearRegression(batch_size=8, learning_rate_init=1.0, random_state=0)
    with pytest.raises(DivergenceError, match="curvature of mini-batches of 8 rows"):
        model.fit(X, y)
    assert model.n_iter_ <= 10


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"positive": True}, "positive=True .*Pass batch_size=None"),
        ({"alpha": 0.1, "l1_ratio": 0.5}, "soft threshold .*Pass batch_size=None"),
    ],
)
def test_what_batches_cannot_do(params, message):
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        GDLinearRegression(batch_size=8, **params).fit(X, y)


@pytest.mark.parametrize("seed", range(40))
def test_no_problem_diverges_at_the_default_step(seed):
    X, y, batch_size = divergence.draw_problem(seed)
    model = GDLinearRegression(batch_size=batch_size, random_state=seed, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it may hover
        model.fit(X, y)


@pytest.mark.once
@pytest.mark.parametrize(
    ("seed", "momentum"), [(5, "none"), (11, "classical"), (7, "nesterov")]
)
def test_steps_diverge_where_errors_grow(seed, momentum):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        judged = divergence.judge_limit(seed, momentum)
        names = {factor: name for factor, name, _ in judged}
    assert {names[0.5], names[0.8]} == {"quiet"}
    assert {names[1.25], names[2.0]} == {"found"}
    assert not {"missed", "false alarm"} & set(names.values())


@pytest.mark.once
@pytest.mark.parametrize(
    ("seed", "momentum", "rate"),
    [
        (20011, "none", 2.048),
        (20021, "classical", 1.024),
        (20089, "classical", 1.024),
        (20055, "nesterov", 1.024),
        (20092, "nesterov", 0.512),
    ],
)
def test_chance_does_not_outweigh_growth(seed, momentum, rate):
    # Near the limit a few dozen epochs tell little: an epoch multiplies errors by
    # factors that spread as widely as exp(1.5 N(0, 1)).
    X, y, batch_size = divergence.draw_problem(seed)
    settings = divergence.MOMENTA[momentum]
    growth, error = divergence.Products(X, batch_size, **settings).growth(rate, 200)
    assert abs(growth) > 5.0 * error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        settings = settings | {"learning_rate_init": rate, "max_iter": 300}
        called = divergence.diverges(X, y, batch_size, seed, **settings)
    assert called == (growth > 0)


def test_hovering_above_the_mean_is_said_and_cured():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 5)), rng.normal(size=100)
    params = {"batch_size": 8, "random_state": 0}
    with pytest.warns(ConvergenceWarning, match="above that of predicting the mean"):
        hovering = GDLinearRegression(**params).fit(X, y)
    assert hovering.score(X, y) < 0
    cured = GDLinearRegression(**params, learning_rate="adaptive").fit(X, y)
    assert cured.score(X, y) > 0


def test_an_adaptive_step_recovers_from_any_start():
    X, y = load_diabetes(return_X_y=True)
    model = GDLinearRegression(
        batch_size=32, learning_rate="adaptive", learning_rate_init=1e4, random_state=0
    ).fit(X, y)
    assert model.score(X, y) > 0.51
    assert np.isfinite(model.coef_).all()


def test_partial_fit_makes_one_epoch_of_a_block():
    X, y = load_diabetes(return_X_y=True)
    model = GDLinearRegression(batch_size=16, learning_rate_init=0.02, random_state=0)
    for _ in range(30):
        model.partial_fit(X[:200], y[:200])
        model.partial_fit(X[200:], y[200:])
    assert model.n_iter_ == 60
    assert model.score(X, y) > 0.49
