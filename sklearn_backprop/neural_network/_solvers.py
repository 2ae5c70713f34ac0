"""Solvers, and the hyper-parameters that each of them reads."""

__all__ = ["SOLVERS", "STOCHASTIC_SOLVERS", "engine_settings"]

# First-order solver -> the estimator's parameters that its steps depend on.
STOCHASTIC_SOLVERS: dict[str, tuple[str, ...]] = {
    "sgd": ("momentum", "nesterovs_momentum"),
    "adam": ("beta_1", "beta_2", "epsilon"),
    "adamw": ("beta_1", "beta_2", "epsilon", "weight_decay"),
    "muon": (
        "momentum",
        "nesterovs_momentum",
        "beta_1",
        "beta_2",
        "epsilon",
        "weight_decay",
    ),
    "adagrad": ("epsilon",),
    "rmsprop": ("epsilon",),
}
SOLVERS = (*STOCHASTIC_SOLVERS, "lbfgs")
# Those that the engine calls by another name.
_ENGINE_NAMES = {"nesterovs_momentum": "nesterov"}
_SWITCHES = ("nesterovs_momentum",)


def engine_settings(params) -> dict[str, float | bool]:
    """Give what the solver of an estimator reads, as the engine calls it."""
    return {
        _ENGINE_NAMES.get(name, name): (bool if name in _SWITCHES else float)(
            params._setting(name)
        )
        for name in STOCHASTIC_SOLVERS[params._setting("solver")]
    }
