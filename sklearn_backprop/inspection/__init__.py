"""What a fitted model's history tells: displays and the learning-rate range test."""

from ._descent_path import DescentPathDisplay
from ._gradient_flow import GradientFlowDisplay
from ._learning_rate import LearningRateRangeDisplay
from ._loss_curve import LossCurveDisplay

__all__ = [
    "DescentPathDisplay",
    "GradientFlowDisplay",
    "LearningRateRangeDisplay",
    "LossCurveDisplay",
]
