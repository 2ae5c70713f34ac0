"""Trainings on real tables, each with one known ailment or none, and its remedy."""

import warnings
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    BackpropRNNRegressor,
    GDLinearRegression,
)
from sklearn_backprop.exceptions import DivergenceError, VanishedTrainingWarning


def load_first_of_sixty(**_):
    """Series of which the first number counts, and the others are noise."""
    X = np.random.default_rng(0).normal(size=(1200, 60))
    return X, X[:, 0]


LOADERS = {
    "digits": load_digits,
    "cancer": load_breast_cancer,
    "wine": load_wine,
    "diabetes": lambda **settings: load_diabetes(scaled=False, **settings),
    "first of sixty": load_first_of_sixty,
}


@cache
def table(name, scaled):
    """X_train, X_test, y_train, y_test; the target of diabetes has unit variance."""
    X, y = LOADERS[name](return_X_y=True)
    if name == "diabetes":
        y = (y - y.mean()) / y.std()
    n_train = {"digits": 400, "first of sixty": 600}.get(name, 0.7)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=n_train, random_state=0
    )
    if name == "digits":
        return X_train / 16, X_test / 16, y_train, y_test
    if scaled:
        scaler = StandardScaler().fit(X_train)
        X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    return X_train, X_test, y_train, y_test


# What a sound training reaches: accuracy, or R² of numbers.
SOUND_SCORE = {
    "digits": 0.8,
    "cancer": 0.9,
    "wine": 0.9,
    "diabetes": 0.3,
    "first of sixty": 0.4,
}


@dataclass(frozen=True, eq=False)
class Case:
    """A training, what it suffers from, and what cures it."""

    name: str
    data: str
    settings: dict
    ailment: str | None = None
    also: tuple[str, ...] = ()  # kinds that are true of it as well
    remedy: dict = field(default_factory=dict)  # settings; "scaled" is the table's
    bar: float = np.nan  # score that the remedied training reaches, the ailing does not

    def make(self, changes=None):
        settings = {**self.settings, **(changes or {})}
        if "pretrained" in settings:
            settings["pretrained"] = settings["pretrained"]()
        model = settings.pop("model", None)
        if model is not None:
            return model(**settings)
        is_regression = self.data == "diabetes"
        model = BackpropMLPRegressor if is_regression else BackpropMLPClassifier
        return model(**{"random_state": 0, **settings})

    def train(self, changes=None):
        """Give the estimator, fitted or left by a DivergenceError, and its score.

        Only an ailing training may warn of being vain.
        """
        in_vain = "ignore" if self.ailment and not changes else "error"
        changes = dict(changes or {})
        settings = dict(self.settings)
        scaled = changes.pop("scaled", settings.pop("scaled", True))
        validate = settings.pop("validate", False)
        case = Case(self.name, self.data, settings)
        model = case.make(changes)
        X_train, X_test, y_train, y_test = table(self.data, scaled)
        extra = {"X_val": X_test, "y_val": y_test} if validate else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter(in_vain, VanishedTrainingWarning)
            try:
                model.fit(X_train, y_train, **extra)
            except DivergenceError:
                return model, -np.inf
        if validate:  # what over-fitting spoils
            return model, -np.median(model.validation_loss_curve_[-3:])
        return model, model.score(X_test, y_test)


def deep(depth, width=32, **settings):
    return {"hidden_layer_sizes": (width,) * depth, **settings}


def recurrent(**settings):
    common = {"learning_rate_init": 0.01, "batch_size": 50, "max_iter": 6}
    model = {"model": BackpropRNNRegressor, "hidden_layer_sizes": (24,)}
    return {**model, "random_state": 0, "scaled": False, **common, **settings}


def linear(**settings):
    return {"model": GDLinearRegression, **settings}


