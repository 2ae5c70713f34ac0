"""Accuracy beside published and peers' figures, on real tables.

``python benchmarks/accuracy.py california`` trains the multilayer perceptron of
Gorishniy, Rubachev and Babenko (2022, "On Embeddings for Numerical Features in Tabular
Deep Learning"), who print a test RMSE of 0.4947 +- 0.0043 for it, on their split of
California housing.

``python benchmarks/accuracy.py classification`` compares 10-fold cross-validated
accuracy on digits and breast cancer with scikit-learn's, fold by fold and seed by seed.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from sklearn_backprop import BackpropMLPClassifier, BackpropMLPRegressor

CALIFORNIA = Path(__file__).parent / "data" / "california_housing.npz"
PUBLISHED = "Gorishniy et al. (2022): 0.4947 +- 0.0043"


def california_split() -> dict:
    """Return the split, features made normal, target standardised by training rows."""
    with np.load(CALIFORNIA) as data:
        split = {name: data[name] for name in data}
    transformer = QuantileTransformer(output_distribution="normal", random_state=0)
    transformer.fit(split["X_train"])
    for part in ("train", "val", "test"):
        X = transformer.transform(split[f"X_{part}"])
        split[f"X_{part}"] = X.astype(np.float32)
    mean, scale = split["y_train"].mean(), split["y_train"].std()
    for part in ("train", "val"):
        split[f"y_{part}"] = ((split[f"y_{part}"] - mean) / scale).astype(np.float32)
    return {**split, "mean": mean, "scale": scale}


def california_rmse(split: dict[str, np.ndarray], seed: int) -> tuple[float, int]:
    """Return the test RMSE in 100 000 $ and the number of epochs of one training."""
    model = BackpropMLPRegressor(
        (586, 65),
        init="lecun_uniform",  # and a third of its variance: PyTorch's, as published
        init_scale=3**-0.5,
        dropout=0.28,
        solver="adam",
        alpha=0.0,
        learning_rate_init=3.5e-3,
        batch_size=256,
        n_iter_no_change=16,
        tol=0.0,
        max_iter=1000,
        random_state=seed,
    )
    model.fit(
        split["X_train"], split["y_train"], X_val=split["X_val"], y_val=split["y_val"]
    )
    predicted = model.predict(split["X_test"]) * split["scale"] + split["mean"]
    return float(np.sqrt(np.mean((predicted - split["y_test"]) ** 2))), model.n_iter_


def run_california(options: argparse.Namespace) -> None:
    """Train the published network with several seeds."""
    split = california_split()
    errors = []
    for seed in range(options.seeds):
        start = time.perf_counter()
        error, n_epochs = california_rmse(split, seed)
        seconds = time.perf_counter() - start
        errors.append(error)
        print(
            f"seed {seed}: test RMSE {error:.4f}, {n_epochs} epochs, {seconds:.1f} s",
            flush=True,
        )
    print(
        f"mean of {len(errors)} seeds {np.mean(errors):.4f} +- {np.std(errors):.4f}; "
        f"{PUBLISHED}"
    )


def run_classification(options: argparse.Namespace) -> None:
    """Compare cross-validated accuracies with scikit-learn's, at the defaults."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    tables = {"digits": load_digits, "breast cancer": load_breast_cancer}
    print(f"{'table':<15}{'seed':>5}{'ours':>9}{'scikit-learn':>14}")
    for name, load in tables.items():
        X, y = load(return_X_y=True)
        means = []
        for seed in range(options.seeds):
            folds = StratifiedKFold(10, shuffle=True, random_state=seed)
            row = [
                cross_val_score(
                    make_pipeline(StandardScaler(), clone(model)), X, y, cv=folds
                ).mean()
                for model in (
                    BackpropMLPClassifier(random_state=seed),
                    MLPClassifier(random_state=seed),
                )
            ]
            means.append(row)
            print(f"{name:<15}{seed:>5}{row[0]:9.4f}{row[1]:14.4f}", flush=True)
        ours, theirs = np.mean(means, axis=0)
        print(f"{name:<15}{'mean':>5}{ours:9.4f}{theirs:14.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    subjects = parser.add_subparsers(required=True, metavar="SUBJECT")
    for name, run in (
        ("california", run_california),
        ("classification", run_classification),
    ):
        subject = subjects.add_parser(name, help=run.__doc__)
        subject.add_argument("--seeds", type=int, default=5, help="default: 5")
        subject.set_defaults(run=run)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
