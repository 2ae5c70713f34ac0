"""scikit-learn's own tests of its perceptrons, run on ours.

The names of its classes are replaced in its test module, whose tests are then
collected here.
"""

import importlib.util

import pytest
import sklearn.neural_network as theirs
from sklearn.neural_network.tests import test_mlp

from sklearn_backprop.neural_network import BackpropMLPClassifier, BackpropMLPRegressor

OURS = {
    "MLPClassifier": BackpropMLPClassifier,
    "MLPRegressor": BackpropMLPRegressor,
}
LEFT_OUT = {
    "test_gradient": "calls the private _loss_grad_lbfgs; see test_gradients.py",
    "test_learning_rate_warmstart": "reads the private _optimizer; see test_training",
    "test_adaptive_learning_rate": "reads the private _optimizer; see test_training",
    "test_mlp_diverging_loss": (
        "asks that a diverged net pass in silence under early stopping; ours stops "
        "with DivergenceError, see test_errors.py"
    ),
}


def load_with_our_classes():
    """Make a private copy of the module, which has imported our classes as its own."""
    originals = {name: getattr(theirs, name) for name in OURS}
    try:
        for name, ours in OURS.items():
            setattr(theirs, name, ours)
        spec = importlib.util.find_spec(test_mlp.__name__)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        for name, original in originals.items():
            setattr(theirs, name, original)
    return module


suite = load_with_our_classes()
globals().update(
    {
        name: test
        for name, test in vars(suite).items()
        if name.startswith("test_") and name not in LEFT_OUT
    }
)
# Its tests let some fits end at max_iter.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
]


@pytest.fixture
def global_random_seed():
    """Seed that scikit-learn's own conftest draws."""
    return 42


def test_nothing_is_left_out_without_existing():
    assert set(LEFT_OUT) <= set(vars(suite))
