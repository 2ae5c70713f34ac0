"""What both perceptrons share: validation, the way of a fit, fitted attributes."""

import copy
import warnings
from abc import ABC, abstractmethod
from functools import reduce
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.sparsefuncs import min_max_axis
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from .._callbacks import CallbackSupportMixin, FitTasks
from .._documentation import DocumentationLinkMixin
from .._epochs import Rows
from .._finite import finite_predictions
from .._parameters import refuse_huge_numbers
from .._sparse import with_equal_indices
from .._stored import StoredStateMixin
from .._threads import single_threaded_blas
from .._weights import drop_rows_without_weight, weight_unit
from ..exceptions import VanishedTrainingWarning
from ..inspection._diagnosis import (
    is_at_chance_level,
    is_worse_than_constant,
    prediction_spread,
    why_nothing_arrives,
)
from ..inspection._reading import diagnose
from ._architecture import (
    ACTIVATION_ALIASES,
    ACTIVATIONS,
    NORMALIZATIONS,
    RESIDUALS,
    Architecture,
    build_architecture,
)
from ._combinations import refuse_nonsense
from ._epochs import (
    SOLVERS,
    STOCHASTIC_SOLVERS,
    NetworkEpochs,
    Settings,
    Validation,
)
from ._initializers import INIT_ALIASES, INITIALIZERS, draw_parameters
from ._lbfgs import LbfgsRun
from ._network import Network
from ._schedules import SCHEDULES, Schedule
from ._state import TrainingState

__all__ = ["FLOATS", "BaseBackpropMLP"]

FLOATS = (np.float64, np.float32)


