"""The way of the data through `fit`: validate, encode, split, train, publish."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
)

from .._callbacks import CallbackSupportMixin, FitTasks
from .._dask_collections import refuse_dask_collections
from .._diagnosis import prediction_spread
from .._documentation import DocumentationLinkMixin
from .._finite import finite_predictions
from .._rows import TrainingRows
from .._sparse import with_equal_indices
from .._tables import read_examples, read_table
from .._threads import single_threaded_blas
from .._warning import warn
from ._architecture import Architecture, refuse_another_shape
from ._coding import Coder
from ._epochs import NetworkEpochs, Settings
from ._examples import Examples, Validation, counting_rows, read_weights
from ._fine_tuning import copy_start, refuse_another_start
from ._fitted_network import FittedNetwork
from ._incompatible import refuse_incompatible
from ._initializers import draw_parameters
from ._inputs import Inputs, refuse_missing
from ._lbfgs import LbfgsRun
from ._network import Network
from ._state import TrainingState
from ._training_parameters import TrainingParameters
from ._verdict import verdicts

__all__ = ["FLOATS", "NetworkEstimator", "ValidationData", "validation_data"]

FLOATS = (np.float64, np.float32)
_LARGEST_SEED = int(np.iinfo(np.int32).max)


class ValidationData(NamedTuple):
    """A validation set as the user gave it."""

    X: Any
    y: Any
    sample_weight: Any


class NetworkEstimator(
    CallbackSupportMixin,
    DocumentationLinkMixin,
    TrainingParameters,
    FittedNetwork,
    ABC,
):
    """A network behind scikit-learn's interface, for labels or numbers.

    Subclasses say what network it is (`_survey`, `_lay_out`), how y is checked, coded
    and weighed (`_check_targets`, `_coder_of`, `_weigh`), and what the loss is.

    Notes
    -----
    With scikit-learn 1.9 and newer, `set_callbacks` takes its callbacks. Every epoch,
    or iteration of "lbfgs", is a task of the fit; estimators that callbacks get to see
    are fitted as if training had stopped there.
    """

    _steps_by_batches = True
    _target_checks: dict[str, Any] = {}  # what is to be checked of y besides
    _accepts_sparse = True

    def _store(self, arguments: dict[str, Any]) -> None:
        """Set the constructor's arguments, as scikit-learn wants them: untouched."""
        for name in self._get_param_names():
            setattr(self, name, arguments[name])

    # --- what the subclasses say
    def _learns_of_inputs(self) -> bool:
        """Whether layers depend on the rows; then columns of X may lack values."""
        return False

    def _takes_missing(self) -> bool:
        """Whether any column may lack values."""
        return False

    def _as_table(self, X, *, resets: bool):
        """X as a table, where it is something else; `resets` what is known of it."""
        return X

    def _check_table(self, X) -> None:
        """Check a validated X (n, p) once more."""

    def _survey(self, examples: Examples) -> Inputs:
        """What layers are to know of the columns of X."""
        return Inputs(examples.n_features)

    def _refuse_layers(self, n_samples: int) -> None:
        """Refuse layers that cannot work together, or with so few rows."""

    @abstractmethod
    def _lay_out(self, inputs: Inputs, n_outputs: int) -> Architecture:
        """The layers of the network, and the table of their parameters."""

    @abstractmethod
    def _check_targets(self, y):
        """Check validated y once more; a single column becomes (n,)."""

    @abstractmethod
    def _coder_of(self, y, weight, *, keeps: bool) -> Coder:
        """What codes y; `keeps` what was learned of earlier y, if there was any."""

    @abstractmethod
    def _weigh(self, Y, sample_weight) -> np.ndarray | None:
        """Weights (n,) of encoded rows Y (n, K)."""

    def _rates(self) -> list[float] | None:
        """Factors of the learning rate of each layer; None where all are 1."""
        return None

    def _pretrained_network(self) -> Network | None:
        """The network whose numbers a fit starts with, if any."""
        return None

    def _stops_early(self, n_rows: int) -> bool:
        """Whether `fit` holds out some of the rows and watches them."""
        return bool(self.early_stopping)

    def _settle(self, n_training: int) -> None:
        """Choose what is left to the number of rows that are trained on."""

    def _scorer(self, y, sample_weight) -> Callable[[np.ndarray], float]:
        """Make what scores predictions (n, K) of validation rows with this y."""
        return self._coder.scorer(y, sample_weight)

    def _loss_parameter(self) -> float:
        """The parameter of the loss, where it has one."""
        return 0.0

    def _note_targets(self, rows: TrainingRows) -> None:
        """Keep what is to be known of the targets, where they are numbers."""

    def _note_errors(self, predicted, Y) -> None:
        """Keep how far off predictions are, where they are numbers."""

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
        X_val : array-like of shape (n_val, n_features), default=None
            Validation rows, of the same columns.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their labels or targets. Given, these rows are watched as `early_stopping`
            watches those that it holds out, and nothing is held out.
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
        given = validation_data(X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, given=given)

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
        outputs = self._forward(X)
        return self._coder.decode(outputs)

    def _forward(self, X, *, raw=False) -> np.ndarray:
        """Compute outputs (n, n_outputs) behind the link, or before it."""
        check_is_fitted(self)
        network = self._network()
        X = self._read_rows(X, dtype=network.dtype)
        with single_threaded_blas:
            outputs = network.forward(X, raw=raw)
        return finite_predictions(outputs, X)

    # --- the way of the data
    def _fit(self, X, y, sample_weight, *, given=None, incremental=False):
        """Validate, encode, split, train and publish; the same for `partial_fit`."""
        if incremental:
            self._validate_params()
        if incremental and self.early_stopping not in (False, "auto"):
            raise ValueError("partial_fit does not support early_stopping=True")
        goes_on = hasattr(self, "coefs_") and (self.warm_start or incremental)
        as_given = X, y, sample_weight
        examples = self._read_examples(X, y, sample_weight, goes_on, incremental)
        holds_out = (
            given is None
            and not incremental
            and self.solver != "lbfgs"
            and self._stops_early(len(examples))
        )
        if not goes_on:
            n_held_out = holds_out * self._n_held_out(len(examples))
            # One at least, for a split that leaves none says so itself.
            self._settle(max(1, len(examples) - n_held_out))
        refuse_incompatible(
            self,
            total_weight=examples.total_weight,
            dtype=examples.dtype,
            validation_given=given is not None,
        )
        self._refuse_layers(len(examples))
        if goes_on:
            self._resume(examples)
        else:
            self._start(examples, holds_out)
        training, validation = self._split(examples, given, holds_out)
        tasks = self._tasks(training, incremental, *as_given)
        self._note_data(training, goes_on)
        with single_threaded_blas:
            self._train(training, validation, tasks, incremental, examples.n_given)
            if not incremental:
                self._note_predictions(training)
        self._warn()
        tasks.finish()
        return self

    def _read_examples(self, X, y, sample_weight, goes_on, incremental) -> Examples:
        """Rows to learn from, checked and encoded."""
        X, y, weight = self._read(X, y, sample_weight, goes_on)
        return self._encode(X, y, weight, incremental)

    def _read(self, X, y, sample_weight, goes_on: bool):
        """X (n, p), y and weights; X stays where it is if its dtype and order do."""
        refuse_dask_collections(self, X=X, y=y)
        dtype: Any = FLOATS
        if goes_on and hasattr(self, "_training"):
            dtype = self._training.network.dtype
        resets = not (goes_on and hasattr(self, "n_features_in_"))
        X, y = read_examples(
            self,
            self._as_table(X, resets=resets),
            y,
            accept_sparse=self._sparse_formats(),
            dtype=dtype,
            order="C",
            ensure_all_finite=self._finite_or_missing(),
            reset=resets,
            **self._target_checks,
        )
        self._check_table(X)
        weight = read_weights(sample_weight, X)
        return with_equal_indices(X), self._check_targets(y), weight

    def _read_rows(self, X, *, dtype):
        """X (n, p) of rows to predict, checked."""
        refuse_dask_collections(self, X=X)
        X = read_table(
            self,
            self._as_table(X, resets=False),
            accept_sparse=self._sparse_formats(),
            dtype=dtype,
            order="C",
            ensure_all_finite=self._finite_or_missing(),
            reset=False,
        )
        self._check_table(X)
        self._refuse_missing(X)
        return with_equal_indices(X)

    def _sparse_formats(self) -> str | bool:
        """Formats of a sparse X, as validate_data calls them."""
        return "csr" if self._accepts_sparse else False

    def _finite_or_missing(self) -> bool | str:
        """What numbers X may hold, as validate_data calls it."""
        return "allow-nan" if self._learns_of_inputs() else True

    def _refuse_missing(self, X) -> None:
        """Refuse missing values of columns that no embedding reads."""
        inputs = self._training.network.architecture.inputs
        if self._learns_of_inputs() and inputs is not None:
            refuse_missing(X, inputs)

    def _encode(self, X, y, weight, incremental: bool) -> Examples:
        """Rows with what outputs are compared with, those without weight left out."""
        keeps = self.warm_start or incremental
        self._coder = self._coder_of(y, weight, keeps=keeps)
        return self._encode_by_coder(X, y, weight)

    def _encode_by_coder(self, X, y, weight) -> Examples:
        """The same, where it is known what codes y."""
        counting = counting_rows(weight)
        Y = self._coder.encode(y if counting is None else y[counting], X.dtype)
        if counting is not None:
            of_all = np.zeros((X.shape[0], Y.shape[1]), dtype=Y.dtype)
            of_all[counting] = Y
            Y = of_all
        examples = Examples(X, y, Y, weight, self._weigh, counting)
        return examples.without_weightless_classes()

    def _split(
        self, examples: Examples, given: ValidationData | None, holds_out: bool
    ) -> tuple[TrainingRows, Validation | None]:
        """Training rows, and the validation set that is given or held out."""
        if given is not None:
            return examples.rows(), self._given_validation(given)
        if not holds_out:
            return examples.rows(), None
        training, held_out = self._hold_out(examples, self._training.seed)
        return training.rows(), held_out.validation(self._scorer)

    def _given_validation(self, given: ValidationData) -> Validation:
        X = self._read_rows(given.X, dtype=self._training.network.dtype)
        check_consistent_length(X, given.y)
        y = check_array(given.y, ensure_2d=False, dtype=None, input_name="y_val")
        weight = read_weights(given.sample_weight, X)
        Y = self._coder.encode(y, X.dtype)
        examples = Examples(X, y, Y, weight, self._weigh)
        return examples.validation(self._scorer)

    def _n_held_out(self, n_rows: int) -> int:
        return int(np.ceil(self.validation_fraction * n_rows))

    def _stratifies(self, examples: Examples) -> bool:
        """Whether both parts get their share of each of two classes."""
        return isinstance(self, ClassifierMixin) and examples.Y.shape[1] == 1

    def _hold_out(self, examples: Examples, seed: int) -> tuple[Examples, Examples]:
        """Split as scikit-learn does: stratified for two classes only."""
        n_held_out = self._n_held_out(len(examples))
        too_few = ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the "
            "size of your dataset. (early_stopping holds out validation_fraction="
            f"{self.validation_fraction} of the {len(examples)} rows of positive "
            f"weight, which is {n_held_out}.)"
        )
        if n_held_out >= len(examples):
            raise too_few
        stratify = self._stratifies(examples)
        parts = examples.held_out(self.validation_fraction, seed, stratify=stratify)
        if n_held_out < 2:  # a split that cannot be stratified says more
            raise too_few
        return parts

    # --- the network
    def _start(self, examples: Examples, holds_out: bool) -> None:
        """Draw weights and forget earlier training."""
        rng, seed = check_random_state(self.random_state), None
        training = examples
        if self._learns_of_inputs():  # of rows that are trained on, and no others
            seed = _draw_seed(rng)
            if holds_out:
                training, _ = self._hold_out(examples, seed)
        source = self._pretrained_network()
        inputs = self._known_inputs(source, examples) or self._survey(training)
        if self._learns_of_inputs():
            examples.refuse_missing(inputs)
        architecture = self._make_architecture(inputs, examples.n_outputs)
        refuse_another_start(source, architecture)
        theta = draw_parameters(
            architecture, self.init, self.init_scale, rng, examples.dtype
        )
        self._begin_training(architecture, theta, rng, seed)
        if source is not None:
            copy_start(source, self._training.network)
        self._show_views()

    @staticmethod
    def _known_inputs(source: Network | None, examples: Examples) -> Inputs | None:
        """What a network knows of as many columns as X has."""
        inputs = None if source is None else source.architecture.inputs
        fits = inputs is not None and inputs.n_columns == examples.n_features
        return inputs if fits else None

    def _make_architecture(self, inputs: Inputs, n_outputs: int) -> Architecture:
        """The layers, with their rates."""
        architecture = self._lay_out(inputs, n_outputs)
        architecture.set_rates(self._rates())
        return architecture

    def _begin_training(
        self, architecture: Architecture, theta, rng, seed: int | None = None
    ) -> None:
        """Begin the training of a network with these parameters."""
        running = architecture.start_running(theta.dtype)
        self._training = TrainingState(
            network=self._make_network(architecture, theta, running),
            random_state=rng,
            seed=_draw_seed(rng) if seed is None else seed,
        )
        self._publish_network()

    def _make_network(self, architecture: Architecture, theta, running) -> Network:
        return Network(
            architecture=architecture,
            loss=self.loss,
            loss_parameter=self._loss_parameter(),
            out_activation=self._coder.out_activation,
            theta=theta,
            running=running,
        )

    def _resume(self, examples: Examples) -> None:
        """Go on with the weights that are there, also if they were put in by hand."""
        known = self._training.network if hasattr(self, "_training") else None
        inputs = self._known_inputs(known, examples) or self._survey(examples)
        if self._learns_of_inputs():
            examples.refuse_missing(inputs)
        wishes = self._wishes(inputs, examples.n_outputs)
        if known is None or not known.fulfils(wishes):
            self._lay_out_again(inputs, examples)
            self._training.network.note_fulfilled(wishes)
        network = self._network()
        if not network.theta.flags.writeable:  # memory-mapped by joblib
            network.make_writeable()
            self._show_views()

    def _wishes(self, inputs: Inputs, n_outputs: int) -> tuple | None:
        """All that layers and loss follow from; None where it cannot be compared."""
        parameters = self._plain_parameters()
        if parameters is None:
            return None
        return inputs, n_outputs, self._coder.out_activation, parameters

    def _lay_out_again(self, inputs: Inputs, examples: Examples) -> None:
        """Put the parameters that are there into the layers that are wanted now."""
        wanted = self._make_architecture(inputs, examples.n_outputs)
        if not hasattr(self, "_training"):
            theta = np.zeros(wanted.n_theta, dtype=examples.dtype)
            self._begin_training(wanted, theta, check_random_state(self.random_state))
        refuse_another_shape(self._training.network.architecture, wanted)
        network = self._network()
        new = self._make_network(wanted, network.theta, network.running)
        if not network.computes_as(new):
            self._training.network = new
            self._publish_network()
            self._show_views()

    # --- training
    def _tasks(
        self, training: TrainingRows, incremental, X, y, sample_weight
    ) -> FitTasks:
        """Tell callbacks that training begins, on the data that the user gave."""
        n_epochs = 1 if incremental else self._setting("max_iter")
        tasks = FitTasks(self, lambda: n_epochs, X, y, sample_weight)
        n_before = len(self._training.loss_curve)
        tasks.attributes_of = lambda state: self._as_if_stopped(
            state, n_before, None if incremental else training
        )
        return tasks

    def _as_if_stopped(
        self, state: TrainingState, n_before: int, training: TrainingRows | None
    ) -> dict[str, Any]:
        """Attributes of an estimator whose training ended in a copied state."""
        twin = copy.copy(self)
        twin._training = state
        twin.n_iter_ = len(state.loss_curve) - n_before
        twin._show_views()
        twin._publish()
        if training is not None:
            twin._note_predictions(training)
        return dict(vars(twin))

    def _train(self, training: Any, validation, tasks, incremental, n_given) -> None:
        """Train, and publish how far it came, also where it ends by an exception."""
        before = len(self._training.loss_curve)
        try:
            if self.solver == "lbfgs":
                self.n_iter_ = self._train_lbfgs(training, tasks)
            else:
                size = self._rows_per_batch(training, n_given)
                settings = self._settings(size, self._training.seed)
                loop = self._make_loop(settings, training, tasks, validation)
                max_iter = self._setting("max_iter")
                loop.run_one() if incremental else loop.run(max_iter)
        finally:
            if self.solver != "lbfgs":
                self.n_iter_ = len(self._training.loss_curve) - before
            self._publish()

    def _make_loop(
        self, settings: Settings, training: TrainingRows, tasks: FitTasks, validation
    ) -> NetworkEpochs:
        """The loop over epochs."""
        return NetworkEpochs(self._training, settings, training, tasks, validation)

    def _train_lbfgs(self, rows: Any, tasks) -> int:
        return LbfgsRun(
            self._training,
            rows.gathered(),
            tasks,
            alpha=float(self.alpha),
            max_iter=self._setting("max_iter"),
            max_fun=self.max_fun,
            tol=self.tol,
            record=self.track_gradients,
            verbose=self.verbose,
        ).run()

    def _warn(self) -> None:
        """Say it where training ended early, or in vain."""
        error = getattr(self, "prediction_error_", None)
        for message, category in verdicts(
            self._training, self.prediction_spread_, error, self._training_record
        ):
            warn(message, category)

    # --- what diagnosis reads besides the history
    def _note_data(self, training: TrainingRows, goes_on: bool) -> None:
        """Keep sizes (p,) of features since the start, and what targets are like."""
        scale = training.feature_scale()
        seen = getattr(self, "feature_scale_", None) if goes_on else None
        self.feature_scale_ = scale if seen is None else np.maximum(scale, seen)
        self.prediction_spread_: float | None = None
        self._note_targets(training)

    def _note_predictions(self, rows: TrainingRows) -> None:
        """Compare predictions of up to 1000 training rows with their targets."""
        some = rows.spread_out(1000)
        predicted = self._training.network.forward(some.X, some.order)
        Y = some.of(some.Y)
        self.prediction_spread_ = prediction_spread(predicted, Y)
        self._note_errors(predicted, Y)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self._accepts_sparse
        tags.input_tags.allow_nan = self._takes_missing()
        return tags


def _draw_seed(rng) -> int:
    return int(rng.randint(_LARGEST_SEED))


def validation_data(X_val, y_val, sample_weight_val) -> ValidationData | None:
    """Refuse half a validation set."""
    given: Sequence = (X_val, y_val, sample_weight_val)
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
    return ValidationData(*given)
