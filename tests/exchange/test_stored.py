"""Stored models: those of every release are read, and say what they are."""

import copy
import pickle
import pickletools
import warnings
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import InconsistentVersionWarning as OfScikitLearn
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops import io

import sklearn_backprop
from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    BackpropRNNClassifier,
    GDLinearRegression,
    TabularMLPClassifier,
    _stored,
)
from sklearn_backprop.exceptions import InconsistentVersionWarning
from sklearn_backprop.exchange import SKOPS_TRUSTED_TYPES
from sklearn_backprop.neural_network import PiecewiseLinearEmbedding

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MODELS = Path(__file__).parents[1] / "data" / "models"
STORED = sorted(path.with_suffix("") for path in MODELS.glob("*/*.npz"))
RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 3))
Y = np.column_stack([np.sin(X[:, 0]) + X[:, 1], X[:, 1] * X[:, 2]])
LABELS = np.array(["low", "middle", "high"])[np.digitize(Y[:, 0], [-0.5, 0.7])]

SETTINGS = {
    "blocks": BackpropMLPClassifier((4, 3), residual="add", normalization="batch"),
    "sgd": BackpropMLPClassifier((4,), solver="sgd", learning_rate="adaptive"),
    "validated": BackpropMLPClassifier(
        (4,), early_stopping=True, track_gradients="batch", dropout=0.1
    ),
    "dense": BackpropMLPRegressor(
        (4, 3), residual="concat", activation=["gelu", "elu"]
    ),
    "lbfgs": BackpropMLPRegressor((4,), solver="lbfgs"),
    "generator": BackpropMLPRegressor((), random_state=np.random.RandomState(1)),
    "recurrent": BackpropRNNClassifier((4,), cell="gru", bidirectional=True),
    "embedded": BackpropMLPRegressor(
        (4,), numerical_embedding=PiecewiseLinearEmbedding(5, 2), n_members=2
    ),
    "periodic": BackpropMLPClassifier(
        (4,), numerical_embedding="periodic", n_members=2, member_weights="independent"
    ),
    "table": TabularMLPClassifier((4,), n_members=2, categorical_features=[0]),
    "descent": GDLinearRegression(),
    "range": GDLinearRegression(feature_scaling="minmax", track_path=True),
    "batches": GDLinearRegression(feature_scaling=None, batch_size=10),
    "normal": GDLinearRegression(solver="normal"),
    "positive": GDLinearRegression(solver="normal", positive=True),
}


def fit(estimator):
    estimator = copy.deepcopy(estimator).set_params(max_iter=3)
    if "random_state" in estimator.get_params() and estimator.random_state is None:
        estimator.set_params(random_state=0)
    return estimator.fit(X, targets_of(estimator))


def targets_of(estimator):
    return LABELS if hasattr(estimator, "predict_proba") else Y


def read_skops(data):
    return io.loads(data, trusted=SKOPS_TRUSTED_TYPES)


ROUTES = {
    "pickle": (pickle.dumps, pickle.loads),
    "skops": (io.dumps, read_skops),
}


# ---- Of every release ----------------------------------------------------------------


