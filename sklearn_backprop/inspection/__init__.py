"""What a fitted model's history tells: findings, displays, the range test."""

from .._diagnosis import Finding
from ._descent_path import DescentPathDisplay
from ._gradient_flow import GradientFlowDisplay
from ._learning_rate import LearningRateRangeDisplay
from ._loss_curve import LossCurveDisplay
from ._reading import diagnose

__all__ = [
    "DescentPathDisplay",
    "Finding",
    "GradientFlowDisplay",
    "LearningRateRangeDisplay",
    "LossCurveDisplay",
    "diagnose",
]
