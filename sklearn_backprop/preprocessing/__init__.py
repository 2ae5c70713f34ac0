"""What turns columns of tables into numbers that models learn from more easily."""

from ._piecewise_linear import PiecewiseLinearEncoder
from ._table_encoder import TableEncoder

__all__ = ["PiecewiseLinearEncoder", "TableEncoder"]
