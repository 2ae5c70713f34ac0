"""When training diverged: how one sees it, and what to say."""

import numpy as np

__all__ = [
    "are_finite",
    "divergence_message",
    "largest_magnitude",
    "non_finite",
    "remedies",
]


def are_finite(*arrays: np.ndarray) -> bool:
    """Tell it by sums of squares, element by element only where those overflow."""
    with np.errstate(all="ignore"):
        return all(np.isfinite(a @ a) or bool(np.isfinite(a).all()) for a in arrays)


NON_FINITE = {
    "weights": "the weights or running statistics",
    "activation": "the activations",
    "loss": "the loss",
    "gradient": "the gradient",
    "validation": "the loss of the validation set",
}


def non_finite(status: str, where: str = "") -> str:
    """Say what is not finite, and where that began."""
    place = f", beginning in {where}" if where else ""
    return (
        f"{NON_FINITE[status]} became infinite or NaN{place}. Solver produced "
        "non-finite parameter weights. The input data may contain large values and "
        "need to be preprocessed"
    )


def divergence_message(when: str, what: str, remedies: list[str]) -> str:
    """Say when training diverged, by what one sees it, and what to change."""
    return f"{when}: {what}. Remedy: {'; or '.join(remedies)}."


def largest_magnitude(X) -> float:
    values = X if isinstance(X, np.ndarray) else X.data
    return float(np.max(np.abs(values), initial=0.0))


def remedies(X, rate: float, clip: float | None) -> list[str]:
    found = []
    if (largest := largest_magnitude(X)) > 100:
        found.append(
            f"scale X, whose largest value is {largest:.3g}, with StandardScaler"
        )
    found.append(f"lower learning_rate_init (the last rate was {rate:.3g})")
    if clip is None:
        found.append("bound the steps with clip=1.0")
    return found
