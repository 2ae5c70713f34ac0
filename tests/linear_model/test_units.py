"""Neither the units of columns nor those of weights change what is fitted."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn.datasets import load_diabetes
from sklearn.ensemble import BaggingRegressor

from sklearn_backprop import GDLinearRegression

CONTAINERS = [np.asarray, sparse.csr_array]
ROADS = [
    {"solver": "normal"},
    {"solver": "normal", "alpha": 0.1},
    {"solver": "gd"},
    {"solver": "gd", "feature_scaling": "minmax", "momentum": 0.9},
    {"solver": "gd", "batch_size": 16, "random_state": 0, "learning_rate": "adaptive"},
]


# --- units of columns
def draw_table(seed):
    """Rows, those rows in other units, targets, and whether to fit an intercept."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 30))
    p = int(rng.integers(n, 3 * n) if seed % 2 else rng.integers(3, n))
    X = rng.normal(size=(n, p))
    if seed % 3 == 0:
        X[:, 1] = X[:, 0]
    elif seed % 3 == 1:
        X[:, 0] = 3.7
    exponent = [3, 6, 9, 12, 30, 100][seed // 2 % 6]
    units = np.where(
        rng.random(p) < 0.5, 1.0, 10.0 ** rng.uniform(-exponent, exponent, size=p)
    )
    y = X @ rng.normal(size=p) + (seed % 5 == 0) * rng.normal(size=n)
    return X, X * units, y, bool(seed // 3 % 2)


def least_residual(X, y, fit_intercept):
    """Norm of the residual, rank and condition, from columns of unit norm."""
    if fit_intercept:
        X, y = X - X.mean(axis=0), y - y.mean()
    norms = np.linalg.norm(X, axis=0)
    X = X / np.where(norms > 1e-10, norms, np.inf)
    coef, _, rank, singular = np.linalg.lstsq(X, y, rcond=1e-12)
    return np.linalg.norm(y - X @ coef), rank, singular[0] / singular[rank - 1]


def fit_in_blocks(model, X, y):
    for start in range(0, len(y), 4):
        model.partial_fit(X[start : start + 4], y[start : start + 4])
    return model


@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("seed", range(72))
def test_no_unit_changes_the_rank_or_spoils_the_fit(seed, container):
    X, in_units, y, fit_intercept = draw_table(seed)
    best, rank, condition = least_residual(X, y, fit_intercept)
    data = container(in_units)
    models = [
        GDLinearRegression(solver="normal", fit_intercept=fit_intercept)
        for _ in range(2)
    ]
    for fitted in (models[0].fit(data, y), fit_in_blocks(models[1], data, y)):
        assert fitted.rank_ == rank
        terms = np.abs(in_units) @ np.abs(fitted.coef_) + np.abs(fitted.intercept_)
        assert terms.max() < 1e5 * condition * np.abs(y).max()
        rounding = 1e-14 * (len(y) * condition * np.linalg.norm(y) + terms.sum())
        assert np.linalg.norm(y - fitted.predict(data)) <= best + 10 * rounding


@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("spread", [0, 1, 2])
def test_the_least_norm_is_that_in_the_units_of_the_columns(spread, wide):
    rng = np.random.default_rng(spread)
    n, p = (8, 20) if wide else (20, 8)
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-spread, spread, size=p)
    X[:, 3] = 2 * X[:, 2] - X[:, 1]
    y = rng.normal(size=n)
    model = GDLinearRegression(solver="normal").fit(X, y)
    expected = np.linalg.pinv(X - X.mean(axis=0)) @ (y - y.mean())
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-8, atol=1e-10)
    model = fit_in_blocks(GDLinearRegression(solver="normal"), X, y)
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("is_weighted", [True, False])
@pytest.mark.parametrize("origin", [1e3, 1e6])
@pytest.mark.parametrize("shape", [(12, 30), (12, 12), (30, 12), (300, 700)])
def test_where_columns_begin_changes_only_the_intercept(
    shape, origin, is_weighted, container
):
    """Also where rows are given twice, with different targets."""
    rng = np.random.default_rng(0)
    X = rng.integers(-1000, 1000, size=shape) / 1024.0  # adding an integer is exact
    X[1::2] = X[::2]
    y = rng.normal(size=len(X))
    weight = rng.uniform(0.5, 2.0, size=len(X)) if is_weighted else None
    elsewhere = X + np.rint(origin * rng.normal(size=shape[1]))
    expected = GDLinearRegression(solver="normal").fit(X, y, weight)
    model = GDLinearRegression(solver="normal").fit(container(elsewhere), y, weight)
    assert model.rank_ == expected.rank_ == min(len(X) // 2 - 1, shape[1])
    # Sparse rows are multiplied where they lie.
    rounding = 1e-12 if container is np.asarray else 1e-14 * origin
    atol = rounding * expected.condition_number_ * np.abs(expected.coef_).max()
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=0, atol=atol)


@pytest.mark.parametrize("alpha", [1e-6, 1.0])
def test_a_ridge_of_few_rows_in_all_units(alpha):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, 20))
    units = np.where(np.arange(20) < 10, 1.0, 10.0 ** rng.uniform(-9, 9, size=20))
    y = rng.normal(size=8)
    model = GDLinearRegression(solver="normal", alpha=alpha).fit(X * units, y)
    centered = (X - X.mean(axis=0)) * units
    # At the minimum, X'(y - Xw) = n alpha w, column by column.
    residual = y - model.predict(X * units)
    terms = np.abs(centered).T @ np.abs(residual) + 8 * alpha * np.abs(model.coef_)
    slope = centered.T @ residual - 8 * alpha * model.coef_
    assert np.all(np.abs(slope) <= 1e-6 * terms + 1e-9 * np.abs(centered).max(axis=0))


