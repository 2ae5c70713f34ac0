"""The encoder of bins against formulas, scikit-learn and its own inverse."""

import numpy as np
import pytest
from reference_tables import passed_shares
from scipy.stats import norm, rankdata
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_backprop.preprocessing import PiecewiseLinearEncoder


@parametrize_with_checks(
    [PiecewiseLinearEncoder(), PiecewiseLinearEncoder(4, bins="tree")]
)
def test_sklearn_check(estimator, check):
    check(estimator)


@pytest.fixture(name="X")
def make_table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    X[:, 1] = np.where(rng.random(500) < 0.92, 0.0, rng.lognormal(size=500))
    X[:, 2] = rng.integers(5, size=500)
    return X


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_shares_are_those_of_the_reference(X, dtype):
    encoder = PiecewiseLinearEncoder(7).fit(X.astype(dtype))
    new = (3 * np.random.default_rng(1).normal(size=(50, 3))).astype(dtype)
    expected = [
        passed_shares(new[:, j].astype(float), edges.astype(float))
        for j, edges in enumerate(encoder.bin_edges_)
    ]
    got = encoder.transform(new)
    assert got.dtype == dtype
    rtol = 1e-13 if dtype is np.float64 else 1e-4
    np.testing.assert_allclose(got, np.hstack(expected), rtol=rtol, atol=rtol)
    assert len(encoder.get_feature_names_out()) == got.shape[1]


def test_bins_of_distinct_values_are_quantiles_of_rows(X):
    encoder = PiecewiseLinearEncoder(8).fit(X[:, :1])
    expected = np.quantile(X[:, 0], np.linspace(0, 1, 9))
    np.testing.assert_allclose(encoder.bin_edges_[0], expected, rtol=1e-12)


def test_a_frequent_value_leaves_edges_for_the_others(X):
    encoder = PiecewiseLinearEncoder(16).fit(X)
    assert (encoder.bin_edges_[1] > 0).sum() >= 10
    np.testing.assert_array_equal(encoder.bin_edges_[2], np.arange(5))
    plain = np.unique(np.quantile(X[:, 1], np.linspace(0, 1, 17)))
    assert (plain > 0).sum() <= 2


def normal_quantiles(x):
    """What presets bin: scores of middle ranks."""
    return norm.ppf((rankdata(x) - 0.5) / len(x))


def spiky(name, n=4000):
    """Columns as censuses have them, most of whose rows share values."""
    rng = np.random.default_rng(0)
    if name == "gains":  # 92 % zeros, then some hundred sums, a few of them common
        sums = np.unique(rng.lognormal(8, 1, 118).round())
        often = rng.choice(sums, n, p=rng.dirichlet(np.full(len(sums), 0.5)))
        return np.where(rng.random(n) < 0.92, 0.0, often)
    if name == "changes":  # zeros amid numbers that all differ
        return np.where(rng.random(n) < 0.92, 0.0, rng.normal(size=n))
    return rng.choice([40.0, 35.0, *range(1, 99)], n, p=[0.5, 0.2, *[0.3 / 98] * 98])


@pytest.mark.parametrize("name", ["gains", "changes", "hours"])
@pytest.mark.parametrize("scale", [np.asarray, normal_quantiles])
def test_values_that_most_rows_share_stand_alone(name, scale):
    """An edge on either side of them, and most edges for the other rows."""
    x = scale(spiky(name))
    (edges,) = PiecewiseLinearEncoder(48).fit(x[:, None]).bin_edges_
    assert len(edges) == 49
    assert (np.diff(edges) > 0).all()
    values, counts = np.unique(x, return_counts=True)
    for place in np.flatnonzero(counts > 0.1 * len(x)):
        below, above = (
            values[max(place - 1, 0)],
            values[min(place + 1, len(values) - 1)],
        )
        for low, high in ((below, values[place]), (values[place], above)):
            is_between = (low <= edges) & (edges <= high)
            assert low == high or is_between.any()
    common = values[counts.argmax()]
    others = values[values != common]
    in_bins = np.histogram(others, edges)[0]
    assert (in_bins > 0).sum() >= 24
    assert in_bins.max() < 0.2 * len(others)


