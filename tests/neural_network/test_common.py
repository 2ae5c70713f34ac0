"""scikit-learn's own check of estimators, with no expected failures."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_backprop.neural_network import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    BackpropRNNClassifier,
    BackpropRNNRegressor,
    PeriodicEmbedding,
)
from sklearn_backprop.neural_network._initializers import INITIALIZERS
from sklearn_backprop.neural_network._labels import CLASSIFICATION_LOSSES
from sklearn_backprop.neural_network._numbers import REGRESSION_LOSSES
from sklearn_backprop.neural_network._perceptron import (
    ACTIVATIONS,
    NORMALIZATIONS,
    RESIDUALS,
)
from sklearn_backprop.neural_network._schedules import SCHEDULES
from sklearn_backprop.neural_network._solvers import SOLVERS

SMALL = {"hidden_layer_sizes": (16, 8), "learning_rate_init": 0.01}
DEFAULTS = {"hidden_layer_sizes": (100,), "learning_rate_init": 0.001}

# Every choice once, several in a setting, and settings by turns for labels and numbers:
# what the checks ask of validation, tags and attributes is the same for all. Left out:
# a start with all weights zero, which cannot learn what some checks ask for; dropout
# and early stopping, whose random masks and splits depend on how many rows carry the
# weight; "invscaling", whose rate falls with the number of rows; "coslog", whose rate
# is near zero again and again, so that the score that some checks ask for takes longer;
# warm_start, which is meant to make two fits differ.
CHOICES = {
    "activation": list(ACTIVATIONS),
    "init": [name for name in INITIALIZERS if name != "zeros"],
    "solver": [name for name in SOLVERS if name not in ("sgd", "lbfgs")],
    "learning_rate": [
        name for name in SCHEDULES if name not in ("invscaling", "coslog")
    ],
    "residual": [None, *RESIDUALS],
    "normalization": [None, None, None, *NORMALIZATIONS],
    "track_gradients": ["epoch", "epoch", "batch", None],
    "clip": [None, 1.0, 1.0],
    "clip_mode": ["norm", "norm", "value"],
    "warmup_epochs": [0, 0, 3],
}
SETTINGS = [
    {name: choices[i % len(choices)] for name, choices in CHOICES.items()}
    for i in range(len(ACTIVATIONS))
]


def test_every_choice_is_in_a_setting():
    for name, choices in CHOICES.items():
        assert {setting.get(name) for setting in SETTINGS} >= set(choices)
    for Estimator, losses in LOSSES.items():
        made = [model.loss for model in ESTIMATORS if type(model) is Estimator]
        assert set(made) == set(losses)


LOSSES = {
    BackpropMLPClassifier: list(reversed(CLASSIFICATION_LOSSES)),
    BackpropMLPRegressor: list(REGRESSION_LOSSES),
}


def estimators():
    """By turns of the two classes and of their losses."""
    for i, setting in enumerate(SETTINGS):
        Estimator = list(LOSSES)[i % 2]
        losses = LOSSES[Estimator]
        loss = losses[i // 2 % len(losses)]
        yield Estimator(**{**SMALL, **setting, "loss": loss})


ESTIMATORS = [
    BackpropMLPClassifier(),
    BackpropMLPRegressor(),
    *estimators(),
    # At the rate of SMALL it diverges on large X.
    BackpropMLPClassifier(**{**SMALL, "solver": "sgd", **DEFAULTS}),
    BackpropMLPRegressor(**SMALL, solver="lbfgs"),
    BackpropMLPClassifier(**SMALL, class_weight="balanced"),
    BackpropMLPClassifier(**SMALL, numerical_embedding="piecewise_linear", n_members=3),
    BackpropMLPRegressor(
        **SMALL,
        numerical_embedding=PeriodicEmbedding(frequency_scale=1.0),
        n_members=2,
        member_weights="independent",
    ),
    BackpropRNNClassifier((16,), learning_rate_init=0.01),
    BackpropRNNRegressor((16,), learning_rate_init=0.01),
    BackpropRNNClassifier((8,), cell="gru", bidirectional=True, pooling="mean"),
    BackpropRNNRegressor((8, 8), cell="tanh", residual="add", learning_rate_init=0.01),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(ESTIMATORS)
def test_sklearn_check(estimator, check):
    check(estimator)
