"""Between y, as users have it, and rows (n, K) that outputs are compared with."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Coder"]


class Coder(ABC):
    """Writes y as rows for the engine, and reads its predictions."""

    out_activation: str  # from raw outputs to predictions, as scikit-learn calls it

    @abstractmethod
    def encode(self, y, dtype) -> np.ndarray:
        """Write y as rows (n, K)."""

    @abstractmethod
    def decode(self, outputs: np.ndarray) -> Any:
        """Read predictions (n, K) as `predict` returns them."""

    @abstractmethod
    def scorer(self, y, sample_weight) -> Callable[[np.ndarray], float]:
        """Make what scores predictions (n, K) of rows with this y."""
