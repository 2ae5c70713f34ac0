"""Multilayer perceptrons and recurrent networks trained by backpropagation."""

from ._classifier import BackpropMLPClassifier
from ._numerical_embeddings import PeriodicEmbedding, PiecewiseLinearEmbedding
from ._regressor import BackpropMLPRegressor
from ._rnn_classifier import BackpropRNNClassifier
from ._rnn_regressor import BackpropRNNRegressor
from ._tabular_classifier import TabularMLPClassifier
from ._tabular_regressor import TabularMLPRegressor

__all__ = [
    "BackpropMLPClassifier",
    "BackpropMLPRegressor",
    "BackpropRNNClassifier",
    "BackpropRNNRegressor",
    "PeriodicEmbedding",
    "PiecewiseLinearEmbedding",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
]
