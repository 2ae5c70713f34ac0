"""Linear regression by gradient descent and by the normal equation."""

from ._gd_linear_regression import GDLinearRegression

__all__ = ["GDLinearRegression"]
