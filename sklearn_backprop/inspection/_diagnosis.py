"""Pure functions: the history of a training -> findings.

Legend: `records` is a `gradient_history_` with one row per epoch (see `by_epoch`), its
columns are weight matrices from input to output; `loss` (n_epochs,) is a loss curve;
`params` are the estimator's. Each function returns a `Finding` or None.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "Finding",
    "at_chance",
    "by_epoch",
    "clipping",
    "dead_units",
    "exploding_gradients",
    "feature_scales",
    "ill_conditioning",
    "is_at_chance_level",
    "is_worse_than_constant",
    "large_step",
    "over_fitting",
    "prediction_error",
    "prediction_spread",
    "saturated_units",
    "small_step",
    "symmetric_start",
    "vanishing_gradients",
    "why_nothing_arrives",
    "worse_than_constant",
]

# Thresholds. Where the source is "study", it is benchmarks/diagnosis.py: 600 sound
# networks on digits, breast cancer, wine and diabetes, and 240 that are spoilt in one
# way. Figures are the extremes that were met; 99 % means all sound ones but 1 %.
#
# First gradient / last gradient. Study: sound above 0.016, faint or logistic stacks
# below 0.004. A logistic layer takes up to a factor of 4 (Glorot & Bengio, 2010), so
# that some train late from 0.01; 100 relu layers from Xavier's start stay at chance
# with 2e-4. So a network at chance is judged by the second, any other by the first.
VANISHED_RATIO = 1e-3
VANISHED_RATIO_AT_CHANCE = 2e-2
# Spread of predictions / spread of targets below which nothing was learned. Study:
# sound above 0.46, stalled below 1e-7; a stack of 4 logistic layers that is about to
# learn has 0.013.
SAME_PREDICTION = 0.02
# Error of predictions / error of the best constant. Study: sound below 0.9; what only
# hovers about the mean of y stays within some thousandths of 1.
WORSE_THAN_CONSTANT = 1.02
# Spread of targets, and magnitude of features, outside of which they want scaling.
USUAL_SIZES = (1e-2, 1e2)
# Length of the gradient per unit of error, |gradient| / sqrt(2 loss). Study: sound up
# to 8 (99 %), starts that double the signal of every relu layer from 120.
STEEPEST = 30.0
# Growth of the gradient's norm over a training. Study: sound up to 36; up to 120 where
# 30 plain relu layers train with difficulty; diverging ones beyond all bounds.
EXPLODED_GROWTH = 1e3
# Study: dead units in sound relu networks up to 0.47 of a layer, after long steps from
# 0.62; saturated activations up to 0.34, after large starts from 0.71.
DEAD_SHARE = 0.6
SATURATED_SHARE = 0.6
BLOCKED_SHARE = 0.95  # a layer of so many dead units is itself why nothing arrives
# Sum of all rises of the loss / its fall from first to best, and / its first value;
# the second is for flat curves, whose rises are noise. Study: dropout and small batches
# of batch normalization reach 2.9 without harm, but by small steps.
RISEN_OF_FALL = 0.5
RISEN_OF_FIRST = 0.1
# Norm of update / norm of weights, an epoch's mean, of the layer and epoch with the
# largest. About 1e-3 is usual (Karpathy, CS231n, 2016). Study: sound up to 0.15 (99 %),
# too long steps from 0.34.
USUAL_UPDATE = 1e-3
LARGE_UPDATE = 0.1
# Largest single rise / fall, where no updates were recorded: a jump is no noise.
JUMP_OF_FALL = 0.3
# Share of its whole fall that the loss makes in the last tenth of the epochs: 0.1 for a
# straight line; an exponential approach of one time constant makes 0.061. Study: too
# short steps from 0.069.
LATE_FALL = 0.06
STEADY = 0.25  # rises / fall below which a curve counts as falling; noise has 0.5
FEWEST_EPOCHS = 5  # to read the course of a curve from
# Clipping is meant for the exception: Pascanu, Mikolov & Bengio (2013) set the
# threshold from half to ten times the average norm.
CLIPPED_SHARE = 0.5
USUAL_NORMS = 10.0
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

_TITLES = {
    "vanishing_gradients": "vanishing gradients",
    "exploding_gradients": "exploding gradients",
    "dead_units": "dead units",
    "saturated_units": "saturated units",
    "large_step": "too large a step",
    "small_step": "too small a step, or too few of them",
    "clipping": "most steps are clipped",
    "symmetric_start": "symmetric start",
    "feature_scales": "features on very different scales",
    "over_fitting": "over-fitting",
    "ill_conditioning": "ill-conditioned data",
    "at_chance": "nothing learned",
    "worse_than_constant": "worse than a constant",
    "not_recorded": "gradients not recorded",
    "healthy": "nothing wrong",
}

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

Records = Mapping[str, np.ndarray]
Params = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """One thing that the history of a training tells.

    Parameters
    ----------
    kind : str
        What it is: "vanishing_gradients", "exploding_gradients", "dead_units",
        "saturated_units", "large_step", "small_step", "clipping", "symmetric_start",
        "feature_scales", "over_fitting", "ill_conditioning", "at_chance",
        "worse_than_constant", or one of "healthy" and "not_recorded", which are no
        ailments.
    evidence : str
        What it is told from, in figures.
    remedy : str, default=""
        What to change, in parameters of the estimator; the likeliest first.
    layers : tuple of int, default=()
        Weight matrices concerned: columns of `gradient_history_`, from 0. Empty where
        the finding is of the whole network.
    epochs : tuple of (int, int) or None, default=None
        First and last epoch concerned, from 1.

    Examples
    --------
    >>> from sklearn_backprop.inspection import Finding
    >>> print(Finding("clipping", "75% of the steps were clipped", "clip=2.5"))
    most steps are clipped: 75% of the steps were clipped. Remedy: clip=2.5.
    """

    kind: str
    evidence: str
    remedy: str = ""
    layers: tuple[int, ...] = ()
    epochs: tuple[int, int] | None = None

    @property
    def is_ailment(self) -> bool:
        """Whether something should be changed."""
        return self.kind not in ("healthy", "not_recorded")

    def __str__(self) -> str:
        """Say it in a sentence, with layers and epochs counted from 1."""
        places = []
        if self.layers:
            places.append(_span("layer", self.layers[0] + 1, self.layers[-1] + 1))
        if self.epochs:
            places.append(_span("epoch", *self.epochs))
        where = f" ({', '.join(places)})" if places else ""
        remedy = f" Remedy: {self.remedy}." if self.remedy else ""
        return f"{_TITLES[self.kind]}{where}: {self.evidence}.{remedy}"


def _span(noun: str, first: int, last: int) -> str:
    return f"{noun} {first}" if first == last else f"{noun}s {first} to {last}"


def _either(*remedies: str | tuple[bool, str]) -> str:
    """Join the remedies that apply; one in a tuple has its condition before it."""
    texts = [r if isinstance(r, str) else r[1] for r in remedies if _applies(r)]
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + ", or " + texts[-1]


def _applies(remedy: str | tuple[bool, str]) -> bool:
    return isinstance(remedy, str) or remedy[0]


def _where(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(mask))


def _epochs(mask: np.ndarray) -> tuple[int, int]:
    """First and last epoch, from 1, where mask (n_epochs,) is true."""
    found = _where(mask)
    return found[0] + 1, found[-1] + 1


# ------------------------------------------------------------------------ records
# How the records of an epoch's mini-batches become one: a unit counts as dead if it is
# silent in all of them, so that the least share is the nearest bound.
_REDUCTIONS = {"dead_fraction": np.min, "gradient_norm_max": np.max}


def by_epoch(history: Records, n_epochs: int) -> dict[str, np.ndarray]:
    """Give records (n_epochs, ...) from those of epochs or of mini-batches."""
    if not all(map(len, history.values())):  # the very first step diverged
        return {}
    return {name: _by_epoch(name, values, n_epochs) for name, values in history.items()}


def _by_epoch(name: str, values: np.ndarray, n_epochs: int) -> np.ndarray:
    if len(values) <= n_epochs:
        return values
    reduce = _REDUCTIONS.get(name, np.mean)
    parts = np.array_split(values, n_epochs)
    return np.array([reduce(part, axis=0) for part in parts])


def _has_hidden_layers(records: Records) -> bool:
    return bool(records) and records["gradient_norm"].shape[1] > 1


# ------------------------------------------------------------------ what arrives
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
    """Find a regression that predicts its own training rows worse than a constant."""
    if not is_worse_than_constant(error):
        return None
    low, high = USUAL_SIZES
    spread, largest = float(np.max(target_spread)), float(np.max(feature_scale))
    return Finding(
        "worse_than_constant",
        f"the error on training rows is {error:.3g} times that of predicting the mean "
        f"of y, whose standard deviation is {spread:.3g}; the largest value of X is "
        f"{largest:.3g}",
        _either(
            (
                not low < spread < high,
                "TransformedTargetRegressor(transformer=StandardScaler()) around it",
            ),
            (largest > high, "StandardScaler before the network"),
            (params["solver"] == "lbfgs", f"tol below {params['tol']:g}"),
            (params["solver"] != "lbfgs", _lower_rate(params)),
            f"max_iter above {params['max_iter']}",
        ),
    )


def is_at_chance_level(spread: float | None) -> bool:
    """Tell whether predictions hardly vary with the row; None is not known."""
    return spread is not None and spread <= SAME_PREDICTION


def why_nothing_arrives(findings: list[Finding]) -> Finding | None:
    """Pick what keeps a network at chance level from learning."""
    return next((f for f in findings if f.kind in _BLOCKING), None)


def symmetric_start(coefs: list[np.ndarray], params: Params) -> Finding | None:
    """Find hidden layers all of whose units have the same weights."""
    same = np.array([_has_equal_units(W) for W in coefs[:-1]], dtype=bool)
    if not same.any():
        return None
    layers = _where(same)
    first = layers[0]
    return Finding(
        "symmetric_start",
        f"all {coefs[first].shape[1]} units of hidden layer {first + 1} have the same "
        "weights: their gradients are equal, too, and they will never differ",
        _either(
            (params["init"] == "zeros", "init='auto'"),
            (params["init_scale"] == 0, "init_scale=1.0"),
            (
                params["init"] != "zeros" and params["init_scale"] > 0,
                "a random start of coefs_",
            ),
        ),
        layers,
    )


def _has_equal_units(W: np.ndarray) -> bool:
    """Whether the columns of W (n_in, n_out) are equal, but for rounding."""
    if W.shape[1] < 2 or not np.isfinite(W).all():
        return False
    return bool(np.ptp(W, axis=1).max() <= 1e-6 * np.abs(W).max())


def vanishing_gradients(
    records: Records, params: Params, *, at_chance: bool = False
) -> Finding | None:
    """Find a first gradient that is far smaller than the last one."""
    if not _has_hidden_layers(records):
        return None
    norms = records["gradient_norm"]
    ratio = VANISHED_RATIO_AT_CHANCE if at_chance else VANISHED_RATIO
    vanished = ~(norms > ratio * norms[:, -1:])
    if not vanished[-1, 0]:
        return None
    first, last = norms[-1, 0], norms[-1, -1]
    saturating = bool({"tanh", "logistic", "sigmoid"} & set(_activations(params)))
    return Finding(
        "vanishing_gradients",
        f"the gradient of the first layer ({first:.2g}) is vanishingly small beside "
        f"that of the output layer ({last:.2g})",
        _either(
            (params["init_scale"] < 1, "init_scale=1.0"),
            (params["residual"] is None, "residual='add'"),
            (params["normalization"] is None, "normalization='layer'"),
            (saturating, "activation='relu' with init='auto'"),
            (params["init"] != "auto", "init='auto'"),
            "fewer layers",
        ),
        _where(vanished[-1]),
        _epochs(vanished[:, 0]),
    )


def _activations(params: Params) -> list[str]:
    activation = params["activation"]
    return [activation] if isinstance(activation, str) else list(activation)


def dead_units(
    records: Records, params: Params, *, bound: float = DEAD_SHARE
) -> Finding | None:
    """Find layers whose units are silent for every row."""
    found = _crowded(records, "dead_fraction", bound)
    if found is None:
        return None
    layers, epochs, share = found
    was_long = _largest_update(records) > LARGE_UPDATE
    return Finding(
        "dead_units",
        f"{share:.0%} of the units of hidden layer {layers[0] + 1} are dead, silent "
        "for every row",
        _either(
            # Long steps kill; narrow and deep networks are born dead (Lu et al., 2020).
            (was_long, _lower_rate(params)),
            ("relu" in _activations(params), "activation='leaky_relu'"),
            (params["normalization"] is None, "normalization='layer'"),
            "fewer or wider layers",
            (not was_long, _lower_rate(params)),
        ),
        layers,
        epochs,
    )


def saturated_units(records: Records, params: Params) -> Finding | None:
    """Find layers whose activations lie in the flat part."""
    found = _crowded(records, "saturated_fraction", SATURATED_SHARE)
    if found is None:
        return None
    layers, epochs, share = found
    return Finding(
        "saturated_units",
        f"{share:.0%} of the activations of hidden layer {layers[0] + 1} are saturated",
        _either(
            (params["init_scale"] > 1, "init_scale=1.0"),
            "StandardScaler before the network",
            (params["normalization"] is None, "normalization='layer'"),
            _lower_rate(params),
        ),
        layers,
        epochs,
    )


def _crowded(records: Records, name: str, bound: float):
    """Layers whose share in the last epoch is beyond the bound, epochs, first share."""
    if not _has_hidden_layers(records):
        return None
    shares = np.nan_to_num(records[name])
    beyond = shares > bound
    layers = _where(beyond[-1])
    if not layers:
        return None
    return layers, _epochs(beyond[:, layers[0]]), shares[-1, layers[0]]


def _lower_rate(params: Params) -> str:
    return f"learning_rate_init below {params['learning_rate_init']:.3g}"


# ------------------------------------------------------------------------- steps
def exploding_gradients(
    records: Records, loss: np.ndarray, params: Params, *, unit: float = 1.0
) -> Finding | None:
    """Find gradients that are very long for the error, or that grow without bound.

    unit: of the error, in which the square root of twice the loss counts it.
    """
    if not records:
        return None
    norms = records["global_norm"]
    with np.errstate(all="ignore"):  # what has exploded may overflow here
        steepness = norms / (unit * np.sqrt(2 * loss[-len(norms) :]))
        growth = norms / np.minimum.accumulate(norms)
    exploded = ~(steepness < STEEPEST) | ~(growth < EXPLODED_GROWTH)
    exploded &= norms > 0
    if not exploded.any():
        return None
    first, last = _epochs(exploded)
    largest = records["gradient_norm"][first - 1]
    was_long = _largest_update(records) > LARGE_UPDATE
    return Finding(
        "exploding_gradients",
        f"the norm of the gradient went from {norms[0]:.3g} in the first epoch to "
        f"{np.max(norms):.3g} at its largest",
        _either(
            (params["init_scale"] > 1, "init_scale=1.0"),
            (params["init"] != "auto", "init='auto'"),
            (was_long, _lower_rate(params)),
            (params["clip"] is None, "clip=1.0"),
            (not was_long, _lower_rate(params)),
            (params["normalization"] is None, "normalization='layer'"),
        ),
        _where(~(largest < 0.5 * np.max(largest))),
        (first, last),
    )


def large_step(
    loss: np.ndarray,
    params: Params,
    *,
    records: Records | None = None,
    rate: float | None = None,
) -> Finding | None:
    """Find a loss that rises as much as it falls, or that left the finite numbers."""
    finite = bool(np.isfinite(loss).all())
    if finite and not _jumps(loss, records):
        return None
    evidence = f"training diverged in epoch {len(loss)}"
    if finite:
        rises, fall = _course(loss)
        evidence = (
            f"the loss rose by {rises:.3g} in all while its best is {fall:.3g} below "
            "the first"
        )
    if records:
        update = _largest_update(records)
        evidence += f"; a step changed weights by up to {update:.0%} of their norm"
    # The epochs that end higher than they began; the first has none before it.
    rose = np.append(len(loss) == 1, ~(np.diff(loss) <= 0))
    rate = params["learning_rate_init"] if rate is None else rate
    return Finding(
        "large_step",
        evidence,
        _either(*_shorter_steps(params, rate)),
        epochs=_epochs(rose),
    )


def _jumps(loss: np.ndarray, records: Records | None) -> bool:
    """Whether the loss rises by more than the noise of small steps."""
    if len(loss) < 2:
        return False
    rises, fall = _course(loss)
    if not (rises > RISEN_OF_FALL * fall and rises > RISEN_OF_FIRST * loss[0]):
        return False
    if records:
        return _largest_update(records) > LARGE_UPDATE
    return float(np.diff(loss).max()) > JUMP_OF_FALL * fall


def _largest_update(records: Records) -> float:
    return float(np.nanmax(records["update_ratio"], initial=0.0))


def _shorter_steps(params: Params, rate) -> list:
    if "clip" not in params:  # linear descent knows its curvature
        return [
            "learning_rate_init='auto'",
            f"learning_rate_init below {rate:.3g}",
            "learning_rate='adaptive'",
        ]
    return [
        (params["solver"] != "lbfgs", f"a tenth of learning_rate_init ({rate:.3g})"),
        (params["solver"] == "lbfgs", "StandardScaler before the network"),
        (params["clip"] is None and params["solver"] != "lbfgs", "clip=1.0"),
        (params["warmup_epochs"] == 0, "warmup_epochs=10"),
    ]


def _course(loss: np.ndarray) -> tuple[float, float]:
    """Sum of all rises, and the fall from the first to the best."""
    steps = np.diff(loss)
    return float(steps[steps > 0].sum()), float(loss[0] - np.min(loss))


def small_step(
    loss: np.ndarray,
    params: Params,
    *,
    records: Records | None = None,
    rate: float | None = None,
) -> Finding | None:
    """Find a loss that still falls steadily where training stopped."""
    if len(loss) < FEWEST_EPOCHS or not np.isfinite(loss).all():
        return None
    rises, fall = _course(loss)
    tenth = 0.1 * (len(loss) - 1)
    n_late = max(1, round(tenth))
    late = float(loss[-1 - n_late] - loss[-1])
    is_falling = fall > 0 and rises < STEADY * fall
    if not is_falling or late * tenth / n_late < LATE_FALL * fall:
        return None
    rate = params["learning_rate_init"] if rate is None else rate
    evidence = (
        f"the loss still fell when training stopped: {late:.2g} of its whole fall of "
        f"{fall:.2g} in the last {_count(n_late, 'epoch')}"
    )
    longer = f"learning_rate_init above {rate:.3g}"
    more = f"max_iter above {params['max_iter']}"
    remedies = [longer, more]
    if records:
        update = float(np.median(records["update_ratio"]))
        evidence += f"; a step changes weights by {update:.1g} of their norm"
        if update > USUAL_UPDATE:
            remedies = [more, longer]
    if len(loss) < params["max_iter"]:
        remedies = [longer, f"tol below {params['tol']:g}"]
    return Finding(
        "small_step",
        evidence,
        _either(*remedies),
        epochs=(len(loss) - n_late + 1, len(loss)),
    )


def _count(n: int, noun: str) -> str:
    return noun if n == 1 else f"{n} {noun}s"


def clipping(records: Records, params: Params) -> Finding | None:
    """Find a threshold that most gradients exceed."""
    if not records or params.get("clip") is None:
        return None
    shares = records["clipped_fraction"]
    share = float(shares.mean())
    if share <= CLIPPED_SHARE:
        return None
    usual = float(np.median(records["global_norm"]))
    return Finding(
        "clipping",
        f"{share:.0%} of the steps were clipped at clip={params['clip']:.3g}, while "
        f"the usual norm of the gradient is {usual:.2g}",
        _either(f"clip={USUAL_NORMS * usual:.2g}", "clip=None"),
        epochs=_epochs(shares > CLIPPED_SHARE),
    )


# -------------------------------------------------------------------------- data
def feature_scales(
    scale: np.ndarray, params: Params, *, bound: float = FEATURE_RATIO
) -> Finding | None:
    """Find features whose sizes (n_features,) are far apart; zero ones do not count."""
    sizes = scale[np.isfinite(scale) & (scale > 0)]
    if len(sizes) < 2 or sizes.max() <= bound * sizes.min():
        return None
    largest, smallest = (
        int(np.argmax(scale)),
        int(np.flatnonzero(scale == sizes.min())[0]),
    )
    remedy = "StandardScaler before the network"
    if "feature_scaling" in params:
        remedy = "feature_scaling='standard'"
    return Finding(
        "feature_scales",
        f"feature {largest} has a size of {sizes.max():.3g}, feature {smallest} one of "
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
        _either(
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
        _either(
            (params["momentum"] == 0, "momentum=0.9 with nesterovs_momentum=True"),
            "solver='normal'",
            "alpha above 0",
        ),
    )


def at_chance(spread: float, params: Params) -> Finding:
    """Say that nothing was learned for a reason that the history does not show."""
    return Finding(
        "at_chance",
        f"predictions vary {spread:.2g} times as much as targets, although no ailment "
        "of the gradients is seen",
        _either(
            (params["solver"] == "lbfgs", "a first-order solver, which records more"),
            (params["alpha"] > 1, f"alpha below {params['alpha']:g}"),
            "features that tell something of y",
        ),
    )
