"""Perceptrons on parts of a table: rounds of local descent, averaged."""

import copy
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from dask import is_dask_collection
from distributed import Client
from sklearn.base import _fit_context, is_classifier
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._documentation import shows_inherited_text
from .._scores import Accuracy, RSquared, Score
from .._warning import warn
from ..neural_network import BackpropMLPClassifier, BackpropMLPRegressor
from ..neural_network._estimator import ValidationData, validation_data
from ..neural_network._examples import Examples, Validation
from ..neural_network._inputs import Inputs
from ..neural_network._labels import LabelCoder
from ..neural_network._network import Network
from ._constructor import constructor_like
from ._estimator import DaskEstimator
from ._parts import read_parts, survey, with_rows
from ._rounds import OUTER, RoundEpochs, RoundsState
from ._shards import ShardedExamples, ShardedRows

__all__ = ["DaskBackpropMLPClassifier", "DaskBackpropMLPRegressor"]

ADDED: dict[str, Any] = {
    "n_shards": None,
    "rounds_per_epoch": 4,
    "outer": None,
    "client": None,
}
CONSTRAINTS: dict[str, list] = {
    "n_shards": [Interval(Integral, 1, None, closed="left"), None],
    "rounds_per_epoch": [Interval(Integral, 1, None, closed="left")],
    "outer": [StrOptions(set(OUTER)), None],
    "client": [Client, None],
}
# Below it, a step of most networks costs as much for fewer rows.
_SMALLEST_BATCH = 32


