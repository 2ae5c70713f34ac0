"""Multilayer perceptrons trained by backpropagation."""

from ._classifier import BackpropMLPClassifier
from ._numerical_embeddings import PeriodicEmbedding, PiecewiseLinearEmbedding
from ._regressor import BackpropMLPRegressor

__all__ = [
    "BackpropMLPClassifier",
    "BackpropMLPRegressor",
    "PeriodicEmbedding",
    "PiecewiseLinearEmbedding",
]
