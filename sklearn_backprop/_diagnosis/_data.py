"""What the data tell: sizes of features, collinearity, and rows kept for validation."""

import numpy as np

from ._finding import Finding, Params, either
from ._steps import FEWEST_EPOCHS

__all__ = [
    "DESCENT_FEATURE_RATIO",
    "feature_scales",
    "ill_conditioning",
    "over_fitting",
]

# "Study" is benchmarks/diagnosis.py, see _layers.py.
#
# Largest / smallest size of a feature. LeCun et al. (1998) ask for equal variances.
# Networks, study: scaled tables and pixels up to 16, raw tables from 150. Descent: the
# condition number is at least this ratio, and iterations grow with its square.
FEATURE_RATIO = 100.0
DESCENT_FEATURE_RATIO = 10.0
# Rise of the validation loss above its minimum. Prechelt (1998) stops at 0.05; study:
# 0.23 (99 %) where early stopping has ended a sound training.
GENERALIZATION_LOSS = 0.2
# From here on collinearity is called strong (Belsley, Kuh & Welsch, 1980).
CONDITION_NUMBER = 30.0


def feature_scales(
    scale: np.ndarray,
    remedy: str,
    *,
    bound: float = FEATURE_RATIO,
    noun: str = "feature",
) -> Finding | None:
    """Find features whose sizes (n_features,) are far apart; zero ones do not count."""
    sizes = scale[np.isfinite(scale) & (scale > 0)]
    if len(sizes) < 2 or sizes.max() <= bound * sizes.min():
        return None
    largest, smallest = (
        int(np.argmax(scale)),
        int(np.flatnonzero(scale == sizes.min())[0]),
    )
    return Finding(
        "feature_scales",
        f"{noun} {largest} has a size of {sizes.max():.3g}, {noun} {smallest} one of "
        f"{sizes.min():.3g}: a step that suits the one does not suit the other",
        remedy,
    )


def over_fitting(
    validation_loss: np.ndarray, loss: np.ndarray, params: Params
) -> Finding | None:
    """Find a validation loss that rises while the training loss falls."""
    # Epochs that scikit-learn trained have no validation loss: NaN.
    if len(validation_loss) < FEWEST_EPOCHS or np.isnan(validation_loss).any():
        return None
    best = int(np.argmin(validation_loss))
    last = float(np.median(validation_loss[-3:]))
    rise = last / validation_loss[best] - 1
    loss = loss[-len(validation_loss) :]
    if rise <= GENERALIZATION_LOSS or loss[-1] >= loss[best]:
        return None
    return Finding(
        "over_fitting",
        f"the validation loss rose by {rise:.0%} since epoch {best + 1}, from "
        f"{validation_loss[best]:.3g} to {last:.3g}, while the training loss fell from "
        f"{loss[best]:.3g} to {loss[-1]:.3g}",
        either(
            f"alpha above {params['alpha']:g}",
            (params["dropout"] == 0, "dropout=0.2"),
            "smaller hidden_layer_sizes",
            (params["n_iter_no_change"] > 10, "n_iter_no_change=10"),
        ),
        epochs=(best + 2, len(validation_loss)),
    )


def ill_conditioning(condition_number: float, params: Params) -> Finding | None:
    """Find data whose cost is a valley too narrow for plain descent."""
    if not condition_number > CONDITION_NUMBER:
        return None
    return Finding(
        "ill_conditioning",
        f"the condition number of the data is {condition_number:.3g}, and descent "
        f"needs iterations by its square; {params['max_iter']} did not do",
        either(
            (params["momentum"] == 0, "momentum=0.9 with nesterovs_momentum=True"),
            "solver='normal'",
            "alpha above 0",
        ),
    )
