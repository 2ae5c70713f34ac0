"""Labels as 0/1, one-hot rows or indicators, and the weights of classes."""

from typing import Self

import numpy as np
from scipy.sparse import csr_matrix, issparse
from scipy.special import expit
from sklearn.utils.multiclass import (
    check_classification_targets,
    type_of_target,
    unique_labels,
)

from .._immutable import immutable
from .._scores import Accuracy
from .._stored import stored
from ._coding import Coder

__all__ = [
    "CLASSIFICATION_LOSSES",
    "LabelCoder",
    "both_probabilities",
    "weights_by_class",
]

_LEAST = 1e-7  # probability that a score tells from zero: rounding of float32
CLASSIFICATION_LOSSES = ("log_loss", "squared_error")


@stored
@immutable
class LabelCoder(Coder):
    """Two classes as 0/1 (n, 1), more as one-hot rows (n, K), several labels as 0/1."""

    classes: np.ndarray  # (n_classes,)
    is_multilabel: bool
    is_sparse: bool  # whether indicators of labels came, and are to leave, as CSR
    out_activation: str
    smoothing: float = 0.0  # how far rows lie on the way to even odds

    @classmethod
    def of(cls, y) -> Self:
        """Learn what codes y, (n,) or indicators (n, K)."""
        classes = _plain_labels(y)
        if classes is None:
            _refuse_missing_labels(y)
            check_classification_targets(y)
            kind = type_of_target(y, input_name="y")
        else:
            kind = "multiclass" if len(classes) > 2 else "binary"
        if "multioutput" in kind:
            raise ValueError(
                "Multioutput target data is not supported with label binarization"
            )
        return cls(
            classes=unique_labels(y) if classes is None else classes,
            is_multilabel=kind.startswith("multilabel"),
            is_sparse=issparse(y),
            # Softmax over exclusive classes; otherwise one sigmoid for each output.
            out_activation="softmax" if kind == "multiclass" else "logistic",
        )

    @property
    def _even(self) -> float:
        """Each output where nothing is known."""
        return 1 / len(self.classes) if self.out_activation == "softmax" else 0.5

    def encode(self, y, dtype) -> np.ndarray:
        """Write labels as rows (n, K); refuse unknown ones."""
        Y = self._sharp(y, dtype)
        if self.smoothing:
            Y += self.smoothing * (self._even - Y)
        return Y

    def _sharp(self, y, dtype) -> np.ndarray:
        if self.is_multilabel:
            return self._indicators(y, dtype)
        if y.ndim > 1:
            raise ValueError("The object was not fitted with multilabel input.")
        places = self._places(y)
        if self.out_activation == "logistic":
            return places.reshape(-1, 1).astype(dtype)
        Y = np.zeros((len(y), len(self.classes)), dtype=dtype)
        Y[np.arange(len(y)), places] = 1
        return Y

    def _indicators(self, y, dtype) -> np.ndarray:
        if y.ndim == 1:
            raise ValueError(
                f"y has shape {y.shape}, but this network was fitted to "
                f"{len(self.classes)} labels, 0 or 1 in a column each."
            )
        labels = unique_labels(y)
        if len(np.setdiff1d(labels, self.classes, assume_unique=True)):
            raise self._unknown(labels)
        Y = y.toarray() if issparse(y) else y
        return np.ascontiguousarray(Y != 0, dtype=dtype)

    def _places(self, y) -> np.ndarray:
        """Places (n,) of labels among the classes."""
        try:
            places = np.searchsorted(self.classes, y)
            places = np.minimum(places, len(self.classes) - 1)  # it was behind all
            are_known = np.array_equal(self.classes[places], y)
        except TypeError:  # no order between them and the classes
            are_known = False
        if not are_known:
            raise self._unknown(unique_labels(y))
        return places

    def _unknown(self, labels) -> ValueError:
        return ValueError(
            "`y` has classes not in `self.classes_`. "
            f"`self.classes_` has {self.classes}. 'y' has {labels}."
        )

    def decode(self, outputs: np.ndarray):
        """Read labels from predictions (n, K)."""
        if self.is_multilabel:
            indicators = np.array(outputs > 0.5, dtype=int)
            return csr_matrix(indicators) if self.is_sparse else indicators
        return self.classes[self._likeliest(outputs)]

    def _likeliest(self, outputs: np.ndarray) -> np.ndarray:
        """Places (n,) of the likeliest of exclusive classes."""
        if self.out_activation == "softmax":
            return outputs.argmax(axis=1)
        above = (outputs.ravel() > 0.5).astype(np.intp)
        return np.minimum(above, len(self.classes) - 1)

    def scorer(self, y, sample_weight):
        """Accuracy; of several labels, the share of rows with all of them right."""

        def score(outputs):
            return Accuracy.of(y, self.decode(outputs), sample_weight).value

        return score

    def likelihood_scorer(self, y, sample_weight):
        """Minus the log loss; of several labels, its sum over them."""
        Y = self.encode(y, np.float64)

        def score(outputs):
            p = np.clip(outputs.astype(np.float64), _LEAST, 1 - _LEAST)
            gains = Y * np.log(p)
            if self.out_activation == "logistic":
                gains += (1 - Y) * np.log(1 - p)
            return float(np.average(gains.sum(axis=1), weights=sample_weight))

        return score

    def members(self, Y: np.ndarray) -> np.ndarray:
        """Say for each row of Y (n, K) which classes it belongs to."""
        is_set = self._even < Y
        if Y.shape[1] > 1 or self.is_multilabel:
            return is_set
        return np.equal(is_set, np.arange(len(self.classes)))


