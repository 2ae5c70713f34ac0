"""Predictions are finite, or an error."""

import numpy as np

__all__ = ["finite_predictions"]


def finite_predictions(y, X):
    """Return predictions y (n,) or (n, k) of X (n, p), or say which row overflows."""
    if np.isfinite(y).all():
        return y
    row = int(np.flatnonzero(~np.isfinite(y.reshape(len(y), -1)).all(axis=1))[0])
    values = X[[row]]
    values = values if isinstance(values, np.ndarray) else values.toarray()
    raise ValueError(
        f"The prediction for row {row} of X is not finite: it leaves {y.dtype}. The "
        f"largest magnitude in that row is {np.abs(values).max():.3g}; bring X to the "
        "scale of the training data, or fit again on data of this scale."
    )
