"""What a fitted model's history tells: displays and the learning-rate range test."""

from ._displays import DescentPathDisplay, GradientFlowDisplay, LossCurveDisplay
from ._learning_rate import LearningRateRangeDisplay

__all__ = [
    "DescentPathDisplay",
    "GradientFlowDisplay",
    "LearningRateRangeDisplay",
    "LossCurveDisplay",
]
