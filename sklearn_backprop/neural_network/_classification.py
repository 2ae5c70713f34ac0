"""Networks that learn labels."""

from dataclasses import replace
from numbers import Real

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import check_is_fitted

from ._estimator import NetworkEstimator
from ._labels import (
    CLASSIFICATION_LOSSES,
    LabelCoder,
    both_probabilities,
    weights_by_class,
)

__all__ = ["NetworkClassifier"]


class NetworkClassifier(ClassifierMixin, NetworkEstimator):
    """A network that learns labels, exclusive ones or several for each row.

    Parameters
    ----------
    loss : {"log_loss", "squared_error"}, default="log_loss"
        Cross-entropy, or half the mean squared error of the probabilities.
    class_weight : dict, "balanced" or None, default=None
        Factor of each class on the weights of its rows; "balanced" gives all classes
        the same total weight.
    label_smoothing : float in [0, 1), default=0.0
        How far the targets of the loss lie on the way from the labels to even odds: of
        K exclusive classes, the right one counts 1 - label_smoothing in full and that
        rest is shared out equally among all K (Szegedy et al., 2016); of two classes,
        or of each of several labels, halves.

    References
    ----------
    Szegedy, C., Vanhoucke, V., Ioffe, S., Shlens, J., & Wojna, Z. (2016). Rethinking
    the Inception architecture for computer vision. CVPR.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, also those whose rows all have weight zero.
    validation_scores_ : list of float or None
        Accuracy of the validation set after every epoch.
    """

    _coder: LabelCoder
    _parameter_constraints: dict = {
        "loss": [StrOptions(set(CLASSIFICATION_LOSSES))],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    @available_if(lambda estimator: estimator._takes_blocks())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train for one more epoch on these rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call.

        Returns
        -------
        self : object
            The trained estimator.

        Raises
        ------
        DivergenceError
            As `fit` does; the weights from before this call stay.
        ValueError
            If X or y do not fit those of earlier calls, or if `classes` is missing in
            the first call or lacks a label.
        """
        if _check_partial_fit_first_call(self, classes):
            is_multilabel = type_of_target(y).startswith("multilabel")
            self._coder = LabelCoder.of(y if is_multilabel else classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict_proba(self, X):
        """Estimate the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.
        """
        check_is_fitted(self)
        if self.n_outputs_ == 1:
            return both_probabilities(self._forward(X, raw=True))
        return self._forward(X)

    def predict_log_proba(self, X):
        """Estimate the logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Logarithms, in the order of `classes_`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _check_targets(self, y):
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _coder_of(self, y, weight, *, keeps: bool) -> LabelCoder:
        coder = self._coder_of_classes(y, keeps=keeps)
        if coder.smoothing == self.label_smoothing:
            return coder
        return replace(coder, smoothing=float(self.label_smoothing))

    def _coder_of_classes(self, y, *, keeps: bool) -> LabelCoder:
        if not (keeps and hasattr(self, "classes_")):
            coder = LabelCoder.of(y)
            self.classes_ = coder.classes
            return coder
        if self.warm_start:
            self._check_same_classes(y)
        return self._coder

    def _check_same_classes(self, y) -> None:
        classes = unique_labels(y)
        if set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the "
                f"previous call to fit. Previously got {self.classes_}, `y` has "
                f"{classes}"
            )

    def _weigh(self, Y, sample_weight):
        if self.class_weight is None:
            return sample_weight
        return weights_by_class(
            self.class_weight, self.classes_, self._coder.members(Y), sample_weight
        )

    def _takes_blocks(self) -> bool:
        if self.class_weight == "balanced":
            raise AttributeError(
                "class_weight='balanced' is not supported for partial_fit, which does "
                "not see how often each class will come. Pass the weights as a dict."
            )
        return self._takes_batches()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