def test_weights_are_repeated_rows(X):
    weight = np.random.default_rng(2).integers(0, 4, size=len(X))
    a = PiecewiseLinearEncoder(9).fit(X, sample_weight=weight)
    b = PiecewiseLinearEncoder(9).fit(np.repeat(X, weight, axis=0))
    for edges, others in zip(a.bin_edges_, b.bin_edges_, strict=True):
        np.testing.assert_allclose(edges, others, rtol=1e-12)


def test_edges_of_a_tree_are_its_splits(X):
    y = np.sin(2 * X[:, 0])
    encoder = PiecewiseLinearEncoder(6, bins="tree", min_samples_leaf=20).fit(X, y)
    tree = DecisionTreeRegressor(
        max_leaf_nodes=6, min_samples_leaf=20, random_state=0
    ).fit(X[:, :1].astype(np.float32), y)
    splits = np.sort(tree.tree_.threshold[tree.tree_.feature >= 0])
    np.testing.assert_allclose(encoder.bin_edges_[0][1:-1], splits, rtol=1e-6)
    labels = (y > 0).astype(str)
    PiecewiseLinearEncoder(6, bins="tree").fit(X, labels, sample_weight=X[:, 2])


def test_a_linear_model_learns_what_is_piecewise_linear():
    x = np.linspace(0, 3, 301)
    y = np.where(x < 1, 2 * x, np.where(x < 2, 2 - (x - 1), 1 + 4 * (x - 2)))
    model = make_pipeline(PiecewiseLinearEncoder(3), LinearRegression())
    np.testing.assert_allclose(
        model.fit(x[:, None], y).predict(x[:, None]), y, atol=1e-13
    )


def test_narrow_bins_merge_and_constant_columns_have_one():
    x = np.concatenate([[0.0, 1e-9, 2e-9, 1.0], np.full(4, 0.5)])
    wide = PiecewiseLinearEncoder(50).fit(np.stack([x, np.full(8, 3.0)], axis=1))
    np.testing.assert_array_equal(wide.bin_edges_[0], [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(wide.bin_edges_[1], [3.0, 6.0])
    near = (1e6 + np.arange(20) / 16).astype(np.float32)[:, None]
    edges = PiecewiseLinearEncoder(50).fit(near).bin_edges_[0]
    assert np.all(np.diff(edges) > 0)


def test_errors_say_what_to_do(X):
    with pytest.raises(ValueError, match="its edges are the splits of trees"):
        PiecewiseLinearEncoder(bins="tree").fit(X)
    with pytest.raises(ValueError, match="Scale it first"):
        PiecewiseLinearEncoder().fit([[-1.7e308], [1.7e308]])
    with pytest.raises(ValueError, match=r"sums to zero|at least one non-zero"):
        PiecewiseLinearEncoder().fit(X, sample_weight=np.zeros(len(X)))
    with pytest.raises(ValueError, match="contains NaN"):
        PiecewiseLinearEncoder().fit([[np.nan], [1.0]])
    with pytest.raises(ValueError, match="n_bins has 19 digits"):
        PiecewiseLinearEncoder(2**63).fit(X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        PiecewiseLinearEncoder(bins="tree").fit(X, X[1:, 0], np.ones(len(X)))


def test_trees_read_the_targets_of_rows_with_weight(X):
    rows = {"sample_weight": np.arange(len(X)) % 2, "y": X[:, 0]}
    encoder = PiecewiseLinearEncoder(bins="tree").fit(X, **rows)
    of_half = PiecewiseLinearEncoder(bins="tree").fit(X[1::2], X[1::2, 0])
    np.testing.assert_array_equal(encoder.transform(X), of_half.transform(X))
    of_all = PiecewiseLinearEncoder(bins="tree").fit(X, X[:, 0], 2.0)
    plain = PiecewiseLinearEncoder(bins="tree").fit(X, X[:, 0])
    np.testing.assert_array_equal(of_all.transform(X), plain.transform(X))
