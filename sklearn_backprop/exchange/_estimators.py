"""What a fitted estimator computes, as nodes of an ONNX graph."""

import numpy as np
from sklearn.base import is_classifier

from ..linear_model import GDLinearRegression
from ..neural_network import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    BackpropRNNClassifier,
    BackpropRNNRegressor,
)
from ._graph import Graph, label_array
from ._layers import Numbers, write_layers
from ._outputs import (
    write_both_probabilities,
    write_indicators,
    write_labels,
    write_link,
)

__all__ = ["ESTIMATORS", "Fitted"]

ESTIMATORS = (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    BackpropRNNClassifier,
    BackpropRNNRegressor,
    GDLinearRegression,
)


class Fitted:
    """A fitted estimator: the way from its rows to its outputs."""

    def __init__(self, estimator):
        self.estimator = estimator
        self.is_linear = isinstance(estimator, GDLinearRegression)
        self.is_classifier = is_classifier(estimator)

    @property
    def dtype(self) -> np.dtype:
        """Precision of the weights."""
        if self.is_linear:
            return self.estimator.coef_.dtype
        return self.estimator.coefs_[0].dtype

    @property
    def n_outputs(self) -> int:
        """Count the outputs of a row."""
        if self.is_linear:
            return len(np.atleast_2d(self.estimator.coef_))
        return self.estimator.n_outputs_

    @property
    def n_members(self) -> int:
        """Count the members whose predictions are averaged."""
        return 1 if self.is_linear else self.estimator._training.network.n_members

    @property
    def n_probabilities(self) -> int:
        """Count the columns of `predict_proba`."""
        return max(2, self.n_outputs)

    @property
    def link(self) -> str:
        """The function from raw outputs to predictions."""
        return "identity" if self.is_linear else self.estimator.out_activation_

    @property
    def is_multilabel(self) -> bool:
        """Whether a row can have several labels."""
        return self.is_classifier and self.n_outputs > 1 and self.link == "logistic"

    @property
    def labels(self) -> np.ndarray:
        """Classes as ONNX has them."""
        return label_array(self.estimator.classes_)

    @property
    def label_shape(self) -> tuple:
        """Shape of what `predict` returns."""
        return ("n", self.n_outputs) if self.is_multilabel else ("n",)

    def write(self, graph: Graph, x: str, *outputs: str, labels=None) -> None:
        """Write what leads from x (n, p) to outputs: a value, or label and probability.

        `labels` replace those of the estimator.
        """
        raw = self._write_raw(graph, x)
        if not self.is_classifier:
            return write_link(graph, self.link, raw, outputs[0], self.n_members)
        label, probabilities = outputs
        if self.n_outputs == 1:
            write_both_probabilities(graph, raw, probabilities, self.n_members)
        else:
            write_link(graph, self.link, raw, probabilities, self.n_members)
        if self.is_multilabel:
            return write_indicators(graph, probabilities, label)
        labels = self.labels if labels is None else labels
        return write_labels(graph, labels, probabilities, label)

    def _write_raw(self, graph: Graph, x: str) -> str:
        """Write raw outputs (n, n_outputs), of several members (n, k, n_outputs)."""
        if self.is_linear:
            return self._write_linear(graph, x)
        network = self.estimator._training.network
        numbers = Numbers(
            [row.start for row in network.architecture.parameters],
            network.theta,
            network.running,
            np.concatenate([[], *network.architecture.constants]),
        )
        return write_layers(graph, network.architecture.layers, numbers, x)

    def _write_linear(self, graph: Graph, x: str) -> str:
        coef = graph.constant(np.atleast_2d(self.estimator.coef_).T)
        intercept = graph.constant(np.atleast_1d(self.estimator.intercept_))
        return graph.add("Add", graph.add("MatMul", x, coef), intercept)
