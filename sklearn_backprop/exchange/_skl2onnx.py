"""Converters by which skl2onnx writes these estimators inside pipelines."""

import numpy as np

from .._late_imports import require
from ._estimators import ESTIMATORS, Fitted
from ._graph import Graph

__all__ = ["convert", "register_converters"]

# As skl2onnx's own converter of perceptrons has them.
_CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [True, False],
}


class ContainerGraph(Graph):
    """The part of skl2onnx's graph that one estimator makes."""

    def __init__(self, scope, operator, container):
        types = require("skl2onnx", "register_converters").common.data_types
        is_double = isinstance(operator.inputs[0].type, types.DoubleTensorType)
        super().__init__(
            np.float64 if is_double else np.float32, container.target_opset
        )
        self._scope = scope
        self._container = container

    def keep(self, array):
        name = self._scope.get_unique_variable_name("constant")
        if array.dtype == object:
            texts = [text.encode() for text in array.ravel()]
            kind = self.type_of(object)
            self._container.add_initializer(name, kind, array.shape, texts)
        else:
            content = self.tensor(name, array)
            self._container.add_initializer(name, None, None, content)
        return name

    def add(self, op, *inputs, output=None, n_outputs=1, domain="", **attributes):
        unique = self._scope.get_unique_variable_name
        name = output or unique(op.lower())
        self._container.add_node(
            op,
            list(inputs),
            [*(unique(op.lower()) for _ in range(1, n_outputs)), name],
            op_domain=domain,
            name=self._scope.get_unique_operator_name(op),
            **attributes,
        )
        return name


def register_converters() -> None:
    """Teach skl2onnx to write these estimators.

    Call it once before ``skl2onnx.to_onnx`` or ``skl2onnx.convert_sklearn`` meets a
    pipeline, a search or an ensemble that holds a GDLinearRegression or a network of
    this package. Classifiers take skl2onnx's options
    "zipmap", "nocl" and "output_class_labels". A float input is computed in float32, a
    double one in float64.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    to_onnx : Writes a model without skl2onnx.

    References
    ----------
    `skl2onnx: converters for other libraries
    <https://onnx.ai/sklearn-onnx/>`_.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_backprop import BackpropMLPClassifier
    >>> from sklearn_backprop.exchange import register_converters
    >>> X, y = load_iris(return_X_y=True)
    >>> net = BackpropMLPClassifier((16,), learning_rate_init=0.01, tol=1e-3,
    ...                             random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), net).fit(X, y)
    >>> import skl2onnx
    >>> register_converters()
    >>> model = skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False})
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    skl2onnx = require("skl2onnx", "register_converters")
    for estimator in ESTIMATORS:
        is_classifier = hasattr(estimator, "predict_proba")
        skl2onnx.update_registered_converter(
            estimator,
            f"SklearnBackprop{estimator.__name__}",
            _shape_classifier if is_classifier else _shape_regressor,
            _convert_classifier if is_classifier else _convert_regressor,
            options=_CLASSIFIER_OPTIONS if is_classifier else None,
        )


def convert(estimator, *, dtype, zipmap, target_opset, name):
    """Write a pipeline, a search or the like by skl2onnx, from one input "X"."""
    if zipmap and dtype != np.float32:
        raise ValueError(
            f"zipmap=True of a {type(estimator).__name__} needs dtype=numpy.float32: "
            "runtimes have no maps to float64."
        )
    skl2onnx = require("skl2onnx", "to_onnx")
    register_converters()
    types = skl2onnx.common.data_types
    tensor = types.FloatTensorType if dtype == np.float32 else types.DoubleTensorType
    return skl2onnx.convert_sklearn(
        estimator,
        name,
        initial_types=[("X", tensor([None, estimator.n_features_in_]))],
        target_opset=target_opset,
        options={"zipmap": zipmap} if hasattr(estimator, "predict_proba") else None,
    )


def _input_of(graph: Graph, operator) -> str:
    """Name of the rows, in the graph's precision."""
    return graph.cast(operator.inputs[0].full_name, graph.dtype)


def _convert_classifier(scope, operator, container) -> None:
    graph = ContainerGraph(scope, operator, container)
    fitted = Fitted(operator.raw_operator)
    options = container.get_options(operator.raw_operator, {"nocl": False})
    labels = np.arange(len(fitted.labels)) if options["nocl"] else fitted.labels
    names = [output.full_name for output in operator.outputs]
    fitted.write(graph, _input_of(graph, operator), *names, labels=labels)


def _convert_regressor(scope, operator, container) -> None:
    graph = ContainerGraph(scope, operator, container)
    name = operator.outputs[0].full_name
    Fitted(operator.raw_operator).write(graph, _input_of(graph, operator), name)


def _shape_classifier(operator) -> None:
    types = require("skl2onnx", "register_converters").common.data_types
    fitted = Fitted(operator.raw_operator)
    options = operator.scope_inst.get_options(operator.raw_operator, {"nocl": False})
    is_text = fitted.labels.dtype == object and not options["nocl"]
    label = types.StringTensorType if is_text else types.Int64TensorType
    n = operator.inputs[0].get_first_dimension()
    operator.outputs[0].set_type(label([n, *fitted.label_shape[1:]]))
    operator.outputs[1].type.shape = [n, fitted.n_probabilities]


def _shape_regressor(operator) -> None:
    n = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [n, Fitted(operator.raw_operator).n_outputs]
