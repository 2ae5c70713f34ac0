"""What turns columns of tables into numbers that models learn from more easily."""

from ._piecewise_linear import PiecewiseLinearEncoder

__all__ = ["PiecewiseLinearEncoder"]