class DaskNetwork(DaskEstimator):
    """A network that is trained on shards, apart for a round and then averaged.

    Beside an estimator of one process, whose parameters and fitted attributes it has.

    Parameters
    ----------
    batch_size : int or "auto", default="auto"
        Rows per mini-batch of a shard; "auto" is min(200, n_samples) / `n_shards_`, but
        no less than 32, so that each shard takes as many steps as one process would.
    n_shards : int or None, default=None
        Shards that train at the same time, each on some parts of the table; None makes
        one for each thread of the workers. Another number is another fit.
    rounds_per_epoch : int, default=4
        How often in an epoch the networks of the shards are averaged.
    outer : {"nesterov"} or None, default=None
        What follows from the average: the network goes there, or takes a step of
        Nesterov's descent along the mean change (Douillard et al., 2023).

    Attributes
    ----------
    n_shards_ : int
        Shards of the last fit.

    References
    ----------
    McMahan, B., Moore, E., Ramage, D., Hampson, S., & y Arcas, B. A. (2017).
    Communication-efficient learning of deep networks from decentralized data. AISTATS.

    Stich, S. U. (2019). Local SGD converges fast and communicates little. ICLR.

    Douillard, A., Feng, Q., Rusu, A. A., et al. (2023). DiLoCo: Distributed
    low-communication training of language models.
    """

    _state_of_parts = ("_rounds", "n_shards_")
    n_shards: int | None
    rounds_per_epoch: int
    outer: str | None

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
        """Train the network on all rows.

        Parameters
        ----------
        X : Dask array or data frame of shape (n_samples, n_features)
            Training rows, in parts, dense or CSR; empty ones and unknown sizes are
            welcome.
        y : Dask array, series or data frame of shape (n_samples,) or \
                (n_samples, n_outputs)
            Labels or targets, cut as X is.
        sample_weight : Dask array or series of shape (n_samples,), default=None
            Weight of each row, not negative, cut as X is.
        X_val : Dask collection or array-like of shape (n_val, n_features), default=None
            Validation rows, of the same columns.
        y_val : Dask collection or array-like of shape (n_val,) or (n_val, n_outputs), \
                default=None
            Their labels or targets. Given, training stops when their score stalls.
        sample_weight_val : Dask collection or array-like of shape (n_val,), \
                default=None
            Weights of the validation rows.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ClusterLostError
            If there are no workers any more. The network keeps its state after the
            last finished round, and ``fit`` with ``warm_start=True`` goes on there.
        DivergenceError
            When numbers are no longer finite, or the loss runs away, as in one process.
        ValueError
            If parts of X, y and sample_weight do not belong together, with their
            numbers, or hold what the estimator cannot take.

        Warns
        -----
        ConvergenceWarning
            As in one process.
        UserWarning
            If targets differ from shard to shard, as those of a sorted table do.
        VanishedTrainingWarning
            As in one process.
        """
        self._refuse_what_needs_all_rows(X_val)
        given = validation_data(X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, given=given)

    def _refuse_what_needs_all_rows(self, X_val) -> None:
        if self.solver == "lbfgs":
            raise ValueError(
                "solver='lbfgs' asks for the gradient of all rows many times in an "
                "iteration, and each would be a trip to all workers. Use a first-order "
                "solver such as 'adam'."
            )
        if self.early_stopping and X_val is None:
            raise ValueError(
                "early_stopping=True would hold out rows of every part. Pass "
                "validation rows of your own, X_val and y_val: then training stops "
                "when their score stalls."
            )

    # --- the way of the data
    def _read_examples(self, X, y, sample_weight, goes_on, incremental):
        if incremental:
            return super()._read_examples(X, y, sample_weight, goes_on, incremental)
        cluster, plain = self._cluster(), self._plain()
        parts = read_parts(cluster, X, y, sample_weight, partial(_read, plain))
        pick = _with_all_labels if is_classifier(self) else _first
        surveys = cluster.gather(cluster.submit_each(_survey, parts, common=[pick]))
        counting = with_rows(surveys)
        self._note_columns(X, counting[0].n_features, reset=not goes_on)
        targets = _some_targets([survey.targets for survey in surveys])
        self._coder = self._coder_of(targets, None, keeps=self.warm_start)
        dtype = np.result_type(*(survey.dtype for survey in counting))
        if goes_on and hasattr(self, "_training"):
            dtype = self._training.network.dtype
        self.n_shards_ = self._number_of_shards(cluster.n_threads, len(counting))
        return ShardedExamples(
            cluster,
            self._coding(plain),
            parts,
            counting,
            n_shards=self.n_shards_,
            n_outputs=self._coder.encode(targets, dtype).shape[1],
            dtype=dtype,
        )

    def _coding(self, plain):
        """An estimator of one process that is not fitted, but codes and weighs y."""
        plain = copy.copy(plain)
        for name in ("_coder", "classes_", "feature_names_in_", "n_features_in_"):
            if hasattr(self, name):
                setattr(plain, name, getattr(self, name))
        return plain

    def _number_of_shards(self, n_threads: int, n_parts: int) -> int:
        if self.n_shards is None:
            return max(1, min(n_threads, n_parts))
        if self.n_shards > n_parts:
            raise ValueError(
                f"n_shards={self.n_shards}, but only {n_parts} parts of X have rows "
                "of positive weight, and a shard is made of whole parts. Cut X, y and "
                "sample_weight into more parts, or pass n_shards=None."
            )
        return int(self.n_shards)

    def _survey(self, examples) -> Inputs:
        if self._learns_of_inputs() and isinstance(examples, ShardedExamples):
            return examples.survey()
        return super()._survey(examples)

    def _split(self, examples, given, holds_out):
        if not isinstance(examples, ShardedExamples):
            return super()._split(examples, given, holds_out)
        rows = examples.rows()
        if rows.are_sorted():
            warn(
                "Targets differ from shard to shard more than chance makes them, as "
                "in a table that is sorted by them: networks of shards learn different "
                "things then, and their mean neither. Shuffle rows across parts first, "
                "as dask.dataframe.DataFrame.shuffle does on a column of random "
                "numbers, or pass n_shards=1."
            )
        return rows, None if given is None else self._given_validation(given)

    def _given_validation(self, given: ValidationData) -> Validation:
        if not is_dask_collection(given.X):
            return super()._given_validation(given)
        cluster, plain = self._cluster(), self._coding(self._plain())
        parts = read_parts(cluster, *given, partial(_read, plain))
        surveys = with_rows(
            cluster.gather(cluster.submit_each(_survey, parts, common=[_first]))
        )
        examples = ShardedExamples(
            cluster,
            plain,
            parts,
            surveys,
            n_shards=min(cluster.n_threads or 1, len(surveys)),
            n_outputs=self.n_outputs_,
            dtype=self._training.network.dtype,
        )
        return _ShardedValidation(examples, self._coder, self._score_class)

    # --- training
    def _rows_per_batch(self, training, n_given) -> int:
        size = super()._rows_per_batch(training, n_given)
        if self.batch_size != "auto" or not isinstance(training, ShardedRows):
            return size
        return min(size, max(_SMALLEST_BATCH, size // len(training.shards)))

    def _make_loop(self, settings, training, tasks, validation):
        if not isinstance(training, ShardedRows):
            return super()._make_loop(settings, training, tasks, validation)
        rounds = getattr(self, "_rounds", None)
        if rounds is None or rounds.n_rounds != self.rounds_per_epoch:
            rounds = RoundsState(int(self.rounds_per_epoch))
        self._rounds = rounds
        return RoundEpochs(
            self._training,
            settings,
            training,
            tasks,
            validation,
            outer=self.outer,
            rounds=rounds,
        )

    def _begin_training(self, *args) -> None:
        super()._begin_training(*args)
        if hasattr(self, "_rounds"):
            del self._rounds

    def _as_if_stopped(self, state, n_before, training):
        rounds = copy.copy(getattr(self, "_rounds", None))
        return {**super()._as_if_stopped(state, n_before, training), "_rounds": rounds}


@shows_inherited_text
class DaskBackpropMLPClassifier(DaskNetwork, BackpropMLPClassifier):
    """Multilayer perceptron classifier on a Dask collection.

    All that BackpropMLPClassifier is, trained by local descent: each of some shards of
    the table trains on its own rows for a round, then networks and solvers' memories
    are averaged. With one shard and one round per epoch it is the fit of one process
    on one thread, to the last bit. A worker that is lost changes no bit; a cluster that
    is lost leaves the state after the last finished round.

    Notes
    -----
    A round should take a second or more: what it costs besides computing is some 20
    ms. The best learning rate grows with the number of shards, for a mean moves less
    than each of them: begin with that of one process.

    Of the records, "dead_fraction" is an upper bound, the least of any shard and round;
    running statistics of normalization="batch" are the mean of those of the shards.
    Bins of embedded numbers are found in the rows of the first shard.

    solver="lbfgs", and early_stopping without a validation set of your own, need all
    rows at once and are refused.

    See Also
    --------
    BackpropMLPClassifier : The same on a table in memory.
    DaskBackpropMLPRegressor : The same for numbers.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.utils import shuffle
    >>> from sklearn_backprop.dask import DaskBackpropMLPClassifier
    >>> X, y = shuffle(*load_iris(return_X_y=True), random_state=0)
    >>> X, y = da.from_array(X, chunks=(50, -1)), da.from_array(y, chunks=50)
    >>> model = DaskBackpropMLPClassifier((32,), n_shards=2, learning_rate_init=0.01,
    ...                                   rounds_per_epoch=1, batch_size=20, tol=1e-2,
    ...                                   random_state=1)
    >>> with Client(processes=False, dashboard_address=":0") as client:
    ...     print(model.fit(X, y).score(X, y) > 0.9)
    True
    >>> model.to_local().predict(X.compute()).shape
    (150,)
    """

    _plain_class = BackpropMLPClassifier
    _score_class = Accuracy
    _parameter_constraints: dict = {
        **BackpropMLPClassifier._parameter_constraints,
        **CONSTRAINTS,
    }

    __init__ = constructor_like(BackpropMLPClassifier, **ADDED)

    def predict_proba(self, X):
        """Estimate the probability of each class.

        Parameters
        ----------
        X : Dask array or data frame, or array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        p : dask.array.Array or ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`; lazy ones of a Dask collection.
        """
        return self._probabilities("predict_proba", X)

    def predict_log_proba(self, X):
        """Estimate the logarithm of the probability of each class.

        Parameters
        ----------
        X : Dask array or data frame, or array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_p : dask.array.Array or ndarray of shape (n_samples, n_classes)
            Logarithms, in the order of `classes_`; lazy ones of a Dask collection.
        """
        return self._probabilities("predict_log_proba", X)

    def _probabilities(self, method: str, X):
        if not is_dask_collection(X):
            return getattr(super(), method)(X)
        check_is_fitted(self)
        dtype = self._training.network.dtype
        return self._lazily(method, X, (len(self.classes_),), dtype)

    def _predicted(self):
        if self._coder.is_multilabel:
            return (len(self.classes_),), np.dtype(int)
        return (), self.classes_.dtype


@shows_inherited_text
class DaskBackpropMLPRegressor(DaskNetwork, BackpropMLPRegressor):
    """Multilayer perceptron regressor on a Dask collection.

    All that BackpropMLPRegressor is, trained as DaskBackpropMLPClassifier is, whose
    notes hold here, too.

    See Also
    --------
    BackpropMLPRegressor : The same on a table in memory.
    DaskBackpropMLPClassifier : The same for labels.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import make_regression
    >>> from sklearn_backprop.dask import DaskBackpropMLPRegressor
    >>> X, y = make_regression(n_samples=200, n_features=5, random_state=1)
    >>> X, y = da.from_array(X, chunks=(50, -1)), da.from_array(y / 100, chunks=50)
    >>> model = DaskBackpropMLPRegressor((32,), n_shards=2, learning_rate_init=0.01,
    ...                                  rounds_per_epoch=1, batch_size=20, tol=1e-2,
    ...                                  random_state=1)
    >>> with Client(processes=False, dashboard_address=":0") as client:
    ...     print(model.fit(X, y).score(X, y) > 0.9)
    True
    """

    _plain_class = BackpropMLPRegressor
    _score_class = RSquared
    _parameter_constraints: dict = {
        **BackpropMLPRegressor._parameter_constraints,
        **CONSTRAINTS,
    }

    __init__ = constructor_like(BackpropMLPRegressor, **ADDED)

    def _predicted(self):
        n_outputs = self.n_outputs_
        return (n_outputs,) * (n_outputs > 1), self._training.network.dtype


class _ShardedValidation(Validation):
    """Validation rows in shards on workers."""

    def __init__(self, examples: ShardedExamples, coder, score: type[Score]):
        self.rows = examples.rows()
        self.examples, self.coder, self.score = examples, coder, score

    def measure(self, network: Network) -> tuple[float, float]:
        cluster = self.rows.cluster
        sent = cluster.send((network, self.coder))
        measures = cluster.submit_each(
            _measure,
            self.examples.shards,
            self.rows.shards,
            common=[sent, self.score],
        )
        loss, _, score = cluster.merge(measures, _merge_measures)
        return loss, score.value


def _read(plain, X, y):
    """Validate a block as the estimator of one process does."""
    X, y, _ = copy.copy(plain)._read(X, y, None, False)
    if is_classifier(plain):
        LabelCoder.of(y[:20])  # refuses what is no label
    return X, y


def _survey(part, pick):
    return survey(part, targets_of=pick)


def _first(y):
    return y[:1]


def _with_all_labels(y):
    """Some rows of y in which every label occurs; one row of several labels has all."""
    return np.unique(y) if y.ndim == 1 else y[:2]


def _some_targets(picked):
    """Rows of y of all parts, in which every label occurs, more than once."""
    known = [targets for targets in picked if targets is not None]
    if known[0].ndim == 1:
        return np.repeat(np.unique(np.concatenate(known)), 2)
    return known[0]


def _measure(examples: Examples, rows, sent, score: type[Score]):
    """Loss, weight and score of a shard."""
    network, coder = sent
    loss = network.mean_loss(rows)
    outputs = network.forward(rows.X, rows.order)
    weight = examples.of(examples.sample_weight)
    predicted = coder.decode(np.nan_to_num(outputs))
    return loss, rows.total_weight, score.of(examples.of(examples.y), predicted, weight)


def _merge_measures(one, other):
    weight = one[1] + other[1]
    loss = one[0] + other[1] / weight * (other[0] - one[0])
    return loss, weight, one[2].merge(other[2])