# --- units of weights
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("road", ROADS)
def test_rows_without_weight_count_for_nothing(road, container):
    X, y = load_diabetes(return_X_y=True)
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.5, 2.0, size=len(y))
    left_out = rng.random(len(y)) < 0.4
    weight[left_out], X[left_out], y[left_out] = 0.0, 1e30, -1e30
    X = np.column_stack([X, left_out])  # constant where there is weight
    if road.get("batch_size") and container is sparse.csr_array:
        road = {**road, "feature_scaling": None}
    with_all = GDLinearRegression(**road, max_iter=300)
    without = GDLinearRegression(**road, max_iter=300)
    kept = ~left_out
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with_all.fit(container(X), y, weight)
        without.fit(container(X[kept]), y[kept], weight[kept])
    np.testing.assert_array_equal(with_all.coef_, without.coef_)
    np.testing.assert_array_equal(with_all.intercept_, without.intercept_)
    assert with_all.loss_ == without.loss_


@pytest.mark.parametrize("unit", [1e-300, 1e300, 5e-324])
@pytest.mark.parametrize("road", ROADS[:4])
def test_weights_have_no_unit(road, unit):
    X, y = load_diabetes(return_X_y=True)
    plain = GDLinearRegression(**road).fit(X, y)
    weighted = GDLinearRegression(**road).fit(X, y, np.full(len(y), unit))
    np.testing.assert_allclose(weighted.coef_, plain.coef_, rtol=1e-9)
    np.testing.assert_allclose(weighted.loss_, plain.loss_, rtol=1e-12)


@pytest.mark.parametrize("units", [(1e-300, 1e300), (1e300, 1e-300), (1e150, None)])
def test_blocks_of_heavy_and_light_rows_merge(units):
    X, y = load_diabetes(return_X_y=True)
    model = GDLinearRegression(solver="normal")
    halves = [slice(0, 200), slice(200, None)]
    for half, unit in zip(halves, units, strict=True):
        weight = None if unit is None else np.full(len(y[half]), unit)
        model.partial_fit(X[half], y[half], weight)
    heavy = halves[int(units[0] == 1e-300)]
    alone = GDLinearRegression(solver="normal").fit(X[heavy], y[heavy])
    np.testing.assert_allclose(model.coef_, alone.coef_, rtol=1e-9)
    np.testing.assert_allclose(model.intercept_, alone.intercept_, rtol=1e-12)


def test_a_light_block_still_counts():
    X, y = load_diabetes(return_X_y=True)
    model = GDLinearRegression(solver="normal")
    for half, unit in ((slice(0, 200), 2e-301), (slice(200, None), 3e-300)):
        model.partial_fit(X[half], y[half], np.full(len(y[half]), unit))
    weight = np.where(np.arange(len(y)) < 200, 2.0, 30.0)
    together = GDLinearRegression(solver="normal").fit(X, y, weight)
    np.testing.assert_allclose(model.coef_, together.coef_, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("solver", ["normal", "gd"])
def test_bagging_rare_one_hot_columns(solver, container):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(60, 3)), np.eye(60)[:, :5]])
    y = X[:, 0] + rng.normal(size=60)
    bagged = BaggingRegressor(GDLinearRegression(solver=solver), random_state=0)
    assert bagged.fit(container(X), y).score(container(X), y) > 0.3


# --- far from zero
@pytest.mark.parametrize("n_rows", [1, 3, 50])
def test_blocks_far_from_zero_keep_their_digits(n_rows):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3)).round(3) + 1e8
    y = (X - 1e8) @ [1.0, -2.0, 3.0] + 1e8
    model = GDLinearRegression(solver="normal").fit(X[:50], y[:50])
    for start in range(50, 100, n_rows):
        model.partial_fit(X[start : start + n_rows], y[start : start + n_rows])
    # y is rounded to 1.5e-8, and so may be 1e8 + 3 of X.
    expected = np.linalg.lstsq(
        X - X.mean(axis=0, dtype=np.longdouble).astype(float),
        y - y.mean(dtype=np.longdouble).astype(float),
        rcond=None,
    )[0]
    whole = GDLinearRegression(solver="normal").fit(X, y)
    np.testing.assert_allclose(whole.coef_, expected, rtol=1e-10)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-13)


def test_coefficients_outside_float32_are_an_error():
    X = np.linspace(1, 2, 20, dtype=np.float32)[:, None]
    for model in (GDLinearRegression(), GDLinearRegression(solver="normal")):
        with pytest.raises(ValueError, match=r"leave float32.* pass X as float64"):
            model.fit(X, np.linspace(1, 5, 20) * 1e50)


@pytest.mark.parametrize(
    "container", [np.array, sparse.csr_array, sparse.csc_array, sparse.coo_matrix]
)
def test_predictions_outside_the_floats_are_an_error(container):
    model = GDLinearRegression(solver="normal").fit([[0.0], [1.0]], [0.0, 1e10])
    with pytest.raises(ValueError, match=r"row 1 of X is not finite.*1e\+300"):
        model.predict(container([[1.0], [1e300]]))


def test_rank_short_data_say_so():
    X = np.ones((5, 2)) * np.arange(5)[:, None] * [1e9, 1e-9]
    with pytest.warns(LinAlgWarning, match="rank is 1"):
        model = GDLinearRegression(solver="normal").fit(X, np.arange(5.0))
    assert model.score(X, np.arange(5.0)) == pytest.approx(1.0)
