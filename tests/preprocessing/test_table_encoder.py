"""The encoder of raw tables: data frames and arrays, categories, gaps, weights."""

import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import norm, rankdata
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import _get_feature_names

from sklearn_backprop.preprocessing import TableEncoder

CITIES = ["Wien", "Graz", None, "Wien", "Linz", "Graz"]
SIZES = [1.0, 2.5, 2.5, np.nan, 0.0, 7.0]


@parametrize_with_checks([TableEncoder()])
def test_sklearn_check(estimator, check):
    check(estimator)


FRAMES = {
    "pandas": lambda: pd.DataFrame({"size": SIZES, "city": CITIES}),
    "categories": lambda: pd.DataFrame({"size": SIZES, "city": pd.Categorical(CITIES)}),
    "nullable": lambda: pd.DataFrame(
        {"size": pd.array(SIZES, "Float64"), "city": pd.array(CITIES, "string")}
    ),
    "objects": lambda: pd.DataFrame({"size": SIZES, "city": CITIES}, dtype=object),
    "polars": lambda: pl.DataFrame({"size": SIZES, "city": CITIES}, strict=False),
    "polars null": lambda: pl.DataFrame(
        {"size": [None if x != x else x for x in SIZES], "city": CITIES}
    ),
    "polars categories": lambda: pl.DataFrame(
        {"size": SIZES, "city": CITIES}, schema_overrides={"city": pl.Categorical}
    ),
    "array": lambda: np.array([SIZES, CITIES], dtype=object).T,
    "lists": lambda: [list(row) for row in zip(SIZES, CITIES, strict=True)],
}


@pytest.mark.parametrize("kind", FRAMES)
def test_every_kind_of_table_reads_the_same(kind):
    X = FRAMES[kind]()
    encoder = TableEncoder().fit(X)
    score = {x: norm.ppf(p) for x, p in zip(
        [0.0, 1.0, 2.5, 7.0], [0.1, 0.3, 0.6, 0.9], strict=True
    )}  # fmt: skip
    expected = np.array([
        [score[1.0], score[2.5], score[2.5], np.nan, score[0.0], score[7.0]],
        [0, 0, 0, 1, 0, 0],
        [2, 0, 3, 2, 1, 0],  # Graz, Linz, Wien, missing
    ])  # fmt: skip
    np.testing.assert_allclose(encoder.transform(X), expected.T, rtol=1e-14)
    assert list(encoder.kinds_) == ["number", "category"]
    assert encoder.categories_[1].tolist() == ["Graz", "Linz", "Wien", None]
    names = ["size", "size_missing", "city"]
    if _get_feature_names(X) is None:  # scikit-learn 1.7 sees none in polars 2
        names = ["x0", "x0_missing", "x1"]
    assert encoder.get_feature_names_out().tolist() == names


def test_dtypes_say_what_is_a_category():
    X = pd.DataFrame({
        "truth": [True, False, True, True],
        "truth with gaps": pd.array([True, None, False, True], "boolean"),
        "counts": pd.array([1, None, 3, 2], "Int64"),
        "day": pd.to_datetime(["2020-01-01", "2020-01-03", None, "2020-01-02"]),
        "hour": pd.date_range("2020-01-01", periods=4, freq="h", tz="Europe/Vienna"),
        "date": [datetime.date(2020, 1, day) for day in (1, 1, 2, 3)],
        "grade": pd.Categorical([3, 1, 1, 2]),
        "mixed": ["a", 1, 1.5, "a"],
        "numbers": np.array([1, 2.5, None, 4], dtype=object),
    })  # fmt: skip
    encoder = TableEncoder().fit(X)
    assert dict(zip(X, encoder.kinds_, strict=True)) == {
        "truth": "binary", "truth with gaps": "category", "counts": "number",
        "day": "number", "hour": "number", "date": "category",
        "grade": "category", "mixed": "category", "numbers": "number",
    }  # fmt: skip
    assert encoder.n_categories_ == [3, 3, 3, 3]
    assert encoder.transform(X).shape == (4, 4 + 3 + 1 + 4)  # numbers, gaps, ...


