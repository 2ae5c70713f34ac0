"""Whether the steps of mini-batch descent are too long to stay near a minimum.

A step on a batch of rows is affine in theta: the error e = theta - theta* becomes
(I - rate H) e + noise, with H the Hessian of the batch. Noise alone keeps the cost
above its minimum, and above that of zero coefficients where the signal is weak. The
step is too long where the errors grow without it. So the same descent is run on targets
of zero, whose minimum is known and noiseless: from a random start errors then vanish or
run away.
"""

from collections.abc import Callable

import numpy as np

__all__ = ["runs_away"]

_N_EPOCHS = 50
# Small enough to grow for long without leaving double precision, squares included.
_START = 1e-100
# Growth over the second half of the epochs that chance does not bring.
_GROWTH = 2.0


def runs_away(epoch: Callable[[np.ndarray], bool], size: int) -> bool:
    """Tell whether errors (size,) grow from epoch to epoch.

    `epoch` changes them in place, and returns False where numbers have ended.
    """
    error = np.random.default_rng(0).standard_normal(size) * _START
    halfway = float("inf")
    for n_epochs in range(1, _N_EPOCHS + 1):
        if not epoch(error):
            return True
        if n_epochs == _N_EPOCHS // 2:
            halfway = float(np.linalg.norm(error))
    return bool(np.linalg.norm(error) > _GROWTH * halfway)
