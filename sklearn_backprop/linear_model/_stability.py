"""Whether the steps of mini-batch descent are too long to stay near a minimum.

A step on a batch of rows is affine in theta: the error e = theta - theta* becomes
(I - rate H) e + noise, with H the Hessian of the batch. Noise alone keeps the cost
above its minimum, and above that of zero coefficients where the signal is weak. The
step is too long where errors grow without it: where the mean growth of log |e| in an
epoch, the top Lyapunov exponent of random products of I - rate H, is positive
(Furstenberg and Kesten, 1960). So the same descent is run on targets of zero, whose
minimum is known and noiseless, until the mean is clear of zero.
"""

import math
from collections.abc import Iterable

import numpy as np

__all__ = ["runs_away"]

# Epochs after which the growth is looked at, over all but the first quarter of them.
_LOOKS = [50 * 2**k for k in range(9)]
# Standard errors of the mean growth that chance does not bring.
_CLEAR = 4.0
# Growth from one half of those epochs to the other that rounding does not bring.
_GROWTH = 2.0
# Errors of this size have vanished. They scale without limit but that of floats, so
# that chance may take them far down before they grow.
_VANISHED = 1e-250


def runs_away(sizes: Iterable[float]) -> bool:
    """Tell whether errors grow from their sizes after each epoch; 1 before the first.

    Near the limit, where chance outweighs growth, the halves of the last look decide.
    """
    logarithms = [0.0]
    for n_epochs, size in enumerate(sizes, start=1):
        if not math.isfinite(size):
            return True
        if size < _VANISHED:
            return False
        logarithms.append(math.log(size))
        if n_epochs in _LOOKS:
            seen = np.array(logarithms[n_epochs // 4 :])
            growth = np.diff(seen)
            # Half against half: an epoch that errors leap in is not growth.
            earlier, later = np.array_split(seen, 2)
            grows = bool(later.mean() - earlier.mean() > math.log(_GROWTH))
            doubt = _CLEAR * growth.std() / math.sqrt(len(growth))
            is_clear = growth.mean() < -doubt or (grows and growth.mean() > doubt)
            if is_clear or n_epochs == _LOOKS[-1]:
                break
    return grows