def test_declared_categories():
    X = pd.DataFrame({"a": [1.0, 2.0, np.nan], "b": [3, 4, 5], "c": [1, 2, 1]})
    for declared in (["a"], [0], [True, False, False]):
        encoder = TableEncoder(declared).fit(X)
        assert list(encoder.kinds_) == ["category", "number", "binary"]
        np.testing.assert_array_equal(encoder.categories_[0], [1, 2, np.nan])
        np.testing.assert_array_equal(encoder.transform(X)[:, -1], [0, 1, 2])


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (["z"], r"names \['z'\], which are not columns"),
        ([7], r"places outside of \[0, 1\]"),
        ([-1], "places outside"),
        ([True], r"a mask of shape \(1,\), but X has 2"),
        ([0.5], "must be names, places or a mask"),
        (None, "'city' of X holds values that are no numbers, such as 'Wien'"),
        (["size"], "is not among categorical_features"),
    ],
)
def test_wrong_declarations(declared, message):
    with pytest.raises(ValueError, match=message):
        TableEncoder(declared).fit(FRAMES["pandas"]())


def test_a_common_value_has_a_score_in_the_middle_of_its_ranks():
    rng = np.random.default_rng(0)
    x = np.where(rng.random(20_000) < 0.92, 0.0, rng.lognormal(size=20_000))
    written = TableEncoder().fit_transform(x[:, None]).ravel()
    expected = norm.ppf((rankdata(x) - 0.5) / len(x))
    assert len(np.unique(x)) > 1500
    np.testing.assert_allclose(written[x == 0], expected[x == 0], rtol=1e-12)
    np.testing.assert_allclose(written, expected, atol=0.05)
    assert abs(written[x == 0][0]) < 0.12
    assert (np.diff(written[np.argsort(x)]) >= 0).all()


def test_new_values_lie_between_and_categories_count_as_none():
    encoder = TableEncoder().fit(FRAMES["pandas"]())
    new = pd.DataFrame(
        {"size": [1.75, -5, 99, None], "city": ["Bonn", None, "Graz", 3]}
    )
    got = encoder.transform(new)
    scores = norm.ppf([0.1, 0.3, 0.6, 0.9])
    np.testing.assert_allclose(
        got[:, 0], [(scores[1] + scores[2]) / 2, scores[0], scores[3], np.nan]
    )
    np.testing.assert_array_equal(got[:, 2], [-1, 3, 0, -1])


def test_gaps_that_fit_did_not_meet():
    X = pd.DataFrame({"x": [1.0, 2, 3, 4], "b": [0, 1, 1, 1], "c": list("aabb")})
    encoder = TableEncoder().fit(X)
    new = pd.DataFrame({"x": [np.nan], "b": [np.nan], "c": [None]})
    np.testing.assert_array_equal(encoder.transform(new), [[np.nan, 0.75, -1]])


def test_columns_that_hardly_vary_are_dropped():
    n = 30_000
    X = pd.DataFrame({
        "gap": np.full(n, np.nan), "constant": 3.0, "text": "same",
        "rounded": 0.1 + np.arange(n) % 2 * 1e-17 + 0.2 * (np.arange(n) % 2) * 1e-16,
        "two rows": np.arange(n) < 2, "four rows": np.arange(n) < 4,
        "present": np.where(np.arange(n) % 2, 1.0, np.nan),
    })  # fmt: skip
    encoder = TableEncoder().fit(X)
    assert list(encoder.kinds_) == ["dropped"] * 5 + ["binary", "category"]
    assert encoder.get_feature_names_out().tolist() == ["four rows", "present"]
    assert TableEncoder().fit(X[["gap"]]).transform(X[["gap"]]).shape == (n, 0)


