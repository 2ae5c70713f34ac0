"""What predictions of the training rows tell."""

import numpy as np

from ._finding import Finding, Params, either, lower_rate

__all__ = [
    "at_chance",
    "is_at_chance_level",
    "is_worse_than_constant",
    "prediction_error",
    "prediction_spread",
    "why_nothing_arrives",
    "worse_than_constant",
]

# "Study" is benchmarks/diagnosis.py, see _layers.py.
#
# Spread of predictions / spread of targets below which nothing was learned. Study:
# sound above 0.46, stalled below 1e-7; a stack of 4 logistic layers that is about to
# learn has 0.013.
SAME_PREDICTION = 0.02
# Error of predictions / error of the best constant. Study: sound below 0.9; what only
# hovers about the mean of y stays within some thousandths of 1.
WORSE_THAN_CONSTANT = 1.02
# Spread of targets, and magnitude of features, outside of which they want scaling.
USUAL_SIZES = (1e-2, 1e2)

# What can keep a network at chance level. Not "small_step": that takes longer only.
_BLOCKING = {
    "symmetric_start",
    "feature_scales",
    "saturated_units",
    "exploding_gradients",
    "large_step",
    "dead_units",
    "vanishing_gradients",
}


def prediction_spread(predictions: np.ndarray, Y: np.ndarray) -> float:
    """Spread of predictions (n, K) relative to that of targets (n, K); nan if none."""
    spread = Y.std(axis=0).max()
    return float(predictions.std(axis=0).max() / spread) if spread > 0 else np.nan


def prediction_error(
    predictions: np.ndarray, Y: np.ndarray, quantile: float | None = None
) -> float | None:
    """Error of predictions (n, K) relative to that of the best constants; or None.

    Squared errors, or those of a quantile. None where targets do not vary.
    """

    def total(errors):
        if quantile is None:
            return np.sum(errors**2)
        return np.sum(np.maximum(quantile * errors, (quantile - 1) * errors))

    Y, predictions = Y.astype(np.float64), predictions.astype(np.float64)
    constant = np.mean(Y, axis=0)
    if quantile is not None:
        constant = np.quantile(Y, quantile, axis=0)
    spread = total(Y - constant)
    return float(total(Y - predictions) / spread) if spread > 0 else None


def is_worse_than_constant(error: float | None) -> bool:
    """Tell whether the best constants would do better; None is not known."""
    return error is not None and not error <= WORSE_THAN_CONSTANT


def worse_than_constant(
    error: float | None, target_spread, feature_scale, params: Params
) -> Finding | None:
    """Find a regression that predicts its own training rows worse than a constant.

    Without `target_spread`, targets were standardised before training.
    """
    if not is_worse_than_constant(error):
        return None
    low, high = USUAL_SIZES
    spread, of_y = 1.0, ""
    if target_spread is not None:
        spread = float(np.max(target_spread))
        of_y = f", whose standard deviation is {spread:.3g}"
    largest = float(np.max(feature_scale))
    return Finding(
        "worse_than_constant",
        f"the error on training rows is {error:.3g} times that of predicting the mean "
        f"of y{of_y}; the largest value of X is {largest:.3g}",
        either(
            (
                not low < spread < high,
                "TransformedTargetRegressor(transformer=StandardScaler()) around it",
            ),
            (largest > high, "StandardScaler before the network"),
            (params["solver"] == "lbfgs", f"tol below {params['tol']:g}"),
            (params["solver"] != "lbfgs", lower_rate(params)),
            f"max_iter above {params['max_iter']}",
        ),
    )


def is_at_chance_level(spread: float | None) -> bool:
    """Tell whether predictions hardly vary with the row; None is not known."""
    return spread is not None and spread <= SAME_PREDICTION


def at_chance(spread: float, params: Params) -> Finding:
    """Say that nothing was learned for a reason that the history does not show."""
    return Finding(
        "at_chance",
        f"predictions vary {spread:.2g} times as much as targets, although no ailment "
        "of the gradients is seen",
        either(
            (params["solver"] == "lbfgs", "a first-order solver, which records more"),
            (params["alpha"] > 1, f"alpha below {params['alpha']:g}"),
            "features that tell something of y",
        ),
    )


def why_nothing_arrives(findings: list[Finding]) -> Finding | None:
    """Pick what keeps a network at chance level from learning."""
    return next((f for f in findings if f.kind in _BLOCKING), None)
