"""Linear regression on parts: the oracle is the fit of all rows in one process."""

import pickle
import subprocess
import sys

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn.base import clone

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    GDLinearRegression,
)
from sklearn_backprop.dask import DaskGDLinearRegression

pytestmark = pytest.mark.xdist_group("dask")


def problem(condition, n_rows=1200, n_features=8):
    """Rows of a condition number (of scaled columns about that), far from zero."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_features))
    X[:, 1] = X[:, 0] + X[:, 1] / condition
    X = X * np.logspace(0, 3, n_features) + 7
    Y = X @ rng.normal(size=(n_features, 2)) / np.logspace(0, 3, n_features).sum()
    weight = rng.uniform(0.5, 2.0, size=n_rows)
    weight[rng.choice(n_rows, 100, replace=False)] = 0.0
    weight[200:320] = 0.0  # a whole part
    return X, Y + rng.normal(size=Y.shape), weight


def in_parts(*arrays, sizes=(200, 120, 0, 380, 500)):
    """Dask arrays in parts, one of them empty."""
    return [
        da.from_array(a, chunks=(sizes, *((n,) for n in a.shape[1:]))) for a in arrays
    ]


def relative_error(model, oracle):
    return np.linalg.norm(model.coef_ - oracle.coef_) / np.linalg.norm(oracle.coef_)


@pytest.mark.parametrize(
    ("condition", "largest_error"), [(1, 1e-13), (5e2, 1e-13), (5e5, 1e-10)]
)
@pytest.mark.parametrize("params", [{}, {"fit_intercept": False}, {"positive": True}])
def test_normal_equation_equals_that_of_all_rows(
    client, params, condition, largest_error
):
    X, Y, weight = problem(condition)
    oracle = GDLinearRegression(solver="normal", **params).fit(X, Y, weight)
    model = DaskGDLinearRegression(solver="normal", **params)
    model.fit(*in_parts(X, Y, weight))
    assert relative_error(model, oracle) < largest_error
    assert model.solver_ == oracle.solver_
    assert model.rank_ == oracle.rank_
    np.testing.assert_allclose(model.intercept_, oracle.intercept_, rtol=1e-9)
    np.testing.assert_allclose(model.loss_, oracle.loss_, rtol=1e-9)
    np.testing.assert_allclose(
        model.condition_number_, oracle.condition_number_, rtol=1e-6
    )


@pytest.mark.parametrize(
    "params",
    [
        {"momentum": 0.9, "nesterovs_momentum": True},
        {"feature_scaling": "minmax", "track_path": True},
        {"feature_scaling": None, "fit_intercept": False, "learning_rate": "adaptive"},
        {"alpha": 0.1, "l1_ratio": 0.7},
        {"positive": True},
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_descent_takes_the_steps_of_all_rows(client, params):
    X, Y, weight = problem(3)
    oracle = GDLinearRegression(max_iter=300, **params).fit(X, Y, weight)
    model = DaskGDLinearRegression(max_iter=300, **params)
    model.fit(*in_parts(X, Y, weight))
    assert model.n_iter_ == oracle.n_iter_
    np.testing.assert_allclose(model.loss_curve_, oracle.loss_curve_, rtol=1e-10)
    np.testing.assert_allclose(model.coef_, oracle.coef_, rtol=1e-9, atol=1e-12)
    if "track_path" in params:
        np.testing.assert_allclose(
            model.coef_path_, oracle.coef_path_, rtol=1e-8, atol=1e-10
        )
    more = model.set_params(warm_start=True).fit(*in_parts(X, Y, weight))
    assert (
        len(more.loss_curve_) == more.n_iter_ > oracle.n_iter_ or oracle.n_iter_ < 300
    )


def test_the_same_bits_with_one_two_and_three_workers(client):
    parts = in_parts(*problem(100))

    def coefficients(client):
        model = DaskGDLinearRegression(solver="normal", client=client).fit(*parts)
        return model.coef_.tobytes()

    found = {coefficients(client)}
    for n_workers in (1, 3):
        with (
            LocalCluster(
                n_workers, 1, processes=False, dashboard_address=":0"
            ) as cluster,
            Client(cluster, set_as_default=False) as other,
        ):
            found.add(coefficients(other))
    assert len(found) == 1


def test_sparse_blocks_frames_and_unknown_sizes(client):
    X, Y, weight = problem(3)
    X[np.random.default_rng(0).uniform(size=X.shape) < 0.7] = 0.0
    oracle = GDLinearRegression(solver="normal").fit(X, Y[:, 0], weight)
    parts, y, w = in_parts(X, Y[:, 0], weight)
    csr = parts.map_blocks(sparse.csr_array, meta=sparse.csr_array((0, 8)))
    for table, targets, weights in (
        (csr, y, w),
        (parts[parts[:, 0] > -np.inf], y[parts[:, 0] > -np.inf], w),
    ):
        model = DaskGDLinearRegression(solver="normal").fit(table, targets, weights)
        assert relative_error(model, oracle) < 1e-13
        np.testing.assert_allclose(
            model.predict(table).compute(), oracle.predict(X), rtol=1e-12
        )
    frame = pd.DataFrame(X, columns=list("abcdefgh")).assign(y=Y[:, 0], w=weight)
    table = dd.from_pandas(frame, npartitions=4)
    table = table[table.a > -np.inf]  # a filter, before which nothing is known
    model = DaskGDLinearRegression(solver="normal")
    model.fit(table[list("abcdefgh")], table.y, table.w)
    assert relative_error(model, oracle) < 1e-13
    assert list(model.feature_names_in_) == list("abcdefgh")
    predicted = model.predict(table[list("abcdefgh")])
    np.testing.assert_allclose(predicted.compute(), oracle.predict(X), rtol=1e-12)
    assert model.score(table[list("abcdefgh")], table.y, table.w) == pytest.approx(
        oracle.score(X, Y[:, 0], weight), rel=1e-12
    )
    assert model.to_local().predict(frame[list("abcdefgh")]).shape == (1200,)


def test_float32_stays_float32(client):
    X, Y, _ = problem(1)
    X = X.astype(np.float32)
    oracle = GDLinearRegression(solver="normal").fit(X, Y)
    model = DaskGDLinearRegression(solver="normal").fit(*in_parts(X, Y))
    assert model.coef_.dtype == np.float32
    np.testing.assert_array_equal(model.coef_, oracle.coef_)
    assert model.predict(in_parts(X)[0]).dtype == model.predict(X).dtype


def test_parts_of_low_rank_take_the_least_coefficients(client):
    X, Y, _ = problem(1)
    X[:, 3] = X[:, 2]
    with pytest.warns(LinAlgWarning):
        oracle = GDLinearRegression(solver="normal").fit(X, Y)
    with pytest.warns(LinAlgWarning):
        model = DaskGDLinearRegression(solver="normal").fit(*in_parts(X, Y))
    assert model.rank_ == 7
    np.testing.assert_allclose(model.coef_, oracle.coef_, rtol=1e-9)


def test_the_plain_estimator_knows_no_client(client):
    X, Y, _ = problem(1)
    model = DaskGDLinearRegression(solver="normal", alpha=0.5, client=client)
    assert clone(model).client is client
    model.fit(*in_parts(X, Y))
    plain = pickle.loads(pickle.dumps(model.to_local()))
    assert type(plain) is GDLinearRegression
    assert plain.alpha == 0.5
    assert not hasattr(plain, "client")
    np.testing.assert_array_equal(plain.predict(X), model.predict(X))
    # It goes on where the parts ended.
    oracle = GDLinearRegression(solver="normal", alpha=0.5)
    oracle.fit(np.vstack([X, X[:50]]), np.vstack([Y, Y[:50]]))
    plain.partial_fit(X[:50], Y[:50])
    np.testing.assert_allclose(plain.coef_, oracle.coef_, rtol=1e-9)
    read = pickle.loads(pickle.dumps(model))
    assert read.client is None
    np.testing.assert_array_equal(read.coef_, model.coef_)


def test_what_does_not_belong_together_is_refused(client):
    X, Y, weight = problem(1)
    parts, y, w = in_parts(X, Y, weight)
    model = DaskGDLinearRegression(solver="normal")
    with pytest.raises(ValueError, match=r"X has 5 parts and y has 1"):
        model.fit(parts, da.from_array(Y, chunks=(-1, -1)))
    with pytest.raises(ValueError, match=r"rows in parts \[1, 3\]: part 1 of X has"):
        model.fit(parts, y, in_parts(weight, sizes=(200, 100, 0, 400, 500))[0])
    with pytest.raises(ValueError, match=r"2 chunks of columns.*rechunk\(\{1: -1\}\)"):
        model.fit(parts.rechunk({1: 4}), y)
    unknown = [a[a[:, 0] > -np.inf] for a in (parts, y)]
    shifted = in_parts(Y, sizes=(200, 120, 10, 370, 500))[0]
    with pytest.raises(ValueError, match=r"Part 2: its blocks differ in their rows"):
        model.fit(unknown[0], shifted[shifted[:, 0] > -np.inf])
    with pytest.raises(ValueError, match=r"Part 3: Input X contains NaN"):
        model.fit(da.where(parts == X[400, 0], np.nan, parts), y)
    ragged = parts.map_blocks(lambda b: b[:, len(b) == 120 :], dtype=float)
    with pytest.raises(ValueError, match="Parts 0 and 1 differ in columns of X"):
        model.fit(ragged, y)
    with pytest.raises(ValueError, match="None of the 5 parts"):
        model.fit(parts, y, 0 * w)
    with pytest.raises(ValueError, match="Part 0: sample_weight has negative"):
        model.fit(parts, y, -w)
    with pytest.raises(TypeError, match="y is a ndarray, not a Dask array"):
        model.fit(parts, Y)
    with pytest.raises(ValueError, match="8 rows of positive weight and 8 columns"):
        model.fit(da.from_array(X[:8], chunks=(4, -1)), da.from_array(Y[:8], 4))
    with pytest.raises(ValueError, match="batch_size=10 would ask"):
        DaskGDLinearRegression(batch_size=10).fit(parts, y)


@pytest.mark.parametrize(
    "Plain", [GDLinearRegression, BackpropMLPClassifier, BackpropMLPRegressor]
)
def test_plain_estimators_refuse_dask_collections(Plain):
    X = np.random.default_rng(0).normal(size=(20, 2))
    lazy, y = da.from_array(X, chunks=(5, -1)), (X[:, 0] > 0).astype(int)
    for model in (Plain(max_iter=2), type("Mine", (Plain,), {})(max_iter=2)):
        with pytest.raises(TypeError, match=f"X is a Dask Array.*Dask{Plain.__name__}"):
            model.fit(lazy, y)
        with pytest.raises(TypeError, match="y is a Dask Array"):
            model.fit(X, da.from_array(y))
    with pytest.warns(match="did not reach|Maximum iterations"):
        model.fit(X, y)
    with pytest.raises(TypeError, match=r"pass X.compute\(\)"):
        model.predict(lazy)


@pytest.mark.once
def test_that_refusal_does_not_import_dask_and_no_client_is_an_error():
    code = (
        "import sys, sklearn_backprop as s\n"
        "lazy = type('Array', (), {'__dask_graph__': None})()\n"
        "try: s.GDLinearRegression().fit(lazy, [1])\n"
        "except TypeError as e: assert 'DaskGDLinearRegression' in str(e)\n"
        "assert 'dask' not in sys.modules\n"
        "import dask.array as da\n"
        "from sklearn_backprop.dask import DaskGDLinearRegression\n"
        "X = da.ones((4, 2))\n"
        "try: DaskGDLinearRegression().fit(X, X[:, 0])\n"
        "except ValueError as e: assert 'there is no client' in str(e)\n"
        "else: raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
