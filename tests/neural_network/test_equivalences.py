"""Different roads to the same network."""

import copy
import pickle
from itertools import product

import numpy as np
import pytest
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from problems import weights_of
from scipy.sparse import csc_array, csr_array, csr_matrix
from sklearn.datasets import load_iris, make_regression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

from sklearn_backprop.neural_network import BackpropMLPClassifier, BackpropMLPRegressor
from sklearn_backprop.neural_network._solvers import STOCHASTIC_SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y_CLASS = load_iris(return_X_y=True)
X = scale(X)
Y_NUMBER = scale(make_regression(150, 4, random_state=0)[1])
ESTIMATORS = [(BackpropMLPClassifier, Y_CLASS), (BackpropMLPRegressor, Y_NUMBER)]
VARIANTS = [
    {},
    {"normalization": "batch"},
    {"normalization": "layer", "residual": "add"},
    {"dropout": 0.2, "activation": "gelu"},
    {"residual": "concat", "learning_rate": "exponential"},
    {"learning_rate": "invscaling", "warmup_epochs": 3},
]
SMALL = {"hidden_layer_sizes": (6, 5), "random_state": 0, "max_iter": 6}


@pytest.mark.parametrize(("Estimator", "y"), ESTIMATORS)
@pytest.mark.parametrize(
    ("solver", "normalization"),
    [
        *product(STOCHASTIC_SOLVERS, [None, "batch", "layer"]),
        ("lbfgs", None),  # it makes no mini-batches to normalize
        ("lbfgs", "layer"),
    ],
)
def test_integer_weights_are_repeated_rows(Estimator, y, solver, normalization):
    counts = np.random.default_rng(0).integers(0, 4, size=len(y))
    model = Estimator(
        **SMALL, solver=solver, normalization=normalization, shuffle=False, alpha=0.5,
        batch_size=counts.sum(),
    )  # fmt: skip
    repeated = copy.deepcopy(model)
    repeated.fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    model.set_params(batch_size=len(y)).fit(X, y, sample_weight=counts)
    assert_allclose(model.loss_curve_, repeated.loss_curve_, rtol=1e-7)
    assert_allclose(
        model._forward(X, raw=True), repeated._forward(X, raw=True), atol=1e-5
    )


