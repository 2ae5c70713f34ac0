"""The exact road against NIST, exact arithmetic and the peers."""

import json
import math
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, sparse
from scipy.linalg import LinAlgWarning
from sklearn.linear_model import LinearRegression, Ridge

from sklearn_backprop import GDLinearRegression

NIST = json.loads((Path(__file__).parents[1] / "data/nist_strd.json").read_text())
# Correct digits of the worst coefficient; what the rounding of the inputs to double
# leaves attainable is at most 0.2 above (NoInt and Wampler: all digits).
NIST_DIGITS = {
    "Norris": 13.9,
    "Pontius": 13.4,
    "NoInt1": 15,
    "NoInt2": 15,
    "Filip": 7.4,
    "Longley": 14.5,
    "Wampler1": 15,
    "Wampler2": 13,
    "Wampler3": 15,
    "Wampler4": 15,
    "Wampler5": 15,
}


def exact_coefficients(X, y):
    """Intercept and coefficients of least squares in rational arithmetic."""
    rows = [[Fraction(1), *(Fraction(float(v)) for v in row)] for row in X]
    targets = [Fraction(float(v)) for v in y]
    size = len(rows[0])
    system = [
        [sum(row[i] * row[j] for row in rows) for j in range(size)]
        + [sum(row[i] * t for row, t in zip(rows, targets, strict=True))]
        for i in range(size)
    ]
    for k in range(size):
        pivot = next(i for i in range(k, size) if system[i][k] != 0)
        system[k], system[pivot] = system[pivot], system[k]
        for i in range(size):
            if i != k and system[i][k] != 0:
                factor = system[i][k] / system[k][k]
                system[i] = [
                    a - factor * b for a, b in zip(system[i], system[k], strict=True)
                ]
    return [system[i][size] / system[i][i] for i in range(size)]


def correct_digits(found, exact):
    """Digits of the worst coefficient; 17 where all agree to the last bit."""
    errors = [
        abs((Fraction(float(a)) - b) / b) for a, b in zip(found, exact, strict=True)
    ]
    worst = max(errors)
    return 17.0 if worst == 0 else -math.log10(worst)


def assert_close(actual, expected, rtol=1e-8):
    scale = np.max(np.abs(expected))
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize("name", NIST_DIGITS)
def test_nist_reference_sets(name):
    reference = NIST[name]
    X = np.array(reference["X"])
    if reference["model"] == "poly":
        # NumPy's powers may round on processors with AVX-512; these products are exact.
        X = np.cumprod(np.repeat(X, reference["degree"], axis=1), axis=1)
    model = GDLinearRegression(
        solver="normal", fit_intercept=reference["fit_intercept"]
    )
    model.fit(X, np.array(reference["y"]))
    found = list(model.coef_)
    if reference["fit_intercept"]:
        found = [model.intercept_, *found]
    exact = [Fraction(text) for text in reference["exact_coef"]]
    assert correct_digits(found, exact) >= NIST_DIGITS[name]


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8, 1e12, 1e14])
def test_an_offset_costs_no_digits_that_the_data_hold(offset):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)) + offset  # rounded here: these are the data
    y = (X - offset) @ [1.0, -2.0, 3.0] + rng.normal(size=40)
    model = GDLinearRegression(solver="normal").fit(X, y)
    exact = exact_coefficients(X, y)
    assert correct_digits(model.coef_, exact[1:]) > 14.5
    assert correct_digits([model.intercept_], exact[:1]) > 14.5


def test_large_data_with_an_offset_need_no_refinement_pass():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120_000, 10))
    y = X @ rng.normal(size=10) + rng.normal(size=120_000)
    plain = GDLinearRegression(solver="normal").fit(X, y)
    moved = GDLinearRegression(solver="normal").fit(X + 2.0**26, y)
    # Adding 2**26 rounds X to 27 bits behind the point: that is all that may change.
    assert_close(moved.coef_, plain.coef_, rtol=1e-7)
    X_moved = (X + 2.0**26) - 2.0**26
    again = GDLinearRegression(solver="normal").fit(X_moved, y)
    assert_close(moved.coef_, again.coef_, rtol=1e-12)


