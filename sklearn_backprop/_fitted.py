"""What tools beside the estimators read of a fitted network, in one place."""

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from ._rows import Rows
from .linear_model import GDLinearRegression
from .neural_network._estimator import NetworkEstimator, ValidationData
from .neural_network._network import Network
from .neural_network._sequences import Unpacking
from .neural_network._table_network import TableNetwork

__all__ = [
    "fitted_network",
    "is_linear",
    "is_network",
    "linear_rows_of",
    "plain_engine",
    "refuse_raw_tables",
    "rows_in",
    "rows_of",
    "sequences_of",
]


def is_network(estimator) -> bool:
    """Tell whether it is one of the networks."""
    return isinstance(estimator, NetworkEstimator)


def is_linear(estimator) -> bool:
    """Tell whether it is GDLinearRegression."""
    return isinstance(estimator, GDLinearRegression)


def refuse_raw_tables(estimator, function: str) -> None:
    """Refuse an estimator that encodes its table, for what works on numbers alone."""
    if isinstance(estimator, TableNetwork):
        raise ValueError(
            f"{function} works on columns of numbers, but {type(estimator).__name__} "
            "takes raw tables, which it encodes. Fit a perceptron, such as "
            "BackpropMLPRegressor, to columns that are numbers."
        )


def fitted_network(estimator) -> Network:
    """Give the network of a fitted estimator, with arrays put in by hand."""
    check_is_fitted(estimator)
    return estimator._network()


def rows_of(estimator, X, y, sample_weight) -> Rows:
    """Read rows as the network meets them: encoded, weighed by row and class."""
    given = ValidationData(X, y, sample_weight)
    rows = estimator._given_validation(given).rows
    _check_outputs(estimator, rows.Y.shape[1], estimator.n_outputs_)
    return rows


def rows_in(estimator, X):
    """Read rows (n, p) as a fitted estimator's `predict` does."""
    if is_network(estimator):
        return estimator._read_rows(X, dtype=fitted_network(estimator).dtype)
    return validate_data(estimator, X, accept_sparse="csr", dtype=float, reset=False)


def linear_rows_of(estimator, X, y, sample_weight):
    """Read rows of a linear regression: X (n, p), Y (n, k), weight (n,) or None."""
    X = rows_in(estimator, X)
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    check_consistent_length(X, y)
    Y = y.reshape(len(y), -1)
    _check_outputs(estimator, Y.shape[1], len(np.atleast_2d(estimator.coef_)))
    if sample_weight is None:
        return X, Y, None
    weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError(
            "sample_weight sums to zero: at least one row needs a positive weight."
        )
    return X, Y, weight


def _check_outputs(estimator, n_given: int, n_fitted: int) -> None:
    if n_given != n_fitted:
        raise ValueError(
            f"y has {n_given} output(s), but {type(estimator).__name__} was fitted "
            f"with {n_fitted}."
        )


def plain_engine(network: Network, dtype):
    """Make an engine whose layers do one thing each, and that has every gradient."""
    return network.make_engine(dtype, fuse=False, has_frozen=False)


def sequences_of(network: Network, X: np.ndarray) -> Unpacking:
    """Give what makes sequences of the steps that a recurrent network packs for X."""
    return Unpacking(X, network.architecture.layers[0]["n_channels"])
