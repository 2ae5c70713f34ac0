"""Warnings name the user's file, whatever lies between it and an estimator."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_backprop import BackpropMLPRegressor, GDLinearRegression
from sklearn_backprop.exceptions import VanishedTrainingWarning

X = np.random.RandomState(0).normal(size=(60, 3))
Y = X[:, 0] + 0.1 * X[:, 1]

NETWORK = BackpropMLPRegressor((4,), max_iter=2, random_state=0)
WAYS = {
    "fit": lambda model: model.fit(X, Y),
    "pipeline": lambda model: make_pipeline(StandardScaler(), model).fit(X, Y),
    "cross-validation": lambda model: cross_val_score(model, X, Y, cv=2),
    "search": lambda model: GridSearchCV(model, {"tol": [1e-9]}, cv=2).fit(X, Y),
}
MODELS = {
    "max_iter": (NETWORK, ConvergenceWarning),
    "lbfgs": (
        BackpropMLPRegressor((4,), solver="lbfgs", max_iter=1, random_state=0),
        ConvergenceWarning,
    ),
    "batch size": (
        BackpropMLPRegressor((4,), batch_size=1000, max_iter=1, random_state=0),
        UserWarning,
    ),
    "vanished": (
        BackpropMLPRegressor((4, 4), init="zeros", max_iter=2),
        VanishedTrainingWarning,
    ),
    "descent": (GDLinearRegression(max_iter=2), ConvergenceWarning),
    "mini-batches": (
        GDLinearRegression(max_iter=2, batch_size=5, random_state=0),
        ConvergenceWarning,
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", MODELS)
def test_a_warning_names_the_line_that_asked_for_the_fit(case, way):
    model, category = MODELS[case]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        WAYS[way](model)
    ours = [warning for warning in caught if issubclass(warning.category, category)]
    assert ours
    assert {warning.filename for warning in ours} == {__file__}


def test_a_warning_names_the_innermost_line_of_the_user():
    def inner():
        return NETWORK.fit(X, Y)

    with pytest.warns(ConvergenceWarning) as caught:
        inner()
    first_line = inner.__code__.co_firstlineno
    assert {warning.lineno for warning in caught} == {first_line + 1}


def test_partial_fit_too():
    model = BackpropMLPRegressor((4,), batch_size=1000)
    with pytest.warns(UserWarning, match="batch_size") as caught:
        model.partial_fit(X, Y)
    assert [warning.filename for warning in caught] == [__file__]


def test_an_interrupted_training_too(monkeypatch):
    from sklearn_backprop.neural_network import _epochs

    def interrupt(loop):
        raise KeyboardInterrupt

    monkeypatch.setattr(_epochs.NetworkEpochs, "_pass", interrupt)
    with pytest.warns(UserWarning, match="interrupted") as caught:
        NETWORK.fit(X, Y)
    assert {warning.filename for warning in caught} == {__file__}
