"""Use what is installed as a user would: fit, predict and store every estimator.

Run with the three run-time dependencies alone, and no compiler in reach.
"""

import pickle
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from sklearn.base import is_classifier
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_backprop as package
from sklearn_backprop import inspection  # needs no optional dependency

SOURCES = Path(__file__).resolve().parents[1]


def check(name: str) -> None:
    """Fit an estimator to a small table, and read it again from a pickle."""
    estimator = getattr(package, name)()
    random = {"random_state": 0} if hasattr(estimator, "random_state") else {}
    model = make_pipeline(StandardScaler(), estimator.set_params(**random))
    X, y = (load_iris if is_classifier(estimator) else load_diabetes)(return_X_y=True)
    y = y if is_classifier(estimator) else (y - y.mean()) / y.std()
    A, B, a, b = train_test_split(X, y, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of the defaults here
        score = model.fit(A, a).score(B, b)
    assert score > (0.9 if is_classifier(estimator) else 0.2), score
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert inspection.diagnose(model)
    print(f"{name}: {score:.3f}")


def main() -> None:
    """Check where the package comes from, then each estimator."""
    place = Path(package.__file__).resolve()
    assert SOURCES / "sklearn_backprop" not in place.parents, place
    assert package.__version__ == version("sklearn-backprop")
    print(f"sklearn_backprop {package.__version__}, Python {sys.version.split()[0]}")
    for name in package.__all__:
        check(name)


if __name__ == "__main__":
    main()
