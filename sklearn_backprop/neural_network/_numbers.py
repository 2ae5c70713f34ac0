"""Targets that are numbers, and the losses that measure how far off one is."""

from typing import Self

import numpy as np

from .._immutable import immutable
from .._scores import RSquared
from .._stored import stored
from ._coding import Coder

__all__ = ["REGRESSION_LOSSES", "NumberCoder", "StandardizingCoder"]

# Loss -> `out_activation_`, the function from raw outputs to predictions.
REGRESSION_LOSSES = {
    "squared_error": "identity",
    "absolute_error": "identity",
    "huber": "identity",
    "quantile": "identity",
    "poisson": "exp",
}


@stored
@immutable
class NumberCoder(Coder):
    """Numbers as they are, in columns."""

    loss: str

    @property
    def out_activation(self) -> str:  # type: ignore[override]
        """The function from raw outputs to predictions."""
        return REGRESSION_LOSSES[self.loss]

    def encode(self, y, dtype) -> np.ndarray:
        """Write targets as (n, n_outputs); refuse those that the loss cannot take."""
        if self.loss == "poisson" and np.any(y < 0):
            raise ValueError(
                "Some value(s) of y are out of the valid range of the loss 'poisson': "
                f"it needs y >= 0, but the smallest is {np.min(y)}. Use "
                "loss='squared_error' for targets that can be negative."
            )
        return np.ascontiguousarray(y.reshape(len(y), -1), dtype=dtype)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Give predictions (n, K) the shape of y."""
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def scorer(self, y, sample_weight):
        """R², the mean over outputs."""

        def score(outputs):
            return RSquared.of(y, self.decode(outputs), sample_weight).value

        return score


@stored
@immutable
class StandardizingCoder(NumberCoder):
    """Numbers less their mean, in units of their spread; for "poisson", of the mean."""

    mean: np.ndarray  # (n_outputs,)
    spread: np.ndarray  # (n_outputs,)

    @classmethod
    def of(cls, loss: str, y, weight) -> Self:
        """Learn mean and spread of y, (n,) or (n, n_outputs), of rows so heavy."""
        y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        unit = np.maximum(np.abs(y).max(axis=0), np.finfo(np.float64).tiny)
        mean = np.average(y / unit, axis=0, weights=weight)
        variance = np.average((y / unit - mean) ** 2, axis=0, weights=weight)
        spread = np.sqrt(variance)
        if REGRESSION_LOSSES[loss] == "exp":  # outputs are logarithms of such units
            mean, spread = np.zeros_like(mean), mean
        varies = spread > 8 * np.finfo(np.float64).eps
        return cls(loss, mean * unit, np.where(varies, spread, 1.0) * unit)

    def encode(self, y, dtype) -> np.ndarray:
        """Write targets as (n, n_outputs), of mean 0 and spread 1."""
        Y = super().encode(y, np.float64)
        half = 0.5  # a difference of the largest numbers would overflow
        Y = (Y * half - self.mean * half) / (self.spread * half)
        return np.ascontiguousarray(Y, dtype=dtype)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Give predictions (n, K) the units and the shape of y."""
        return super().decode(outputs.astype(np.float64) * self.spread + self.mean)
