"""Multilayer perceptrons trained by backpropagation."""

from ._classifier import BackpropMLPClassifier
from ._regressor import BackpropMLPRegressor

__all__ = ["BackpropMLPClassifier", "BackpropMLPRegressor"]
