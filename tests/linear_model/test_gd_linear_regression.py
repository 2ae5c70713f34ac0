"""GDLinearRegression as scikit-learn's users meet it."""

import os
import pickle
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import scipy
import sklearn
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.fixes import parse_version

from sklearn_backprop import GDLinearRegression
from sklearn_backprop.exceptions import DivergenceError

SOLVERS = ["gd", "normal"]
SCALINGS = ["standard", "minmax", None]


@parametrize_with_checks(
    [
        GDLinearRegression(),
        GDLinearRegression(feature_scaling="minmax", alpha=0.1, l1_ratio=0.5),
        GDLinearRegression(feature_scaling=None, momentum=0.9, nesterovs_momentum=True),
        GDLinearRegression(positive=True),
        GDLinearRegression(learning_rate="adaptive", fit_intercept=False),
        GDLinearRegression(solver="normal"),
        GDLinearRegression(solver="normal", feature_scaling=None, alpha=0.1),
        GDLinearRegression(solver="normal", feature_scaling="minmax", positive=True),
    ]
)
@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_convention(estimator, check):
    check(estimator)


@pytest.mark.skipif(
    parse_version(scipy.__version__) < parse_version("1.14"),
    reason="scikit-learn takes other arrays only with SciPy 1.14 and up",
)
def test_scikit_learn_convention_with_the_array_api_switched_on():
    # SciPy reads the variable at its import, hence a process of its own.
    code = """
import warnings
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn_backprop import GDLinearRegression
warnings.simplefilter("ignore")
for solver in ("gd", "normal"):
    for scaling in ("standard", "minmax", None):
        model = GDLinearRegression(solver=solver, feature_scaling=scaling)
        for model, check in estimator_checks_generator(model):
            if "array_api" in check.func.__name__:
                check(model)
                print(check.func.__name__, "passed")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("check_array_api_input passed") == 6


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


@pytest.fixture(scope="module")
def problem():
    """Well-posed rows, two targets, weights."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)) * [1.0, 10.0, 0.1, 3.0] + [0.0, 5.0, -1.0, 100.0]
    Y = X @ rng.normal(size=(4, 2)) + rng.normal(size=(60, 2))
    return X, Y, rng.uniform(0.5, 2.0, size=60)


def assert_same_model(a, b, rtol=1e-8):
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(a.intercept_, b.intercept_, rtol=rtol, atol=rtol)


# What comes in


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_fit_leaves_its_inputs_alone(solver, container):
    rng = np.random.default_rng(0)
    X, Y, weight = (
        rng.normal(size=(12, 3)),
        rng.normal(size=(12, 2)),
        rng.uniform(size=12),
    )
    X_in, Y_in, weight_in = container(X.copy()), Y.copy(), weight.copy()
    GDLinearRegression(solver=solver).fit(X_in, Y_in, weight_in)
    X_out = X_in.toarray() if sparse.issparse(X_in) else X_in
    np.testing.assert_array_equal(X_out, X)
    np.testing.assert_array_equal(Y_in, Y)
    np.testing.assert_array_equal(weight_in, weight)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_memory_layout_is_immaterial(solver, scaling, problem):
    X, Y, weight = problem
    X = X - X.mean(axis=0)
    model = GDLinearRegression(solver=solver, feature_scaling=scaling, max_iter=20)
    model.set_params(tol=0.0)
    with pytest.warns(ConvergenceWarning) if solver == "gd" else nullcontext():
        expected = clone(model).fit(X, Y, weight)
        for layout in (
            np.asfortranarray(X),
            np.repeat(X, 2, axis=1)[:, ::2],
            X[::-1].copy()[::-1],
            sparse.csr_array(X),
        ):
            assert_same_model(clone(model).fit(layout, Y, weight), expected, rtol=1e-11)


@pytest.mark.parametrize("solver", SOLVERS)
def test_read_only_memory_mapped_data(solver, problem, tmp_path):
    X, Y, _ = problem
    path = tmp_path / "X.npy"
    np.save(path, X)
    mapped = np.load(path, mmap_mode="r")
    assert_same_model(
        GDLinearRegression(solver=solver).fit(mapped, Y),
        GDLinearRegression(solver=solver).fit(X, Y),
    )


@pytest.mark.parametrize("solver", SOLVERS)
def test_float32_is_kept_and_computed_in_double(solver, diabetes):
    X, y = (part.astype(np.float32) for part in diabetes)
    single = GDLinearRegression(solver=solver).fit(X, y)
    double = GDLinearRegression(solver=solver).fit(X.astype(float), y.astype(float))
    assert single.coef_.dtype == single.predict(X).dtype == np.float32
    np.testing.assert_allclose(single.coef_, double.coef_, rtol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_pandas_names_are_kept(solver, diabetes):
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = GDLinearRegression(solver=solver).fit(X, y)
    assert list(model.feature_names_in_) == list(X.columns)
    unnamed = GDLinearRegression(solver=solver).fit(*diabetes)
    np.testing.assert_allclose(
        model.predict(X), unnamed.predict(diabetes[0]), rtol=1e-9
    )
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X[X.columns[::-1]])


