"""Networks that take raw tables: the encoder in front, and what the size settles."""

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_y, check_consistent_length

from .._dask_collections import refuse_dask_collections
from .._finite import within_floats
from ..preprocessing import TableEncoder
from ..preprocessing._table_columns import read_raw_table
from ._estimator import NetworkEstimator
from ._examples import Examples, read_weights
from ._fine_tuning import FineTuning
from ._hidden_layers import HiddenLayers
from ._inputs import Inputs, columns_of
from ._numerical_embeddings import embedding_of
from ._schedules import SCHEDULES
from ._solvers import SOLVERS
from ._table_sizes import FEWEST_ROWS, precision_of_size, settings_of_size
from ._training_parameters import TrainingParameters

__all__ = ["TableNetwork"]

_AUTO = StrOptions({"auto"})


class TableNetwork(HiddenLayers, FineTuning, NetworkEstimator):
    """A perceptron behind an encoder of raw tables.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(256, 256)
        Widths of the hidden layers.
    categorical_features : "from_dtype", None or array-like of shape \
            (n_categorical,) or (n_features,), default="from_dtype"
        Which columns are categories: "from_dtype" takes those that hold something else
        than numbers, truth values and dates; names, places or a mask take these, and
        None takes none. Ordered categories of pandas count as numbers, in their order,
        where they are not named here. See
        :class:`~sklearn_backprop.preprocessing.TableEncoder`.
    max_categories : int, default=1000
        Largest number of categories of a column; rarer ones count as unknown.
    dropout : float in [0, 1) or "auto", default="auto"
        Share of hidden activations set to zero in each training step; "auto": 0.1.
    numerical_embedding : str, embedding or None, default="piecewise_linear"
        How numbers become vectors before the first layer reads them:
        "piecewise_linear", "periodic", or a `PiecewiseLinearEmbedding` or
        `PeriodicEmbedding` with parameters of its own, which a grid search reaches as
        `numerical_embedding__n_bins` once one is given. None leaves them numbers.
    embedded_features : array-like of str, int or bool, default=None
        Names, indices or mask of the columns of X whose numbers are embedded; None
        means all. The others enter as normal quantiles, missing ones as zero.
    n_members : int or "auto", default="auto"
        Number of members of an ensemble that is trained as one network; "auto" is 16,
        fewer from 100 000 rows on (see Notes). 1 is the fast mode: one network.
    pretrained : fitted preset, FrozenEstimator or None, default=None
        A preset of the same hidden layers and members to start from, fitted to these
        features, perhaps for other targets: its encoder is taken over, and every array
        but the output layer's is copied. In a FrozenEstimator it survives `clone`, as
        grid searches need.
    solver : {"auto", "adam", "adamw", "muon", "sgd", "adagrad", "rmsprop", "lbfgs"}, \
            default="auto"
        All but "lbfgs" step once per mini-batch. "auto": "adamw", but "muon" for one
        member from 6 400 training rows on, whose steps of whole matrices (Jordan et
        al., 2024) mostly take three to four times the time (see Notes).
    alpha : float, default=0.0
        Strength of the L2 penalty on the weight matrices.
    weight_decay : float or "auto", default="auto"
        Decoupled decay of the weight matrices for solver="adamw" and "muon"; "auto":
        0.25, 0.5 for one member, by which weights are forgotten in 2 000 steps at
        either one's rate.
        It holds networks back that would learn small tables by heart, and large ones
        hardly: see Notes.
    clip : float or None, default=1.0
        Threshold beyond which gradients are clipped before the step.
    batch_size : int or "auto", default="auto"
        Rows per mini-batch; "auto" goes by the number of rows (see Notes).
    learning_rate : str, default="auto"
        Rate of each epoch, for every solver but "lbfgs": a schedule of the perceptrons
        ("constant", "invscaling", "adaptive", "exponential", "cosine"), or "auto":
        "constant", but "cosine" where the number of rows leaves fewer than 100 epochs.
    learning_rate_init : float or "auto", default="auto"
        The rate that the schedule starts from; "auto": 0.002, 0.001 for one member.
    max_iter : int or "auto", default="auto"
        Largest number of epochs; "auto" goes by the number of rows (see Notes), and
        does not warn where they do not suffice.
    tol : float, default=1e-05
        Training stops when the score of the validation rows has not improved by `tol`
        for `n_iter_no_change` epochs.
    early_stopping : "auto" or bool, default="auto"
        Whether to hold out `validation_fraction` of the rows and to stop when their
        score stalls; the best weights are kept. "auto" does so from 64 rows on.
    validation_fraction : float in [0, 1), default=0.2
        Share of rows held out by `early_stopping`.
    n_iter_no_change : int or inf, default=16
        Epochs without improvement after which training stops.
    averaging : float in [0, 1), default=0.8
        Where validation rows are watched, these score, and the model keeps, a running
        mean of the weights at the ends of epochs. This is the share that the mean so
        far has in the next one; 0 takes the weights as they are. The mean makes up for
        the noise of steps as a falling rate would, without a date set for it (Izmailov
        et al., 2018).

    Attributes
    ----------
    table_encoder_ : TableEncoder
        What turns the columns of X into those that the network reads.
    choices_ : dict
        What "auto" stood for, by names of parameters.
    feature_scale_ : ndarray of shape (n_columns,)
        Largest magnitude of each column that the encoder writes, 1 for categories.
    n_features_in_ : int
        Columns of X seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X had names that are strings.

    Notes
    -----
    Columns that hardly vary, or hold no value, are dropped. A missing number has a
    vector of its own where its column lacked some in `fit`, and zero otherwise; a
    missing category is a level of its own, and one that `fit` did not meet is none.
    Infinite numbers are an error. All is computed in float32, tables of fewer than 64
    rows in float64.

    Normal quantiles, bins and members are those of Gorishniy et al. (2025). Where
    values repeat, as in columns that are mostly zero, three things differ: equal
    numbers get one quantile and no noise; bins lie at quantiles of distinct values,
    which count by the square root of their rows, for quantiles of rows leave a column
    of 92 % zeros three bins; and a column of two values enters as 0 and 1, for there is
    nothing to bend between two points.

    What "auto" stands for goes by the number of rows that are trained on:

    ============  ==========  =======
    rows          batch_size  members
    ============  ==========  =======
    1             all rows    16
    64            32          16
    2 800         64          16
    4 500         128         16
    6 400         256         16
    32 000        512         16
    64 000        512         8
    108 000       1024        8
    200 000       1024        4
    ============  ==========  =======

    max_iter is such that rows x members x epochs do not pass 64 million, at least 20
    and at most 400: some ten minutes on two cores, also for 400 000 rows of 54 columns.
    The decay of weights is some hundred times the published one: on rows held out of
    the training rows of 15 tables, none of them large, it makes errors of one network
    smaller by 0 to 17 %, least where rows are many and noise is strong.
    One member takes steps of whole matrices where mini-batches have 256 rows or more.
    On held-out rows of five real tables its errors are smaller by 0.4 to 2.1 % for it;
    on two of four that are made up they are larger, most where few rows hold a large
    part of the squares of y. There, or where time is short, take solver="adamw".
    With fewer than 64 rows all are trained on, in one step an epoch and without
    dropout.

    References
    ----------
    Gorishniy, Y., Kotelnikov, A., & Babenko, A. (2025). TabM: Advancing tabular deep
    learning with parameter-efficient ensembling. ICLR.

    Izmailov, P., Podoprikhin, D., Garipov, T., Vetrov, D., & Wilson, A. G. (2018).
    Averaging weights leads to wider optima and better generalization. UAI.

    Jordan, K., Jin, Y., Boza, V., You, J., Cesista, F., Newhouse, L., & Bernstein, J.
    (2024). Muon: an optimizer for hidden layers in neural networks.
    """

    _parameter_constraints: dict = {
        **HiddenLayers._parameter_constraints,
        **FineTuning._parameter_constraints,
        **TrainingParameters._parameter_constraints,
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "max_categories": [Interval(Integral, 1, None, closed="left")],
        "dropout": [_AUTO, Interval(Real, 0, 1, closed="left")],
        "n_members": [_AUTO, Interval(Integral, 1, None, closed="left")],
        "max_iter": [_AUTO, Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean", _AUTO],
        "solver": [StrOptions({"auto", *SOLVERS})],
        "learning_rate": [StrOptions({"auto", *SCHEDULES})],
        "learning_rate_init": [_AUTO, Interval(Real, 0, None, closed="neither")],
        "weight_decay": [_AUTO, Interval(Real, 0, None, closed="left")],
        "averaging": [Interval(Real, 0, 1, closed="left")],
    }

    # --- what the number of rows settles
    def _settle(self, n_training: int) -> None:
        of_size = settings_of_size(n_training, self.n_members)
        if self.solver == "lbfgs":  # it takes all rows, and no chance
            of_size |= {"dropout": 0.0, "max_iter": 200}
        self.choices_ = {
            name: value
            for name, value in of_size.items()
            if getattr(self, name) == "auto"
        }

    def _setting(self, name: str):
        """A parameter as the fit takes it; one that was set since is what it is."""
        value = getattr(self, name)
        is_left_open = isinstance(value, str) and value == "auto"
        return self.choices_.get(name, value) if is_left_open else value

    def _settled_params(self) -> dict[str, Any]:
        params = super()._settled_params()
        return params | {name: self._setting(name) for name in self.choices_}

    def _averaging(self) -> float:
        return float(self.averaging)

    def _stops_early(self, n_rows: int) -> bool:
        if self.early_stopping == "auto":
            return n_rows >= FEWEST_ROWS
        return bool(self.early_stopping)

    def _stratifies(self, examples: Examples) -> bool:
        if not super()._stratifies(examples):
            return False
        n_positive = int(np.count_nonzero(examples.of(examples.Y)))
        return 1 < n_positive < len(examples) - 1

    def _warn(self) -> None:
        if self.max_iter == "auto":  # what the size allows is no surprise
            self._training.unfinished = ""
        super()._warn()

    # --- from a raw table to rows
    def _read(self, X, y, sample_weight, goes_on: bool):
        """X (n, p) as the encoder writes it, y and weights."""
        refuse_dask_collections(self, X=X, y=y)
        X = read_raw_table(self, X, reset=not goes_on)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None."
            )
        with within_floats("y"):
            y = _check_y(y, multi_output=True, estimator=self, **self._target_checks)
        check_consistent_length(X, y)
        weight = read_weights(sample_weight, X)
        if not goes_on:
            self._fit_encoder(X, weight)
        return self._encode_table(X), self._check_targets(y), weight

    def _read_rows(self, X, *, dtype):
        """X (n, p) of rows to predict, as the encoder writes it."""
        refuse_dask_collections(self, X=X)
        return self._encode_table(read_raw_table(self, X, reset=False))

    def _fit_encoder(self, X, weight) -> None:
        source = self._pretrained_estimator()
        if source is not None:  # whose layers read what its encoder writes
            self.table_encoder_ = source.table_encoder_
            return
        n_rows = X.shape[0] if weight is None else int(np.count_nonzero(weight))
        self.table_encoder_ = TableEncoder(
            self.categorical_features,
            max_categories=self.max_categories,
            dtype=precision_of_size(n_rows),
        ).fit(X, sample_weight=weight)

    def _encode_table(self, X) -> np.ndarray:
        """Write a table as numbers (n, p); without a column, as one that says nothing.

        Numbers may be missing where they are embedded.
        """
        rows = self.table_encoder_._write_table(X)  # checked by now
        if rows.shape[1] == 0:
            return np.zeros((len(rows), 1), dtype=rows.dtype)
        embedded = self._embedded_numbers()
        for place in range(self.table_encoder_.n_numbers_):
            if place not in embedded:
                np.nan_to_num(rows[:, place], copy=False, nan=0.0)
        return rows

    def _embedded_numbers(self) -> list[int]:
        """Places, among the columns that the encoder writes, of those to embed."""
        if self.numerical_embedding is None:
            return []
        names = getattr(self, "feature_names_in_", None)
        chosen = columns_of(self.embedded_features, self.n_features_in_, names)
        numbers = np.flatnonzero(self.table_encoder_.kinds_ == "number")
        return np.flatnonzero(np.isin(numbers, chosen)).tolist()

    # --- what the network is to know of them
    def _learns_of_inputs(self) -> bool:
        return True

    def _takes_missing(self) -> bool:
        return True

    def _survey(self, examples: Examples) -> Inputs:
        n_columns, n_levels = examples.X.shape[1], self.table_encoder_.n_categories_
        inputs, embedded = Inputs(n_columns), self._embedded_numbers()
        embedding = embedding_of(self.numerical_embedding)
        if embedding is not None and embedded:
            inputs = embedding._survey(examples, embedded, is_classifier(self))
        coded = list(range(n_columns - len(n_levels), n_columns))
        return replace(inputs, coded=coded, n_levels=n_levels)

    def _note_data(self, training, goes_on: bool) -> None:
        super()._note_data(training, goes_on)
        coded = len(self.table_encoder_.n_categories_)
        self.feature_scale_[len(self.feature_scale_) - coded :] = (
            1.0  # a code is a place among inputs of 0 and 1
        )

    def _note_predictions(self, rows) -> None:
        super()._note_predictions(rows)
        if (self.table_encoder_.kinds_ == "dropped").all():
            self.prediction_spread_ = None  # predictions cannot vary

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.string = True
        return tags