class BaseBackpropMLP(
    CallbackSupportMixin, DocumentationLinkMixin, StoredStateMixin, BaseEstimator, ABC
):
    """What both perceptrons share; use one of them.

    Subclasses say how y becomes the rows that outputs are compared with
    (`_read_targets`, `_encode_targets`), what the outputs mean (`_out_activation`,
    `_loss_parameter`, `_decode`) and how a validation set is scored (`_score_labels`).
    """

    _parameter_constraints: dict = {
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions({*ACTIVATIONS, *ACTIVATION_ALIASES}), "array-like"],
        "init": [StrOptions({"auto", *INITIALIZERS, *INIT_ALIASES})],
        "init_scale": [Interval(Real, 0, None, closed="left")],
        "residual": [StrOptions(set(RESIDUALS)), None],
        "residual_block_size": [Interval(Integral, 1, None, closed="left")],
        "normalization": [StrOptions(set(NORMALIZATIONS)), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "solver": [StrOptions(set(SOLVERS))],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "clip": [Interval(Real, 0, None, closed="neither"), None],
        "clip_mode": [StrOptions({"norm", "value"})],
        "batch_size": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "decay_rate": [Interval(Real, 0, 1, closed="right")],
        "warmup_epochs": [Interval(Integral, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "track_gradients": [StrOptions({"epoch", "batch"}), None],
    }

    def _store(self, arguments: dict[str, Any]) -> None:
        """Set the constructor's arguments, as scikit-learn wants them: untouched."""
        for name in self._get_param_names():
            setattr(self, name, arguments[name])

    # --- what the subclasses say
    @abstractmethod
    def _read_targets(self, X, y, *, reset, incremental):
        """Validate X and y; on a fresh start learn the classes."""

    @abstractmethod
    def _encode_targets(self, y, dtype) -> np.ndarray:
        """Write y as rows (n, n_outputs)."""

    @abstractmethod
    def _weigh(self, y, sample_weight):
        """Combine sample weights and class weights."""

    @abstractmethod
    def _out_activation(self) -> str: ...

    @abstractmethod
    def _loss_parameter(self) -> float: ...

    @abstractmethod
    def _decode(self, outputs):
        """Turn predictions (n, n_outputs) into what `predict` returns."""

    @abstractmethod
    def _score_labels(self, y, predicted, sample_weight) -> float: ...

    # --- public
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
    ):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows; float32 and float64 are computed as they are.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels or targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, not negative.
        X_val, y_val : array-like, default=None
            Validation rows. Given, they are watched as `early_stopping` watches those
            that it holds out, and nothing is held out.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        DivergenceError
            When the loss, a gradient or the weights after an epoch are no longer
            finite, or when the loss stands a million times above that of the first
            epoch. The weights of the last finished epoch stay.

        Warns
        -----
        ConvergenceWarning
            When training ended before it had converged, or a regressor ends worse
            than a constant on its own training rows.
        VanishedTrainingWarning
            When it stopped at chance level because gradients do not arrive.
        """
        given = self._check_validation_set(X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, given=given)

    def _fit(self, X, y, sample_weight, *, given=None, incremental=False):
        refuse_huge_numbers(self)
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        as_given = X, y, sample_weight
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        unread = fresh or not hasattr(self, "n_features_in_")
        X, y = self._read_targets(X, y, reset=unread, incremental=incremental)
        weight = self._read_weights(X, sample_weight)
        n_given = X.shape[0]
        X, y, weight = drop_rows_without_weight(X, y, weight, by=self._weigh(y, weight))
        refuse_nonsense(
            self,
            n_samples=X.shape[0],
            weight=weight,
            dtype=X.dtype,
            validation_given=given is not None,
        )
        Y = self._encode_targets(y, X.dtype)
        if fresh:
            self._start(X, Y)
        else:
            self._resume(X, Y)
        training, validation = self._split(X, y, Y, weight, given)
        self._note_feature_scale(training.X, fresh)
        self.prediction_spread_: float | None = None
        self._note_targets(training)
        tasks = self._tasks(training, incremental, *as_given)
        with single_threaded_blas:
            n_dropped = n_given - X.shape[0]
            self._train(training, validation, tasks, incremental, n_dropped)
            if not incremental:
                self._note_predictions(training)
        self._warn()
        tasks.finish()
        return self

    # --- reading the data
    def _check_validation_set(self, X_val, y_val, sample_weight_val):
        """Refuse half a validation set."""
        if X_val is None and y_val is None:
            if sample_weight_val is not None:
                raise ValueError(
                    "sample_weight_val is provided, but X_val and y_val were not."
                )
            return None
        if y_val is None:
            raise ValueError("X_val is provided, but y_val was not provided.")
        if X_val is None:
            raise ValueError("y_val is provided, but X_val was not provided.")
        return X_val, y_val, sample_weight_val

    def _read_rows(self, X, *, dtype, **settings):
        X = validate_data(
            self, X, accept_sparse="csr", dtype=dtype, order="C", **settings
        )
        return with_equal_indices(X)

    def _read_weights(self, X, sample_weight):
        """Weights (n,) in double precision, or None."""
        if sample_weight is None:
            return None
        sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        if np.any(sample_weight < 0):
            raise ValueError(
                "Negative values in data passed to `sample_weight`: a negative weight "
                "turns the loss of its row into a gain."
            )
        if not sample_weight.any():
            raise ValueError(
                "sample_weight sums to zero: at least one row needs a positive weight."
            )
        return sample_weight

    def _rows(self, X, y, Y, sample_weight) -> Rows:
        weight, unit = self._weigh(y, sample_weight), 1.0
        if weight is not None:
            unit = weight_unit(weight)
            weight = np.ascontiguousarray(weight / unit, dtype=X.dtype)
        X = with_equal_indices(X) if issparse(X) else np.ascontiguousarray(X)
        return Rows(X, Y, weight, unit)

    def _split(self, X, y, Y, sample_weight, given):
        """Training rows, and the validation set that is given or held out."""
        if given is not None:
            return self._rows(X, y, Y, sample_weight), self._given_validation(*given)
        if not self.early_stopping or self.solver == "lbfgs":
            return self._rows(X, y, Y, sample_weight), None
        return self._hold_out(X, y, Y, sample_weight)

    def _given_validation(self, X_val, y_val, sample_weight):
        X = self._read_rows(X_val, dtype=self._training.network.dtype, reset=False)
        check_consistent_length(X, y_val)
        y = check_array(y_val, ensure_2d=False, dtype=None, input_name="y_val")
        sample_weight = self._read_weights(X, sample_weight)
        return self._validation(X, y, self._encode_targets(y, X.dtype), sample_weight)

    def _hold_out(self, X, y, Y, sample_weight):
        """Split as scikit-learn does: stratified for two classes only."""
        weight = np.ones(len(Y)) if sample_weight is None else sample_weight
        n_held_out = int(np.ceil(self.validation_fraction * len(Y)))
        too_few = ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the "
            "size of your dataset. (early_stopping holds out validation_fraction="
            f"{self.validation_fraction} of the {len(Y)} rows of positive weight, "
            f"which is {n_held_out}.)"
        )
        if n_held_out >= len(Y):
            raise too_few
        binary = isinstance(self, ClassifierMixin) and Y.shape[1] == 1
        parts = train_test_split(
            X,
            y,
            Y,
            weight,
            test_size=self.validation_fraction,
            random_state=self._training.seed,
            stratify=Y.astype(bool) if binary else None,
        )
        X, X_val, y, y_val, Y, Y_val, weight, weight_val = parts
        if len(Y_val) < 2:
            raise too_few
        if sample_weight is None:
            weight = weight_val = None
        return (
            self._rows(X, y, np.ascontiguousarray(Y), weight),
            self._validation(X_val, y_val, np.ascontiguousarray(Y_val), weight_val),
        )

    def _validation(self, X, y, Y, sample_weight) -> Validation:
        def score(outputs):
            return self._score_labels(y, self._decode(outputs), sample_weight)

        return Validation(self._rows(X, y, Y, sample_weight), score)

    def _dtype_to_continue(self):
        """Precision of the training that goes on."""
        training = getattr(self, "_training", None)
        return FLOATS if training is None else training.network.dtype

    # --- the network
    def _start(self, X, Y) -> None:
        """Draw weights and forget earlier training."""
        rng = check_random_state(self.random_state)
        architecture = self._lay_out(X.shape[1], Y.shape[1])
        theta = draw_parameters(architecture, self.init, self.init_scale, rng, X.dtype)
        self._take(architecture, theta, rng, Y.shape[1])
        self._show_views()

    def _take(self, architecture, theta, rng, n_outputs) -> None:
        """Begin training of a network with these parameters."""
        self.n_outputs_ = n_outputs
        self.n_layers_ = 1 + len(architecture.shapes("W"))
        self.out_activation_ = self._out_activation()
        self._training = TrainingState(
            network=self._make_network(
                architecture, theta, architecture.start_running(theta.dtype)
            ),
            random_state=rng,
            seed=int(rng.randint(np.iinfo(np.int32).max)),
        )

    def _make_network(self, architecture, theta, running) -> Network:
        return Network(
            architecture=architecture,
            loss=self.loss,
            loss_parameter=self._loss_parameter(),
            out_activation=self.out_activation_,
            theta=theta,
            running=running,
        )

    def _lay_out(self, n_features, n_outputs) -> Architecture:
        return build_architecture(
            n_features,
            n_outputs,
            hidden_layer_sizes=self.hidden_layer_sizes,
            activation=self.activation,
            normalization=self.normalization,
            dropout=float(self.dropout),
            residual=self.residual,
            residual_block_size=self.residual_block_size,
        )

    def _resume(self, X, Y) -> None:
        """Go on with the weights that are there, also if they were put in by hand."""
        wanted = self._lay_out(X.shape[1], Y.shape[1])
        if not hasattr(self, "_training"):
            theta = np.zeros(wanted.n_theta, dtype=X.dtype)
            rng = check_random_state(self.random_state)
            self._take(wanted, theta, rng, Y.shape[1])
        network = self._training.network
        _refuse_another_shape(network.architecture, wanted)
        self._gather()
        self.out_activation_ = self._out_activation()
        network = self._make_network(wanted, network.theta, network.running)
        self._training.network = network
        if not network.theta.flags.writeable:  # memory-mapped by joblib
            network.restore_writeable()
            self._show_views()

    def _show_views(self) -> None:
        network = self._training.network
        self.coefs_ = network.views("W")
        self.intercepts_ = network.views("b")

    def _gather(self) -> None:
        """Take arrays that were assigned to coefs_ or intercepts_ into theta."""
        network = self._training.network
        for name, role in (("coefs_", "W"), ("intercepts_", "b")):
            if network.gather(getattr(self, name), role, name):
                # A new list: the one given may be another model's.
                setattr(self, name, network.views(role))

    # --- training
    def _tasks(self, training, incremental, X, y, sample_weight) -> FitTasks:
        """Tell callbacks that training begins, on the data that the user gave."""
        n_epochs = 1 if incremental else self.max_iter
        tasks = FitTasks(self, lambda: n_epochs, X, y, sample_weight)
        n_before = len(self._training.loss_curve)
        tasks.attributes_of = lambda state: self._as_if_stopped(
            state, n_before, None if incremental else training
        )
        return tasks

    def _as_if_stopped(self, state, n_before, training) -> dict[str, Any]:
        """Attributes of an estimator whose training ended in a copied state."""
        twin = copy.copy(self)
        twin._training = state
        twin.n_iter_ = len(state.loss_curve) - n_before
        twin._show_views()
        twin._publish()
        if training is not None:
            twin._note_predictions(training)
        return dict(vars(twin))

    def _train(self, training, validation, tasks, incremental, n_dropped) -> None:
        before = len(self._training.loss_curve)
        try:
            if self.solver == "lbfgs":
                self.n_iter_ = self._train_lbfgs(training, tasks)
            else:
                size = self._rows_per_batch(len(training.Y), n_dropped)
                self._train_stochastic(training, validation, tasks, incremental, size)
        finally:
            if self.solver != "lbfgs":
                self.n_iter_ = len(self._training.loss_curve) - before
            self._publish()

    def _train_lbfgs(self, rows, tasks) -> int:
        return LbfgsRun(
            self._training,
            rows,
            tasks,
            alpha=float(self.alpha),
            max_iter=self.max_iter,
            max_fun=self.max_fun,
            tol=self.tol,
            record=self.track_gradients,
            verbose=self.verbose,
        ).run()

    def _train_stochastic(self, rows, validation, tasks, incremental, size) -> None:
        loop = NetworkEpochs(
            self._training, self._settings(size), rows, tasks, validation
        )
        if incremental:
            loop.run_one()
        else:
            loop.run(self.max_iter)

    def _settings(self, batch_size) -> Settings:
        return Settings(
            solver=self.solver,
            optimizer={
                "momentum": float(self.momentum),
                "nesterov": bool(self.nesterovs_momentum),
                "beta_1": float(self.beta_1),
                "beta_2": float(self.beta_2),
                "epsilon": float(self.epsilon),
                "weight_decay": float(self.weight_decay),
            },
            schedule=Schedule(
                self.learning_rate,
                float(self.learning_rate_init),
                power_t=self.power_t,
                decay_rate=self.decay_rate,
                max_iter=self.max_iter,
                warmup_epochs=self.warmup_epochs,
            ),
            alpha=float(self.alpha),
            batch_size=batch_size,
            clip=None if self.clip is None else float(self.clip),
            clip_mode=self.clip_mode,
            record=self.track_gradients,
            shuffle=bool(self.shuffle),
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            verbose=self.verbose,
            dropout_seed=self._training.seed,
        )

    def _rows_per_batch(self, n_samples, n_dropped) -> int:
        """Rows of a mini-batch; rows dropped without weight are no reason to warn."""
        if self.batch_size == "auto":
            return min(200, n_samples)
        if self.batch_size > n_samples + n_dropped:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going "
                "to be clipped",
                stacklevel=6,
            )
        return int(min(self.batch_size, n_samples))

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

    @property
    def gradient_history_(self) -> dict[str, np.ndarray]:
        """What the gradients did, by name: see the class."""
        check_is_fitted(self, "_training")
        return self._training.history()

    # --- what diagnosis reads besides the history
    def _note_feature_scale(self, X, fresh) -> None:
        """Keep the largest magnitude of each feature (p,) of all rows since `fresh`."""
        scale = _largest_magnitudes(X)
        seen = None if fresh else getattr(self, "feature_scale_", None)
        self.feature_scale_ = scale if seen is None else np.maximum(scale, seen)

    def _note_targets(self, rows) -> None:
        """Keep what is to be known of the targets, where they are numbers."""

    def _note_predictions(self, rows) -> None:
        """Compare predictions of up to 1000 training rows with their targets."""
        some = np.unique(np.linspace(0, len(rows.Y) - 1, 1000).astype(int))
        predicted, Y = self._training.network.forward(rows.X[some]), rows.Y[some]
        self.prediction_spread_ = prediction_spread(predicted, Y)
        self._note_errors(predicted, Y)

    def _note_errors(self, predicted, Y) -> None:
        """Keep how far off predictions are, where they are numbers."""

    def _warn(self) -> None:
        """Say it where training ended early, or in vain."""
        state = self._training
        error = getattr(self, "prediction_error_", None)
        why = None
        if is_at_chance_level(self.prediction_spread_):
            why = why_nothing_arrives(diagnose(self))
        if why is None and is_worse_than_constant(error) and not state.was_stopped:
            message = (
                "The network predicts its own training rows worse than a constant "
                f"would, with an error {error:.3g} times as large. {diagnose(self)[0]}"
            )
            parts = [state.unfinished, message]
            warnings.warn(
                " ".join(filter(None, parts)), ConvergenceWarning, stacklevel=5
            )
            return
        if state.unfinished:
            warnings.warn(state.unfinished, ConvergenceWarning, stacklevel=5)
        if why is not None:
            warnings.warn(
                "The network stopped at chance level, its predictions do not vary with "
                f"X. {why}",
                VanishedTrainingWarning,
                stacklevel=5,
            )

    # --- prediction
    def _forward(self, X, *, raw=False) -> np.ndarray:
        """Compute outputs (n, n_outputs) behind the link, or before it."""
        check_is_fitted(self)
        self._gather()
        network = self._training.network
        X = self._read_rows(X, dtype=network.dtype, reset=False)
        with single_threaded_blas:
            outputs = network.forward(X, raw=raw)
        return finite_predictions(outputs, X)

    def predict(self, X):
        """Predict labels or targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        """
        return self._decode(self._forward(X))

    def _check_solver(self) -> bool:
        if self.solver not in STOCHASTIC_SOLVERS:
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. "
                f"{self.solver} is not stochastic."
            )
        return True

    # --- pickling: views of a vector would come back as copies
    def __getstate__(self):
        if hasattr(self, "_training"):
            self._gather()
            self._training.join_records()
        state = dict(super().__getstate__())
        if "_training" in state:
            del state["coefs_"], state["intercepts_"]
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "_training"):
            self._show_views()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _largest_magnitudes(X) -> np.ndarray:
    """Largest magnitude of each column (p,), by blocks that stay in the cache."""
    if issparse(X):
        smallest, largest = min_max_axis(X, axis=0)
        return np.maximum(-smallest, largest)
    rows = max(1, 2**16 // X.shape[1])
    blocks = (np.abs(X[i : i + rows]).max(axis=0) for i in range(0, len(X), rows))
    return reduce(np.maximum, blocks)


def _refuse_another_shape(there: Architecture, wanted: Architecture) -> None:
    """Say which parameters ask for another network than the one that is there."""
    changed = [
        f"{name} was {there.shaped_by[name]} and is {value}"
        for name, value in wanted.shaped_by.items()
        if there.shaped_by[name] != value
    ]
    if there.shapes("b")[-1] != wanted.shapes("b")[-1]:
        changed.append(
            f"y had {there.shapes('b')[-1][0]} output(s) and has "
            f"{wanted.shapes('b')[-1][0]}"
        )
    if changed:
        raise ValueError(
            f"This fit would continue another network: {'; '.join(changed)}. Restore "
            "what shapes the network, or fit a new one with warm_start=False."
        )
