"""Learning from blocks of rows."""

import pickle
from itertools import product

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from sklearn_backprop import GDLinearRegression
from sklearn_backprop.engine import _engine


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 5)) * [1, 10, 0.1, 1, 1] + [0, 1e4, 0, 5, 0]
    Y = X @ rng.normal(size=(5, 2)) + rng.normal(size=(90, 2))
    return X, Y, rng.uniform(0.0, 2.0, size=90)


def fit_blocks(model, blocks, X, Y, weight, container=np.asarray):
    for block in blocks:
        model.partial_fit(container(X[block]), Y[block], weight[block])
    return model


# The first blocks have too few rows.
@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
@pytest.mark.parametrize(
    ("params", "container"),
    [
        *product(
            [{}, {"alpha": 0.1}, {"fit_intercept": False}],
            [np.asarray, sparse.csr_array],
        ),
        ({"positive": True}, np.asarray),  # nnls takes dense data
    ],
)
def test_normal_blocks_in_any_order_are_all_rows_together(params, container, rows):
    X, Y, weight = rows
    model = GDLinearRegression(solver="normal", **params)
    whole = GDLinearRegression(solver="normal", **params).fit(X, Y, weight)
    blocks = np.split(np.arange(90), [2, 3, 40])
    for order in (blocks, blocks[::-1]):
        model = GDLinearRegression(solver="normal", **params)
        fit_blocks(model, order, X, Y, weight, container)
        np.testing.assert_allclose(model.predict(X), whole.predict(X), rtol=1e-10)
        np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(model.loss_, whole.loss_, rtol=1e-9)
        assert model.rank_ == whole.rank_ == 5


@pytest.mark.parametrize("params", [{}, {"alpha": 0.1}])
def test_partial_fit_goes_on_where_fit_ended(params, rows):
    X, Y, weight = rows
    model = GDLinearRegression(solver="normal", **params).fit(
        X[:50], Y[:50], weight[:50]
    )
    model = pickle.loads(pickle.dumps(model))
    model.partial_fit(X[50:], Y[50:], weight[50:])
    whole = GDLinearRegression(solver="normal", **params).fit(X, Y, weight)
    np.testing.assert_allclose(model.predict(X), whole.predict(X), rtol=1e-10)


def test_partial_fit_refuses_what_it_cannot_add_to(rows):
    X, Y, _ = rows
    by_descent = GDLinearRegression().fit(X, Y).set_params(solver="normal")
    with pytest.raises(ValueError, match="keeps no factor"):
        by_descent.partial_fit(X, Y)
    with pytest.warns(LinAlgWarning):
        wide = GDLinearRegression(solver="normal").fit(X[:4], Y[:4])
    with pytest.raises(ValueError, match="keeps no factor"):
        wide.partial_fit(X, Y)


@pytest.mark.parametrize("solver", ["gd", "normal"])
def test_a_block_with_other_targets_or_features_is_refused(solver, rows):
    X, Y, _ = rows
    model = GDLinearRegression(solver=solver).partial_fit(X, Y)
    coef = model.coef_.copy()
    with pytest.raises(ValueError, match=r"fitted to 2 target\(s\)"):
        model.partial_fit(X, Y[:, 0])
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, :2], Y)
    np.testing.assert_array_equal(model.coef_, coef)


@pytest.mark.parametrize("scaling", ["standard", "minmax"])
def test_descent_by_blocks_comes_close_to_all_rows(scaling):
    X, y = load_diabetes(return_X_y=True)
    model = GDLinearRegression(feature_scaling=scaling)
    blocks = np.array_split(np.random.default_rng(0).permutation(len(y)), 4)
    for _ in range(300):
        for block in blocks:
            model.partial_fit(X[block], y[block])
    exact = GDLinearRegression(solver="normal").fit(X, y)
    assert model.score(X, y) > exact.score(X, y) - 0.02
    assert model.n_iter_ == len(model.loss_curve_) == 1200


def test_one_pass_on_the_same_rows_is_one_iteration_of_fit():
    X, y = load_diabetes(return_X_y=True)
    passes = GDLinearRegression(track_path=True, feature_scaling=None)
    for _ in range(5):
        passes.partial_fit(X, y)
    whole = GDLinearRegression(track_path=True, feature_scaling=None, max_iter=5)
    with pytest.warns(match="did not reach"):
        whole.fit(X, y)
    np.testing.assert_allclose(passes.coef_path_, whole.coef_path_, rtol=1e-9)


def test_single_rows_do_not_diverge():
    X, y = load_diabetes(return_X_y=True)
    model = GDLinearRegression()
    for i in range(100):
        model.partial_fit(X[[i]], y[[i]])
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("solver", ["gd", "normal"])
def test_a_changed_intercept_is_refused(solver):
    X, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30.0)
    model = GDLinearRegression(solver=solver).partial_fit(X, y)
    with pytest.raises(ValueError, match="go on with fit_intercept=False"):
        model.set_params(fit_intercept=False).partial_fit(X, y)


