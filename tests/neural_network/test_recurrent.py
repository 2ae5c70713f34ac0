"""Recurrent networks as estimators: sequences in, and what they share with others."""

import itertools
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference_sequences import Directions, Recurrent, SequenceNetwork
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_backprop import BackpropRNNClassifier, BackpropRNNRegressor
from sklearn_backprop.engine import _engine
from sklearn_backprop.neural_network._recurrent_network import CELLS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_STEPS, N_CHANNELS = 6, 3
SMALL = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 4}
SHAPES = {
    "one": {},
    "both ways": {"bidirectional": True, "pooling": "mean"},
    "stacked": {"hidden_layer_sizes": (4, 4, 4, 6), "residual": "add"},
    "stacked both ways": {
        "hidden_layer_sizes": (4, 4),
        "residual": "add",
        "bidirectional": True,
    },
}


def make_rows(n_rows=30, seed=0, padded=True):
    """Sequences (n, steps, channels) of which a channel's last value is learnt."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, N_STEPS, N_CHANNELS))
    lengths = rng.integers(1, N_STEPS + 1, size=n_rows)
    lengths[0] = N_STEPS
    y = X[np.arange(n_rows), lengths - 1, 0]
    if padded:
        X[np.arange(N_STEPS) >= lengths[:, None]] = np.nan
    return X, y


X, Y_NUMBER = make_rows()
Y_CLASS = np.digitize(Y_NUMBER, [-0.5, 0.5])
ESTIMATORS = [(BackpropRNNClassifier, Y_CLASS), (BackpropRNNRegressor, Y_NUMBER)]
both = pytest.mark.parametrize(("Estimator", "y"), ESTIMATORS)


def reference_of(model):
    """The reference's network of the same hyper-parameters, and its parameters."""
    layers, n_in = [], model.n_channels_
    sizes = np.atleast_1d(model.hidden_layer_sizes)
    ways = (False, True) if model.bidirectional else (False,)
    widths = [len(ways) * size for size in sizes]
    skips = [
        before == width and model.residual == "add"
        for before, width in itertools.pairwise([0, *widths])
    ]
    for size, width, has_skip in zip(sizes, widths, skips, strict=True):
        parts = [Recurrent(model.cell, n_in, size, way) for way in ways]
        layers.append(Directions(parts, sum(skips) ** -0.5 if has_skip else None))
        n_in = width
    recurrent = zip(
        model.coefs_, model.recurrent_coefs_, model.intercepts_, strict=False
    )
    named = [{"W": W, "U": U, "b": b} for W, U, b in recurrent]
    named.append({"W": model.coefs_[-1], "b": model.intercepts_[-1]})
    n_outputs = model.coefs_[-1].shape[1]
    return SequenceNetwork(layers, n_outputs, model.pooling, None), named


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cell", CELLS)
def test_predictions_are_the_references(cell, shape):
    model = BackpropRNNClassifier(**{**SMALL, **SHAPES[shape]}, cell=cell)
    model.fit(X, Y_CLASS)
    reference, named = reference_of(model)
    raw, _, _ = reference.forward(named, X)
    assert_allclose(model.predict_proba(X), softmax(raw, axis=1), rtol=1e-12)


def test_cells_are_those_of_the_engine():
    assert set(CELLS) == set(_engine.cell_names())


@both
def test_a_table_of_steps_is_the_same_as_three_axes(Estimator, y):
    model = Estimator(**SMALL).fit(X, y)
    table = X.reshape(len(X), -1)
    other = Estimator(**SMALL, n_channels=N_CHANNELS).fit(table, y)
    assert model.n_channels_ == other.n_channels_ == N_CHANNELS
    assert model.n_steps_ == other.n_steps_ == N_STEPS
    assert model.n_features_in_ == N_STEPS * N_CHANNELS
    assert_array_equal(model.predict(X), other.predict(table))
    assert_array_equal(other.predict(X), other.predict(table))
    assert_array_equal(model.predict(X.tolist()), model.predict(X))


@both
def test_padding_changes_no_prediction_and_no_training(Estimator, y):
    longer = np.full((len(X), N_STEPS + 2, N_CHANNELS), np.nan)
    longer[:, :N_STEPS] = X
    model = Estimator(**SMALL, cell="gru", bidirectional=True).fit(X, y)
    other = clone(model).fit(longer, y)
    assert_allclose(model.loss_curve_, other.loss_curve_, rtol=1e-12)
    for row in range(5):
        alone = model.predict(X[row : row + 1])
        assert_array_equal(alone, model.predict(X)[row : row + 1])


