"""How often `diagnose` finds what a network suffers from, and false alarms.

``python benchmarks/diagnosis.py`` trains some hundred networks on four real tables,
with settings that are sound or spoilt in one known way, for several seeds, depths and
activations. It prints a row for each way of spoiling: how many networks were told
rightly, how many falsely, and of what. A sound network counts only if it reaches its
table's usual score, a spoilt one only if it misses it: the others show nothing.
``--verbose`` names the networks that were told more, or something else.
"""

import argparse
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import product

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_backprop import BackpropMLPClassifier, BackpropMLPRegressor
from sklearn_backprop.exceptions import DivergenceError
from sklearn_backprop.inspection import diagnose

LOADERS = {
    "digits": load_digits,
    "cancer": load_breast_cancer,
    "wine": load_wine,
    "diabetes": lambda **settings: load_diabetes(scaled=False, **settings),
}
# Accuracy, or R² for diabetes, that sound networks reach on so few rows.
USUAL_SCORE = {"digits": 0.85, "cancer": 0.92, "wine": 0.9, "diabetes": 0.2}
# What a spoilt network may be told as well: a diverging one has both.
AKIN = {
    "large_step": {"exploding_gradients", "dead_units", "saturated_units"},
    "exploding_gradients": {"large_step"},
}

Settings = dict[str, object]


@cache
def table(name: str, is_scaled: bool) -> list[np.ndarray]:
    """Return X_train, X_test, y_train, y_test."""
    X, y = LOADERS[name](return_X_y=True)
    if name == "diabetes":
        y = (y - y.mean()) / y.std()
    size = 400 if name == "digits" else 0.7
    parts = train_test_split(X, y, train_size=size, random_state=1)
    if name == "digits":
        return [parts[0] / 16, parts[1] / 16, *parts[2:]]
    if is_scaled:
        scaler = StandardScaler().fit(parts[0])
        parts[:2] = [scaler.transform(X) for X in parts[:2]]
    return parts


def sound() -> Iterator[Settings]:
    """Yield settings that anyone might choose."""
    activations = ("relu", "tanh", "leaky_relu", "gelu", "selu", "elu")
    steps: list[Settings] = [
        {},
        {"solver": "sgd", "learning_rate_init": 0.02},
        {"learning_rate_init": 0.005, "learning_rate": "cosine"},
        {"dropout": 0.2},
        {"early_stopping": True},
        {"normalization": "batch", "batch_size": 32},
        {"solver": "lbfgs"},
    ]
    for depth, activation, step in product((1, 3), activations, steps):
        yield {"hidden_layer_sizes": (48,) * depth, "activation": activation, **step}
    yield {"hidden_layer_sizes": (32,) * 20, "residual": "add"}
    yield {"hidden_layer_sizes": (32,) * 20, "residual": "concat"}
    yield {"hidden_layer_sizes": (32,) * 12, "activation": "tanh"}
    yield {"hidden_layer_sizes": (32,) * 8, "normalization": "layer"}


def spoilt() -> Iterator[tuple[str, Settings]]:
    """Yield kinds of ailment and settings that bring them about."""
    sgd: Settings = {"solver": "sgd", "learning_rate_init": 0.02}
    for depth in (12, 25):
        layers: Settings = {"hidden_layer_sizes": (32,) * depth}
        faint = {**layers, **sgd, "activation": "tanh", "init_scale": 0.2}
        yield "vanishing_gradients", {**layers, **sgd, "activation": "logistic"}
        yield "vanishing_gradients", faint
        yield "exploding_gradients", {**layers, "init_scale": 2.0}
        yield "exploding_gradients", {**layers, "init_scale": 4.0}
        yield "dead_units", {"hidden_layer_sizes": (3,) * depth}
    for width, (kind, settings) in product((32, 64), SPOILT):
        yield kind, {"hidden_layer_sizes": (width, width), **settings}


SPOILT: list[tuple[str, Settings]] = [
    ("large_step", {"learning_rate_init": 0.5}),
    ("large_step", {"learning_rate_init": 2.0}),
    ("large_step", {"learning_rate_init": 0.5, "solver": "sgd"}),
    ("large_step", {"learning_rate_init": 2.0, "solver": "sgd"}),
    ("small_step", {"learning_rate_init": 1e-6}),
    ("small_step", {"learning_rate_init": 1e-5}),
    ("saturated_units", {"activation": "tanh", "init_scale": 25.0}),
    ("saturated_units", {"activation": "logistic", "init_scale": 25.0}),
    ("symmetric_start", {"activation": "relu", "init": "zeros"}),
    ("symmetric_start", {"activation": "tanh", "init": "zeros"}),
    ("clipping", {"clip": 1e-4, "solver": "sgd", "learning_rate_init": 0.02}),
    ("clipping", {"clip": 1e-3, "solver": "sgd", "learning_rate_init": 0.02}),
    ("feature_scales", {"is_scaled": False}),
]


def train(name: str, settings: Settings, seed: int):
    """Return the estimator, fitted or diverged, and its score."""
    settings = dict(settings)
    is_scaled = bool(settings.pop("is_scaled", True))
    X_train, X_test, y_train, y_test = table(name, is_scaled)
    make = BackpropMLPRegressor if name == "diabetes" else BackpropMLPClassifier
    model = make(**{"max_iter": 150, "random_state": seed, **settings})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            score = model.fit(X_train, y_train).score(X_test, y_test)
        except DivergenceError:
            score = -np.inf
    return model, score


def study(seeds: int, is_verbose: bool) -> tuple[dict[str, Counter], Counter]:
    """Count findings by label, and the networks that show nothing."""
    found: dict[str, Counter] = defaultdict(Counter)
    passed_over: Counter = Counter()
    jobs = [("healthy", settings) for settings in sound()] + list(spoilt())
    for (label, settings), name, seed in product(jobs, LOADERS, range(seeds)):
        if settings.get("is_scaled") is False and name == "digits":
            continue  # pixels have one scale
        model, score = train(name, settings, seed)
        if (score >= USUAL_SCORE[name]) != (label == "healthy"):
            passed_over[label] += 1
            continue
        kinds = {f.kind for f in diagnose(model)} - {"not_recorded"}
        found[label]["networks"] += 1
        found[label]["right"] += label in kinds
        found[label]["false"] += bool(kinds - {label} - AKIN.get(label, set()))
        found[label].update(kinds)
        if is_verbose and kinds != {label}:
            print(f"{label}: {sorted(kinds)} {name} {seed} {score:.2f} {settings}")
    return found, passed_over


def report(found: dict[str, Counter], passed_over: Counter) -> None:
    """Print the confusion table."""
    for label, counts in found.items():
        others = ", ".join(
            f"{kind} {count}"
            for kind, count in counts.most_common()
            if kind not in ("networks", "right", "false", label)
        )
        print(
            f"{label:20s} {counts['networks']:4d} networks, told rightly "
            f"{counts['right']:4d}, falsely {counts['false']:3d}, passed over "
            f"{passed_over[label]:3d}   also: {others or '-'}"
        )


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    report(*study(options.seeds, options.verbose))


if __name__ == "__main__":
    main()
