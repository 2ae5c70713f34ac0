"""Starting weights: presets of one general rule.

The rule (He et al., 2015; Glorot & Bengio, 2010; LeCun et al., 1998) draws the
elements of a weight matrix (n_in, n_out) with mean zero and variance
``scale / fan``, where the fan is n_in or the mean of n_in and n_out.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from ._architecture import ROLES, Architecture, Parameter

__all__ = ["INITIALIZERS", "INIT_ALIASES", "draw_parameters"]

Draw = Callable[[np.random.RandomState, tuple[int, ...]], np.ndarray]


def _variance_scaling(rng, shape, *, scale, fan, distribution):
    """Draw (..., n_in, n_out) elements of variance scale / fan."""
    n_in, n_out = shape[-2:]
    fans = {"in": n_in, "average": (n_in + n_out) / 2, "out": n_out}
    deviation = np.sqrt(scale / fans[fan])
    if distribution == "normal":
        return deviation * rng.standard_normal(shape)
    bound = np.sqrt(3) * deviation
    return rng.uniform(-bound, bound, shape)


def _orthogonal(rng, shape):
    """Draw (n_in, n_out) with orthonormal columns, or rows where n_in < n_out.

    The signs make the distribution uniform (Haar) over such matrices, whichever
    convention the QR routine has (Saxe et al., 2014; Mezzadri, 2007).
    """
    if len(shape) > 2:
        return np.stack([_orthogonal(rng, shape[1:]) for _ in range(shape[0])])
    gaussian = rng.standard_normal((max(shape), min(shape)))
    Q, R = np.linalg.qr(gaussian)
    Q = Q * np.where(np.diagonal(R) < 0, -1.0, 1.0)
    return Q if Q.shape == shape else Q.T


def _zeros(rng, shape):
    """Give (n_in, n_out) zeros: shows that equal units stay equal."""
    return np.zeros(shape)


def _preset(scale, fan, distribution) -> Draw:
    return partial(_variance_scaling, scale=scale, fan=fan, distribution=distribution)


INITIALIZERS: dict[str, Draw] = {
    "xavier_uniform": _preset(1.0, "average", "uniform"),
    "xavier_normal": _preset(1.0, "average", "normal"),
    "he_normal": _preset(2.0, "in", "normal"),
    "he_uniform": _preset(2.0, "in", "uniform"),
    "lecun_normal": _preset(1.0, "in", "normal"),
    "lecun_uniform": _preset(1.0, "in", "uniform"),
    "orthogonal": _orthogonal,
    "zeros": _zeros,
}
INIT_ALIASES = {"xavier": "xavier_uniform", "he": "he_normal"}


# What the table of parameters names besides.
_FIXED: dict[str, Draw] = {
    "half_lecun_normal": _preset(0.5, "in", "normal"),
    "ones": lambda rng, shape: np.ones(shape),
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "signs": lambda rng, shape: rng.choice([-1.0, 1.0], shape),
    # The second of an LSTM's four gates forgets (Jozefowicz et al., 2015).
    "open_forget_gate": lambda rng, shape: np.repeat(
        [0.0, 1.0, 0.0, 0.0], shape[0] // 4
    ),
    "uniform_by_size": _preset(1 / 3, "out", "uniform"),  # within 1 / sqrt(n_out)
}
_RULES = {**INITIALIZERS, **_FIXED}


def _rule_of(parameter: Parameter, init: str) -> Draw:
    """Find the rule by which an array starts: `init` chooses that of weights only."""
    if init == "auto" or not ROLES[parameter.role].follows_init:
        return _RULES[parameter.initializer]
    return INITIALIZERS[INIT_ALIASES.get(init, init)]


def _draw(parameter: Parameter, init: str, rng: np.random.RandomState) -> np.ndarray:
    """Draw an array, gate by gate."""
    rule, (*others, n_columns) = _rule_of(parameter, init), parameter.shape
    if parameter.n_gates == 1:
        return rule(rng, parameter.shape)
    shape = (*others, n_columns // parameter.n_gates)
    return np.concatenate([rule(rng, shape) for _ in range(parameter.n_gates)], axis=-1)


def draw_parameters(
    architecture: Architecture,
    init: str,
    init_scale: float,
    rng: np.random.RandomState,
    dtype: np.dtype,
) -> np.ndarray:
    """Draw theta (n_theta,): weights by the rule, all else as the table says."""
    theta = np.zeros(architecture.n_theta, dtype=dtype)
    for parameter in architecture.parameters:
        start = _draw(parameter, init, rng)
        scale = init_scale if ROLES[parameter.role].follows_init else parameter.scale
        parameter.view(theta)[...] = scale * start
    return theta