@pytest.mark.parametrize("solver", SOLVERS)
def test_shapes_follow_the_targets(solver, problem):
    X, Y, _ = problem
    single = GDLinearRegression(solver=solver).fit(X, Y[:, 0])
    column = GDLinearRegression(solver=solver).fit(X, Y[:, :1])
    both = GDLinearRegression(solver=solver).fit(X, Y)
    assert single.coef_.shape == (4,)
    assert np.ndim(single.intercept_) == 0
    assert column.coef_.shape == (1, 4)
    assert column.intercept_.shape == (1,)
    assert both.coef_.shape == (2, 4)
    assert both.predict(X).shape == Y.shape
    np.testing.assert_allclose(both.coef_[0], single.coef_, rtol=1e-7)
    free = GDLinearRegression(solver=solver, fit_intercept=False).fit(X, Y)
    assert free.intercept_ == 0.0


# Messages


@pytest.mark.parametrize(
    ("params", "fit_params", "error", "message"),
    [
        ({"solver": "newton"}, {}, ValueError, "The 'solver' parameter"),
        ({"learning_rate_init": 0}, {}, ValueError, "'learning_rate_init' parameter"),
        (
            {"learning_rate_init": "fast"},
            {},
            ValueError,
            "'learning_rate_init' parameter",
        ),
        ({"momentum": 1.0}, {}, ValueError, "The 'momentum' parameter"),
        (
            {"feature_scaling": "robust"},
            {},
            ValueError,
            "The 'feature_scaling' parameter",
        ),
        ({"max_iter": 0}, {}, ValueError, "The 'max_iter' parameter"),
        ({"alpha": -1.0}, {}, ValueError, "The 'alpha' parameter"),
        (
            {"solver": "normal", "alpha": 1.0, "l1_ratio": 0.5},
            {},
            ValueError,
            "cannot minimise an L1 penalty .*Pass l1_ratio=0 for ridge, or solver='gd'",
        ),
        ({}, {"sample_weight": np.zeros(442)}, ValueError, "zero"),
        ({}, {"sample_weight": -np.ones(442)}, ValueError, "[Nn]egative values"),
        ({}, {"sample_weight": np.ones(3)}, ValueError, "sample_weight.shape"),
    ],
)
@pytest.mark.parametrize("solver", SOLVERS)
def test_wrong_inputs_are_refused_with_a_reason(
    solver, params, fit_params, error, message, diabetes
):
    model = GDLinearRegression(**{"solver": solver, **params})
    with pytest.raises(error, match=message):
        model.fit(*diabetes, **fit_params)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_and_infinite_numbers_are_refused(solver, value, diabetes):
    X, y = diabetes
    X = X.copy()
    X[3, 2] = value
    with pytest.raises(ValueError, match="Input X contains"):
        GDLinearRegression(solver=solver).fit(X, y)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_numbers_whose_squares_leave_double_precision_are_refused(solver, size):
    X = np.arange(20.0).reshape(10, 2) ** 2 * [1.0, size]
    with pytest.raises(ValueError, match=r"column 1 .*Rescale"):
        GDLinearRegression(solver=solver).fit(X, np.arange(10.0))


def test_sparse_data_are_refused_only_by_nnls(problem):
    X, Y, _ = problem
    with pytest.raises(TypeError, match="dense data is required"):
        GDLinearRegression(solver="normal", positive=True).fit(sparse.csr_array(X), Y)
    GDLinearRegression(positive=True).fit(sparse.csr_array(X), Y)


def test_one_warning_where_the_coefficients_are_not_determined():
    X = np.column_stack([np.arange(6.0), np.arange(6.0)])
    with pytest.warns(LinAlgWarning, match="rank is 1 for 2 features") as record:
        GDLinearRegression(solver="normal").fit(X, np.arange(6.0))
    assert len(record) == 1
    assert record[0].filename == __file__


# Living with scikit-learn


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_survives_steps_that_diverge(n_jobs, diabetes):
    steps = [1e-4, 0.3, 0.6, 5.0]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), GDLinearRegression(max_iter=300)),
        {"gdlinearregression__learning_rate_init": steps},
        cv=3,
        n_jobs=n_jobs,
    )
    with pytest.warns() as record:
        search.fit(*diabetes)
    assert {w.category for w in record} <= {
        FitFailedWarning,
        ConvergenceWarning,
        UserWarning,
    }
    assert search.best_params_ == {"gdlinearregression__learning_rate_init": 0.3}
    scores = search.cv_results_["mean_test_score"]
    assert list(np.isnan(scores)) == [False, False, True, True]


