"""Multilayer perceptrons with scikit-learn's face: validation and fitted attributes."""

import copy
import warnings
from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    type_of_target,
    unique_labels,
)
from sklearn.utils.sparsefuncs import min_max_axis
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from .._callbacks import CallbackSupportMixin, FitTasks
from .._documentation import DocumentationLinkMixin
from .._threads import allowed_threads, single_threaded_blas
from ..engine import _engine
from ..exceptions import VanishedTrainingWarning
from ..inspection._diagnosis import (
    is_at_chance_level,
    prediction_spread,
    why_nothing_arrives,
)
from ..inspection._reading import diagnose
from . import _targets
from ._architecture import (
    ACTIVATION_ALIASES,
    ACTIVATIONS,
    NORMALIZATIONS,
    RESIDUALS,
    Architecture,
    build_architecture,
)
from ._combinations import refuse_nonsense
from ._initializers import INIT_ALIASES, INITIALIZERS, draw_parameters
from ._schedules import SCHEDULES, Schedule
from ._targets import CLASSIFICATION_LOSSES, ENGINE_LINKS, REGRESSION_LOSSES
from ._training import (
    SOLVERS,
    STOCHASTIC_SOLVERS,
    EpochLoop,
    LbfgsRun,
    Rows,
    Settings,
    TrainingState,
    Validation,
)

__all__ = ["BackpropMLPClassifier", "BackpropMLPRegressor"]

_ENGINE_NETWORKS = {
    np.dtype(np.float32): _engine.NetworkFloat32,
    np.dtype(np.float64): _engine.NetworkFloat64,
}
_FLOATS = (np.float64, np.float32)