def load(path):
    """Read a model, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if path.suffix == ".pkl":
            model = joblib.load(path)
        else:
            model = io.load(path, trusted=SKOPS_TRUSTED_TYPES)
    return model, [
        warning.message
        for warning in caught
        if warning.category is InconsistentVersionWarning
    ]


@pytest.mark.parametrize("suffix", [".pkl", ".skops"])
@pytest.mark.parametrize("path", STORED, ids=lambda path: path.parent.name + path.name)
def test_models_of_every_release_are_read(path, suffix):
    model, warned = load(path.with_name(path.name + suffix))
    release = path.parent.name
    assert len(warned) == (release != sklearn_backprop.__version__)
    for message in warned:
        assert message.original_version == release
    with np.load(path.with_name(path.name + ".npz")) as expected:
        arrays = getattr(model, "coefs_", None) or [model.coef_]
        weights = np.concatenate([array.ravel() for array in arrays])
        assert_array_equal(weights, expected["weights"])
        rows = expected["X"]
        tolerance = 1e-6 if rows.dtype == np.float32 else 1e-13
        predict = getattr(model, "predict_proba", model.predict)
        assert_allclose(predict(rows), expected["predict_proba"], tolerance)
        if hasattr(model, "classes_"):
            assert_array_equal(model.predict(rows), expected["predict"])
        y = model.predict(rows)
    # It can also be trained on.
    if path.name == "classifier":
        model.set_params(early_stopping=False, class_weight=None)
    model.partial_fit(rows, y)


def test_there_are_models_of_each_kind():
    assert {path.name for path in STORED} == {
        "classifier", "regressor", "descent", "normal", "embedded", "table",
    }  # fmt: skip


@pytest.mark.parametrize("estimator", [BackpropMLPRegressor(), GDLinearRegression()])
def test_a_parameter_that_came_later_takes_its_default(estimator):
    state = fit(estimator).__getstate__()
    del state["alpha"]
    again = type(estimator).__new__(type(estimator))
    again.__setstate__(state)
    assert again.alpha == estimator.alpha
    clone(again).fit(X, Y)


# ---- Of this release -----------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("estimator", SETTINGS.values(), ids=SETTINGS)
def test_what_is_read_is_what_was_stored(estimator, route):
    dump, read = ROUTES[route]
    model = fit(estimator)
    again = read(dump(model))
    predict = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    expected = getattr(model, predict)(X)
    assert_array_equal(getattr(again, predict)(X), expected)
    names = {name for name in vars(model) if not name.startswith("__")}
    assert names == {name for name in vars(again) if not name.startswith("__")}
    for one in (model, again):
        if "early_stopping" in one.get_params():
            one.set_params(early_stopping=False)
        if getattr(one, "solver", "") == "lbfgs":
            one.set_params(warm_start=True).fit(X, targets_of(one))
        else:
            one.partial_fit(X, targets_of(one))
    assert_array_equal(getattr(again, predict)(X), getattr(model, predict)(X))


@pytest.mark.parametrize("estimator", SETTINGS.values(), ids=SETTINGS)
def test_nothing_private_is_named_but_the_estimator(estimator):
    """Modules may move: a pickle knows the class of the estimator, and data."""
    model = fit(estimator)
    texts = [
        argument
        for _, argument, _ in pickletools.genops(pickle.dumps(model, protocol=2))
        if isinstance(argument, str) and argument.startswith("sklearn_backprop")
    ]
    assert {text.replace(" ", ".") for text in texts} <= set(SKOPS_TRUSTED_TYPES)
    assert set(io.get_untrusted_types(data=io.dumps(model))) <= set(SKOPS_TRUSTED_TYPES)


def test_all_public_estimators_are_trusted():
    public = [getattr(sklearn_backprop, name) for name in sklearn_backprop.__all__]
    names = {
        f"{cls.__module__}.{cls.__name__}"
        for cls in public
        if issubclass(cls, BaseEstimator)
    }
    assert names <= set(SKOPS_TRUSTED_TYPES)
    pipeline = make_pipeline(StandardScaler(), fit(SETTINGS["blocks"])).fit(X, LABELS)
    again = read_skops(io.dumps(pipeline))
    assert_array_equal(again.predict_proba(X), pipeline.predict_proba(X))


@pytest.mark.parametrize("route", ROUTES)
def test_a_pretrained_network_is_stored_with_what_it_started(route):
    dump, read = ROUTES[route]
    shape = {"hidden_layer_sizes": (5,), "normalization": "batch"}
    source = fit(BackpropMLPClassifier(**shape))
    tuned = fit(
        BackpropMLPClassifier(
            **shape, pretrained=FrozenEstimator(source), layer_rates=[0.5, 1]
        )
    )
    again = read(dump(tuned))
    assert_array_equal(again.predict_proba(X), tuned.predict_proba(X))
    assert_array_equal(fit(again).predict_proba(X), tuned.predict_proba(X))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", ["blocks", "descent"])
def test_another_version_is_warned_of(name, route, monkeypatch):
    dump, read = ROUTES[route]
    model = fit(SETTINGS[name])
    with monkeypatch.context() as patch:
        patch.setattr(_stored, "this_version", lambda: "0.0.7")
        data = dump(model)
    name, current = type(model).__name__, sklearn_backprop.__version__
    with pytest.warns(InconsistentVersionWarning) as caught:
        again = read(data)
    assert str(caught[0].message) == (
        f"This {name} was stored by sklearn-backprop 0.0.7 and is read by {current}. "
        "Compare its predictions with those that it gave, then store it again with "
        "this version, or fit it anew."
    )
    assert issubclass(InconsistentVersionWarning, OfScikitLearn)
    assert_array_equal(again.predict(X), model.predict(X))
    read(dump(again))  # stored again, it is of this version


def test_a_state_without_a_version_is_warned_of():
    state = fit(GDLinearRegression()).__getstate__()
    del state["_sklearn_backprop_version"]
    with pytest.warns(InconsistentVersionWarning, match=r"stored by .* before 0\.1\.0"):
        GDLinearRegression().__setstate__(state)


def test_fields_that_came_later_take_their_defaults(monkeypatch):
    @dataclass
    class Thing:
        size: int
        parts: list
        colour: str = "grey"
        _made: object = None

    monkeypatch.setattr(_stored, "_KINDS", {"Thing": Thing})
    made = Thing(1, [Thing(2, [], "blue")], "red", _made=object())
    plain = _stored.pack({"things": (made, None)})
    assert plain == {
        "things": (
            {"_kind": "Thing", "size": 1, "colour": "red", "parts": [
                {"_kind": "Thing", "size": 2, "parts": [], "colour": "blue"}]},
            None,
        )
    }  # fmt: skip
    del plain["things"][0]["colour"]
    (thing, _) = _stored.unpack(plain)["things"]
    assert thing == Thing(1, [Thing(2, [], "blue")], "grey")


@pytest.mark.parametrize("name", ["blocks", "descent"])
def test_copies_are_independent(name):
    model = fit(SETTINGS[name])
    deep = copy.deepcopy(model)
    before = model.predict(X)
    deep.partial_fit(X, targets_of(model))
    assert_array_equal(model.predict(X), before)
