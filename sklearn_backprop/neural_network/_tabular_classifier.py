"""The preset for labels from raw tables."""

from .._documentation import shows_inherited_text
from ._classification import NetworkClassifier
from ._table_network import TableNetwork

__all__ = ["TabularMLPClassifier"]


@shows_inherited_text
class TabularMLPClassifier(TableNetwork, NetworkClassifier):
    """Classifier for raw tables: an ensemble of perceptrons, with nothing to prepare.

    Columns may be numbers, truth values, dates, strings or categories, with gaps, in a
    data frame of pandas or polars or in an array. Numbers become normal quantiles and
    then vectors (piecewise-linear embeddings), categories become levels; members of
    an ensemble, which is one network, learn from them and are averaged.

    Attributes
    ----------
    validation_scores_ : list of float or None
        Minus the log loss of the validation set after every epoch. It keeps
        probabilities calibrated, where accuracy would not notice that they are not.

    See Also
    --------
    BackpropMLPClassifier : The same networks, for tables that are numbers already.
    TabularMLPRegressor : The same for numbers.
    sklearn.ensemble.HistGradientBoostingClassifier : Trees for the same tables.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn_backprop.neural_network import TabularMLPClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"size": rng.lognormal(size=200),
    ...                   "colour": rng.choice(["red", "green", None], 200)})
    >>> y = np.where((X["size"] > 1) & (X["colour"] == "red"), "yes", "no")
    >>> model = TabularMLPClassifier((32,), n_members=4, random_state=0).fit(X, y)
    >>> model.table_encoder_.kinds_
    array(['number', 'category'], dtype='<U8')
    >>> model.score(X, y) > 0.95
    True
    """

    _parameter_constraints: dict = {
        **TableNetwork._parameter_constraints,
        **NetworkClassifier._parameter_constraints,
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
        loss="log_loss",
        class_weight=None,
        label_smoothing=0.0,
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

    def _scorer(self, y, sample_weight):
        return self._coder.likelihood_scorer(y, sample_weight)
