"""What calls leave out: copies of X, tables kept, checks of what has not changed."""

import gc
import pickle
import subprocess
import sys
import tracemalloc
import weakref

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.utils.multiclass import type_of_target, unique_labels

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    GDLinearRegression,
)
from sklearn_backprop.neural_network._labels import LabelCoder

MODELS = {
    "network": BackpropMLPRegressor((4,), max_iter=2, random_state=0),
    "early stopping": BackpropMLPRegressor((4,), max_iter=2, early_stopping=True),
    "lbfgs": BackpropMLPRegressor((4,), solver="lbfgs", max_iter=2),
    "normal": GDLinearRegression(solver="normal"),
    "descent": GDLinearRegression(),
    "mini-batches": GDLinearRegression(batch_size=50, max_iter=2),
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def draw(shape, dtype=np.float64):
    X = np.random.default_rng(0).normal(size=shape).astype(dtype)
    return X, X[:, 0] + X[:, 1]


@pytest.mark.once
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["network", "early stopping", "lbfgs", "normal"])
def test_x_is_not_copied(name, dtype):
    X, y = draw((8_000, 500), dtype)
    model = MODELS[name]
    model.fit(X[:600], y[:600])  # what is imported and kept is there now
    tracemalloc.start()
    try:
        model.fit(X, y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    gram = 501**2 * 8 * 6 if name == "normal" else 0
    assert peak < 0.1 * X.nbytes + gram


@pytest.mark.parametrize("name", MODELS)
def test_a_fitted_model_keeps_no_table(name):
    X, y = draw((200, 4))
    table = weakref.ref(X)
    gc.disable()
    try:
        MODELS[name].fit(X, y)
        del X
        if name == "lbfgs":  # old releases of SciPy's minimisation hold themselves
            gc.collect()
        assert table() is None
    finally:
        gc.enable()


def test_a_model_given_as_a_parameter_is_not_kept():
    X, y = draw((200, 4))
    source = BackpropMLPRegressor((5,), max_iter=2).fit(X, y)
    kept = weakref.ref(source)
    BackpropMLPRegressor((5,), max_iter=2, pretrained=source).fit(X, y)
    del source
    gc.collect()
    assert kept() is None


def test_a_wrong_parameter_is_named_once():
    X, y = draw((20, 4))
    model = BackpropMLPRegressor(alpha=-1.0)
    with pytest.raises(ValueError, match="'alpha'") as caught:
        model.fit(X, y)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("network", {"alpha": -1.0}, "'alpha' parameter of BackpropMLPRegressor"),
        ("network", {"max_iter": 10**30}, "max_iter has 31 digits"),
        ("network", {"shuffle": 1}, "'shuffle' parameter"),  # it is equal to True
        ("network", {"batch_size": []}, "'batch_size' parameter"),
        ("normal", {"alpha": -1.0}, "'alpha' parameter of GDLinearRegression"),
    ],
)
def test_parameters_that_change_between_blocks_are_checked(name, params, message):
    X, y = draw((20, 3))
    model = type(MODELS[name])(**MODELS[name].get_params()).partial_fit(X, y)
    model.set_params(**params)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, y)


def test_a_network_goes_on_with_other_layers_that_hold_the_same_weights():
    X, y = draw((50, 3))
    model = BackpropMLPRegressor((5,), random_state=0).partial_fit(X, y)
    before = model.coefs_[0]
    model.partial_fit(X, y)
    assert model.coefs_[0] is before
    model.set_params(dropout=0.5, loss="absolute_error").partial_fit(X, y)
    network = model._training.network
    kinds = [layer["kind"] for layer in network.architecture.layers]
    assert "dropout" in kinds
    assert network.loss == "absolute_error"
    assert np.shares_memory(model.coefs_[0], before)


