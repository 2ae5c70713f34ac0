"""The perceptron for labels."""

from .._documentation import shows_inherited_text
from ._classification import NetworkClassifier
from ._fine_tuning import FineTuning
from ._hidden_layers import HiddenLayers
from ._training_parameters import TrainingParameters

__all__ = ["BackpropMLPClassifier"]


@shows_inherited_text
class BackpropMLPClassifier(HiddenLayers, FineTuning, NetworkClassifier):
    """Multilayer perceptron classifier, trained by backpropagation.

    A drop-in for scikit-learn's MLPClassifier on a compiled engine, with modern
    activations, residual blocks, normalization, dropout, clipping, schedules and a
    record of what the gradients do in every layer.

    See Also
    --------
    BackpropMLPRegressor : The same networks for numbers.

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
        **HiddenLayers._parameter_constraints,
        **FineTuning._parameter_constraints,
        **NetworkClassifier._parameter_constraints,
        **TrainingParameters._parameter_constraints,
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
        numerical_embedding=None,
        embedded_features=None,
        n_members=1,
        member_weights="mini",
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
        member_batches="shared",
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
