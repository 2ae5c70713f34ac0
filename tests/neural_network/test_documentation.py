"""Docstrings name every parameter and attribute, and their examples run."""

import doctest
import inspect

import pytest
from sklearn.datasets import load_iris

import sklearn_backprop.exceptions
from sklearn_backprop.neural_network import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    BackpropRNNClassifier,
    BackpropRNNRegressor,
    _classifier,
    _regressor,
    _rnn_classifier,
    _rnn_regressor,
    _schedules,
)
from sklearn_backprop.neural_network._initializers import INIT_ALIASES, INITIALIZERS
from sklearn_backprop.neural_network._perceptron import (
    ACTIVATION_ALIASES,
    ACTIVATIONS,
)
from sklearn_backprop.neural_network._recurrent_network import CELLS, POOLINGS
from sklearn_backprop.neural_network._schedules import SCHEDULES
from sklearn_backprop.neural_network._solvers import SOLVERS

PERCEPTRONS = [BackpropMLPClassifier, BackpropMLPRegressor]
RECURRENT = [BackpropRNNClassifier, BackpropRNNRegressor]
ESTIMATORS = [*PERCEPTRONS, *RECURRENT]
REGISTRIES = [
    (ESTIMATORS, INITIALIZERS),
    (ESTIMATORS, INIT_ALIASES),
    (ESTIMATORS, SCHEDULES),
    (ESTIMATORS, SOLVERS),
    (PERCEPTRONS, ACTIVATIONS),
    (PERCEPTRONS, ACTIVATION_ALIASES),
    (RECURRENT, CELLS),
    (RECURRENT, POOLINGS),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "module",
    [
        _classifier,
        _regressor,
        _rnn_classifier,
        _rnn_regressor,
        _schedules,
        sklearn_backprop.exceptions,
    ],
)
def test_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_every_parameter_is_described_and_constrained(Estimator):
    names = set(inspect.signature(Estimator).parameters)
    assert names == set(Estimator._parameter_constraints)
    doc = Estimator.__doc__.split("Attributes\n")[0]
    described = {
        name.strip()
        for line in doc.splitlines()
        if line.startswith("    ") and not line.startswith("     ") and " : " in line
        for name in line.split(" : ")[0].split(",")
    }
    assert described == names


@pytest.mark.parametrize(("estimators", "registry"), REGISTRIES)
def test_every_choice_is_described(estimators, registry):
    missing = [
        (Estimator, name)
        for Estimator in estimators
        for name in registry
        if f'"{name}"' not in Estimator.__doc__
    ]
    assert not missing


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_every_attribute_is_described(Estimator):
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = Estimator((3,), max_iter=1).fit(X, y)
    fitted = {n for n in vars(model) if n.endswith("_") and not n.startswith("_")}
    doc = Estimator.__doc__.split("Attributes\n")[1]
    assert {name for name in fitted if f"    {name} : " not in doc} == set()


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_only_the_widths_come_by_position(Estimator):
    kinds = [p.kind for p in inspect.signature(Estimator).parameters.values()]
    assert kinds[0] is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert set(kinds[1:]) == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("Estimator", PERCEPTRONS)
def test_scikit_learns_parameters_and_defaults_are_all_there(Estimator):
    import sklearn.neural_network

    theirs = getattr(
        sklearn.neural_network, Estimator.__name__.removeprefix("Backprop")
    )
    ours = Estimator().get_params()
    for name, default in theirs().get_params().items():
        assert ours[name] == default, name
