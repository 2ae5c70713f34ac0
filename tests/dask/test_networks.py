"""Networks on shards: the oracle is the fit of all rows in one process."""

import inspect
import pickle

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from sklearn.utils import shuffle

from sklearn_backprop import BackpropMLPClassifier, BackpropMLPRegressor
from sklearn_backprop.dask import DaskBackpropMLPClassifier, DaskBackpropMLPRegressor
from sklearn_backprop.dask._rounds import OUTER
from sklearn_backprop.exceptions import DivergenceError

pytestmark = [
    pytest.mark.once,
    pytest.mark.xdist_group("dask"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X_IRIS, Y_IRIS = shuffle(*load_iris(return_X_y=True), random_state=0)
X_IRIS = scale(X_IRIS)
X_NUMBERS, Y_NUMBERS = load_diabetes(return_X_y=True)
Y_NUMBERS = np.column_stack([Y_NUMBERS / 100, X_NUMBERS[:, 0]])
SIZES = {150: (60, 0, 40, 50), 442: (200, 42, 100, 100)}
NET = {"hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0, "batch_size": 16}
ONE = {"n_shards": 1, "rounds_per_epoch": 1}
LABELS, NUMBERS = (X_IRIS, Y_IRIS), (X_NUMBERS, Y_NUMBERS)
WEIGHT = np.random.default_rng(0).integers(0, 4, size=150).astype(float)
# What makes a case of its own -> classifiers and their parameters, or regressors.
CASES = {
    "adam": (True, {}),
    "sgd": (True, {"solver": "sgd", "learning_rate": "coslog", "shuffle": False}),
    "float32": (True, {"dtype": np.float32, "clip": 1.0, "track_gradients": "batch"}),
    "regularized": (True, {"normalization": "batch", "dropout": 0.3, "alpha": 0.1}),
    "balanced": (True, {"class_weight": "balanced", "weighted": True}),
    "by class": (True, {"class_weight": {0: 0.0, 2: 3.0}, "weighted": True}),
    "targets": (False, {"solver": "adamw", "activation": "tanh"}),
    "embedded": (False, {"numerical_embedding": "piecewise_linear", "n_members": 2}),
}


def in_parts(*arrays):
    """Dask arrays in parts, one of them empty for the iris."""
    return [
        da.from_array(a, chunks=(SIZES[len(a)], *((n,) for n in a.shape[1:])))
        for a in arrays
    ]


def models(is_classifier, **params):
    """An estimator of one process and one on Dask, with the same parameters."""
    plain, sharded = (
        (BackpropMLPClassifier, DaskBackpropMLPClassifier)
        if is_classifier
        else (BackpropMLPRegressor, DaskBackpropMLPRegressor)
    )
    own = {
        name: params.pop(name)
        for name in ("n_shards", "rounds_per_epoch", "outer")
        if name in params
    }
    params = {**NET, **params}
    return plain(**params), sharded(**params, **own)


def assert_same_fit(model, oracle):
    """All arrays and numbers that a fit has set are the same, to the last bit."""
    for name, value in vars(oracle).items():
        if name.endswith("_") and not name.startswith("_"):
            np.testing.assert_equal(getattr(model, name), value, err_msg=name)
    np.testing.assert_equal(model.gradient_history_, oracle.gradient_history_)


@pytest.mark.parametrize("case", CASES)
def test_one_shard_and_one_round_is_the_fit_of_one_process(client, case):
    is_classifier, params = CASES[case]
    params = dict(params)
    X, y = LABELS if is_classifier else NUMBERS
    X = X.astype(params.pop("dtype", np.float64))
    weight = [WEIGHT] if params.pop("weighted", False) else []
    oracle, model = models(is_classifier, **ONE, **params)
    oracle.fit(X, y, *weight)
    model.fit(*in_parts(X, y, *weight))
    assert_same_fit(model, oracle)
    # It goes on where it stopped, as one process does.
    oracle.set_params(warm_start=True).fit(X, y, *weight)
    model.set_params(warm_start=True).fit(*in_parts(X, y, *weight))
    assert_same_fit(model, oracle)


@pytest.mark.parametrize("outer", [None, "nesterov"])
def test_a_round_averages_what_shards_learn_apart(client, outer):
    """The oracle trains plain networks on the shards' slices and averages them."""
    X, y = X_IRIS[:128], Y_IRIS[:128]
    parts = [da.from_array(X, chunks=(64, -1)), da.from_array(y, chunks=64)]
    params = {"solver": "sgd", "momentum": 0.0, "shuffle": False, "alpha": 0.0}
    plain, model = models(
        True, **params, n_shards=2, rounds_per_epoch=2, outer=outer, max_iter=3
    )
    model.fit(*parts)

    plain.set_params(max_iter=1, learning_rate_init=1e-30).fit(X, y)
    plain.set_params(learning_rate_init=0.001)
    weights = [a.copy() for a in (*plain.coefs_, *plain.intercepts_)]
    velocity = [np.zeros_like(w) for w in weights]
    for number in range(6):
        ends = []
        for shard in range(2):
            local = pickle.loads(pickle.dumps(plain))
            for mine, start in zip(
                (*local.coefs_, *local.intercepts_), weights, strict=True
            ):
                mine[...] = start
            first = 64 * shard + 32 * (number % 2)
            local.partial_fit(X[first : first + 32], y[first : first + 32])
            ends.append([*local.coefs_, *local.intercepts_])
        for i, start in enumerate(weights):
            mean = (ends[0][i] + ends[1][i]) / 2
            if outer is None:
                weights[i] = mean
            else:
                velocity[i] = 0.9 * velocity[i] + (start - mean)
                weights[i] = start - 0.7 * (start - mean + 0.9 * velocity[i])
    found = (*model.coefs_, *model.intercepts_)
    for mine, expected in zip(found, weights, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(("n_shards", "size"), [(2, 75), (5, 32)])
def test_automatic_batches_give_a_shard_the_steps_of_one_process(
    client, n_shards, size
):
    """The 150 rows are one batch of one process: one step an epoch for a shard, too."""
    parts = [da.from_array(X_IRIS, chunks=(30, -1)), da.from_array(Y_IRIS, chunks=30)]
    fits = [
        models(True, batch_size=batch_size, n_shards=n_shards)[1].fit(*parts)
        for batch_size in ("auto", size)
    ]
    assert_same_fit(*fits)


def test_records_of_shards_make_one(client):
    """Two shards with the same rows record what each of them does."""
    X, y = np.vstack([X_IRIS] * 2), np.concatenate([Y_IRIS] * 2)
    parts = [da.from_array(X, chunks=(150, -1)), da.from_array(y, chunks=150)]
    params = {"shuffle": False, "alpha": 0.0, "max_iter": 3}
    oracle, model = models(True, **params, n_shards=2, rounds_per_epoch=1)
    oracle.fit(X_IRIS, Y_IRIS)
    model.fit(*parts)
    np.testing.assert_allclose(model.loss_curve_, oracle.loss_curve_, rtol=1e-12)
    for name, record in oracle.gradient_history_.items():
        np.testing.assert_allclose(
            model.gradient_history_[name], record, rtol=1e-9, err_msg=name
        )
    assert model.t_ == 2 * oracle.t_


def test_shards_learn_as_one_process_does(client):
    params = {"max_iter": 12, "learning_rate_init": 0.05}
    oracle, model = models(True, **params, n_shards=3, rounds_per_epoch=2)
    parts = in_parts(*LABELS)
    score = model.fit(*parts).score(*parts)
    assert score > oracle.fit(*LABELS).score(*LABELS) - 0.02 > 0.85
    assert model.n_shards_ == 3
    proba = model.predict_proba(parts[0]).compute()
    np.testing.assert_array_equal(proba, model.to_local().predict_proba(X_IRIS))
    labels = model.predict(parts[0]).compute()
    np.testing.assert_array_equal(labels, model.predict(X_IRIS))
    assert score == np.mean(labels == Y_IRIS)


def test_a_validation_set_ends_training(client):
    X, y = LABELS
    held_out = X[:50], y[:50], WEIGHT[:50]
    params = {"max_iter": 60, "n_iter_no_change": 3, "learning_rate_init": 0.02}
    oracle, model = models(True, **params, **ONE)
    names = ("X_val", "y_val", "sample_weight_val")
    oracle.fit(X, y, **dict(zip(names, held_out, strict=True)))
    lazy = (
        da.from_array(held_out[0], chunks=(30, -1)),
        *(da.from_array(a, chunks=30) for a in held_out[1:]),
    )
    model.fit(*in_parts(X, y), **dict(zip(names, lazy, strict=True)))
    assert model.n_iter_ == oracle.n_iter_ < 60
    np.testing.assert_allclose(
        model.validation_loss_curve_, oracle.validation_loss_curve_, rtol=1e-12
    )
    np.testing.assert_allclose(
        model.validation_scores_, oracle.validation_scores_, rtol=1e-12
    )
    np.testing.assert_array_equal(model.coefs_[0], oracle.coefs_[0])
    # A set in memory is watched, too.
    model.fit(*in_parts(X, y), **dict(zip(names, held_out, strict=True)))
    np.testing.assert_equal(model.validation_scores_, oracle.validation_scores_)


@pytest.mark.parametrize(
    "pair",
    [
        (BackpropMLPClassifier, DaskBackpropMLPClassifier),
        (BackpropMLPRegressor, DaskBackpropMLPRegressor),
    ],
)
def test_constructors_take_what_those_of_one_process_take(pair):
    plain, sharded = (inspect.signature(cls).parameters for cls in pair)
    added = {"n_shards", "rounds_per_epoch", "outer", "client"}
    assert sharded.keys() - plain.keys() == added
    for name, parameter in plain.items():
        assert sharded[name] == parameter
    assert list(plain) == list(sharded)[: len(plain)]
    assert pair[1]._parameter_constraints.keys() == set(sharded)


def test_the_plain_network_knows_no_client(client):
    model = DaskBackpropMLPClassifier(**NET, n_shards=2, client=client)
    model.fit(*in_parts(*LABELS))
    assert clone(model).client is client
    plain = pickle.loads(pickle.dumps(model.to_local()))
    assert type(plain) is BackpropMLPClassifier
    assert not hasattr(plain, "client")
    assert not hasattr(plain, "_rounds")
    np.testing.assert_array_equal(
        plain.predict_proba(X_IRIS), model.predict_proba(X_IRIS)
    )
    plain.partial_fit(*LABELS)
    plain.set_params(warm_start=True, n_iter_no_change=50).fit(*LABELS)
    assert len(plain.loss_curve_) == 9
    assert pickle.loads(pickle.dumps(model)).client is None


def test_what_needs_all_rows_is_refused(client):
    parts = in_parts(*LABELS)
    for params, message in (
        ({"solver": "lbfgs"}, "solver='lbfgs' asks for the gradient of all rows"),
        ({"early_stopping": True}, "Pass validation rows of your own, X_val and y_val"),
        ({"n_shards": 5}, "n_shards=5, but only 3 parts of X have rows"),
        ({"outer": "adam"}, "The 'outer' parameter"),
    ):
        with pytest.raises(ValueError, match=message):
            DaskBackpropMLPClassifier(**{**NET, **params}).fit(*parts)
    with pytest.raises(TypeError, match="X is a ndarray, not a Dask array"):
        DaskBackpropMLPClassifier(**NET).fit(*LABELS)


def test_divergence_is_told_as_in_one_process(client):
    parts = in_parts(*NUMBERS)
    params = {"solver": "sgd", "learning_rate_init": 1e5, "max_iter": 30}
    oracle, model = models(False, **params, n_shards=2)
    for estimator, data in ((oracle, NUMBERS), (model, parts)):
        with pytest.raises(DivergenceError, match=r"lower learning_rate_init") as info:
            estimator.fit(*data)
        assert "Training diverged in epoch" in str(info.value)
    assert np.isfinite(model.coefs_[0]).all()


def test_a_step_beyond_the_mean_may_leave_the_floats(client, monkeypatch):
    monkeypatch.setitem(OUTER, "nesterov", (np.inf, 0.9))
    _, model = models(False, outer="nesterov", max_iter=1, rounds_per_epoch=1)
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(DivergenceError, match="the weights or running statistics"),
    ):
        model.fit(*in_parts(*NUMBERS))
    assert np.isfinite(model.coefs_[0]).all()


def as_csr(array):
    return array.map_blocks(sparse.csr_array, meta=sparse.csr_array((0, 4)))


def test_sparse_blocks_frames_unknown_sizes_and_strings(client):
    """Whatever rows come in, the fit is that of the same rows in memory."""
    X = np.where(np.abs(X_IRIS) > 0.5, X_IRIS, 0.0)
    names = np.array(["setosa", "versicolor", "virginica"])[Y_IRIS]
    frame = pd.DataFrame(X, columns=list("abcd")).assign(label=names, weight=WEIGHT)
    parts, y, weight = in_parts(X, names, WEIGHT)
    known = parts[:, 0] > -np.inf
    table = dd.from_pandas(frame, npartitions=4)
    table = table[table.a > -np.inf]  # a filter, before which nothing is known
    oracle, model = models(True, **ONE)
    oracle.fit(X, names, WEIGHT)
    for rows in (
        (as_csr(parts), y, weight),
        (parts[known], y[known], weight[known]),
        (table[list("abcd")], table.label, table.weight),
    ):
        model.fit(*rows)
        np.testing.assert_allclose(model.coefs_[0], oracle.coefs_[0], rtol=1e-10)
        assert model.score(*rows) == pytest.approx(oracle.score(X, names, WEIGHT))
        labels = model.predict(rows[0]).compute()
        np.testing.assert_array_equal(labels, oracle.predict(X))
    assert list(model.feature_names_in_) == list("abcd")
    assert list(model.to_local().feature_names_in_) == list("abcd")


def test_parts_of_files_stay_apart(client, tmp_path):
    """Columns that Dask would read in larger parts belong to their rows as before."""
    frame = pd.DataFrame(X_IRIS, columns=list("abcd")).assign(y=Y_IRIS)
    dd.from_pandas(frame, npartitions=5).to_parquet(tmp_path)
    table = dd.read_parquet(tmp_path)
    oracle, model = models(True, **ONE)
    model.fit(table[list("abcd")], table.y)
    np.testing.assert_equal(model.coefs_, oracle.fit(X_IRIS, Y_IRIS).coefs_)
    labels = model.predict(table[list("abcd")]).compute()
    np.testing.assert_array_equal(labels, oracle.predict(X_IRIS))


def test_a_class_that_one_part_has_and_several_labels(client):
    y = np.where(np.arange(150) < 5, 7, Y_IRIS)
    oracle, model = models(True, **ONE, class_weight="balanced")
    model.fit(*in_parts(X_IRIS, y))
    np.testing.assert_array_equal(model.classes_, [0, 1, 2, 7])
    np.testing.assert_equal(model.coefs_, oracle.fit(X_IRIS, y).coefs_)
    labels = np.column_stack([X_IRIS[:, 0] > 0, X_IRIS[:, 1] > 0]).astype(int)
    oracle, model = models(True, **ONE)
    model.fit(*in_parts(X_IRIS, labels))
    np.testing.assert_equal(model.coefs_, oracle.fit(X_IRIS, labels).coefs_)
    predicted = model.predict(in_parts(X_IRIS)[0]).compute()
    np.testing.assert_array_equal(predicted, oracle.predict(X_IRIS))


def test_classes_are_balanced_over_the_whole(client):
    """The weights of the whole table, written by hand, give the same on every shard."""
    y = np.where(np.arange(150) % 4, Y_IRIS, 0)
    written = dict(enumerate(150 / (3 * np.bincount(y))))
    found = []
    for class_weight in ("balanced", written):
        _, model = models(True, n_shards=3, class_weight=class_weight, max_iter=2)
        found.append(model.fit(*in_parts(X_IRIS, y)).coefs_)
    np.testing.assert_equal(*found)


@pytest.mark.parametrize("is_classifier", [True, False])
def test_rows_that_are_sorted_by_shard_are_a_warning(client, is_classifier):
    X, y = LABELS if is_classifier else NUMBERS
    _, model = models(is_classifier, n_shards=2, max_iter=1)
    model.fit(*in_parts(X, y))  # no warning
    with pytest.warns(UserWarning, match="Shuffle rows across parts first"):
        model.fit(*in_parts(X, np.sort(y, axis=0)))


def test_parts_that_do_not_belong_together_are_refused_with_their_numbers(client):
    parts, y = in_parts(*LABELS)
    model = DaskBackpropMLPClassifier(**NET)
    other = da.from_array(Y_IRIS, chunks=((60, 0, 45, 45),))
    with pytest.raises(ValueError, match=r"rows in parts \[2, 3\]: part 2 of X"):
        model.fit(parts, other)
    with pytest.raises(ValueError, match="Part 2: Input X contains NaN"):
        model.fit(*in_parts(np.where(np.arange(150)[:, None] == 70, np.nan, X_IRIS)), y)
    with pytest.raises(ValueError, match="Part 0: Unknown label type"):
        model.fit(parts, y + 0.5)
    with pytest.raises(ValueError, match="None of the 4 parts"):
        model.fit(parts, y, 0.0 * y)


class Checkpoint:
    """A callback that keeps the estimator as it is after each epoch."""

    def __init__(self):
        self.stored = []

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.parent is not None:
            self.stored.append(pickle.dumps(fitted_estimator))


def test_a_callback_stores_fits_that_go_on(client):
    pytest.importorskip("sklearn.callback")

    _, model = models(True, n_shards=2, outer="nesterov", normalization="batch")
    checkpoint = Checkpoint()
    model.set_callbacks(checkpoint).fit(*in_parts(*LABELS))
    assert len(checkpoint.stored) == 4
    model.set_callbacks()
    early = pickle.loads(checkpoint.stored[1])
    assert len(early.loss_curve_) == 2
    early.set_callbacks().set_params(warm_start=True, max_iter=2)
    assert_same_curves(early.fit(*in_parts(*LABELS)), model)


def assert_same_curves(model, expected):
    np.testing.assert_equal(model.coefs_, expected.coefs_)
    assert model.loss_curve_ == expected.loss_curve_
    np.testing.assert_equal(model.gradient_history_, expected.gradient_history_)


def test_lines_of_epochs_and_rounds(client, capsys):
    _, model = models(True, n_shards=2, rounds_per_epoch=2, max_iter=2, verbose=2)
    model.fit(*in_parts(*LABELS))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0].strip() for line in lines] == [
        "Round 1 of 2", "Round 2 of 2", "Iteration 1",
        "Round 1 of 2", "Round 2 of 2", "Iteration 2",
    ]  # fmt: skip


def test_a_search_on_workers_finds_what_one_in_a_row_finds(client):
    search = GridSearchCV(
        BackpropMLPClassifier(**NET), {"learning_rate_init": [0.01, 0.1]}, cv=2
    )
    expected = clone(search).fit(*LABELS)
    with parallel_config("dask", client=client):
        search.fit(*LABELS)
    for name in ("mean_test_score", "std_test_score", "rank_test_score"):
        np.testing.assert_array_equal(
            search.cv_results_[name], expected.cv_results_[name]
        )
    np.testing.assert_equal(
        search.best_estimator_.coefs_, expected.best_estimator_.coefs_
    )
