"""Store small fitted models, for tests of later releases to read.

Run it once per release, in the environment with the oldest dependencies, for pickles of
old releases of NumPy and scikit-learn are read by newer ones and not the other way
round: ``.venv-oldest/bin/python tools/store_models.py tests/data/models``.
"""

import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import skops.io
from sklearn.exceptions import ConvergenceWarning

import sklearn_backprop
from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    GDLinearRegression,
    TabularMLPRegressor,
)
from sklearn_backprop.neural_network import PiecewiseLinearEmbedding


def make_models():
    """Name -> (fitted model, its rows)."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3))
    Y = np.column_stack([np.sin(X[:, 0]) + X[:, 1], X[:, 1] * X[:, 2]])
    names = np.array(["low", "middle", "high"])[np.digitize(Y[:, 0], [-0.5, 0.7])]
    small = X.astype(np.float32)
    common = {"max_iter": 5, "random_state": 0, "learning_rate_init": 0.01}
    classifier = BackpropMLPClassifier(
        (4, 3, 3), residual="add", normalization="batch", dropout=0.1, solver="adamw",
        early_stopping=True, class_weight="balanced", **common,
    )  # fmt: skip
    regressor = BackpropMLPRegressor(
        (3, 4), activation=["gelu", "tanh"], residual="concat", normalization="layer",
        loss="huber", clip=1.0, **common,
    )  # fmt: skip
    gaps = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    embedded = BackpropMLPClassifier(
        (4,), numerical_embedding=PiecewiseLinearEmbedding(4, 3),
        embedded_features=[0, 1, 2], n_members=2, member_weights="adapters", **common,
    )  # fmt: skip
    codes = np.where(rng.random((40, 1)) < 0.1, np.nan, rng.integers(0, 3, (40, 1)))
    table = np.column_stack([gaps, codes]).astype(np.float32)
    tabular = TabularMLPRegressor(
        (4,), numerical_embedding=PiecewiseLinearEmbedding(4, 3), n_members=2,
        categorical_features=[3], batch_size=10, **common,
    )  # fmt: skip
    return {
        "classifier": (classifier.fit(X, names), X),
        "regressor": (regressor.fit(small, Y), small),
        "embedded": (embedded.fit(gaps, names), gaps),
        "table": (tabular.fit(table, Y[:, 0]), table),
        "descent": (GDLinearRegression(track_path=True, max_iter=20).fit(X, Y), X),
        "normal": (GDLinearRegression(solver="normal").partial_fit(X, Y[:, 0]), X),
    }


def main(folder: Path) -> None:
    """Write each model as pickle and skops, and what it predicts."""
    folder = folder / sklearn_backprop.__version__
    folder.mkdir(parents=True, exist_ok=True)
    for name, (model, X) in make_models().items():
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(model, protocol=4))
        skops.io.dump(model, folder / f"{name}.skops", compression=8, compresslevel=9)
        probabilities = getattr(model, "predict_proba", model.predict)(X)
        weights = [*getattr(model, "coefs_", [getattr(model, "coef_", None)])]
        np.savez_compressed(
            folder / f"{name}.npz",
            X=X,
            predict=model.predict(X),
            predict_proba=probabilities,
            weights=np.concatenate([W.ravel() for W in weights]),
        )
        print(name, *(path.stat().st_size for path in sorted(folder.glob(f"{name}.*"))))


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    main(Path(sys.argv[1]))