@pytest.mark.parametrize("cell", CELLS)
def test_starts(cell):
    model = BackpropRNNRegressor((8,), cell=cell, learning_rate_init=1e-12, max_iter=1)
    model.fit(X, Y_NUMBER)
    (U,), W = model.recurrent_coefs_, model.coefs_[0]
    for gate in np.split(U, U.shape[1] // 8, axis=1):
        assert_allclose(gate.T @ gate, np.eye(8), atol=1e-9)
    bound = np.sqrt(6 / (N_CHANNELS + 8))  # Glorot and Bengio (2010), for each gate
    assert 0.8 * bound < np.abs(W).max() <= bound + 1e-9
    expected = np.zeros(len(model.intercepts_[0]))
    if cell == "lstm":
        expected[8:16] = 1.0
    assert_allclose(model.intercepts_[0], expected, atol=1e-9)


def test_starts_by_another_rule():
    model = BackpropRNNRegressor(
        (8,), cell="tanh", init="zeros", learning_rate_init=1e-12, max_iter=1
    )
    with pytest.warns(UserWarning, match="start alike"):
        model.fit(X, Y_NUMBER)
    assert_allclose(model.recurrent_coefs_[0], 0, atol=1e-9)
    model.set_params(init="orthogonal", init_scale=3.0).fit(X, Y_NUMBER)
    (U,) = model.recurrent_coefs_
    assert_allclose(U.T @ U, 9 * np.eye(8), atol=1e-8)


def test_names_of_arrays_tell_directions_apart():
    model = BackpropRNNRegressor((3, 4), bidirectional=True, max_iter=1)
    model.fit(X, Y_NUMBER)
    assert model.gradient_history_names_ == [
        *(
            f"hidden {layer} {part}weights"
            for layer in (1, 2)
            for part in ("", "recurrent ", "reverse ", "reverse recurrent ")
        ),
        "output weights",
    ]
    assert model.n_layers_ == 4
    shapes = [W.shape for W in model.coefs_]
    assert shapes == [(3, 12), (3, 12), (6, 16), (6, 16), (8, 1)]


def test_dropout_stands_between_layers_and_before_the_output():
    model = BackpropRNNRegressor((3, 4), dropout=0.5, max_iter=1).fit(X, Y_NUMBER)
    sequence, *behind = model._training.network.architecture.layers
    inside = [layer["kind"] for layer in sequence["layers"]]
    assert inside == ["recurrent", "dropout", "recurrent"]
    assert [layer["kind"] for layer in behind] == ["dropout", "dense"]
    assert_array_equal(model.predict(X), model.predict(X))


@both
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_integer_weights_are_repeated_rows(Estimator, y, solver):
    weight = np.random.default_rng(1).integers(0, 3, size=len(X))
    setting = {**SMALL, "solver": solver, "shuffle": False}
    weighed = Estimator(**setting).fit(X, y, weight)
    repeated = Estimator(**setting).fit(X.repeat(weight, axis=0), y.repeat(weight))
    assert_allclose(weighed.loss_curve_, repeated.loss_curve_, rtol=1e-8)
    for one, other in zip(
        weighed.recurrent_coefs_, repeated.recurrent_coefs_, strict=True
    ):
        assert_allclose(one, other, rtol=1e-6, atol=1e-9)


@both
def test_pickles_predict_and_train_on(Estimator, y):
    model = Estimator(**SMALL, dropout=0.2).fit(X, y)
    other = pickle.loads(pickle.dumps(model))
    assert_array_equal(model.predict(X), other.predict(X))
    other.recurrent_coefs_[0][...] = 0
    assert not np.array_equal(model.predict(X), other.predict(X))
    other = pickle.loads(pickle.dumps(model))
    for one in (model, other):
        one.set_params(warm_start=True).fit(X, y)
    assert_array_equal(model.predict(X), other.predict(X))


def test_partial_fit_is_fit_by_epochs():
    model = BackpropRNNRegressor(**SMALL).fit(X, Y_NUMBER)
    other = BackpropRNNRegressor(**SMALL)
    for _ in range(model.n_iter_):
        other.partial_fit(X, Y_NUMBER)
    assert_array_equal(model.predict(X), other.predict(X))


def test_pipelines_searches_and_early_stopping():
    X, y = make_rows(120)
    pipe = make_pipeline(
        StandardScaler(),
        BackpropRNNRegressor(
            (16,), n_channels=N_CHANNELS, learning_rate_init=0.02, max_iter=60,
            early_stopping=True, random_state=0,
        ),
    )  # fmt: skip
    grid = {"backproprnnregressor__cell": ["tanh", "gru"]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X.reshape(len(X), -1), y)
    best = search.best_estimator_[-1]
    assert best.best_validation_score_ == max(best.validation_scores_) > 0.3
    assert search.score(X.reshape(len(X), -1), y) > 0.5
    search = GridSearchCV(pipe[-1], {"bidirectional": [False, True]}, cv=2).fit(X, y)
    assert search.best_estimator_.n_channels_ == N_CHANNELS


def test_a_validation_set_of_ones_own():
    X, y = make_rows(80, seed=1)
    model = BackpropRNNRegressor(**SMALL)
    model.fit(X[:50], y[:50], X_val=X[50:], y_val=y[50:])
    assert len(model.validation_scores_) == model.n_iter_


def test_layers_start_as_anothers_and_stay_frozen():
    model = BackpropRNNRegressor((5, 4), cell="gru", max_iter=3).fit(X, Y_NUMBER)
    other = BackpropRNNClassifier(
        (5, 4), cell="gru", max_iter=3, pretrained=model, layer_rates=[0, 1, 1]
    ).fit(X, Y_CLASS)
    assert_array_equal(model.coefs_[0], other.coefs_[0])
    assert_array_equal(model.recurrent_coefs_[0], other.recurrent_coefs_[0])
    assert not np.array_equal(model.recurrent_coefs_[1], other.recurrent_coefs_[1])
    # The way back ends above the frozen layer: nobody looked at its states.
    norms = other.gradient_history_["time_gradient_norm"]
    assert np.isnan(norms[:, 0]).all()
    assert (norms[:, 1, 0] > 0).all()
    with pytest.raises(ValueError, match="cell was gru and is tanh"):
        other.set_params(cell="tanh").fit(X, Y_CLASS)


def rows_with(row, step, value):
    rows, _ = make_rows(padded=False)
    rows[row, step] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (rows_with(3, 2, np.nan), "NaN in step 2 of row 3, before the end"),
        (rows_with(0, N_STEPS - 1, [np.nan, 1, 1]), "NaN in step 5 of row 0"),
        (rows_with(4, slice(None), np.nan), "Row 4 of X is NaN throughout"),
        (rows_with(1, 1, np.inf), "contains infinity"),
        (np.zeros((30, N_STEPS, 0)), "at least one step of one channel"),
        ([[[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]]] * 15, "different lengths"),
    ],
)
def test_wrong_sequences_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        BackpropRNNRegressor(**SMALL).fit(rows, Y_NUMBER)