def test_large_tables_lose_no_digits_to_their_condition():
    """The same rows three times have the coefficients of a small table, refined."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40_000, 10))
    X[:, 1] = X[:, 0] + X[:, 1] / 100
    y = X @ rng.normal(size=10) + rng.normal(size=40_000)
    once = GDLinearRegression(solver="normal").fit(X, y)
    assert 100 < once.condition_number_ < 300
    thrice = GDLinearRegression(solver="normal").fit(np.tile(X, (3, 1)), np.tile(y, 3))
    assert_close(thrice.coef_, once.coef_, rtol=1e-13)


@st.composite
def problems(draw):
    """X, y and weights of a well-posed random problem."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_features = draw(st.integers(1, 8))
    n_samples = draw(st.integers(n_features + 3, 60))
    scale = 10.0 ** rng.uniform(-3, 3, size=n_features)
    X = rng.normal(size=(n_samples, n_features)) * scale + scale * rng.normal(
        size=n_features
    )
    y = X @ (rng.normal(size=n_features) / scale) + rng.normal(size=n_samples)
    return X, y, rng.uniform(0.5, 2.0, size=n_samples)


@given(problems(), st.booleans())
@settings(max_examples=50, deadline=None)
def test_agrees_with_linear_regression(problem, fit_intercept):
    X, y, weight = problem
    ours = GDLinearRegression(solver="normal", fit_intercept=fit_intercept)
    theirs = LinearRegression(tol=0, fit_intercept=fit_intercept)
    ours.fit(X, y, weight)
    theirs.fit(X, y, weight)
    scale = X.std(axis=0)
    assert_close(ours.coef_ * scale, theirs.coef_ * scale)
    assert_close(ours.predict(X), theirs.predict(X))


@given(problems(), st.sampled_from([1e-6, 1e-2, 1.0, 100.0]))
@settings(max_examples=50, deadline=None)
def test_agrees_with_ridge(problem, alpha):
    X, y, weight = problem
    ours = GDLinearRegression(solver="normal", alpha=alpha).fit(X, y, weight)
    theirs = Ridge(alpha=alpha * weight.sum(), solver="svd").fit(X, y, weight)
    scale = X.std(axis=0)
    assert_close(ours.coef_ * scale, theirs.coef_ * scale)


@given(problems())
@settings(max_examples=50, deadline=None)
def test_agrees_with_nnls(problem):
    X, y, weight = problem
    ours = GDLinearRegression(solver="normal", positive=True).fit(X, y, weight)
    root = np.sqrt(weight)[:, None]
    centred = root * (X - np.average(X, axis=0, weights=weight))
    target = root[:, 0] * (y - np.average(y, weights=weight))
    scale = np.linalg.norm(centred, axis=0)
    expected = optimize.nnls(centred / scale, target)[0]
    assert ours.solver_ == "nnls"
    assert_close(ours.coef_ * scale, expected)


