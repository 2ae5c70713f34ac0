"""Accuracy beside published and peers' figures, on real tables.

``python benchmarks/accuracy.py california`` trains the multilayer perceptron of
Gorishniy, Rubachev and Babenko (2022, "On Embeddings for Numerical Features in Tabular
Deep Learning"), who print a test RMSE of 0.4947 +- 0.0043 for it, on their split of
California housing.

``python benchmarks/accuracy.py classification`` compares 10-fold cross-validated
accuracy on digits and breast cancer with scikit-learn's, fold by fold and seed by seed.

``python benchmarks/accuracy.py tables`` compares the presets for raw tables with
boosted trees (scikit-learn's; XGBoost, LightGBM and CatBoost where they are installed)
and with scikit-learn's perceptron, set by set.

``python benchmarks/accuracy.py sequences`` trains recurrent networks on spoken vowels
(Kudo et al., 1999) and daily loads (Keogh et al., 2006), by their official splits, and
on series that are made up, the adding problem among them.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from sequences import run_sequences
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler
from tables import LARGE_SETS, MODELS, SETS, run_tables

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
    scalers = {"none": "passthrough", "minmax": MinMaxScaler(), "std": StandardScaler()}
    print("accuracy under 10-fold cross-validation: ours, scikit-learn's, difference")
    for table, load in tables.items():
        X, y = load(return_X_y=True)
        for name, scaler in scalers.items():
            rows = [
                classification_row(scaler, seed, X, y) for seed in range(options.seeds)
            ]
            ours, theirs = np.mean(rows, axis=0)
            differences = np.diff(rows, axis=1)
            error = differences.std(ddof=1) / np.sqrt(len(rows))
            print(
                f"{table:<15}scaling: {name:<8}{ours:.4f}  {theirs:.4f}  "
                f"{ours - theirs:+.4f} +- {error:.4f}",
                flush=True,
            )


def classification_row(
    scaler, seed: int, X: np.ndarray, y: np.ndarray
) -> tuple[float, float]:
    """Score our classifier and scikit-learn's on the same folds with the same seed."""
    folds = StratifiedKFold(10, shuffle=True, random_state=seed)
    ours, theirs = (
        cross_val_score(make_pipeline(scaler, model), X, y, cv=folds).mean()
        for model in (
            BackpropMLPClassifier(random_state=seed),
            MLPClassifier(random_state=seed),
        )
    )
    return ours, theirs


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
    subject = subjects.add_parser("tables", help=run_tables.__doc__)
    subject.add_argument("--seeds", type=int, default=3, help="default: 3")
    subject.add_argument("--sets", nargs="*", choices=[*SETS, *LARGE_SETS])
    subject.add_argument("--models", nargs="*", choices=list(MODELS))
    subject.set_defaults(run=run_tables)
    subject = subjects.add_parser("sequences", help=run_sequences.__doc__)
    subject.add_argument("--seeds", type=int, default=5, help="default: 5")
    subject.add_argument(
        "--cross-validate", action="store_true", help="score folds of training rows too"
    )
    subject.set_defaults(run=run_sequences)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
