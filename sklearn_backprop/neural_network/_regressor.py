"""The perceptron for numbers."""

from numbers import Real

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    validate_data,
)

from .._finite import as_numbers
from ..inspection._diagnosis import prediction_error
from . import _targets
from ._base import FLOATS, BaseBackpropMLP
from ._targets import REGRESSION_LOSSES

__all__ = ["BackpropMLPRegressor"]


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
    prediction_error_ : float or None
        Error of the predictions relative to that of the best constants (the means of
        y, or its quantiles where the loss is of one), on the same rows: above 1 for a
        network that is worse than a constant. None where y does not vary, too.
    target_mean_ : ndarray of shape (n_outputs_,)
        Mean of the targets of the training rows.
    target_spread_ : ndarray of shape (n_outputs_,)
        Their standard deviation.
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
            dtype=FLOATS if reset else self._dtype_to_continue(),
            order="C",
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, as_numbers(y)

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

    def _note_targets(self, rows):
        self.prediction_error_: float | None = None
        with np.errstate(over="ignore"):
            self.target_mean_ = rows.Y.mean(axis=0, dtype=np.float64)
            self.target_spread_ = rows.Y.std(axis=0, dtype=np.float64)

    def _note_errors(self, predicted, Y):
        quantiles = {"quantile": self.quantile, "absolute_error": 0.5}
        with np.errstate(over="ignore", invalid="ignore"):
            self.prediction_error_ = prediction_error(
                predicted, Y, quantiles.get(self.loss)
            )

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
