"""Fitted estimators as ONNX models."""

from importlib.metadata import version

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from .._fitted import refuse_raw_tables
from ..inspection._pipeline import last_step
from ._estimators import ESTIMATORS, Fitted
from ._graph import FIRST_OPSET, ModelGraph
from ._outputs import write_maps

__all__ = ["to_onnx"]

_OPSET = 18


def to_onnx(estimator, *, dtype=None, zipmap=False, target_opset=None, name=None):
    """Write a fitted estimator as an ONNX model.

    The model computes what the estimator predicts, and needs neither Python nor this
    package: onnxruntime and other runtimes read it. Names are those that skl2onnx
    gives. Its input is "X" (n, n_features), for sequences too: step after step, NaN
    behind their ends. A classifier has the outputs "label", (n,)
    or (n, n_labels), and "probabilities" (n, n_classes); a regressor has "variable"
    (n, n_outputs), also for one output.

    Parameters
    ----------
    estimator : estimator or Pipeline
        A network (BackpropMLP..., BackpropRNN...) or GDLinearRegression, fitted. A
        pipeline, or another estimator of scikit-learn around one of these, is written
        by skl2onnx, with the converters of :func:`register_converters`.
    dtype : {numpy.float32, numpy.float64} or None, default=None
        Precision of the input, the arithmetic and the outputs; None takes that of the
        weights. float32 is half the size, and what accelerators compute in.
    zipmap : bool, default=False
        Whether probabilities are a sequence of maps from label to probability, one for
        each row (in float32 in any case: runtimes have no others), instead of an array.
    target_opset : int or None, default=None
        Version of ONNX's operators, at least 13; None takes 18, which runtimes have
        known since 2023.
    name : str or None, default=None
        Name of the graph; None takes that of the class.

    Returns
    -------
    model : onnx.ModelProto
        Save it by ``onnx.save(model, path)``, or pass ``model.SerializeToString()`` to
        a runtime.

    Raises
    ------
    ImportError
        If onnx (for pipelines: skl2onnx) is not installed.
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If it holds what ONNX cannot, labels that are neither numbers nor strings, or
        takes raw tables.

    See Also
    --------
    register_converters : Teaches skl2onnx these estimators.

    Notes
    -----
    Labels that are booleans or whole floating-point numbers come out as int64. Rows
    whose numbers end in an error of `predict`, such as NaN, give NaN. Where features
    are embedded, NaN stands for missing values as in `predict`.

    References
    ----------
    ONNX: Open Neural Network Exchange, operator schemas. https://onnx.ai/onnx/operators

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_backprop import BackpropMLPClassifier
    >>> from sklearn_backprop.exchange import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> net = BackpropMLPClassifier((16,), learning_rate_init=0.01, tol=1e-3,
    ...                             random_state=0).fit(X, y)
    >>> model = to_onnx(net)
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    check_is_fitted(estimator)
    refuse_raw_tables(last_step(estimator), "to_onnx")
    dtype = _dtype_of(estimator) if dtype is None else _floating(dtype)
    opset = _OPSET if target_opset is None else _new_enough(target_opset)
    name = name or type(estimator).__name__
    if not isinstance(estimator, ESTIMATORS):
        from ._skl2onnx import convert

        return convert(
            estimator, dtype=dtype, zipmap=zipmap, target_opset=opset, name=name
        )
    graph = ModelGraph(dtype, opset)
    x = graph.declare_input("X", "n", estimator.n_features_in_)
    if is_classifier(estimator):
        _write_classifier(graph, Fitted(estimator), x, zipmap)
    else:
        _write_regressor(graph, Fitted(estimator), x)
    return graph.model(
        name,
        producer_name="sklearn-backprop",
        producer_version=version("sklearn-backprop"),
    )


def _floating(dtype) -> np.dtype:
    dtype = np.dtype(dtype)
    if dtype in (np.float32, np.float64):
        return dtype
    raise ValueError(f"dtype must be float32 or float64, got {dtype}.")


def _new_enough(opset) -> int:
    if opset >= FIRST_OPSET:
        return opset
    raise ValueError(f"target_opset must be at least {FIRST_OPSET}, got {opset}.")


def _dtype_of(estimator) -> np.dtype:
    """Precision of the weights; of others than ours, such as searches, double."""
    last = last_step(estimator)
    return Fitted(last).dtype if isinstance(last, ESTIMATORS) else np.dtype(float)


def _write_regressor(graph: ModelGraph, fitted: Fitted, x: str) -> None:
    fitted.write(graph, x, "variable")
    graph.declare_output("variable", graph.dtype, "n", fitted.n_outputs)


def _write_classifier(graph: ModelGraph, fitted: Fitted, x: str, zipmap: bool) -> None:
    probabilities = "p" if zipmap else "probabilities"
    fitted.write(graph, x, "label", probabilities)
    graph.declare_output("label", fitted.labels.dtype, *fitted.label_shape)
    if zipmap:
        write_maps(graph, fitted.labels, probabilities, "probabilities")
        graph.declare_maps("probabilities", fitted.labels.dtype)
    else:
        graph.declare_output(probabilities, graph.dtype, "n", fitted.n_probabilities)