class BaseBackpropMLP(CallbackSupportMixin, DocumentationLinkMixin, BaseEstimator, ABC):
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
            When the loss or a gradient is no longer finite.
        """
        given = self._check_validation_set(X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, given=given)

    def _fit(self, X, y, sample_weight, *, given=None, incremental=False):
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        as_given = X, y, sample_weight
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        unread = fresh or not hasattr(self, "n_features_in_")
        X, y = self._read_targets(X, y, reset=unread, incremental=incremental)
        refuse_nonsense(self, n_samples=X.shape[0], validation_given=given is not None)
        weight = self._read_weights(X, sample_weight)
        Y = self._encode_targets(y, X.dtype)
        if fresh:
            self._start(X, Y)
        else:
            self._resume(X, Y)
        training, validation = self._split(X, y, Y, weight, given)
        self._note_feature_scale(training.X, fresh)
        self.prediction_spread_: float | None = None
        tasks = self._tasks(training, incremental, *as_given)
        with single_threaded_blas:
            self._train(training, validation, tasks, incremental)
            if not incremental:
                self._note_prediction_spread(training)
        self._warn_if_vanished()
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
        return validate_data(
            self, X, accept_sparse="csr", dtype=dtype, order="C", **settings
        )

    def _read_weights(self, X, sample_weight):
        """Weights (n,) in the dtype of X, or None."""
        if sample_weight is None:
            return None
        sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        if np.any(sample_weight < 0):
            raise ValueError(
                "Negative values in data passed to `sample_weight`: a negative weight "
                "turns the loss of its row into a gain."
            )
        if not sample_weight.sum() > 0:
            raise ValueError(
                "sample_weight sums to zero: at least one row needs a positive weight."
            )
        return sample_weight

    def _rows(self, X, y, Y, sample_weight) -> Rows:
        weight = self._weigh(y, sample_weight)
        if weight is not None:
            weight = np.ascontiguousarray(weight, dtype=X.dtype)
        return Rows(X if issparse(X) else np.ascontiguousarray(X), Y, weight)

    def _split(self, X, y, Y, sample_weight, given):
        """Training rows, and the validation set that is given or held out."""
        if given is not None:
            return self._rows(X, y, Y, sample_weight), self._given_validation(*given)
        if not self.early_stopping or self.solver == "lbfgs":
            return self._rows(X, y, Y, sample_weight), None
        return self._hold_out(X, y, Y, sample_weight)

    def _given_validation(self, X_val, y_val, sample_weight):
        X = self._read_rows(X_val, dtype=self._training.theta.dtype, reset=False)
        check_consistent_length(X, y_val)
        y = check_array(y_val, ensure_2d=False, dtype=None, input_name="y_val")
        sample_weight = self._read_weights(X, sample_weight)
        return self._validation(X, y, self._encode_targets(y, X.dtype), sample_weight)

    def _hold_out(self, X, y, Y, sample_weight):
        """Split as scikit-learn does: stratified for two classes only."""
        weight = np.ones(len(Y)) if sample_weight is None else sample_weight
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
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' "
                "or the size of your dataset."
            )
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
        return _FLOATS if training is None else training.theta.dtype

    # --- the network
    def _start(self, X, Y) -> None:
        """Draw weights and forget earlier training."""
        rng = check_random_state(self.random_state)
        self._set_shape(X.shape[1], Y.shape[1])
        theta = draw_parameters(
            self._architecture, self.init, self.init_scale, rng, X.dtype
        )
        self._take(theta, rng)
        self._show_views()

    def _take(self, theta, rng) -> None:
        self._training = TrainingState(
            theta=theta,
            running=self._architecture.start_running(theta.dtype),
            random_state=rng,
            seed=int(rng.randint(np.iinfo(np.int32).max)),
        )

    def _set_shape(self, n_features, n_outputs) -> None:
        self._architecture = self._lay_out(n_features, n_outputs)
        self.n_outputs_ = n_outputs
        self.n_layers_ = 1 + len(self._architecture.shapes("W"))
        self.out_activation_ = self._out_activation()

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
            self._set_shape(X.shape[1], Y.shape[1])
            theta = np.zeros(wanted.n_theta, dtype=X.dtype)
            self._take(theta, check_random_state(self.random_state))
        if wanted.parameters != self._architecture.parameters:
            raise ValueError(
                "This fit would continue a network of "
                f"{_describe_widths(self._architecture)} but the parameters now ask "
                f"for {_describe_widths(wanted)}. Restore the parameters that shape "
                "the network, or fit a new one with warm_start=False."
            )
        self._architecture = wanted
        self._gather()
        if not self._training.theta.flags.writeable:  # memory-mapped by joblib
            self._training.restore_writeable()
            self._show_views()

    def _show_views(self) -> None:
        theta = self._training.theta
        self.coefs_ = self._architecture.views("W", theta)
        self.intercepts_ = self._architecture.views("b", theta)

    def _gather(self) -> None:
        """Take arrays that were assigned to coefs_ or intercepts_ into theta."""
        theta = self._training.theta
        for name, role in (("coefs_", "W"), ("intercepts_", "b")):
            given, views = getattr(self, name), self._architecture.views(role, theta)
            if len(given) != len(views):
                raise ValueError(
                    f"{name} has {len(given)} arrays, but this network has "
                    f"{len(views)} layers of weights."
                )
            if not all(map(_is_same_memory, given, views)):
                for i, (array, view) in enumerate(zip(given, views, strict=True)):
                    _copy_checked(array, view, f"{name}[{i}]")
                # A new list: the one given may be another model's.
                setattr(self, name, views)

    def _network(self):
        """Build the engine's network; it holds no parameters."""
        return _ENGINE_NETWORKS[self._training.theta.dtype](
            self._architecture.table,
            self._architecture.layers,
            loss=self.loss,
            link=ENGINE_LINKS[self.out_activation_],
            loss_parameter=self._loss_parameter(),
        )

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
            twin._note_prediction_spread(training)
        return dict(vars(twin))

    def _train(self, training, validation, tasks, incremental) -> None:
        before = len(self._training.loss_curve)
        try:
            if self.solver == "lbfgs":
                self.n_iter_ = self._train_lbfgs(training, tasks)
            else:
                self._train_stochastic(training, validation, tasks, incremental)
        finally:
            if self.solver != "lbfgs":
                self.n_iter_ = len(self._training.loss_curve) - before
            self._publish()

    def _train_lbfgs(self, rows, tasks) -> int:
        return LbfgsRun(
            self._network(),
            self._training,
            rows,
            tasks,
            weights_of=lambda theta: self._architecture.views("W", theta),
            alpha=float(self.alpha),
            max_iter=self.max_iter,
            max_fun=self.max_fun,
            tol=self.tol,
            record=self.track_gradients,
            verbose=self.verbose,
            n_threads=allowed_threads(),
        ).run()

    def _train_stochastic(self, rows, validation, tasks, incremental) -> None:
        loop = EpochLoop(
            self._network(),
            self._training,
            self._settings(len(rows.Y)),
            rows,
            tasks,
            self._architecture.where,
            validation,
        )
        if incremental:
            loop.run_one()
        else:
            loop.run(self.max_iter)

    def _settings(self, n_samples) -> Settings:
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
            batch_size=self._rows_per_batch(n_samples),
            clip=None if self.clip is None else float(self.clip),
            clip_mode=self.clip_mode,
            record=self.track_gradients,
            shuffle=bool(self.shuffle),
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            verbose=self.verbose,
            n_threads=allowed_threads(),
            dropout_seed=self._training.seed,
        )

    def _rows_per_batch(self, n_samples) -> int:
        if self.batch_size == "auto":
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going "
                "to be clipped",
                stacklevel=8,
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
        smallest, largest = min_max_axis(X, axis=0) if issparse(X) else _range(X)
        scale = np.maximum(-smallest, largest)
        seen = None if fresh else getattr(self, "feature_scale_", None)
        self.feature_scale_ = scale if seen is None else np.maximum(scale, seen)

    def _note_prediction_spread(self, rows) -> None:
        some = np.unique(np.linspace(0, len(rows.Y) - 1, 1000).astype(int))
        self.prediction_spread_ = prediction_spread(
            self._compute(rows.X[some]), rows.Y[some]
        )

    def _warn_if_vanished(self) -> None:
        """Say it where predictions do not vary because gradients do not arrive."""
        if not is_at_chance_level(self.prediction_spread_):
            return
        finding = why_nothing_arrives(diagnose(self))
        if finding is not None:
            warnings.warn(
                "The network stopped at chance level, its predictions do not vary with "
                f"X. {finding}",
                VanishedTrainingWarning,
                stacklevel=5,
            )

    # --- prediction
    def _forward(self, X, *, raw=False) -> np.ndarray:
        """Compute outputs (n, n_outputs) behind the link, or before it."""
        check_is_fitted(self)
        self._gather()
        X = self._read_rows(X, dtype=self._training.theta.dtype, reset=False)
        with single_threaded_blas:
            return self._compute(X, raw=raw)

    def _compute(self, X, *, raw=False) -> np.ndarray:
        network = self._network()
        compute = network.raw_outputs if raw else network.predict
        return compute(
            np.asarray(self._training.theta),
            np.asarray(self._training.running),
            X,
            n_threads=allowed_threads(),
        )

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


