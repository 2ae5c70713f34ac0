"""Networks that learn numbers."""

from numbers import Real

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from .._diagnosis import NetworkRecord, prediction_error
from .._finite import as_numbers
from ._estimator import NetworkEstimator
from ._numbers import REGRESSION_LOSSES, NumberCoder

__all__ = ["NetworkRegressor"]


class NetworkRegressor(RegressorMixin, NetworkEstimator):
    """A network that learns numbers.

    Parameters
    ----------
    loss : str, default="squared_error"
        "squared_error" (half of it), "absolute_error", "huber", "quantile" or "poisson"
        (half the deviance; predictions are the exponential of the outputs and y must
        not be negative). Several targets: the mean over them.
    quantile : float in (0, 1), default=0.5
        The quantile that loss="quantile" estimates.
    huber_delta : float, default=1.35
        Where loss="huber" turns from squares to absolute values.

    Attributes
    ----------
    validation_scores_ : list of float or None
        R² of the validation set after every epoch.
    prediction_error_ : float or None
        Error of the predictions relative to that of the best constants (the means of
        y, or its quantiles where the loss is of one), on the same rows: above 1 for a
        network that is worse than a constant. None where y does not vary, too.
    target_mean_ : ndarray of shape (n_outputs_,)
        Mean of the targets of the training rows.
    target_spread_ : ndarray of shape (n_outputs_,)
        Their standard deviation.
    """

    _parameter_constraints: dict = {
        "loss": [StrOptions(set(REGRESSION_LOSSES))],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
    }
    _target_checks = {"y_numeric": True}

    @available_if(lambda estimator: estimator._takes_batches())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Train for one more epoch on these rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.

        Returns
        -------
        self : object
            The trained estimator.

        Raises
        ------
        DivergenceError
            As `fit` does; the weights from before this call stay.
        ValueError
            If X or y do not fit those of earlier calls.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def _check_targets(self, y):
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return as_numbers(y)

    def _coder_of(self, y, weight, *, keeps: bool) -> NumberCoder:
        return NumberCoder(self.loss)

    def _weigh(self, Y, sample_weight):
        return sample_weight

    def _loss_parameter(self) -> float:
        parameters = {"quantile": self.quantile, "huber": self.huber_delta}
        return float(parameters.get(self.loss, 0.0))

    def _note_targets(self, rows) -> None:
        self.prediction_error_: float | None = None
        self.target_mean_, self.target_spread_ = rows.target_moments()

    def _note_errors(self, predicted, Y) -> None:
        quantiles = {"quantile": self.quantile, "absolute_error": 0.5}
        with np.errstate(over="ignore", invalid="ignore"):
            self.prediction_error_ = prediction_error(
                predicted, Y, quantiles.get(self.loss)
            )

    def _training_record(self) -> NetworkRecord:
        # A network taken over from scikit-learn has not seen its targets here.
        return self._network_record(
            prediction_error=getattr(self, "prediction_error_", None),
            target_mean=getattr(self, "target_mean_", None),
            target_spread=getattr(self, "target_spread_", None),
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.loss == "poisson"
        # scikit-learn's check of several outputs draws negative targets.
        tags.target_tags.multi_output = not tags.target_tags.positive_only
        return tags
