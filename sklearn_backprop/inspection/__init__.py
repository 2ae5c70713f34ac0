"""What a fitted model's history tells: findings, displays, the range test."""

from .._diagnosis import Finding
from ._backpropagation import Backpropagation
from ._backpropagation_display import BackpropagationDisplay
from ._derivatives import backpropagate, input_gradients
from ._descent_path import DescentPathDisplay
from ._gradient_check import GradientCheck
from ._gradient_flow import GradientFlowDisplay
from ._layer_pass import LayerPass, Step
from ._learning_rate import LearningRateRangeDisplay
from ._loss_curve import LossCurveDisplay
from ._reading import diagnose

__all__ = [
    "Backpropagation",
    "BackpropagationDisplay",
    "DescentPathDisplay",
    "Finding",
    "GradientCheck",
    "GradientFlowDisplay",
    "LayerPass",
    "LearningRateRangeDisplay",
    "LossCurveDisplay",
    "Step",
    "backpropagate",
    "diagnose",
    "input_gradients",
]