def _range(X):
    return X.min(axis=0), X.max(axis=0)


def _is_same_memory(array, view) -> bool:
    return (
        isinstance(array, np.ndarray)
        and array.dtype == view.dtype
        and array.shape == view.shape
        and array.__array_interface__["data"][0] == view.__array_interface__["data"][0]
    )


def _copy_checked(array, view, name) -> None:
    if np.shape(array) != view.shape:
        raise ValueError(
            f"{name} has shape {np.shape(array)}, but this network needs {view.shape}."
        )
    view[...] = array


def _describe_widths(architecture: Architecture) -> str:
    shapes = architecture.shapes("W")
    widths = " -> ".join(str(shape[0]) for shape in shapes)
    return f"widths {widths} -> {shapes[-1][1]} ({architecture.n_theta} parameters)"


class BackpropMLPClassifier(ClassifierMixin, BaseBackpropMLP):
    """Multilayer perceptron classifier, trained by backpropagation.

    A drop-in for scikit-learn's MLPClassifier on a compiled engine, with modern
    activations, residual blocks, normalization, dropout, clipping, schedules and a
    record of what the gradients do in every layer.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Widths of the hidden layers, from input to output. An empty tuple makes a
        linear model.
    activation : str or list of str, default="relu"
        One of "relu", "leaky_relu" (slope 0.01), "elu", "selu", "gelu" (exact), "silu",
        "mish", "softplus", "tanh", "logistic" (alias "sigmoid") and "identity": for
        all hidden layers, or a list with one name for each.
    init : str, default="auto"
        How weight matrices start; biases start at zero. "auto" takes He's rule for
        the relu family, Xavier's for "tanh" and "logistic", and LeCun's for "selu",
        "identity" and the output layer; the first layer of a relu net, which no relu
        stands before, starts with half of LeCun's variance. Otherwise one of
        "xavier_uniform" (alias "xavier"), "xavier_normal", "he_normal" (alias "he"),
        "he_uniform", "lecun_normal", "lecun_uniform", "orthogonal" and "zeros".
    init_scale : float, default=1.0
        Multiplies the standard deviation of every starting weight matrix: shows what
        too large or too small does.
    residual : {"add", "concat"} or None, default=None
        Whether blocks of hidden layers are bypassed: "add" adds a block's input to its
        output, through a learned projection where the widths differ [1]_; "concat"
        puts it beside the output [2]_. With "add" the first hidden layer makes the
        stream that the blocks of the others add to, each before its activation and
        scaled by 1/sqrt(number of blocks), so that nets of any depth start well [3]_.
    residual_block_size : int, default=1
        Hidden layers per block; the last block may be shorter.
    normalization : {"batch", "layer"} or None, default=None
        Standardize pre-activations over the rows of a mini-batch [4]_ (prediction uses
        running averages) or over the units of each row [5]_.
    dropout : float in [0, 1), default=0.0
        Share of hidden activations set to zero in each training step.
    loss : {"log_loss", "squared_error"}, default="log_loss"
        Cross-entropy, or half the mean squared error of the probabilities.
    class_weight : dict, "balanced" or None, default=None
        Factor of each class on the weights of its rows; "balanced" gives all classes
        the same total weight.
    solver : {"adam", "adamw", "sgd", "adagrad", "rmsprop", "lbfgs"}, default="adam"
        All but "lbfgs" step once per mini-batch. "lbfgs" is a quasi-Newton method on
        all rows at once, for small tables.
    alpha : float, default=0.0001
        Strength of the L2 penalty on the weight matrices. The objective is the
        weighted mean loss + alpha / (2 * total weight of the training rows) * sum of
        squared weights, whatever the batch size.
    weight_decay : float, default=0.01
        Decoupled decay of the weight matrices for solver="adamw" [6]_.
    clip : float or None, default=None
        Threshold beyond which gradients are clipped before the step.
    clip_mode : {"norm", "value"}, default="norm"
        Scale the whole gradient down to the norm `clip`, keeping its direction, or
        cut each element to [-clip, clip].
    batch_size : int or "auto", default="auto"
        Rows per mini-batch; "auto" is min(200, n_samples).
    learning_rate : str, default="constant"
        Rate of each epoch, for every solver but "lbfgs": "constant"; "invscaling",
        learning_rate_init / (t_ + 1) ** power_t; "adaptive", divided by 5 whenever
        training stalls; "exponential", times `decay_rate` each epoch; "cosine", down
        to zero over `max_iter` epochs.
    learning_rate_init : float, default=0.001
        The rate that the schedule starts from.
    power_t : float, default=0.5
        Exponent of "invscaling".
    decay_rate : float in (0, 1], default=0.95
        Factor per epoch of "exponential".
    warmup_epochs : int, default=0
        Epochs over which the rate first grows linearly to the schedule's.
    max_iter : int, default=200
        Largest number of epochs, or of iterations of "lbfgs".
    shuffle : bool, default=True
        Whether to draw a new order of rows for every epoch.
    random_state : int, RandomState instance or None, default=None
        Determines the starting weights, the order of rows, the dropout masks and the
        rows held out by `early_stopping`.
    tol : float, default=1e-4
        Training stops when the loss, or the validation score, has not improved by
        `tol` for `n_iter_no_change` epochs; for "lbfgs" the bound on the gradient.
    verbose : bool or int, default=False
        Whether to print a line per epoch: loss, validation score, norm of the whole
        gradient, and seconds since the start.
    warm_start : bool, default=False
        Whether `fit` continues from the last fit: weights, optimizer, schedule and
        random numbers go on as if training had not been interrupted.
    momentum : float in [0, 1], default=0.9
        Momentum of "sgd".
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to hold out `validation_fraction` of the rows and to stop when their
        score stalls; the best weights are kept.
    validation_fraction : float in [0, 1), default=0.1
        Share of rows held out by `early_stopping`.
    beta_1 : float in [0, 1), default=0.9
        Decay rate of the first moment of "adam" and "adamw", the mean gradient.
    beta_2 : float in [0, 1), default=0.999
        Decay rate of the second one, the mean squared gradient.
    epsilon : float, default=1e-8
        Keeps divisions finite in "adam", "adamw", "adagrad" and "rmsprop".
    n_iter_no_change : int or inf, default=10
        Epochs without improvement to put up with.
    max_fun : int, default=15000
        Largest number of evaluations of "lbfgs".
    track_gradients : {"epoch", "batch"} or None, default="epoch"
        Whether `gradient_history_` has a row per epoch, per mini-batch, or none.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weight matrices from input to output: views of one flat vector. Projections
        of residual blocks are not among them.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases from input to output.
    loss_ : float
        Training objective of the last epoch.
    loss_curve_ : list of float
        Training objective of every epoch or iteration of "lbfgs".
    best_loss_ : float or None
        The smallest of them; None where a validation set was watched.
    validation_scores_ : list of float or None
        Accuracy of the validation set after every epoch.
    validation_loss_curve_ : list of float or None
        Loss of the validation set, without the penalty.
    best_validation_score_ : float or None
        The largest validation score; the weights are those that reached it.
    learning_rate_curve_ : list of float
        Rate of every epoch.
    gradient_history_ : dict of ndarray
        What the gradients did, one row per record and one column per weight matrix:
        "gradient_norm", "gradient_norm_max" (before clipping), "update_ratio",
        "dead_fraction", "saturated_fraction"; one value per record:
        "clipped_fraction", "global_norm". "lbfgs" has a row per iteration, with the
        gradient at its end; units are not counted there (NaN).
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

    See Also
    --------
    BackpropMLPRegressor : The same networks for numbers.

    Notes
    -----
    With scikit-learn 1.9 and newer, `set_callbacks` takes its callbacks. Every epoch,
    or iteration of "lbfgs", is a task of the fit; estimators that callbacks get to see
    are fitted as if training had stopped there.

    References
    ----------
    .. [1] He, K., Zhang, X., Ren, S., & Sun, J. (2016). Identity mappings in deep
       residual networks. ECCV.
    .. [2] Huang, G., Liu, Z., van der Maaten, L., & Weinberger, K. Q. (2017). Densely
       connected convolutional networks. CVPR.
    .. [3] Hayou, S., Clerico, E., He, B., Deligiannidis, G., Doucet, A., & Rousseau,
       J. (2021). Stable ResNet. AISTATS.
    .. [4] Ioffe, S., & Szegedy, C. (2015). Batch normalization. ICML.
    .. [5] Ba, J. L., Kiros, J. R., & Hinton, G. E. (2016). Layer normalization.
    .. [6] Loshchilov, I., & Hutter, F. (2019). Decoupled weight decay regularization.
       ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_backprop.neural_network import BackpropMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=1)
    >>> model = BackpropMLPClassifier((32,), learning_rate_init=0.01, tol=1e-3,
    ...                               random_state=1)
    >>> model.fit(X_train, y_train).predict(X_test).shape
    (38,)
    >>> model.score(X_test, y_test) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **BaseBackpropMLP._parameter_constraints,
        "loss": [StrOptions(set(CLASSIFICATION_LOSSES))],
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        activation="relu",
        init="auto",
        init_scale=1.0,
        residual=None,
        residual_block_size=1,
        normalization=None,
        dropout=0.0,
        loss="log_loss",
        class_weight=None,
        solver="adam",
        alpha=0.0001,
        weight_decay=0.01,
        clip=None,
        clip_mode="norm",
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        decay_rate=0.95,
        warmup_epochs=0,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        track_gradients="epoch",
    ):
        self._store(locals())

    def _read_targets(self, X, y, *, reset, incremental):
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            dtype=_FLOATS if reset else self._dtype_to_continue(),
            order="C",
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._learn_classes(y)
        elif self.warm_start:
            self._check_same_classes(y)
        return X, y

    def _learn_classes(self, y) -> None:
        self._label_binarizer = LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_

    def _check_same_classes(self, y) -> None:
        classes = unique_labels(y)
        if set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the "
                f"previous call to fit. Previously got {self.classes_}, `y` has "
                f"{classes}"
            )

    def _encode_targets(self, y, dtype):
        classes = unique_labels(y)
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )
        return _targets.encode_labels(self._label_binarizer, y, dtype)

    def _weigh(self, y, sample_weight):
        if self.class_weight is None:
            return sample_weight
        return _targets.weights_by_class(
            self.class_weight, self.classes_, y, sample_weight
        )

    def _out_activation(self):
        return _targets.out_activation_of(self._label_binarizer)

    def _loss_parameter(self):
        return 0.0

    def _check_partial_fit(self) -> bool:
        if self.class_weight == "balanced":
            raise AttributeError(
                "class_weight='balanced' is not supported for partial_fit, which does "
                "not see how often each class will come. Pass the weights as a dict."
            )
        return self._check_solver()

    def _decode(self, outputs):
        return _targets.decode_labels(self._label_binarizer, outputs)

    def _score_labels(self, y, predicted, sample_weight):
        return accuracy_score(y, predicted, sample_weight=sample_weight)

    @available_if(lambda estimator: estimator._check_partial_fit())
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
        """
        if _check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
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
            return _targets.both_probabilities(self._forward(X, raw=True))
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class BackpropMLPRegressor(RegressorMixin, BaseBackpropMLP):
    """Multilayer perceptron regressor, trained by backpropagation.

    A drop-in for scikit-learn's MLPRegressor on a compiled engine, with modern
    activations, residual blocks, normalization, dropout, clipping, schedules and a
    record of what the gradients do in every layer.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Widths of the hidden layers, from input to output. An empty tuple makes a
        linear model.
    activation : str or list of str, default="relu"
        One of "relu", "leaky_relu" (slope 0.01), "elu", "selu", "gelu" (exact), "silu",
        "mish", "softplus", "tanh", "logistic" (alias "sigmoid") and "identity": for
        all hidden layers, or a list with one name for each.
    init : str, default="auto"
        How weight matrices start; biases start at zero. "auto" takes He's rule for
        the relu family, Xavier's for "tanh" and "logistic", and LeCun's for "selu",
        "identity" and the output layer; the first layer of a relu net, which no relu
        stands before, starts with half of LeCun's variance. Otherwise one of
        "xavier_uniform" (alias "xavier"), "xavier_normal", "he_normal" (alias "he"),
        "he_uniform", "lecun_normal", "lecun_uniform", "orthogonal" and "zeros".
    init_scale : float, default=1.0
        Multiplies the standard deviation of every starting weight matrix: shows what
        too large or too small does.
    residual : {"add", "concat"} or None, default=None
        Whether blocks of hidden layers are bypassed: "add" adds a block's input to its
        output, through a learned projection where the widths differ [1]_; "concat"
        puts it beside the output [2]_. With "add" the first hidden layer makes the
        stream that the blocks of the others add to, each before its activation and
        scaled by 1/sqrt(number of blocks), so that nets of any depth start well [3]_.
    residual_block_size : int, default=1
        Hidden layers per block; the last block may be shorter.
    normalization : {"batch", "layer"} or None, default=None
        Standardize pre-activations over the rows of a mini-batch [4]_ (prediction uses
        running averages) or over the units of each row [5]_.
    dropout : float in [0, 1), default=0.0
        Share of hidden activations set to zero in each training step.
    loss : str, default="squared_error"
        "squared_error" (half of it), "absolute_error", "huber", "quantile" or "poisson"
        (half the deviance; predictions are the exponential of the outputs and y must
        not be negative). Several targets: the mean over them.
    quantile : float in (0, 1), default=0.5
        The quantile that loss="quantile" estimates.
    huber_delta : float, default=1.35
        Where loss="huber" turns from squares to absolute values.
    solver : {"adam", "adamw", "sgd", "adagrad", "rmsprop", "lbfgs"}, default="adam"
        All but "lbfgs" step once per mini-batch. "lbfgs" is a quasi-Newton method on
        all rows at once, for small tables.
    alpha : float, default=0.0001
        Strength of the L2 penalty on the weight matrices. The objective is the
        weighted mean loss + alpha / (2 * total weight of the training rows) * sum of
        squared weights, whatever the batch size.
    weight_decay : float, default=0.01
        Decoupled decay of the weight matrices for solver="adamw" [6]_.
    clip : float or None, default=None
        Threshold beyond which gradients are clipped before the step.
    clip_mode : {"norm", "value"}, default="norm"
        Scale the whole gradient down to the norm `clip`, keeping its direction, or
        cut each element to [-clip, clip].
    batch_size : int or "auto", default="auto"
        Rows per mini-batch; "auto" is min(200, n_samples).
    learning_rate : str, default="constant"
        Rate of each epoch, for every solver but "lbfgs": "constant"; "invscaling",
        learning_rate_init / (t_ + 1) ** power_t; "adaptive", divided by 5 whenever
        training stalls; "exponential", times `decay_rate` each epoch; "cosine", down
        to zero over `max_iter` epochs.
    learning_rate_init : float, default=0.001
        The rate that the schedule starts from.
    power_t : float, default=0.5
        Exponent of "invscaling".
    decay_rate : float in (0, 1], default=0.95
        Factor per epoch of "exponential".
    warmup_epochs : int, default=0
        Epochs over which the rate first grows linearly to the schedule's.
    max_iter : int, default=200
        Largest number of epochs, or of iterations of "lbfgs".
    shuffle : bool, default=True
        Whether to draw a new order of rows for every epoch.
    random_state : int, RandomState instance or None, default=None
        Determines the starting weights, the order of rows, the dropout masks and the
        rows held out by `early_stopping`.
    tol : float, default=1e-4
        Training stops when the loss, or the validation score, has not improved by
        `tol` for `n_iter_no_change` epochs; for "lbfgs" the bound on the gradient.
    verbose : bool or int, default=False
        Whether to print a line per epoch: loss, validation score, norm of the whole
        gradient, and seconds since the start.
    warm_start : bool, default=False
        Whether `fit` continues from the last fit: weights, optimizer, schedule and
        random numbers go on as if training had not been interrupted.
    momentum : float in [0, 1], default=0.9
        Momentum of "sgd".
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to hold out `validation_fraction` of the rows and to stop when their
        score stalls; the best weights are kept.
    validation_fraction : float in [0, 1), default=0.1
        Share of rows held out by `early_stopping`.
    beta_1 : float in [0, 1), default=0.9
        Decay rate of the first moment of "adam" and "adamw", the mean gradient.
    beta_2 : float in [0, 1), default=0.999
        Decay rate of the second one, the mean squared gradient.
    epsilon : float, default=1e-8
        Keeps divisions finite in "adam", "adamw", "adagrad" and "rmsprop".
    n_iter_no_change : int or inf, default=10
        Epochs without improvement to put up with.
    max_fun : int, default=15000
        Largest number of evaluations of "lbfgs".
    track_gradients : {"epoch", "batch"} or None, default="epoch"
        Whether `gradient_history_` has a row per epoch, per mini-batch, or none.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weight matrices from input to output: views of one flat vector. Projections
        of residual blocks are not among them.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases from input to output.
    loss_ : float
        Training objective of the last epoch.
    loss_curve_ : list of float
        Training objective of every epoch or iteration of "lbfgs".
    best_loss_ : float or None
        The smallest of them; None where a validation set was watched.
    validation_scores_ : list of float or None
        R² of the validation set after every epoch.
    validation_loss_curve_ : list of float or None
        Loss of the validation set, without the penalty.
    best_validation_score_ : float or None
        The largest validation score; the weights are those that reached it.
    learning_rate_curve_ : list of float
        Rate of every epoch.
    gradient_history_ : dict of ndarray
        What the gradients did, one row per record and one column per weight matrix:
        "gradient_norm", "gradient_norm_max" (before clipping), "update_ratio",
        "dead_fraction", "saturated_fraction"; one value per record:
        "clipped_fraction", "global_norm". "lbfgs" has a row per iteration, with the
        gradient at its end; units are not counted there (NaN).
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

    See Also
    --------
    BackpropMLPClassifier : The same networks for labels.

    Notes
    -----
    With scikit-learn 1.9 and newer, `set_callbacks` takes its callbacks. Every epoch,
    or iteration of "lbfgs", is a task of the fit; estimators that callbacks get to see
    are fitted as if training had stopped there.

    References
    ----------
    .. [1] He, K., Zhang, X., Ren, S., & Sun, J. (2016). Identity mappings in deep
       residual networks. ECCV.
    .. [2] Huang, G., Liu, Z., van der Maaten, L., & Weinberger, K. Q. (2017). Densely
       connected convolutional networks. CVPR.
    .. [3] Hayou, S., Clerico, E., He, B., Deligiannidis, G., Doucet, A., & Rousseau,
       J. (2021). Stable ResNet. AISTATS.
    .. [4] Ioffe, S., & Szegedy, C. (2015). Batch normalization. ICML.
    .. [5] Ba, J. L., Kiros, J. R., & Hinton, G. E. (2016). Layer normalization.
    .. [6] Loshchilov, I., & Hutter, F. (2019). Decoupled weight decay regularization.
       ICLR.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_backprop.neural_network import BackpropMLPRegressor
    >>> X, y = make_regression(n_samples=200, n_features=5, random_state=1)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y / 100, random_state=1)
    >>> model = BackpropMLPRegressor((32,), learning_rate_init=0.01, tol=1e-3,
    ...                              random_state=1)
    >>> model.fit(X_train, y_train).predict(X_test).shape
    (50,)
    >>> model.score(X_test, y_test) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **BaseBackpropMLP._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION_LOSSES))],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        activation="relu",
        init="auto",
        init_scale=1.0,
        residual=None,
        residual_block_size=1,
        normalization=None,
        dropout=0.0,
        loss="squared_error",
        quantile=0.5,
        huber_delta=1.35,
        solver="adam",
        alpha=0.0001,
        weight_decay=0.01,
        clip=None,
        clip_mode="norm",
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        decay_rate=0.95,
        warmup_epochs=0,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        track_gradients="epoch",
    ):
        self._store(locals())

    def _read_targets(self, X, y, *, reset, incremental):
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            y_numeric=True,
            dtype=_FLOATS if reset else self._dtype_to_continue(),
            order="C",
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _encode_targets(self, y, dtype):
        _targets.check_range(y, self.loss)
        return _targets.encode_numbers(y, dtype)

    def _weigh(self, y, sample_weight):
        return sample_weight

    def _out_activation(self):
        return REGRESSION_LOSSES[self.loss]

    def _loss_parameter(self):
        parameters = {"quantile": self.quantile, "huber": self.huber_delta}
        return float(parameters.get(self.loss, 0.0))

    def _decode(self, outputs):
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def _score_labels(self, y, predicted, sample_weight):
        return r2_score(y, predicted, sample_weight=sample_weight)

    @available_if(lambda estimator: estimator._check_solver())
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
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.loss == "poisson"
        # scikit-learn's check of several outputs draws negative targets.
        tags.target_tags.multi_output = not tags.target_tags.positive_only
        return tags
