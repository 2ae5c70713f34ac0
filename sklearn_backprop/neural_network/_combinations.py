"""Combinations of parameters that make no sense, each with its reason."""

__all__ = ["refuse_nonsense"]


def refuse_nonsense(params, *, n_samples: int, validation_given: bool) -> None:
    """Raise a ValueError for the first combination that cannot work."""
    if params.solver == "lbfgs":
        _refuse_for_lbfgs(params, validation_given)
    if params.normalization == "batch":
        _refuse_for_batch_norm(params, n_samples)


def _refuse_for_lbfgs(params, validation_given: bool) -> None:
    why = None
    if params.dropout > 0:
        why = (
            f"dropout={params.dropout}: its line search compares values of one "
            "objective, and dropout changes the objective with every evaluation"
        )
    elif params.clip is not None:
        why = (
            f"clip={params.clip}: a clipped gradient is not the slope of the objective "
            "that its line search goes by"
        )
    elif params.normalization == "batch":
        why = (
            "normalization='batch': the running statistics that prediction needs are "
            "averages over mini-batches, and lbfgs makes none"
        )
    elif validation_given:
        why = "a validation set: it has no epochs after which to look at one"
    if why:
        raise ValueError(
            f"solver='lbfgs' cannot be combined with {why}. Use a first-order solver "
            "such as 'adam', or leave the setting out."
        )


def _refuse_for_batch_norm(params, n_samples: int) -> None:
    size = n_samples if params.batch_size == "auto" else params.batch_size
    if min(size, n_samples) < 2:
        raise ValueError(
            "normalization='batch' standardizes over the rows of a mini-batch and "
            f"needs at least 2 of them, but batch_size={params.batch_size!r} and "
            f"n_samples = {n_samples}. Use normalization='layer' or larger batches."
        )