@pytest.mark.parametrize(("Estimator", "y"), ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("container", [csr_matrix, csr_array, csc_array])
def test_sparse_equals_dense(Estimator, y, variant, container):
    X_zeros = np.where(np.abs(X) < 0.5, 0, X)
    dense = Estimator(**SMALL, **variant).fit(X_zeros, y)
    sparse = Estimator(**SMALL, **variant).fit(container(X_zeros), y)
    assert_allclose(sparse.loss_curve_, dense.loss_curve_, rtol=1e-11)
    assert_allclose(
        sparse._forward(container(X_zeros), raw=True),
        dense._forward(X_zeros, raw=True),
        rtol=1e-9,
        atol=1e-10,
    )


@pytest.mark.parametrize(("Estimator", "y"), ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("solver", STOCHASTIC_SOLVERS)
def test_a_resumed_fit_is_an_uninterrupted_one(Estimator, y, variant, solver):
    settings = {**SMALL, **variant, "solver": solver}
    whole = Estimator(**settings).fit(X, y)
    halves = Estimator(**{**settings, "max_iter": 3}, warm_start=True)
    halves.fit(X, y)
    halves = pickle.loads(pickle.dumps(halves)).fit(X, y)
    steps = Estimator(**settings)
    for _ in range(6):
        classes = [] if Estimator is BackpropMLPRegressor else [np.unique(y)]
        steps.partial_fit(X, y, None, *classes)
    for other in (halves, steps):
        assert other.loss_curve_ == whole.loss_curve_
        assert_array_equal(weights_of(other), weights_of(whole))
        assert other.t_ == whole.t_ == 6 * len(y)
        for name, values in whole.gradient_history_.items():
            assert_array_equal(other.gradient_history_[name], values)


@pytest.mark.parametrize(("Estimator", "y"), ESTIMATORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_copies_have_views_of_their_own(Estimator, y, dtype, duplicate):
    model = Estimator(**SMALL, normalization="batch").fit(X.astype(dtype), y)
    twin = duplicate(model)
    before = weights_of(model)
    assert_array_equal(weights_of(twin), before)
    assert_array_equal(twin.predict(X), model.predict(X))
    twin.partial_fit(X, y)
    assert_array_equal(weights_of(model), before)
    assert not np.array_equal(weights_of(twin), before)
    assert all(np.shares_memory(W, twin._training.network.theta) for W in twin.coefs_)
    assert weights_of(twin).dtype == dtype
    model.partial_fit(X, y)
    assert_array_equal(weights_of(model), weights_of(twin))


@pytest.mark.parametrize(("Estimator", "y"), ESTIMATORS)
def test_assigned_weights_are_used(Estimator, y):
    model = Estimator(**SMALL).fit(X, y)
    other = Estimator(**{**SMALL, "random_state": 1}).fit(X, y)
    other.coefs_ = [W.copy() for W in model.coefs_]
    other.intercepts_[0] = model.intercepts_[0]
    other.intercepts_[1:] = list(model.intercepts_[1:])
    assert_array_equal(other.predict(X), model.predict(X))
    other.coefs_[0] *= 2  # in place
    model.coefs_[0] = 2 * model.coefs_[0]  # in its place
    assert_array_equal(other.predict(X), model.predict(X))
    reloaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(reloaded.coefs_[0], model.coefs_[0])


def test_weights_copied_from_another_model_train_on_their_own():
    model = BackpropMLPClassifier(**SMALL).fit(X, Y_CLASS)
    before = weights_of(model)
    other = BackpropMLPClassifier(**SMALL, warm_start=True)
    other.coefs_, other.intercepts_ = model.coefs_, model.intercepts_
    other.fit(X, Y_CLASS)
    assert not np.array_equal(weights_of(other), before)
    assert_array_equal(weights_of(model), before)
    model.predict(X)
    assert_array_equal(weights_of(model), before)
    assert all(np.shares_memory(W, other._training.network.theta) for W in other.coefs_)


def test_pickles_hold_the_weights_once():
    model = BackpropMLPClassifier(**SMALL).fit(X, Y_CLASS)
    assert not {"coefs_", "intercepts_"} & set(model.__getstate__())
    assert {"coefs_", "intercepts_"} <= set(vars(model))


def test_weights_of_another_shape_are_refused():
    model = BackpropMLPClassifier(**SMALL).fit(X, Y_CLASS)
    model.coefs_[1] = np.zeros((5, 6))
    with pytest.raises(ValueError, match=r"coefs_\[1\] has shape \(5, 6\), but this"):
        model.predict(X)


def test_a_list_of_another_length_is_refused():
    model = BackpropMLPClassifier(**SMALL).fit(X, Y_CLASS)
    model.intercepts_ = model.intercepts_[:2]
    with pytest.raises(ValueError, match="intercepts_ has 2 arrays, but this network"):
        model.predict(X)


@pytest.mark.parametrize("n_targets", [1, 3])
def test_several_targets_share_one_network(n_targets):
    y = make_regression(60, 4, n_targets=n_targets, random_state=0)[1] / 100
    model = BackpropMLPRegressor(**SMALL).fit(X[:60], y)
    assert model.predict(X).shape == ((150,) if n_targets == 1 else (150, 3))
    assert model.n_outputs_ == n_targets
    # The reported loss is half the mean squared error over rows and targets.
    start = BackpropMLPRegressor(**{**SMALL, "max_iter": 1}, alpha=0, batch_size=60)
    start.set_params(learning_rate_init=1e-300).fit(X[:60], y)
    residual = start.predict(X[:60]) - y
    assert_allclose(start.loss_, (residual**2).mean() / 2, rtol=1e-12)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1.0, 1: 3.0, 2: 0.5}])
