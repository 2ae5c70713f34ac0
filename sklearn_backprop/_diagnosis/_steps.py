"""What the course of the loss, and the length of gradients and steps, tell.

Legend: `loss` (n_epochs,) is a loss curve, `records` are those of its epochs; `params`
are the estimator's. Each function returns a `Finding` or None.
"""

import numpy as np

from ._finding import Finding, Params, either, is_unset, lower_rate, true_epochs
from ._records import Records

__all__ = [
    "FEWEST_EPOCHS",
    "LARGE_UPDATE",
    "clipping",
    "exploding_gradients",
    "large_step",
    "largest_update",
    "shorter_descent",
    "shorter_steps",
    "small_step",
]

# "Study" is benchmarks/diagnosis.py, see _layers.py.
#
# Length of the gradient per unit of error, |gradient| / sqrt(2 loss). Study: sound up
# to 8 (99 %), starts that double the signal of every relu layer from 120.
STEEPEST = 30.0
# Growth of the gradient's norm over a training. Study: sound up to 36; up to 120 where
# 30 plain relu layers train with difficulty; diverging ones beyond all bounds.
EXPLODED_GROWTH = 1e3
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
    first, last = true_epochs(exploded)
    largest = records["gradient_norm"][first - 1]
    layers = records.places(~(largest < 0.5 * np.max(largest)))
    was_long = largest_update(records) > LARGE_UPDATE
    return Finding(
        "exploding_gradients",
        f"the norm of the gradient went from {norms[0]:.3g} in the first epoch to "
        f"{np.max(norms):.3g} at its largest",
        either(
            (params["init_scale"] > 1, "init_scale=1.0"),
            (params["init"] != "auto", "init='auto'"),
            (was_long, lower_rate(params)),
            (params["clip"] is None, "clip=1.0"),
            (not was_long, lower_rate(params)),
            (is_unset(params, "normalization"), "normalization='layer'"),
        ),
        layers,
        (first, last),
        records.names_of(layers),
    )


def large_step(
    loss: np.ndarray, remedy: str, *, records: Records | None = None
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
        update = largest_update(records)
        evidence += f"; a step changed weights by up to {update:.0%} of their norm"
    # The epochs that end higher than they began; the first has none before it.
    rose = np.append(len(loss) == 1, ~(np.diff(loss) <= 0))
    return Finding("large_step", evidence, remedy, epochs=true_epochs(rose))


def _jumps(loss: np.ndarray, records: Records | None) -> bool:
    """Whether the loss rises by more than the noise of small steps."""
    if len(loss) < 2:
        return False
    rises, fall = _course(loss)
    if not (rises > RISEN_OF_FALL * fall and rises > RISEN_OF_FIRST * loss[0]):
        return False
    if records:
        return largest_update(records) > LARGE_UPDATE
    return float(np.diff(loss).max()) > JUMP_OF_FALL * fall


def largest_update(records: Records) -> float:
    return float(np.nanmax(records["update_ratio"], initial=0.0))


def shorter_steps(params: Params) -> str:
    """Say how steps of a network become shorter."""
    rate, is_lbfgs = params["learning_rate_init"], params["solver"] == "lbfgs"
    return either(
        (not is_lbfgs, f"a tenth of learning_rate_init ({rate:.3g})"),
        (is_lbfgs, "StandardScaler before the network"),
        (params["clip"] is None and not is_lbfgs, "clip=1.0"),
        (params["warmup_epochs"] == 0, "warmup_epochs=10"),
    )


def shorter_descent(rate: float) -> str:
    """Say how steps of linear descent become shorter; it knows its curvature."""
    return either(
        "learning_rate_init='auto'",
        f"learning_rate_init below {rate:.3g}",
        "learning_rate='adaptive'",
    )


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
        either(*remedies),
        epochs=(len(loss) - n_late + 1, len(loss)),
    )


def _count(n: int, noun: str) -> str:
    return noun if n == 1 else f"{n} {noun}s"


def clipping(records: Records, params: Params) -> Finding | None:
    """Find a threshold that most gradients exceed."""
    if not records or params["clip"] is None:
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
        either(f"clip={USUAL_NORMS * usual:.2g}", "clip=None"),
        epochs=true_epochs(shares > CLIPPED_SHARE),
    )
