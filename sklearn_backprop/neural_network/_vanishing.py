"""Telling a network that did not train at all from its records, and why."""

import numpy as np

__all__ = ["is_at_chance_level", "why_nothing_arrives"]

VANISHED_RATIO = 1e-4  # first gradient / last gradient: 30 layers of tanh keep more
SILENT_SHARE = 0.95
SAME_PREDICTION = 0.01  # spread of predictions / spread of targets


def is_at_chance_level(predictions: np.ndarray, Y: np.ndarray) -> bool:
    """Tell whether predictions (n, K) hardly vary with the row while targets do."""
    spread = Y.std(axis=0)
    return bool(
        spread.max() > 0
        and (predictions.std(axis=0) <= SAME_PREDICTION * spread.max()).all()
    )


def why_nothing_arrives(history: dict[str, np.ndarray]) -> str | None:
    """Read the last records: evidence that gradients do not arrive, with a remedy."""
    if not history or history["gradient_norm"].shape[1] < 2:
        return None
    # Saturated units are silent, too: the narrower reason comes first.
    return _saturated(history) or _silent(history) or _vanished(history)


def _first_layer_beyond(shares: np.ndarray) -> int | None:
    """Find the first hidden layer whose share is close to one."""
    beyond = np.flatnonzero(np.nan_to_num(shares) > SILENT_SHARE)
    return int(beyond[0]) if len(beyond) else None


def _silent(history) -> str | None:
    shares = history["dead_fraction"][-1]
    layer = _first_layer_beyond(shares)
    if layer is None:
        return None
    return (
        f"{shares[layer]:.0%} of the units of hidden layer {layer + 1} are dead, "
        "silent for every row. Remedy: activation='leaky_relu', a lower "
        "learning_rate_init, or normalization='layer'"
    )


def _saturated(history) -> str | None:
    shares = history["saturated_fraction"][-1]
    layer = _first_layer_beyond(shares)
    if layer is None:
        return None
    return (
        f"{shares[layer]:.0%} of the activations of hidden layer {layer + 1} are "
        "saturated. Remedy: scale X with StandardScaler, a smaller init_scale, or "
        "normalization='layer'"
    )


def _vanished(history) -> str | None:
    norms = history["gradient_norm"][-1]
    if norms[0] > VANISHED_RATIO * norms[-1]:
        return None
    return (
        f"the gradient of the first layer ({norms[0]:.2g}) is vanishingly small beside "
        f"that of the output layer ({norms[-1]:.2g}). Remedy: residual='add', "
        "normalization='layer', activation='relu' with init='auto', or fewer layers"
    )