def _plain_labels(y) -> np.ndarray | None:
    """Find the labels of a column that holds nothing else, or None where that is open.

    Whole numbers of which most are distinct may be targets of a regression, of which
    scikit-learn warns.
    """
    if not (isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind in "biuU"):
        return None
    labels = np.unique(y)
    return labels if 0 < 2 * len(labels) <= len(y) else None


def _refuse_missing_labels(y) -> None:
    """Say where a label is None: it cannot be sorted among the others."""
    if not isinstance(y, np.ndarray) or y.dtype.kind != "O" or y.ndim > 1:
        return
    missing = [row for row, label in enumerate(y) if label is None]
    if missing:
        raise ValueError(
            f"Input y contains None in {len(missing)} row(s), the first is row "
            f"{missing[0]}. Leave out rows without a label, or give them one."
        )


def both_probabilities(raw: np.ndarray) -> np.ndarray:
    """Probabilities of both classes (n, 2) from raw outputs (n, n_members).

    The small one is not 1 - p, which would round to zero.
    """
    of_members = np.stack([expit(-raw), expit(raw)], axis=1)
    return of_members.mean(axis=2)


def weights_by_class(class_weight, classes, member, sample_weight) -> np.ndarray:
    """Multiply each row's weight by its class's; a row of labels by all it carries.

    member (n, n_classes) tells which classes rows belong to. "balanced" gives each
    class the same total: weight_total / (n_classes * weight_of_class).
    """
    weight = np.ones(len(member)) if sample_weight is None else sample_weight
    if isinstance(class_weight, str):
        totals = weight @ member
        factors = weight.sum() / (len(classes) * np.where(totals > 0, totals, np.inf))
        factors = np.where(factors > 0, factors, 1.0)
    else:
        _check_known(class_weight, classes)
        factors = _factors_of(class_weight, classes)
    weight = weight * np.prod(np.where(member, factors, 1.0), axis=1)
    if not weight.any():
        raise ValueError(
            f"class_weight={class_weight!r} leaves no row a positive weight: at least "
            "one class in y needs one."
        )
    return weight


def _factors_of(class_weight, classes) -> np.ndarray:
    """Factors (n_classes,), 1 for the classes that class_weight does not name."""
    try:
        factors = np.array([class_weight.get(c, 1.0) for c in classes], dtype=float)
    except (TypeError, ValueError):
        factors = np.array([np.nan])
    if not (np.isfinite(factors) & (factors >= 0)).all():
        raise ValueError(
            "The values of class_weight must be finite numbers, not negative: got "
            f"{class_weight!r}."
        )
    return factors


def _check_known(class_weight, classes) -> None:
    unknown = [c for c in class_weight if c not in set(classes)]
    if unknown:
        raise ValueError(
            f"class_weight names the classes {unknown}, which y does not have; its "
            f"classes are {classes.tolist()}."
        )
