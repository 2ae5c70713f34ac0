"""What a fit leaves: the state of training, and the attributes that show it."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._diagnosis import NetworkRecord, RecordsTraining
from .._stored import StoredStateMixin
from ._network import Network
from ._state import TrainingState

__all__ = ["FittedNetwork"]


class FittedNetwork(RecordsTraining, StoredStateMixin, BaseEstimator):
    """An estimator that shows its network and the course of its training.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weight matrices from input to output: views of one flat vector. Where every
        member of an ensemble has one of its own, (n_members, n_in, n_out). Projections
        of residual blocks, embeddings and members' factors are not among them.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases from input to output; (n_members, n_out) where each member has its own.
    loss_ : float
        Training objective of the last epoch.
    loss_curve_ : list of float
        Training objective of every epoch or iteration of "lbfgs".
    best_loss_ : float or None
        The smallest of them; None where a validation set was watched.
    validation_scores_ : list of float or None
        Score of the validation set after every epoch.
    validation_loss_curve_ : list of float or None
        Loss of the validation set, without the penalty.
    best_validation_score_ : float or None
        The largest validation score; the weights are those that reached it.
    learning_rate_curve_ : list of float
        Rate of every epoch; the mean over its steps where they have rates of their own.
    gradient_history_ : dict of ndarray
        What the gradients did, one row per record and one column per recorded array,
        the weight matrices, also of an embedding: "gradient_norm", "gradient_norm_max"
        (before clipping), "update_ratio", "dead_fraction", "saturated_fraction"; one
        value per record: "clipped_fraction", "global_norm". Recurrent networks have
        "time_gradient_norm" (n_records, n_recurrent, n_steps) besides: the norm of
        dJ/dh in each step, over the mini-batch, for every recurrent layer. Of frozen
        arrays no gradient is computed, so that its norm is NaN. "lbfgs" has a row per
        iteration, with the gradient at its end; units and states are not looked at
        there (NaN).
    gradient_history_names_ : list of str
        Names of the recorded arrays, such as "hidden 1 weights": the columns of
        `gradient_history_`.
    feature_scale_ : ndarray of shape (n_features_in_,)
        Largest magnitude of each feature in the training rows.
    prediction_spread_ : float or None
        Standard deviation of the predictions relative to that of the targets, on up to
        1000 training rows: near zero for a network that learned nothing. None after
        `partial_fit` and after a DivergenceError.
    n_iter_ : int
        Epochs or iterations of the last fit.
    t_ : int
        Rows that the solver has seen.
    n_layers_ : int
        Layers, input and output included.
    n_outputs_ : int
        Width of the output layer.
    out_activation_ : str
        Function from raw outputs to predictions.
    n_features_in_ : int
        Features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X had names that are strings.
    """

    _training: TrainingState
    # Attribute -> the role of the arrays that it shows.
    _views: ClassVar[dict[str, str]] = {"coefs_": "W", "intercepts_": "b"}

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_training")

    def _publish(self) -> None:
        """Set the fitted attributes from the state of training."""
        state = self._training
        self.loss_curve_ = state.loss_curve
        self.loss_ = state.loss_curve[-1] if state.loss_curve else np.inf
        validated = state.validated
        self.best_loss_ = None if validated else state.best_loss
        self.learning_rate_curve_ = state.learning_rates
        self.validation_scores_ = state.validation_scores if validated else None
        self.validation_loss_curve_ = state.validation_losses if validated else None
        self.best_validation_score_ = state.best_score if validated else None
        self.t_ = state.progress.rows_seen
        self._no_improvement_count = state.stalled

    def _publish_network(self) -> None:
        """Set the attributes that tell what network it is."""
        network = self._training.network
        self.n_outputs_ = network.architecture.n_outputs
        self.n_layers_ = 2 + network.architecture.n_hidden
        self.out_activation_ = network.out_activation
        self.gradient_history_names_ = network.architecture.recorded_names

    @property
    def gradient_history_(self) -> dict[str, np.ndarray]:
        """What the gradients did, by name: see the class."""
        check_is_fitted(self, "_training")
        return self._training.history()

    def _training_record(self) -> NetworkRecord:
        """What displays and diagnosis read."""
        return self._network_record()

    def _settled_params(self) -> dict[str, Any]:
        """The parameters as the fit took them."""
        return self.get_params(deep=False)

    def _network_record(self, **of_targets) -> NetworkRecord:
        """The record, with what is known of targets that are numbers."""
        params = self._settled_params()
        network = self._network()
        return NetworkRecord(
            params=params,
            loss=np.asarray(self.loss_curve_, dtype=np.float64),
            n_iter=self.n_iter_,
            step_name="iteration" if params["solver"] == "lbfgs" else "epoch",
            **self._sizes(),
            validation_loss=self.validation_loss_curve_,
            validation_scores=self.validation_scores_,
            history=self._training.history(),
            names=self.gradient_history_names_,
            recurrent_names=network.architecture.recurrent_names,
            reads_backwards=network.architecture.reads_backwards,
            weights=network.architecture.recorded(network.theta),
            frozen=network.architecture.frozen_names,
            prediction_spread=self.prediction_spread_,
            **of_targets,
        )

    def _sizes(self) -> dict[str, Any]:
        """What diagnosis compares of inputs, and its name."""
        return {"feature_scale": self.feature_scale_}

    # --- the network, and coefs_ and intercepts_, which are views of its parameters
    def _network(self) -> Network:
        """The fitted network, with what was assigned to coefs_ and intercepts_."""
        network = self._training.network
        for name, role in self._views.items():
            if network.copy_in(getattr(self, name), role, name):
                # A new list: the one given may be another model's.
                setattr(self, name, network.views(role))
        return network

    def _show_views(self) -> None:
        for name, role in self._views.items():
            setattr(self, name, self._training.network.views(role))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the views out: they would come back as copies."""
        if hasattr(self, "_training"):
            self._network()
            self._training.join_records()
        state = dict(super().__getstate__())
        if "_training" in state:
            for name in self._views:
                del state[name]
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "_training"):
            self._show_views()
