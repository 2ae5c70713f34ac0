"""The preset for numbers from raw tables."""

from .._diagnosis import NetworkRecord
from .._documentation import shows_inherited_text
from ._numbers import StandardizingCoder
from ._regression import NetworkRegressor
from ._table_network import TableNetwork

__all__ = ["TabularMLPRegressor"]


@shows_inherited_text
class TabularMLPRegressor(TableNetwork, NetworkRegressor):
    """Regressor for raw tables: an ensemble of perceptrons, with nothing to prepare.

    Columns may be numbers, truth values, dates, strings or categories, with gaps, in a
    data frame of pandas or polars or in an array. Numbers become normal quantiles and
    then vectors (piecewise-linear embeddings), categories become levels; members of
    an ensemble, which is one network, learn from them and are averaged. Targets are
    standardised inside.

    Parameters
    ----------
    huber_delta : float, default=1.35
        Where loss="huber" turns from squares to absolute values, in standard deviations
        of y.

    Attributes
    ----------
    target_mean_ : ndarray of shape (n_outputs_,)
        What is taken off y before training: its mean, 0 for loss="poisson".
    target_spread_ : ndarray of shape (n_outputs_,)
        What y is then divided by: its standard deviation, its mean for loss="poisson".

    See Also
    --------
    BackpropMLPRegressor : The same networks, for tables that are numbers already.
    TabularMLPClassifier : The same for labels.
    sklearn.ensemble.HistGradientBoostingRegressor : Trees for the same tables.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn_backprop.neural_network import TabularMLPRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"size": rng.lognormal(size=200),
    ...                   "colour": rng.choice(["red", "green", None], 200)})
    >>> y = 1000 * np.log(X["size"]) + 500 * (X["colour"] == "red")
    >>> model = TabularMLPRegressor((32,), n_members=4, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """

    _coder: StandardizingCoder
    _parameter_constraints: dict = {
        **TableNetwork._parameter_constraints,
        **NetworkRegressor._parameter_constraints,
    }

    def __init__(
        self,
        hidden_layer_sizes=(256, 256),
        *,
        categorical_features="from_dtype",
        max_categories=1000,
        activation="relu",
        init="auto",
        init_scale=1.0,
        residual=None,
        residual_block_size=1,
        normalization=None,
        dropout="auto",
        numerical_embedding="piecewise_linear",
        embedded_features=None,
        n_members="auto",
        member_weights="mini",
        pretrained=None,
        layer_rates=None,
        loss="squared_error",
        quantile=0.5,
        huber_delta=1.35,
        solver="auto",
        alpha=0.0,
        weight_decay="auto",
        clip=1.0,
        clip_mode="norm",
        batch_size="auto",
        member_batches="shared",
        learning_rate="auto",
        learning_rate_init="auto",
        power_t=0.5,
        decay_rate=0.95,
        warmup_epochs=0,
        max_iter="auto",
        shuffle=True,
        random_state=None,
        tol=1e-5,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping="auto",
        validation_fraction=0.2,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=16,
        averaging=0.8,
        max_fun=15000,
        track_gradients="epoch",
    ):
        self._store(locals())

    def _coder_of(self, y, weight, *, keeps: bool) -> StandardizingCoder:
        if keeps and hasattr(self, "target_mean_"):
            return self._coder
        return StandardizingCoder.of(self.loss, y, weight)

    def _note_targets(self, rows) -> None:
        super()._note_targets(rows)
        self.target_mean_, self.target_spread_ = self._coder.mean, self._coder.spread

    def _training_record(self) -> NetworkRecord:
        # Training met standardised targets, of which there is nothing to tell.
        return self._network_record(prediction_error=self.prediction_error_)