def test_class_weight_is_a_sample_weight(class_weight):
    from sklearn.utils.class_weight import compute_sample_weight

    rows = np.r_[0:50, 50:70, 100:140]
    X_some, y_some = X[rows], Y_CLASS[rows]
    weight = compute_sample_weight(class_weight, y_some)
    by_row = BackpropMLPClassifier(**SMALL).fit(X_some, y_some, weight)
    by_class = BackpropMLPClassifier(**SMALL, class_weight=class_weight)
    by_class.fit(X_some, y_some)
    assert_allclose(by_class.loss_curve_, by_row.loss_curve_, rtol=1e-12)


def test_balanced_counts_weights_and_not_rows():
    counts = 1 + np.arange(150) % 3
    model = BackpropMLPClassifier(
        **SMALL, class_weight="balanced", batch_size=1000, shuffle=False
    )
    with pytest.warns(UserWarning, match="Got `batch_size` less than 1 or larger"):
        model.fit(X, Y_CLASS, sample_weight=counts)
    repeated = copy.deepcopy(model).set_params(batch_size=counts.sum())
    repeated.fit(np.repeat(X, counts, axis=0), np.repeat(Y_CLASS, counts))
    assert_allclose(model.loss_curve_, repeated.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_parallel_searches_give_the_sequential_result(backend):
    grid = {"learning_rate_init": [0.001, 0.01], "activation": ["relu", "tanh"]}
    search = GridSearchCV(BackpropMLPClassifier(**SMALL), grid, cv=2)
    expected = search.fit(X, Y_CLASS).cv_results_["mean_test_score"]
    from joblib import parallel_config

    with parallel_config(backend, n_jobs=2):
        search = GridSearchCV(BackpropMLPClassifier(**SMALL), grid, cv=2)
        search.fit(X, Y_CLASS)
    assert_array_equal(search.cv_results_["mean_test_score"], expected)


def test_threads_can_fit_at_the_same_time():
    def fit(seed):
        model = BackpropMLPClassifier(**{**SMALL, "random_state": seed})
        return weights_of(model.fit(X, Y_CLASS))

    together = Parallel(n_jobs=4, backend="threading")(
        delayed(fit)(seed) for seed in range(8)
    )
    for seed, weights in enumerate(together):
        assert_array_equal(weights, fit(seed))


def test_weights_travel_through_a_pipeline_and_a_search():
    import sklearn
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with sklearn.config_context(enable_metadata_routing=True):
        model = BackpropMLPClassifier(**SMALL).set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, model)
        pipeline.fit(X, Y_CLASS, sample_weight=np.arange(150.0))
    expected = BackpropMLPClassifier(**SMALL)
    expected.fit(StandardScaler().fit_transform(X), Y_CLASS, np.arange(150.0))
    assert_array_equal(weights_of(pipeline[-1]), weights_of(expected))


def test_feature_order_does_not_matter():
    order = [2, 0, 3, 1]
    model = BackpropMLPClassifier(**SMALL, warm_start=True)
    model.set_params(max_iter=1).fit(X, Y_CLASS)
    mixed = copy.deepcopy(model)
    mixed.coefs_[0] = mixed.coefs_[0][order]
    mixed._training.optimizer = model._training.optimizer = None
    for net, rows in ((model, X), (mixed, X[:, order])):
        net.set_params(max_iter=5).fit(rows, Y_CLASS)
    assert_allclose(mixed.loss_curve_, model.loss_curve_, rtol=1e-11)


def test_two_threads_are_one_thread_to_rounding():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((2000, 30))
    target = rows[:, 0] * rows[:, 1]
    curves = []
    for n_threads in (1, 2, 2):
        model = BackpropMLPRegressor(
            (128, 64), normalization="batch", batch_size=1000, max_iter=4,
            random_state=0,
        )  # fmt: skip
        with threadpool_limits(n_threads):
            curves.append(model.fit(rows, target).loss_curve_)
    assert_allclose(curves[1], curves[0], rtol=1e-9)
    assert curves[1] == curves[2]
