"""What the gradients and units of single layers tell.

Legend: `records` are those of epochs, their columns the recorded arrays from input to
output; `params` are the estimator's. Each function returns a `Finding` or None.
"""

from collections.abc import Collection, Mapping

import numpy as np

from ._finding import (
    Finding,
    Params,
    either,
    is_unset,
    lower_rate,
    true_epochs,
    true_places,
)
from ._records import Records
from ._steps import LARGE_UPDATE, largest_update

__all__ = [
    "BLOCKED_SHARE",
    "DEAD_SHARE",
    "dead_units",
    "saturated_units",
    "symmetric_start",
    "vanishing_gradients",
]

# Thresholds stand where they are used, each with its source. "Study" is
# benchmarks/diagnosis.py: 600 sound networks on digits, breast cancer, wine and
# diabetes, and 240 that are spoilt in one way. Figures are the extremes that were met;
# 99 % means all sound ones but 1 %.
#
# First gradient / last gradient. Study: sound above 0.016, faint or logistic stacks
# below 0.004. A logistic layer takes up to a factor of 4 (Glorot & Bengio, 2010), so
# that some train late from 0.01; 100 relu layers from Xavier's start stay at chance
# with 2e-4. So a network at chance is judged by the second, any other by the first.
VANISHED_RATIO = 1e-3
VANISHED_RATIO_AT_CHANCE = 2e-2
# Study: dead units in sound relu networks up to 0.47 of a layer, after long steps from
# 0.62; saturated activations up to 0.34, after large starts from 0.71.
DEAD_SHARE = 0.6
SATURATED_SHARE = 0.6
BLOCKED_SHARE = 0.95  # a layer of so many dead units is itself why nothing arrives


def symmetric_start(
    weights: Mapping[str, np.ndarray], params: Params, frozen: Collection[str] = ()
) -> Finding | None:
    """Find arrays, by name and from input to output, whose units are all equal."""
    *hidden, _ = weights.items()
    same = np.array(
        [name not in frozen and _has_equal_units(W) for name, W in hidden], dtype=bool
    )
    if not same.any():
        return None
    layers = true_places(same)
    name, first = hidden[layers[0]]
    return Finding(
        "symmetric_start",
        f"all {first.shape[1]} units of {name} start alike: their gradients are equal, "
        "too, and they will never differ",
        either(
            (params["init"] == "zeros", "init='auto'"),
            (params["init_scale"] == 0, "init_scale=1.0"),
            (
                params["init"] != "zeros" and params["init_scale"] > 0,
                "a random start of coefs_",
            ),
        ),
        layers,
        names=tuple(hidden[layer][0] for layer in layers),
    )


def _has_equal_units(W: np.ndarray) -> bool:
    """Whether the columns of W (n_in, n_out) are equal, but for rounding."""
    if W.ndim != 2 or W.shape[1] < 2:
        return False
    largest = np.abs(W).max()
    return bool(np.isfinite(largest) and np.ptp(W, axis=1).max() <= 1e-6 * largest)


def vanishing_gradients(
    records: Records, params: Params, *, at_chance: bool = False
) -> Finding | None:
    """Find a first gradient that is far smaller than the last one."""
    if not records.have_hidden_layers:
        return None
    norms = records["gradient_norm"]
    ratio = VANISHED_RATIO_AT_CHANCE if at_chance else VANISHED_RATIO
    vanished = ~(norms > ratio * norms[:, -1:])
    if not vanished[-1, 0]:
        return None
    first, last = norms[-1, 0], norms[-1, -1]
    layers = records.places(vanished[-1])
    course = vanished[:, 0] & ~np.isnan(norms[:, 0])  # it was frozen there
    course[-1] = True
    saturating = bool({"tanh", "logistic", "sigmoid"} & set(activation_names(params)))
    return Finding(
        "vanishing_gradients",
        f"the gradient of {records.names[0]} ({first:.2g}) is vanishingly small beside "
        f"that of {records.names[-1]} ({last:.2g})",
        either(
            (params["init_scale"] < 1, "init_scale=1.0"),
            (is_unset(params, "residual"), "residual='add'"),
            (is_unset(params, "normalization"), "normalization='layer'"),
            (saturating, "activation='relu' with init='auto'"),
            (params["init"] != "auto", "init='auto'"),
            "fewer layers",
        ),
        layers,
        true_epochs(course),
        records.names_of(layers),
    )


def activation_names(params: Params) -> list[str]:
    activation = params.get("activation", ())  # recurrent cells have their own
    return [activation] if isinstance(activation, str) else list(activation)


def dead_units(
    records: Records,
    params: Params,
    frozen: Collection[str] = (),
    *,
    bound: float = DEAD_SHARE,
) -> Finding | None:
    """Find layers whose units are silent for every row."""
    found = _crowded(records, "dead_fraction", bound)
    if found is None:
        return None
    layers, epochs, share = found
    was_long = largest_update(records) > LARGE_UPDATE
    return Finding(
        "dead_units",
        f"{share:.0%} of the units behind {records.names[layers[0]]} are dead, silent "
        "for every row",
        _thaw(records.names[layers[0]], frozen)
        or either(
            # Long steps kill; narrow and deep networks are born dead (Lu et al., 2020).
            (was_long, lower_rate(params)),
            ("relu" in activation_names(params), "activation='leaky_relu'"),
            (is_unset(params, "normalization"), "normalization='layer'"),
            "fewer or wider layers",
            (not was_long, lower_rate(params)),
        ),
        layers,
        epochs,
        records.names_of(layers),
    )


def _thaw(name: str, frozen: Collection[str]) -> str:
    """Say how what ails a frozen array is cured; nothing where it learns."""
    if name not in frozen:
        return ""
    return either(
        f"a factor above 0 in layer_rates for {name}, which are frozen",
        "a pretrained network of rows like these, in the same units",
    )


def saturated_units(
    records: Records, params: Params, frozen: Collection[str] = ()
) -> Finding | None:
    """Find layers whose activations lie in the flat part."""
    found = _crowded(records, "saturated_fraction", SATURATED_SHARE)
    if found is None:
        return None
    layers, epochs, share = found
    return Finding(
        "saturated_units",
        f"{share:.0%} of the activations behind {records.names[layers[0]]} are "
        "saturated",
        _thaw(records.names[layers[0]], frozen)
        or either(
            (params["init_scale"] > 1, "init_scale=1.0"),
            "StandardScaler before the network",
            (is_unset(params, "normalization"), "normalization='layer'"),
            lower_rate(params),
        ),
        layers,
        epochs,
        records.names_of(layers),
    )


def _crowded(records: Records, name: str, bound: float):
    """Layers whose share in the last epoch is beyond the bound, epochs, first share."""
    if not records.have_hidden_layers:
        return None
    shares = records[name]
    beyond = shares > bound  # what is not known is not
    layers = true_places(beyond[-1])
    if not layers:
        return None
    return layers, true_epochs(beyond[:, layers[0]]), shares[-1, layers[0]]