def test_a_changed_feature_scaling_is_refused():
    X, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30.0)
    model = GDLinearRegression().partial_fit(X, y)
    with pytest.raises(ValueError, match="go on with feature_scaling='minmax'"):
        model.set_params(feature_scaling="minmax").partial_fit(X, y)


def test_rows_before_a_warm_descent_cannot_be_merged():
    X, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30.0)
    model = GDLinearRegression(solver="normal").fit(X[:10], y[:10])
    model.set_params(solver="gd", warm_start=True).fit(X[10:20], y[10:20])
    with pytest.raises(ValueError, match="keeps no factor"):
        model.set_params(solver="normal").partial_fit(X[20:], y[20:])


def merged_at_random(models, rng):
    """All models merged two by two, in a tree that chance draws."""
    models = list(models)
    while len(models) > 1:
        mine, other = models.pop(rng.integers(len(models))), models.pop()
        models.insert(rng.integers(len(models) + 1), mine.merge(other))
    return models[0]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("params", [{}, {"alpha": 0.1}, {"fit_intercept": False}])
def test_a_hundred_parts_merged_in_any_tree_are_the_whole_table(params, method):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(3000, 5)) * [1, 10, 0.1, 1, 1] + [0, 1e4, 0, 5, 0]
    Y = X @ rng.normal(size=(5, 2)) + rng.normal(size=(3000, 2))
    weight = rng.uniform(0.0, 2.0, size=3000) * 1e5 ** rng.integers(2, size=3000)
    ends = np.sort(rng.choice(np.arange(1, 300), size=99, replace=False)) * 10
    parts = np.split(rng.permutation(3000), ends)
    models = []
    for part in parts:
        model = GDLinearRegression(solver="normal", **params)
        getattr(model, method)(X[part], Y[part], weight[part])
        models.append(pickle.loads(pickle.dumps(model)))
    model = merged_at_random(models, rng)
    whole = GDLinearRegression(solver="normal", **params).fit(X, Y, weight)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-9)
    np.testing.assert_allclose(model.predict(X), whole.predict(X), rtol=1e-11)
    np.testing.assert_allclose(model.loss_, whole.loss_, rtol=1e-7)
    assert (model.solver_, model.rank_) == (whole.solver_, 5) or method == "partial_fit"


def test_merge_takes_moments_and_factors_together(rows):
    X, Y, weight = rows
    whole = GDLinearRegression(solver="normal", positive=True).fit(X, Y, weight)
    few = GDLinearRegression(solver="normal", alpha=5.0)
    few.partial_fit(X[:3], Y[:3], weight[:3])
    rest = GDLinearRegression(solver="normal").fit(X[3:], Y[3:], weight[3:])
    for one, two in ((few, rest), (rest, few)):
        model = pickle.loads(pickle.dumps(one)).set_params(positive=True, alpha=0.0)
        before = two.coef_.copy()
        model.merge(two)
        np.testing.assert_array_equal(two.coef_, before)
        np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-8, atol=1e-9)
        assert model.solver_ == "nnls"


def test_merge_refuses_what_it_cannot_put_together(rows):
    X, Y, _ = rows
    model = GDLinearRegression(solver="normal").fit(X, Y)
    with pytest.raises(ValueError, match=r"The other model keeps no summary"):
        model.merge(GDLinearRegression().fit(X, Y))
    with pytest.raises(TypeError, match="not LinearRegression"):
        model.merge(LinearRegression().fit(X, Y))
    for other, why in (
        (GDLinearRegression(solver="normal").fit(X[:, :4], Y), "n_features_in_ 5"),
        (GDLinearRegression(solver="normal").fit(X, Y[:, 0]), r"shape \(2, 5\), the"),
        (
            GDLinearRegression(solver="normal", fit_intercept=False).fit(X, Y),
            "fit_intercept True, the other with False",
        ),
    ):
        with pytest.raises(ValueError, match=why):
            model.merge(other)


def test_sums_of_residuals_merge_and_pickle():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(50, 3)) + 1e6, rng.normal(size=(50, 2))
    coef, intercept = rng.normal(size=(2, 3)), rng.normal(size=2)

    def summed(rows):
        sums = _engine.ResidualSums(3, 2)
        sums.add(X[rows], Y[rows], None, coef, intercept, 1)
        return pickle.loads(pickle.dumps(sums))

    whole, parts = summed(slice(None)), summed(slice(20))
    parts.merge(summed(slice(20, None)))
    mean = X.mean(axis=0), np.zeros(3)
    # Double-double: the order of the rows does not show.
    np.testing.assert_array_equal(parts.gradient(*mean), whole.gradient(*mean))
    np.testing.assert_array_equal(parts.residual, whole.residual)
    np.testing.assert_array_equal(parts.squares, whole.squares)
    with pytest.raises(ValueError, match="same features"):
        parts.merge(_engine.ResidualSums(2, 2))