@cache
def source(**settings):
    """A network that has learned to tell the digits 0 to 4."""
    X, y = load_digits(return_X_y=True)
    net = BackpropMLPClassifier((16, 16), random_state=1, max_iter=60, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return net.fit(X[y < 5] / 16, y[y < 5])


def killed_source():
    """The same, killed by a long step."""
    return source(learning_rate_init=0.5)


def frozen(pretrained, **settings):
    settings = {"layer_rates": (0, 0, 1), "learning_rate_init": 0.05, **settings}
    return deep(2, 16, pretrained=pretrained, max_iter=60, **settings)


HEALTHY = [
    Case("dropout", "wine", deep(2, dropout=0.2, max_iter=100, n_iter_no_change=100)),
    Case(
        "batch norm",
        "cancer",
        deep(
            2, normalization="batch", batch_size=32, max_iter=100, n_iter_no_change=100
        ),
    ),
    Case("relu", "digits", deep(2, 64, max_iter=60)),
    Case("tanh", "digits", deep(2, 64, activation="tanh", max_iter=60)),
    Case("gelu", "digits", deep(2, 64, activation="gelu", max_iter=60)),
    Case("residual", "digits", deep(20, residual="add", max_iter=60)),
    Case("layer norm", "digits", deep(5, normalization="layer", max_iter=60)),
    Case("ten layers", "digits", deep(10, max_iter=60)),
    Case("sgd", "cancer", deep(1, solver="sgd", learning_rate_init=0.05)),
    Case("early stopping", "cancer", deep(2, early_stopping=True)),
    Case("tanh", "wine", deep(1, activation="tanh", max_iter=200)),
    Case("relu", "diabetes", deep(2, max_iter=100)),
    Case("lbfgs", "wine", deep(1, solver="lbfgs")),
    Case("frozen layer", "digits", frozen(source, layer_rates=(0, 1, 1))),
    Case("frozen layers, lbfgs", "digits", frozen(source, solver="lbfgs")),
    Case("lstm remembers", "first of sixty", recurrent(max_iter=15)),
    Case("slow layers", "digits", frozen(source, layer_rates=(0.01, 0.03, 1))),
    Case("descent", "diabetes", linear()),
    Case("normal equation", "diabetes", linear(solver="normal")),
]

AILING = [
    Case("twenty logistic layers", "digits",
         deep(20, activation="logistic", max_iter=60),
         "vanishing_gradients", remedy={"residual": "add", "max_iter": 120}, bar=0.7),
    Case("relu from Xavier's start", "digits",
         deep(100, init="xavier_uniform", max_iter=15),
         "vanishing_gradients",
         remedy={"residual": "add", "init": "auto", "max_iter": 60}, bar=0.5),
    Case("twelve logistic layers", "diabetes",
         deep(12, 16, activation="logistic", max_iter=200),
         "vanishing_gradients", remedy={"residual": "add"}, bar=0.2),
    Case("tiny start", "cancer",
         deep(6, activation="tanh", init_scale=0.1, solver="sgd",
              learning_rate_init=0.02, max_iter=40),
         "vanishing_gradients", remedy={"init_scale": 1.0}, bar=0.9),
    Case("large start, adam", "digits", deep(10, init_scale=3.0, max_iter=50),
         "exploding_gradients", remedy={"init_scale": 1.0}, bar=0.7),
    Case("large start, sgd", "digits",
         deep(10, init_scale=2.0, solver="sgd", learning_rate_init=0.01, max_iter=50),
         "exploding_gradients", also=("large_step",), remedy={"init_scale": 1.0},
         bar=0.4),
    Case("steep branches", "diabetes",
         deep(6, init_scale=2.0, solver="sgd", learning_rate_init=0.005, max_iter=40),
         "exploding_gradients", also=("large_step",), remedy={"init_scale": 1.0},
         bar=0.1),
    Case("long step, sgd", "diabetes",
         deep(1, solver="sgd", learning_rate_init=0.5, max_iter=40),
         "large_step", also=("exploding_gradients",),
         remedy={"learning_rate_init": 0.05}, bar=0.2),
    Case("clipped to death", "digits",
         deep(1, 64, solver="sgd", learning_rate_init=0.05, clip=1e-3, max_iter=40),
         "clipping", remedy={"clip": None}, bar=0.8),
    Case("clipped by value", "wine",
         deep(1, solver="sgd", learning_rate_init=0.02, clip=1e-4, clip_mode="value",
              max_iter=60),
         "clipping", remedy={"clip": None}, bar=0.9),
    Case("long step, adam", "digits", deep(1, 64, learning_rate_init=1.0, max_iter=40),
         "large_step", remedy={"learning_rate_init": 0.01}, bar=0.9),
    Case("long step, adam", "diabetes",
         deep(1, learning_rate_init=1.0, max_iter=40),
         "large_step", remedy={"learning_rate_init": 0.02}, bar=0.2),
    Case("killed by a long step", "digits",
         deep(2, 16, learning_rate_init=0.2, max_iter=60),
         "dead_units", remedy={"learning_rate_init": 0.005}, bar=0.85),
    Case("killed at once", "digits",
         deep(2, 16, learning_rate_init=0.5, learning_rate="exponential",
              decay_rate=0.9, max_iter=60),
         "dead_units", remedy={"learning_rate_init": 0.02}, bar=0.8),
    Case("born dead", "diabetes", deep(15, 3, max_iter=80),
         "dead_units", remedy={"activation": "leaky_relu"}, bar=0.2),
    Case("frozen and dead", "digits", frozen(killed_source),
         "dead_units", remedy={"pretrained": source}, bar=0.7),
    Case("tanh saturated", "wine", deep(2, activation="tanh", init_scale=20.0,
                                        max_iter=60),
         "saturated_units", remedy={"init_scale": 1.0}, bar=0.9),
    Case("logistic saturated", "cancer",
         deep(2, activation="logistic", init_scale=30.0, max_iter=60),
         "saturated_units", remedy={"init_scale": 1.0}, bar=0.9),
    Case("short step, adam", "digits", deep(1, 64, learning_rate_init=1e-5,
                                            max_iter=60),
         "small_step", remedy={"learning_rate_init": 1e-2}, bar=0.9),
    Case("short step, sgd", "wine",
         deep(1, solver="sgd", learning_rate_init=1e-4, max_iter=60),
         "small_step", remedy={"learning_rate_init": 0.05}, bar=0.9),
    Case("too few epochs", "digits", deep(2, activation="logistic", max_iter=40),
         "small_step", remedy={"max_iter": 400}, bar=0.85),
    Case("zero start, relu", "digits", deep(2, init="zeros", max_iter=60),
         "symmetric_start", remedy={"init": "auto"}, bar=0.8),
    Case("zero start, logistic", "wine",
         deep(1, init="zeros", activation="logistic", max_iter=100,
              learning_rate_init=0.01),
         "symmetric_start", remedy={"init": "auto"}, bar=0.9),
    Case("raw", "wine", deep(1, max_iter=150, scaled=False), "feature_scales",
         remedy={"scaled": True}, bar=0.9),
    Case("raw", "cancer", deep(1, max_iter=60, scaled=False), "feature_scales",
         remedy={"scaled": True}, bar=0.9),
    Case("raw", "diabetes", deep(1, max_iter=100, scaled=False), "feature_scales",
         remedy={"scaled": True}, bar=0.2),
    Case("over-fitted", "diabetes",
         deep(2, 128, validate=True, max_iter=100, n_iter_no_change=100),
         "over_fitting", remedy={"alpha": 10.0}, bar=-0.35),
    Case("over-fitted", "cancer",
         deep(2, 128, validate=True, max_iter=150, n_iter_no_change=150, alpha=0.0),
         "over_fitting", remedy={"alpha": 1.0}, bar=-0.09),
    Case("tanh forgets", "first of sixty", recurrent(cell="tanh"),
         "vanishing_gradients", remedy={"cell": "lstm"}, bar=0.4),
    Case("small start in time", "first of sixty", recurrent(init_scale=0.5),
         "vanishing_gradients", remedy={"init_scale": 1.0}, bar=0.4),
    Case("large start in time", "first of sixty",
         recurrent(cell="tanh", init_scale=2.5),
         "exploding_gradients", remedy={"cell": "lstm", "init_scale": 1.0}, bar=0.4),
    Case("descent, long step", "diabetes", linear(learning_rate_init=1.0),
         "large_step", remedy={"learning_rate_init": "auto"}, bar=0.38),
    Case("descent, short step", "diabetes",
         linear(learning_rate_init=1e-4, max_iter=300),
         "small_step", remedy={"learning_rate_init": 0.1}, bar=0.38),
    Case("descent, raw", "wine", linear(feature_scaling=None, max_iter=1000,
                                        scaled=False),
         "feature_scales", remedy={"feature_scaling": "standard"}, bar=0.8),
    Case("descent, raw", "diabetes", linear(feature_scaling=None, max_iter=200,
                                            scaled=False),
         "feature_scales", remedy={"feature_scaling": "standard"}, bar=0.38),
    Case("descent, collinear", "cancer", linear(max_iter=10),
         "ill_conditioning", remedy={"solver": "normal"}, bar=0.73),
]  # fmt: skip
