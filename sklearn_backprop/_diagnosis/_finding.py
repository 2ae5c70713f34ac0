"""A finding: one thing that the history of a training tells, and in which words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "Finding",
    "Params",
    "either",
    "is_unset",
    "lower_rate",
    "true_epochs",
    "true_places",
]

Params = Mapping[str, Any]

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
        Recorded arrays concerned: columns of `gradient_history_`, from 0. Empty where
        the finding is of the whole network.
    epochs : tuple of (int, int) or None, default=None
        First and last epoch concerned, from 1.
    names : tuple of str, default=()
        Names of those arrays, as in `gradient_history_names_`, or of a recurrent
        layer.
    steps : tuple of (int, int) or None, default=None
        First and last time step concerned, from 1, where it is of sequences.

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
    names: tuple[str, ...] = ()
    steps: tuple[int, int] | None = None

    @property
    def is_ailment(self) -> bool:
        """Whether something should be changed."""
        return self.kind not in ("healthy", "not_recorded")

    def __str__(self) -> str:
        """Say it in a sentence, with layers by name; epochs and steps from 1."""
        spans = _span("step", self.steps), _span("epoch", self.epochs)
        places = [place for place in (self._arrays(), *spans) if place]
        where = f" ({', '.join(places)})" if places else ""
        remedy = f" Remedy: {self.remedy}." if self.remedy else ""
        return f"{_TITLES[self.kind]}{where}: {self.evidence}.{remedy}"

    def _arrays(self) -> str:
        if self.names:
            first, last = self.names[0], self.names[-1]
            return first if first == last else f"{first} to {last}"
        if self.layers:
            return _span("layer", (self.layers[0] + 1, self.layers[-1] + 1))
        return ""


def _span(noun: str, ends: tuple[int, int] | None) -> str:
    if ends is None:
        return ""
    first, last = ends
    return f"{noun} {first}" if first == last else f"{noun}s {first} to {last}"


def either(*remedies: str | tuple[bool, str]) -> str:
    """Join the remedies that apply; one in a tuple has its condition before it."""
    texts = [r if isinstance(r, str) else r[1] for r in remedies if _applies(r)]
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + ", or " + texts[-1]


def _applies(remedy: str | tuple[bool, str]) -> bool:
    return isinstance(remedy, str) or remedy[0]


def is_unset(params: Params, name: str) -> bool:
    """Whether it is a parameter of the estimator, and None."""
    return name in params and params[name] is None


def true_places(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(mask))


def true_epochs(mask: np.ndarray) -> tuple[int, int]:
    """First and last epoch, from 1, where mask (n_epochs,) is true."""
    found = true_places(mask)
    return found[0] + 1, found[-1] + 1


def lower_rate(params: Params) -> str:
    return f"learning_rate_init below {params['learning_rate_init']:.3g}"
