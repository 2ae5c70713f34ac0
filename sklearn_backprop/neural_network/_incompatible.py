"""Parameters that cannot work together, or with these rows, each with the reason."""

from functools import lru_cache

import numpy as np

__all__ = ["refuse_incompatible", "refuse_incompatible_layers"]

# alpha / total weight beyond which nothing but the penalty is left of the objective.
_LARGEST_PENALTY = 1e12
# Numbers that steps are made of; zero in the precision of X, they make none, or NaN.
_OF_STEPS = ("learning_rate_init", "epsilon", "clip")


def refuse_incompatible(
    params, *, total_weight: float | None, dtype: np.dtype, validation_given: bool
) -> None:
    """Raise a ValueError for the first parameters of training that cannot work."""
    for name in _OF_STEPS:
        _refuse_outside(dtype, name, params._setting(name))
    if total_weight is not None:
        _refuse_light(params, total_weight)
    if params.solver == "lbfgs":
        _refuse_for_lbfgs(params, validation_given)


def refuse_incompatible_layers(params, n_samples: int) -> None:
    """Raise a ValueError for the first hidden layers that cannot work."""
    if _normalizes_batches(params):
        _refuse_for_batch_norm(params, n_samples)
    if params._setting("n_members") > 1:
        _refuse_for_members(params)


def _normalizes_batches(params) -> bool:
    """Whether statistics are those of rows, as they are unless frozen."""
    rates = params._rates()
    is_frozen = rates is not None and not any(rates[:-1])
    return params.normalization == "batch" and not is_frozen


@lru_cache(maxsize=128)
def _refuse_outside(dtype, name, value) -> None:
    if value is None:
        return
    with np.errstate(over="ignore", under="ignore"):
        rounded = np.asarray(value, dtype=np.float64).astype(dtype)
    if not (np.isfinite(rounded) and rounded > 0):
        raise ValueError(
            f"{name}={value!r} is {rounded} in {dtype}, the dtype of X. Pass a value "
            "that it holds, or X as float64."
        )


def _refuse_light(params, total_weight: float) -> None:
    if params.alpha > _LARGEST_PENALTY * total_weight:
        raise ValueError(
            f"The weights of the rows sum to {total_weight:.3g}, and the penalty is "
            f"alpha={params.alpha:g} over that: it leaves nothing of the loss. Rescale "
            "sample_weight and class_weight to about 1, or pass alpha=0."
        )


def _refuse_for_lbfgs(params, validation_given: bool) -> None:
    why = None
    dropout = params._setting("dropout")
    if dropout > 0:
        why = (
            f"dropout={dropout}: its line search compares values of one "
            "objective, and dropout changes the objective with every evaluation"
        )
    elif params.clip is not None:
        why = (
            f"clip={params.clip}: a clipped gradient is not the slope of the objective "
            "that its line search goes by"
        )
    elif validation_given:
        why = "a validation set: it has no epochs after which to look at one"
    if why:
        raise _not_with_lbfgs(why)


def _not_with_lbfgs(why: str) -> ValueError:
    return ValueError(
        f"solver='lbfgs' cannot be combined with {why}. Use a first-order solver "
        "such as 'adam', or leave the setting out."
    )


def _refuse_for_members(params) -> None:
    if params.normalization == "batch" and params.member_weights != "independent":
        raise ValueError(
            f"member_weights={params.member_weights!r} cannot be combined with "
            "normalization='batch': its statistics would mix the members, which share "
            "the layer. Use normalization='layer' or member_weights='independent'."
        )
    if params.member_batches == "own" and params.solver == "lbfgs":
        raise ValueError(
            "member_batches='own' cannot be combined with solver='lbfgs', which takes "
            "all rows at once. Use a first-order solver such as 'adam'."
        )
    if params.member_batches == "own" and not params.shuffle:
        raise ValueError(
            "member_batches='own' needs shuffle=True: without it all members go "
            "through the rows in the order in which they lie."
        )


def _refuse_for_batch_norm(params, n_samples: int) -> None:
    if params.solver == "lbfgs":
        raise _not_with_lbfgs(
            "normalization='batch': the running statistics that prediction needs are "
            "averages over mini-batches, and lbfgs makes none"
        )
    size = params._setting("batch_size")
    size = n_samples if size == "auto" else size
    if min(size, n_samples) < 2:
        raise ValueError(
            "normalization='batch' standardizes over the rows of a mini-batch and "
            f"needs at least 2 of them, but batch_size={params.batch_size!r} and "
            f"n_samples = {n_samples}. Use normalization='layer' or larger batches."
        )
