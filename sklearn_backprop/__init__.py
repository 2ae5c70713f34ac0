"""Linear regression and neural networks by gradients, for scikit-learn."""

from ._stored import this_version as _this_version
from .linear_model import GDLinearRegression
from .neural_network import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    BackpropRNNClassifier,
    BackpropRNNRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
)

__all__ = [
    "BackpropMLPClassifier",
    "BackpropMLPRegressor",
    "BackpropRNNClassifier",
    "BackpropRNNRegressor",
    "GDLinearRegression",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
]


def __getattr__(name: str) -> str:
    """Look for the version when it is asked for."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _this_version()
