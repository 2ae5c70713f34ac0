"""Fitted models for elsewhere: ONNX, scikit-learn's perceptrons, skops."""

from ._onnx import to_onnx
from ._skl2onnx import register_converters
from ._sklearn_mlp import from_sklearn, to_sklearn
from ._skops import SKOPS_TRUSTED_TYPES

__all__ = [
    "SKOPS_TRUSTED_TYPES",
    "from_sklearn",
    "register_converters",
    "to_onnx",
    "to_sklearn",
]