@pytest.mark.parametrize("solver", SOLVERS)
def test_pipeline_and_cross_validation_agree_with_linear_regression(solver, diabetes):
    X, y = diabetes
    ours = make_pipeline(PolynomialFeatures(1), GDLinearRegression(solver=solver))
    theirs = make_pipeline(PolynomialFeatures(1), LinearRegression())
    with pytest.warns(LinAlgWarning) if solver == "normal" else nullcontext():
        # PolynomialFeatures adds a constant column: the rank is one short.
        scores = cross_val_score(ours, X, y)
    np.testing.assert_allclose(scores, cross_val_score(theirs, X, y), rtol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_clone_pickle_and_further_training(solver, problem):
    X, Y, weight = problem
    model = GDLinearRegression(solver=solver, alpha=0.01).fit(X, Y, weight)
    again = clone(model)
    assert not hasattr(again, "coef_")
    assert_same_model(again.fit(X, Y, weight), model, rtol=0.0)
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.predict(X), model.predict(X))
    assert_same_model(
        restored.partial_fit(X, Y, weight), model.partial_fit(X, Y, weight), rtol=0.0
    )


def test_same_data_give_the_same_bits(diabetes):
    for solver in SOLVERS:
        first = GDLinearRegression(solver=solver).fit(*diabetes)
        second = GDLinearRegression(solver=solver).fit(*diabetes)
        np.testing.assert_array_equal(first.coef_, second.coef_)


def test_a_second_fit_forgets_the_first(diabetes):
    X, y = diabetes
    model = GDLinearRegression(track_path=True).fit(X, y)
    model.set_params(solver="normal").fit(X[:, :3], y)
    assert model.coef_.shape == (3,)
    assert not hasattr(model, "gradient_norm_curve_")
    assert not hasattr(model, "coef_path_")
    assert model.solver_ == "cholesky"


def test_divergence_error_is_a_value_error(diabetes):
    with pytest.raises(ValueError, match="largest stable step") as caught:
        GDLinearRegression(learning_rate_init=1.0).fit(*diabetes)
    assert caught.type is DivergenceError


def test_metadata_routing_of_sample_weight(diabetes):
    X, y = diabetes
    weight = np.arange(len(y)) % 3 + 1.0
    with sklearn.config_context(enable_metadata_routing=True):
        model = GDLinearRegression(solver="normal").set_fit_request(sample_weight=True)
        pipeline = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False), model
        )
        pipeline.fit(X, y, sample_weight=weight)
    direct = GDLinearRegression(solver="normal").fit(
        StandardScaler().fit_transform(X), y, weight
    )
    assert_same_model(pipeline[-1], direct)


def test_pandas_output_and_series_targets():
    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [0.0, 1.0, 0.5]})
    target = pd.Series([1.0, 2.0, 3.0], name="y")
    assert GDLinearRegression(solver="normal").fit(frame, target).coef_.shape == (2,)


def printed(capsys, **settings):
    """Fit with verbose; give the model, and its lines as step and figures."""
    X, y = load_diabetes(return_X_y=True)
    model = GDLinearRegression(**settings).fit(X, y)
    lines = []
    for line in capsys.readouterr().out.splitlines():
        step, *rest = line.split(", ")
        figures = dict(part.removesuffix(" s").split(" = ") for part in rest)
        lines.append((step, {name: float(value) for name, value in figures.items()}))
    return model, lines


def check_figures(model, lines):
    for step, figures in lines:
        i = int(step.split()[1]) - 1
        assert list(figures) == ["loss", "gradient norm", "time"]
        np.testing.assert_allclose(figures["loss"], model.loss_curve_[i], atol=1e-8)
        norm = model.gradient_norm_curve_[i]
        np.testing.assert_allclose(figures["gradient norm"], norm, rtol=1e-3)


def test_verbose_prints_ever_rarer_iterations_and_the_last(capsys):
    model, lines = printed(capsys, verbose=1, tol=1e-4)
    steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
    steps = [step for step in steps if step < model.n_iter_] + [model.n_iter_]
    assert [step for step, _ in lines] == [f"Iteration {step}" for step in steps]
    check_figures(model, lines)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("settings", "step"),
    [
        ({"verbose": 2}, "Iteration"),
        ({"verbose": 1, "batch_size": 100, "random_state": 0}, "Epoch"),
    ],
)
def test_verbose_prints_every(settings, step, capsys):
    model, lines = printed(capsys, max_iter=6, **settings)
    assert [name for name, _ in lines] == [f"{step} {i}" for i in range(1, 7)]
    check_figures(model, lines)
