"""Mini-batch descent against the textbook's loop over batches."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from sklearn_backprop import GDLinearRegression
from sklearn_backprop.exceptions import DivergenceError


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


def draw_problem(seed):
    """A table, weak or strong in signal, and what to fit it with."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(20, 200)), int(rng.integers(1, 8))
    X = rng.normal(size=(n, p)) @ rng.normal(size=(p, p))
    if seed % 5 == 0:
        X[:, 0] = 1.0
    if seed % 7 == 0:
        X = X**3  # heavy tails: few rows have most of the curvature
    y = rng.choice([0.0, 0.3, 3.0]) * (X @ rng.normal(size=p)) + rng.normal(size=n)
    return X, y, int(rng.integers(1, n // 2))


def growth_per_epoch(X, batch_size, rate, momentum, nesterov, n_epochs=150):
    """Logarithm of how far errors grow in an epoch, by the recursion in plain NumPy."""
    Z = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
    Z = np.column_stack([Z, np.ones(len(Z))])
    rng = np.random.default_rng(1)
    error, velocity = rng.normal(size=Z.shape[1]), np.zeros(Z.shape[1])
    logarithms = []
    for _ in range(n_epochs):
        order = rng.permutation(len(Z))
        for start in range(0, len(Z), batch_size):
            rows = Z[order[start : start + batch_size]]
            step = -rate * (rows.T @ (rows @ error)) / len(rows)
            velocity = momentum * velocity + step
            error = error + (momentum * velocity + step if nesterov else velocity)
        size = np.hypot(np.linalg.norm(error), np.linalg.norm(velocity))
        logarithms.append(np.log(size))
        error, velocity = error / size, velocity / size
    return np.mean(logarithms[n_epochs // 2 :])


@pytest.mark.parametrize("seed", range(40))
def test_no_problem_diverges_at_the_default_step(seed):
    X, y, batch_size = draw_problem(seed)
    model = GDLinearRegression(batch_size=batch_size, random_state=seed, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it may hover
        model.fit(X, y)


@pytest.mark.once
@pytest.mark.parametrize("how", [{}, {"momentum": 0.7}, {"momentum": 0.7, "n": True}])
@pytest.mark.parametrize("seed", range(5))
def test_steps_diverge_where_errors_grow(seed, how):
    momentum, nesterov = how.get("momentum", 0.0), how.get("n", False)
    X, y, batch_size = draw_problem(seed)
    rate, answers = 4e-3, set()
    while rate < 1e3 and len(answers) < 2:
        growth = growth_per_epoch(X, batch_size, rate, momentum, nesterov)
        model = GDLinearRegression(
            batch_size=batch_size,
            learning_rate_init=rate,
            momentum=momentum,
            nesterovs_momentum=nesterov,
            random_state=seed,
            max_iter=300,
        )
        if abs(growth) > 0.1 or growth < 0:  # else chance decides
            answers.add(growth > 0)
            if growth > 0:
                with pytest.raises(DivergenceError):
                    model.fit(X, y)
            else:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    model.fit(X, y)
        rate *= 2
    assert answers == {True, False}


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
