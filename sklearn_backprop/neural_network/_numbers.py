"""Targets that are numbers, and the losses that measure how far off one is."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import r2_score

from .._stored import stored
from ._coding import Coder

__all__ = ["REGRESSION_LOSSES", "NumberCoder"]

# Loss -> `out_activation_`, the function from raw outputs to predictions.
REGRESSION_LOSSES = {
    "squared_error": "identity",
    "absolute_error": "identity",
    "huber": "identity",
    "quantile": "identity",
    "poisson": "exp",
}


@stored
@dataclass(frozen=True)
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
            return r2_score(y, self.decode(outputs), sample_weight=sample_weight)

        return score
