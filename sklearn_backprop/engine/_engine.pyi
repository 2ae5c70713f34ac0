"""What Python sees of the compiled engine.

Legend: n rows, p features, m = p or p + 1 coefficients (an intercept comes last), k
targets. Arrays are float64 and C-contiguous where nothing else is said, and are never
converted: another dtype or layout is a TypeError.
"""

from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]

openmp: bool

def load_blas(capsules: dict[str, Any]) -> None:
    """Take the addresses of the BLAS routines out of SciPy's capsules."""

def max_threads() -> int:
    """Threads that OpenMP would use now; 1 without OpenMP."""

# ---- Linear models ----------------------------------------------------------------

def accumulate_gram(
    x: NDArray[Any],
    y: _Array,
    weight: _Array | None,
    shift: _Array,
    gram: _Array,
    n_threads: int,
) -> None:
    """Add A'A to the upper triangle of gram, A = sqrt(weight) * [1, x, y] - [0, shift].

    x (n, p) float32 or float64 of any strides, y (n, k), shift (p + k,),
    gram (1 + p + k, 1 + p + k).
    """

class ResidualSums:
    """Sums over rows of r = y - x coef - intercept, kept in double-double."""

    def __init__(self, n_features: int, n_targets: int) -> None: ...
    def add(
        self,
        x: NDArray[Any],
        y: _Array,
        weight: _Array | None,
        coef: _Array,
        intercept: _Array,
        n_threads: int,
    ) -> None:
        """Add rows: x (n, p) as in accumulate_gram, y (n, k), coef (k, p)."""

    def gradient(self, mean: _Array) -> _Array:
        """Sums (k, p) of weight * r * (x - mean), rounded once."""

    @property
    def residual(self) -> _Array:
        """Sums (k,) of weight * r."""

    @property
    def squares(self) -> _Array:
        """Sums (k,) of weight * r**2."""

class Cost:
    """A least-squares cost J of coefficients theta (k, m)."""

    def evaluate(self, theta: _Array) -> tuple[float, _Array]:
        """J and its gradient (k, m)."""

class GramCost(Cost):
    """J = sum over targets of (theta H theta)/2 - b theta, plus constant / 2."""

    def __init__(self, hessian: _Array, linear: _Array, constant: float) -> None: ...

class DenseCost(Cost):
    """J of dense rows x (n, p); they are not copied.

    y (n, k), share (n,) of the total weight, center (p,), scale (p,).
    """

    def __init__(
        self,
        x: _Array,
        y: _Array,
        share: _Array,
        center: _Array,
        scale: _Array,
        has_intercept: bool,
    ) -> None: ...

class SparseCost(Cost):
    """J of compressed sparse rows; the rest as in DenseCost."""

    def __init__(
        self,
        data: _Array,
        indices: NDArray[np.int32],
        indptr: NDArray[np.int32],
        n_features: int,
        y: _Array,
        share: _Array,
        center: _Array,
        scale: _Array,
        has_intercept: bool,
    ) -> None: ...

class Status(Enum):
    """Why descent is where it is."""

    RUNNING = 0
    CONVERGED = 1
    DIVERGED = 2
    STALLED = 3

class Descent:
    """A run of gradient descent from theta (k, m).

    l1 (p,) and l2 (p,) weigh |theta_j| and theta_j**2 / 2; gradient_floor (k,).
    """

    def __init__(
        self,
        cost: Cost,
        theta: _Array,
        *,
        l1: _Array,
        l2: _Array,
        gradient_floor: _Array,
        learning_rate: float,
        schedule: str,
        power_t: float,
        momentum: float,
        nesterov: bool,
        tol: float,
        largest_stable_rate: float,
        positive: bool,
        track_path: bool,
    ) -> None: ...
    def run(self, n_iter: int, seconds: float) -> None:
        """At most n_iter further iterations, or about so many seconds."""

    @property
    def status(self) -> Status: ...
    @property
    def n_iter(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def start_loss(self) -> float: ...
    @property
    def theta(self) -> _Array:
        """Coefficients (k * m,)."""

    @property
    def path(self) -> _Array:
        """Coefficients from the start on ((n_iter + 1) * k * m,)."""

    @property
    def loss_curve(self) -> _Array: ...
    @property
    def gradient_norm_curve(self) -> _Array: ...
