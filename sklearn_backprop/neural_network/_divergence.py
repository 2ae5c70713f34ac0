"""When training diverged: how one sees it, and what to say."""

from .._rows import TrainingRows

__all__ = [
    "SCALE_ANYTHING",
    "data_to_scale",
    "divergence_message",
    "non_finite",
    "remedies",
]

# Values beyond this are named among the causes.
_LARGE = 100.0
SCALE_ANYTHING = "scale X and y, for instance with StandardScaler"


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


def data_to_scale(rows: TrainingRows) -> list[str]:
    """Name what is far from 1 in the rows, with the means to bring it there."""
    found = []
    if (largest := float(rows.feature_scale().max())) > _LARGE:
        found.append(
            f"scale X, whose largest value is {largest:.3g}, with StandardScaler"
        )
    if (largest := rows.largest_target()) > _LARGE:
        found.append(
            f"scale y, whose largest value is {largest:.3g}, for instance with "
            "TransformedTargetRegressor(transformer=StandardScaler())"
        )
    return found


def remedies(rows: TrainingRows, rate: float, clip: float | None) -> list[str]:
    """Say what to change, the likeliest first."""
    found = data_to_scale(rows)
    found.append(f"lower learning_rate_init (the last rate was {rate:.3g})")
    if clip is None:
        found.append("bound the steps with clip=1.0")
    return found
