"""The recurrent network for labels."""

from .._documentation import shows_inherited_text
from ._classification import NetworkClassifier
from ._fine_tuning import FineTuning
from ._recurrent_layers import RecurrentLayers
from ._training_parameters import TrainingParameters

__all__ = ["BackpropRNNClassifier"]


@shows_inherited_text
class BackpropRNNClassifier(RecurrentLayers, FineTuning, NetworkClassifier):
    """Recurrent network that learns labels of sequences.

    Long short-term memory, gated recurrent units or plain tanh cells, trained by
    backpropagation through time over whole sequences, on a compiled engine, with the
    training parameters, records and diagnosis of the perceptrons.

    See Also
    --------
    BackpropRNNRegressor : The same networks for numbers.
    BackpropMLPClassifier : For rows that are no sequences.

    Examples
    --------
    Does a noisy wave rise or fall at its end? Wherever it ends:

    >>> import numpy as np
    >>> from sklearn_backprop.neural_network import BackpropRNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> start, lengths = rng.uniform(0, 2 * np.pi, 300), rng.integers(10, 30, 300)
    >>> phase = start[:, None] + 0.4 * np.arange(30)
    >>> X = np.sin(phase) + rng.normal(scale=0.1, size=phase.shape)
    >>> y = np.cos(phase[np.arange(300), lengths - 1]) > 0
    >>> X[np.arange(30) >= lengths[:, None]] = np.nan
    >>> model = BackpropRNNClassifier((16,), learning_rate_init=0.02, tol=1e-3,
    ...                               random_state=0)
    >>> model.fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **RecurrentLayers._parameter_constraints,
        **FineTuning._parameter_constraints,
        **NetworkClassifier._parameter_constraints,
        **TrainingParameters._parameter_constraints,
    }

    def __init__(
        self,
        hidden_layer_sizes=(64,),
        *,
        cell="lstm",
        bidirectional=False,
        pooling="last",
        n_channels=1,
        init="auto",
        init_scale=1.0,
        residual=None,
        dropout=0.0,
        pretrained=None,
        layer_rates=None,
        loss="log_loss",
        class_weight=None,
        label_smoothing=0.0,
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