def test_weights_are_repeated_rows():
    rng = np.random.default_rng(1)
    X = pd.DataFrame({
        "x": rng.normal(size=60), "b": rng.integers(2, size=60),
        "zeros": rng.normal(size=60) * rng.integers(2, size=60),
        "c": rng.choice(list("abc"), size=60),
    })  # fmt: skip
    X.loc[::7, "x"] = np.nan
    X.loc[5, "c"] = "without weight"
    weight = rng.integers(0, 4, size=60)
    weight[5] = 0
    weighted = TableEncoder().fit(X, sample_weight=weight)
    repeated = TableEncoder().fit(X.loc[X.index.repeat(weight)])
    np.testing.assert_allclose(
        weighted.transform(X), repeated.transform(X), rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(weighted.fills_, repeated.fills_)


def test_only_the_heaviest_categories_stay():
    x = np.array(list("aaabbcdde"), dtype=object)[:, None]
    encoder = TableEncoder(max_categories=2).fit(x)
    assert encoder.categories_[0].tolist() == ["a", "b"]
    assert encoder.transform(x).ravel().tolist() == [0, 0, 0, 1, 1, -1, -1, -1, -1]


def test_what_cannot_be_read():
    X = FRAMES["pandas"]()
    encoder = TableEncoder().fit(X)
    with pytest.raises(ValueError, match=r"'size' of X has 1 infinite .* in row 2"):
        TableEncoder().fit(X.assign(size=[1, 2, np.inf, 4, 5, 6]))
    with pytest.raises(
        ValueError, match=r"'size' .* held numbers in fit and now .* 'x'"
    ):
        encoder.transform(X.assign(size="x"))
    with pytest.raises(TypeError, match=r"'city' of X holds \{\}: .* string"):
        TableEncoder().fit(X.assign(city=[{}] * 6))
    with pytest.raises(ValueError, match="feature names should match"):
        encoder.transform(X[["city", "size"]])
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        TableEncoder().fit(X[:0])
    with pytest.raises(ValueError, match="zero"):
        TableEncoder().fit(X, sample_weight=np.zeros(6))
    with pytest.raises(ValueError, match="max_categories has 19 digits"):
        TableEncoder(max_categories=2**63).fit(X)
    for dtype in (int, "x", object):
        with pytest.raises(ValueError, match="does not hold quantiles and missing"):
            TableEncoder(dtype=dtype).fit(X)


def test_it_pickles_and_works_in_single_precision():
    X = FRAMES["pandas"]()
    encoder = TableEncoder(dtype=np.float32).fit(X)
    again = pickle.loads(pickle.dumps(encoder)).transform(X)
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, encoder.transform(X))


def test_ordered_categories_are_their_ranks():
    """The same scores as of the numbers 0, 1, 2, whatever is left unseen or unknown."""
    levels = ["poor", "fair", "good", "ideal"]
    seen = ["good", "poor", "fair", None, "good", "poor"]
    cut = pd.Categorical(seen, categories=levels, ordered=True)
    ranks = [2.0, 0.0, 1.0, np.nan, 2.0, 0.0]
    X = pd.DataFrame({"cut": cut, "plain": cut.as_unordered(), "rank": ranks})
    encoder = TableEncoder().fit(X)
    assert list(encoder.kinds_) == ["number", "category", "number"]
    assert encoder.orders_[0].tolist() == levels
    assert encoder.orders_[1:] == [None, None]
    written = encoder.transform(X)
    np.testing.assert_array_equal(written[:, 0], written[:, 1])
    new = pd.DataFrame({
        "cut": ["ideal", "fair", "odd"], "plain": "good", "rank": [3.0, 1.0, np.nan],
    })  # fmt: skip
    written = encoder.transform(new)
    np.testing.assert_array_equal(written[:, 0], written[:, 1])
    np.testing.assert_array_equal(np.isnan(written[:, 0]), [False, False, True])
    # Named as a category it is one.
    encoder = TableEncoder(["cut"]).fit(X[["cut", "rank"]])
    assert list(encoder.kinds_) == ["category", "number"]
    assert encoder.categories_[0].tolist() == ["fair", "good", "poor", None]
    # Two levels without gaps are 0 and 1, in their order.
    two = pd.DataFrame({"size": pd.Categorical(["s", "l", "s"], ["s", "l"], True)})
    assert TableEncoder().fit(two).kinds_ == ["binary"]
    assert TableEncoder().fit_transform(two).ravel().tolist() == [0, 1, 0]