def test_wrong_channels_are_refused():
    with pytest.raises(ValueError, match=r"n_channels=2, but X .* has 3 channels"):
        BackpropRNNRegressor(n_channels=2).fit(X, Y_NUMBER)
    table = X.reshape(len(X), -1)
    with pytest.raises(ValueError, match="18 features, which is no whole number"):
        BackpropRNNRegressor(n_channels=4).fit(table, Y_NUMBER)
    model = BackpropRNNRegressor(**SMALL).fit(X, Y_NUMBER)
    with pytest.raises(ValueError, match=r"6 channels, but .* was fitted with 3"):
        model.predict(X.transpose(0, 2, 1))
    with pytest.raises(ValueError, match=r"5 steps, but .* with 6. Fill shorter"):
        model.predict(X[:, :5])
    with pytest.raises(ValueError, match="5 steps, but"):
        model.partial_fit(X[:, :5], Y_NUMBER)
    with pytest.raises(ValueError, match="X has 15 features"):
        model.predict(X[:, :5].reshape(len(X), -1))
    with pytest.raises(ValueError, match="too many dimensions"):
        model.predict(X[None])
    with pytest.raises(ValueError, match="hidden_layer_sizes is empty"):
        BackpropRNNRegressor(()).fit(X, Y_NUMBER)
    with pytest.raises(TypeError, match="Sparse data"):
        BackpropRNNRegressor(**SMALL).fit(csr_array(np.eye(30)), Y_NUMBER)
    model.set_params(warm_start=True, cell="gru")
    with pytest.raises(ValueError, match="cell was lstm and is gru"):
        model.fit(X, Y_NUMBER)
