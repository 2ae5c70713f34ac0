"""From labels and targets to what the output layer is compared with, and back."""

import numpy as np
from scipy.special import expit
from sklearn.preprocessing import LabelBinarizer

__all__ = [
    "CLASSIFICATION_LOSSES",
    "ENGINE_LINKS",
    "REGRESSION_LOSSES",
    "both_probabilities",
    "check_range",
    "decode_labels",
    "encode_labels",
    "encode_numbers",
    "out_activation_of",
    "weights_by_class",
]

# Loss -> `out_activation_`, the function from raw outputs to predictions.
REGRESSION_LOSSES = {
    "squared_error": "identity",
    "absolute_error": "identity",
    "huber": "identity",
    "quantile": "identity",
    "poisson": "exp",
}
CLASSIFICATION_LOSSES = ("log_loss", "squared_error")
# `out_activation_` as scikit-learn calls it -> its name in the engine.
ENGINE_LINKS = {
    "identity": "identity",
    "exp": "exp",
    "softmax": "softmax",
    "logistic": "sigmoid",
}


def out_activation_of(binarizer: LabelBinarizer) -> str:
    """Softmax over exclusive classes; otherwise one sigmoid for each output."""
    return "softmax" if binarizer.y_type_ == "multiclass" else "logistic"


def encode_labels(binarizer: LabelBinarizer, y, dtype) -> np.ndarray:
    """Write labels as 0/1 (n, 1), one-hot rows (n, K) or indicators (n, n_labels)."""
    return np.ascontiguousarray(binarizer.transform(y), dtype=dtype)


def decode_labels(binarizer: LabelBinarizer, outputs: np.ndarray):
    """Read labels from predictions (n, K)."""
    return binarizer.inverse_transform(
        outputs.ravel() if outputs.shape[1] == 1 else outputs
    )


def both_probabilities(raw: np.ndarray) -> np.ndarray:
    """Probabilities of both classes (n, 2) from raw outputs (n, 1).

    The small one is not 1 - p, which would round to zero.
    """
    return np.hstack([expit(-raw), expit(raw)])


def encode_numbers(y, dtype) -> np.ndarray:
    """Write targets as (n, n_outputs)."""
    return np.ascontiguousarray(y.reshape(len(y), -1), dtype=dtype)


def check_range(y, loss: str) -> None:
    """Refuse targets for which the loss is not defined."""
    if loss == "poisson" and np.any(y < 0):
        raise ValueError(
            "Some value(s) of y are out of the valid range of the loss 'poisson': it "
            f"needs y >= 0, but the smallest is {np.min(y)}. Use loss='squared_error' "
            "for targets that can be negative."
        )


def weights_by_class(class_weight, classes, y, sample_weight) -> np.ndarray:
    """Multiply each row's weight by its class's; a row of labels by all it carries.

    "balanced" gives each class the same total: weight_total / (K * weight_of_class).
    """
    member = _membership(classes, y)
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
    """Factors (K,) of the classes, 1 for those that class_weight does not name."""
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


def _membership(classes, y) -> np.ndarray:
    """Say for each row (n, K) which classes it belongs to."""
    y = np.asarray(y)
    return y != 0 if y.ndim == 2 else y[:, None] == np.asarray(classes)[None, :]


def _check_known(class_weight, classes) -> None:
    unknown = [c for c in class_weight if c not in set(classes)]
    if unknown:
        raise ValueError(
            f"class_weight names the classes {unknown}, which y does not have; its "
            f"classes are {list(classes)}."
        )
