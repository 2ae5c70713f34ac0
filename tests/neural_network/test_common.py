"""scikit-learn's own check of estimators, with no expected failures."""

from itertools import zip_longest

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_backprop.neural_network import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    BackpropRNNClassifier,
    BackpropRNNRegressor,
    PeriodicEmbedding,
)
from sklearn_backprop.neural_network._labels import CLASSIFICATION_LOSSES
from sklearn_backprop.neural_network._numbers import REGRESSION_LOSSES
from sklearn_backprop.neural_network._perceptron import (
    ACTIVATIONS,
    NORMALIZATIONS,
    RESIDUALS,
)
from sklearn_backprop.neural_network._schedules import SCHEDULES
from sklearn_backprop.neural_network._solvers import SOLVERS

SMALL = {"hidden_layer_sizes": (16, 8), "learning_rate_init": 0.01, "max_iter": 60}

# Every choice once, several in a setting. What the checks ask of validation, tags and
# attributes is the same for all, and where a choice is arithmetic alone the reference
# says whether it is right. Left out: starts other than the default, "zeros" among them,
# which cannot learn what some checks ask for; dropout and early stopping, whose random
# masks and splits depend on how many rows carry the weight; "invscaling", whose rate
# falls with the number of rows; "coslog", whose rate is near zero again and again, so
# that the score that some checks ask for takes longer; warm_start, which is meant to
# make two fits differ.
CHOICES = {
    "activation": [
        list(pair) for pair in zip_longest(*[iter(ACTIVATIONS)] * 2, fillvalue="relu")
    ],
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
LOSSES = {
    BackpropMLPClassifier: list(CLASSIFICATION_LOSSES),
    BackpropMLPRegressor: list(REGRESSION_LOSSES),
}
PLAIN = [
    BackpropMLPClassifier(),
    BackpropMLPRegressor(),
    BackpropRNNClassifier(
        (8,),
        cell="gru",
        bidirectional=True,
        pooling="mean",
        learning_rate_init=0.01,
        max_iter=60,
    ),
    BackpropRNNRegressor((16,), learning_rate_init=0.01, max_iter=60),
]


def settings():
    """Each loss but the default ones with choices by turns."""
    losses = [(made, loss) for made, of in LOSSES.items() for loss in of[1:]]
    losses.append((BackpropMLPClassifier, LOSSES[BackpropMLPClassifier][0]))
    for i, (Estimator, loss) in enumerate(losses):
        setting = {name: choices[i % len(choices)] for name, choices in CHOICES.items()}
        yield Estimator(**{**SMALL, **setting, "loss": loss})


SETTINGS = list(settings())


def test_every_choice_is_in_a_setting():
    for name, choices in CHOICES.items():
        assert all(
            choice in [getattr(model, name) for model in SETTINGS] for choice in choices
        )
    for Estimator, losses in LOSSES.items():
        made = [m.loss for m in (*PLAIN, *SETTINGS) if type(m) is Estimator]
        assert set(made) == set(losses)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(PLAIN)
def test_sklearn_check(estimator, check):
    check(estimator)


@pytest.mark.once
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [
        *SETTINGS,
        BackpropMLPRegressor(**SMALL, solver="lbfgs"),
        BackpropMLPClassifier(**SMALL, class_weight="balanced"),
        BackpropMLPClassifier(
            **SMALL, numerical_embedding="piecewise_linear", n_members=3
        ),
        BackpropMLPRegressor(
            **SMALL,
            numerical_embedding=PeriodicEmbedding(n_frequencies=8, frequency_scale=1.0),
            n_members=2,
            member_weights="independent",
        ),
    ]
)
def test_sklearn_check_of_choices(estimator, check):
    check(estimator)
