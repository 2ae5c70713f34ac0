"""Multilayer perceptrons trained by backpropagation."""

from ._multilayer_perceptron import BackpropMLPClassifier, BackpropMLPRegressor

__all__ = ["BackpropMLPClassifier", "BackpropMLPRegressor"]
