"""Linear regression and neural networks by gradients, for scikit-learn."""

from importlib.metadata import version

from .linear_model import GDLinearRegression
from .neural_network import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    BackpropRNNClassifier,
    BackpropRNNRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
)

__version__ = version("sklearn-backprop")
__all__ = [
    "BackpropMLPClassifier",
    "BackpropMLPRegressor",
    "BackpropRNNClassifier",
    "BackpropRNNRegressor",
    "GDLinearRegression",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
]
