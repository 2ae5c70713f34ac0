"""Estimators on Dask collections: tables in parts, on one machine or many.

They need the extra "dask".
"""

from .._late_imports import require

require("dask", "sklearn_backprop.dask")
require("distributed", "sklearn_backprop.dask")

from ._linear import DaskGDLinearRegression  # noqa: E402
from ._networks import (  # noqa: E402
    DaskBackpropMLPClassifier,
    DaskBackpropMLPRegressor,
)

__all__ = [
    "DaskBackpropMLPClassifier",
    "DaskBackpropMLPRegressor",
    "DaskGDLinearRegression",
]
