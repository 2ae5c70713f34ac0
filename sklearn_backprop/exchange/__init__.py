"""Fitted models for elsewhere: ONNX, scikit-learn's perceptrons, skops."""

from ._onnx import to_onnx
from ._skl2onnx import register_converters

__all__ = ["register_converters", "to_onnx"]