@given(problems(), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_equivalences(problem, seed):
    X, y, _ = problem
    rng = np.random.default_rng(seed)
    weight = rng.integers(0, 4, size=len(y))
    weight[: X.shape[1] + 2] += 1
    model = GDLinearRegression(solver="normal").fit(X, y, weight)
    scale = X.std(axis=0)
    repeated = GDLinearRegression(solver="normal").fit(
        np.repeat(X, weight, axis=0), np.repeat(y, weight)
    )
    assert_close(repeated.coef_ * scale, model.coef_ * scale)
    order = rng.permutation(X.shape[1])
    shuffled = GDLinearRegression(solver="normal").fit(X[:, order], y, weight)
    assert_close((shuffled.coef_ * scale[order]), (model.coef_ * scale)[order])
    filled = GDLinearRegression(solver="normal").fit(sparse.csr_array(X), y, weight)
    assert_close(filled.coef_ * scale, model.coef_ * scale)


# Short rank


@pytest.fixture
def full():
    rng = np.random.default_rng(3)
    return rng.normal(size=(30, 4)), rng.normal(size=(30, 2))


def deficient(kind, X):
    rng = np.random.default_rng(4)
    return {
        "duplicate": lambda: np.column_stack([X, X[:, 1]]),
        "dependent": lambda: np.column_stack([X, 3 * X[:, 0] - 1e3 * X[:, 2]]),
        "constant": lambda: np.column_stack([X, np.full(len(X), 0.1)]),
        "zero": lambda: np.column_stack([X, np.zeros(len(X))]),
        "one hot": lambda: np.column_stack([X, np.eye(3)[np.arange(len(X)) % 3]]),
        "wide": lambda: rng.normal(size=(len(X), 50)) + 10.0,
        "square": lambda: rng.normal(size=(len(X), len(X))),
        "wide with duplicate rows": lambda: np.repeat(
            rng.normal(size=(15, 50)), 2, axis=0
        ),
    }[kind]()


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(
    "kind",
    [
        "duplicate",
        "dependent",
        "constant",
        "zero",
        "one hot",
        "wide",
        "square",
        "wide with duplicate rows",
    ],
)
def test_short_rank_gives_the_minimum_norm_solution(
    kind, container, fit_intercept, full
):
    X, Y = full
    X = deficient(kind, X)
    theirs = LinearRegression(tol=1e-12, fit_intercept=fit_intercept).fit(X, Y)
    model = GDLinearRegression(solver="normal", fit_intercept=fit_intercept)
    if theirs.rank_ < X.shape[1]:
        with pytest.warns(LinAlgWarning, match=f"rank is {theirs.rank_} for"):
            model.fit(container(X), Y)
        assert model.solver_ == "pinv"
    else:
        model.fit(container(X), Y)
    assert model.rank_ == theirs.rank_
    assert_close(model.coef_, theirs.coef_)
    assert_close(model.intercept_, theirs.intercept_)


def test_units_do_not_decide_the_rank(full):
    X, Y = full
    scale = np.array([1e-9, 1.0, 1e9, 1e4])
    model = GDLinearRegression(solver="normal").fit(X * scale, Y)
    assert model.rank_ == 4
    expected = GDLinearRegression(solver="normal").fit(X, Y)
    np.testing.assert_allclose(model.coef_ * scale, expected.coef_, rtol=1e-10)


def test_a_single_sample_and_an_effective_one():
    with pytest.warns(LinAlgWarning):
        model = GDLinearRegression(solver="normal").fit([[1.0, 2.0]], [3.0])
    assert model.predict([[1.0, 2.0]]) == [3.0]
    with pytest.warns(LinAlgWarning):
        weighted = GDLinearRegression(solver="normal").fit(
            [[1.0, 2.0], [5.0, 1.0], [0.0, 7.0]], [3.0, 4.0, 5.0], [0.0, 2.0, 0.0]
        )
    assert weighted.rank_ == 0
    np.testing.assert_allclose(weighted.predict([[5.0, 1.0]]), [4.0])


def test_ridge_with_more_columns_than_rows(full):
    X, Y = full
    X = deficient("wide", X)
    for alpha in (1e-12, 1e-3, 10.0):
        ours = GDLinearRegression(solver="normal", alpha=alpha).fit(X, Y)
        theirs = Ridge(alpha=alpha * len(Y), solver="svd").fit(X, Y)
        assert_close(ours.coef_, theirs.coef_)


# The road taken


@pytest.mark.parametrize(
    ("spread", "solver"), [(1.0, "cholesky"), (1e-3, "cholesky"), (1e-7, "qr")]
)
def test_the_condition_decides_the_road(spread, solver):
    rng = np.random.default_rng(0)
    base = rng.normal(size=(50, 1))
    X = np.hstack([base, base + spread * rng.normal(size=(50, 1))])
    model = GDLinearRegression(solver="normal").fit(X, X @ [1.0, 2.0] + 1.0)
    assert model.solver_ == solver
    singular = np.linalg.svd(
        (X - X.mean(axis=0)) / (X - X.mean(axis=0)).std(axis=0), compute_uv=False
    )
    assert 0.4 < model.condition_number_ / (singular[0] / singular[-1]) < 2.5
    assert_close(model.coef_, [1.0, 2.0], rtol=1e-7)


def test_loss_is_the_cost_at_the_solution(full):
    X, Y = full
    weight = np.linspace(0.5, 2.0, len(Y))
    model = GDLinearRegression(solver="normal", alpha=0.3).fit(X, Y, weight)
    squares = weight @ (Y - model.predict(X)) ** 2
    cost = squares.sum() / (2 * weight.sum()) + 0.15 * (model.coef_**2).sum()
    np.testing.assert_allclose(model.loss_, cost, rtol=1e-12)


def test_memory_stays_below_a_tenth_of_the_data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100_000, 30))
    y = X @ rng.normal(size=30)
    model = GDLinearRegression(solver="normal").fit(X[:100], y[:100])
    tracemalloc.start()
    model.fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.1 * X.nbytes


def test_sparse_data_are_not_filled():
    X = sparse.random(200_000, 100, density=0.01, format="csr", random_state=0)
    y = np.asarray(X @ np.arange(100.0)).ravel() + 1.0
    model = GDLinearRegression(solver="normal")
    tracemalloc.start()
    model.fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * X.shape[0] * X.shape[1] * 8
    assert_close(model.coef_, np.arange(100.0))
