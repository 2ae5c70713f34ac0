"""The recurrent network for numbers."""

from .._documentation import shows_inherited_text
from ._fine_tuning import FineTuning
from ._recurrent_layers import RecurrentLayers
from ._regression import NetworkRegressor
from ._training_parameters import TrainingParameters

__all__ = ["BackpropRNNRegressor"]


@shows_inherited_text
class BackpropRNNRegressor(RecurrentLayers, FineTuning, NetworkRegressor):
    """Recurrent network that learns numbers from sequences.

    Long short-term memory, gated recurrent units or plain tanh cells, trained by
    backpropagation through time over whole sequences, on a compiled engine, with the
    training parameters, records and diagnosis of the perceptrons.

    See Also
    --------
    BackpropRNNClassifier : The same networks for labels.
    BackpropMLPRegressor : For rows that are no sequences.

    Examples
    --------
    The next value of a wave, from 20 noisy ones:

    >>> import numpy as np
    >>> from sklearn_backprop.neural_network import BackpropRNNRegressor
    >>> rng = np.random.default_rng(0)
    >>> phase = rng.uniform(0, 2 * np.pi, (300, 1)) + 0.4 * np.arange(21)
    >>> X = np.sin(phase) + rng.normal(scale=0.05, size=phase.shape)
    >>> X, y = X[:, :20], np.sin(phase[:, 20])
    >>> model = BackpropRNNRegressor((16,), learning_rate_init=0.02, tol=1e-3,
    ...                              random_state=0)
    >>> model.fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **RecurrentLayers._parameter_constraints,
        **FineTuning._parameter_constraints,
        **NetworkRegressor._parameter_constraints,
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