def test_layers_are_laid_out_again_only_if_something_has_changed(monkeypatch):
    laid_out = []
    lay_out = BackpropMLPRegressor._lay_out

    def counted(model, *shape):
        laid_out.append(model.activation)
        return lay_out(model, *shape)

    monkeypatch.setattr(BackpropMLPRegressor, "_lay_out", counted)
    X, y = draw((50, 3))
    model = BackpropMLPRegressor((5,), random_state=0).partial_fit(X, y)
    for _ in range(3):  # the first looks whether the network is what is wanted
        model.partial_fit(X, y)
    assert len(laid_out) == 2
    model.set_params(dropout=0.5).partial_fit(X, y)
    pickle.loads(pickle.dumps(model)).partial_fit(X, y)
    assert len(laid_out) == 4
    model.set_params(activation=["relu"])  # a list may change without notice
    for _ in range(2):
        model.partial_fit(X, y)
    assert len(laid_out) == 6
    model.activation[0] = "tanh"
    with pytest.raises(ValueError, match=r"activation was .'relu'. and is .'tanh'."):
        model.partial_fit(X, y)


@pytest.mark.parametrize("labels", ["ab", "abc", [0, 1, 2]])
def test_validation_scores_are_accuracies(labels):
    X, _ = draw((90, 3))
    y = np.resize(list(labels), 90)
    model = BackpropMLPClassifier(
        (4,), max_iter=1, early_stopping=True, random_state=0
    ).fit(X, y)
    binary = y == "b" if len(labels) == 2 else None
    _, X_val, _, y_val = train_test_split(
        X, y, test_size=0.1, random_state=model._training.seed, stratify=binary
    )
    expected = accuracy_score(y_val, model.predict(X_val))
    assert model.validation_scores_ == [expected]


def test_validation_scores_are_r_squared():
    X, y = draw((90, 3))
    model = BackpropMLPRegressor(
        (4,), max_iter=1, early_stopping=True, random_state=0
    ).fit(X, y)
    _, X_val, _, y_val = train_test_split(
        X, y, test_size=0.1, random_state=model._training.seed
    )
    expected = r2_score(y_val, model.predict(X_val))
    assert model.validation_scores_ == pytest.approx([expected], rel=1e-12)


@pytest.mark.parametrize(
    "y",
    [
        np.array([2, 0, 2, 0]),
        np.array([3, 1, 2] * 2, dtype=np.int8),
        np.array([True, False, True, True]),
        np.array(["b", "a", "b", "c", "c", "a"]),
        np.array(["b", "a"] * 2, dtype=object),
        np.array([1.0, 0.0] * 2),
        np.array([0, 1, 2]),
        np.zeros(3, dtype=int),
    ],
    ids=lambda y: f"{y.dtype} {len(np.unique(y))}",
)
def test_labels_are_found_as_scikit_learn_finds_them(y):
    coder, expected = LabelCoder.of(y), unique_labels(y)
    assert coder.classes.dtype == expected.dtype
    np.testing.assert_array_equal(coder.classes, expected)
    is_multiclass = type_of_target(y) == "multiclass"
    assert (coder.out_activation == "softmax") == is_multiclass


@pytest.mark.once
@pytest.mark.parametrize("module", ["sklearn.tree", "sklearn.pipeline", "email.parser"])
def test_importing_the_package_leaves_out_what_it_seldom_needs(module):
    program = f"import sys, sklearn_backprop; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("classes", "y"),
    [
        ([0, 1], [0, 7]),
        ([0, 1], [0, -3]),
        ([0, 1], ["a", "b"]),
        ([0, 1], ["0", "1"]),
        (["a", "b"], [0, 1]),
        (["a", "b"], ["a", "ab"]),
        (np.array(["a", "b"], dtype=object), [0, 1]),
    ],
    ids=str,
)
def test_labels_that_are_no_classes_are_refused(classes, y):
    X, _ = draw((2, 3))
    model = BackpropMLPClassifier((4,)).partial_fit(X, classes, classes=classes)
    with pytest.raises(ValueError, match="`y` has classes not in"):
        model.partial_fit(X, y)
