"""Linear regression and multilayer perceptrons by gradients, for scikit-learn."""

from importlib.metadata import version

from .linear_model import GDLinearRegression

__version__ = version("sklearn-backprop")
__all__ = ["GDLinearRegression"]
