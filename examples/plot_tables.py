"""
========================================================
A raw table: linear, network, preset, trees side by side
========================================================

Flats to let, as a table comes: areas with gaps, districts by name, truth values. The
rent follows the area by a curve with a kink and a step, each district has a level, and
top floors are dear only where there is a lift. Five models learn it from the same rows:

- a ridge regression and a plain perceptron, on columns prepared by hand;
- :class:`~sklearn_backprop.TabularMLPRegressor`, which takes the table as it is, as one
  network and as an ensemble of sixteen;
- scikit-learn's HistGradientBoostingRegressor, which takes it, too.

On the right is the rent of one flat as its area grows: a line, a curve that rounds the
corner off, and an embedding that has a bend at every edge of its bins. Trees know steps
alone, so that they follow a slope by stairs.

Run it as ``python examples/plot_tables.py [--output PICTURE.png]``.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_backprop import BackpropMLPRegressor, TabularMLPRegressor

# %%
# The table
# ---------
# An array of objects, so that pandas is not needed; a data frame would have names.

NUMBERS, LABELS = [0, 1, 2, 4], [3, 5]  # area, floor, age, lift; district, heating
DISTRICTS = np.array([f"district {i}" for i in range(1, 24)])
HEATING = np.array(["gas", "district heating", "oil", "none"])


def rent_by_area(area: np.ndarray) -> np.ndarray:
    """Rent in EUR: 12 per square metre, 5 beyond 90, less where it is subsidised."""
    return 12 * np.minimum(area, 90) + 5 * np.maximum(area - 90, 0) - 150 * (area < 55)


def flats(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows (n, 6) of objects and their rents (n,)."""
    rng = np.random.default_rng(seed)
    area = rng.gamma(6, 13, n)
    floor, age = rng.integers(0, 8, n), rng.integers(0, 120, n)
    district, heating = rng.integers(0, 23, n), rng.integers(0, 4, n)
    lift = rng.random(n) < 0.5
    level = np.random.default_rng(0).normal(0, 120, 23)
    rent = rent_by_area(area) + level[district] + np.where(lift, 25, -25) * floor
    rent += 150 * (age > 80) - 90 * (heating == 3) + rng.normal(0, 40, n)
    known_age = np.where(rng.random(n) < 0.2, np.nan, age)
    columns = area, floor, known_age, DISTRICTS[district], lift, HEATING[heating]
    return np.array(list(zip(*columns, strict=True)), dtype=object), rent


# %%
# The models
# ----------
# Two of them need their columns prepared, and a target of usual size.


def prepared(model):
    """Put a model behind columns without gaps, scaled, and labels as 0 and 1."""
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    labels = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    columns = make_column_transformer((numbers, NUMBERS), (labels, LABELS))
    pipeline = make_pipeline(columns, model)
    return TransformedTargetRegressor(pipeline, transformer=StandardScaler())


def models() -> dict:
    """Models by the names that the picture has."""
    plain = BackpropMLPRegressor(
        (64, 64), early_stopping=True, n_iter_no_change=20, random_state=0
    )
    trees = HistGradientBoostingRegressor(categorical_features=LABELS, random_state=0)
    return {
        "linear (ridge)": prepared(RidgeCV(np.logspace(-3, 3, 7))),
        "plain network": prepared(plain),
        "preset, 1 member": TabularMLPRegressor((64, 64), n_members=1, random_state=0),
        "preset, 16 members": TabularMLPRegressor((64, 64), random_state=0),
        "boosted trees": _OnCodes(trees),
    }


class _OnCodes:
    """Trees behind codes of the labels, which are categories to them."""

    def __init__(self, trees):
        self.trees = trees

    def codes(self, X):
        """Write labels as numbers."""
        X = X.copy()
        X[:, 3] = np.searchsorted(np.sort(DISTRICTS), X[:, 3].astype(str))
        X[:, 5] = np.searchsorted(np.sort(HEATING), X[:, 5].astype(str))
        return X.astype(float)

    def fit(self, X, y):
        """Grow the trees."""
        self.trees.fit(self.codes(X), y)
        return self

    def predict(self, X):
        """Ask the trees."""
        return self.trees.predict(self.codes(X))


# %%
# Errors on new flats, and one flat as it grows
# ---------------------------------------------

COLOURS = ["#999999", "#E69F00", "#56B4E9", "#0072B2", "#009E73"]


def main() -> None:
    """Fit, print the errors and draw."""
    parser = argparse.ArgumentParser(description="Compare models on a raw table.")
    parser.add_argument("--output", type=Path, default=Path("plot_tables.png"))
    options = parser.parse_args()

    X, rent = flats(2000, seed=1)
    X_test, rent_test = flats(2000, seed=2)
    fitted = {name: model.fit(X, rent) for name, model in models().items()}
    errors = {
        name: np.sqrt(np.mean((model.predict(X_test) - rent_test) ** 2))
        for name, model in fitted.items()
    }
    for name, error in errors.items():
        print(f"{name:<20}error of the rent: {error:.1f} EUR")

    area = np.linspace(30, 150, 241)
    growing = np.repeat(X_test[:1], len(area), axis=0)
    growing[:, 0] = area

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    left.barh(list(errors), list(errors.values()), color=COLOURS)
    left.axvline(40, color="black", linestyle=":", label="noise of the data")
    left.invert_yaxis()
    left.set(xlabel="root mean square error in EUR", title="New flats")
    left.legend()
    truth = rent_by_area(area)
    right.plot(area, truth - truth.mean(), color="black", linestyle=":", label="truth")
    for (name, model), colour in zip(fitted.items(), COLOURS, strict=True):
        if name != "preset, 1 member":
            curve = model.predict(growing)
            right.plot(area, curve - curve.mean(), color=colour, label=name)
    right.set(
        xlabel="area in square metres",
        ylabel="rent in EUR, less its mean",
        title="One flat as it grows",
    )
    right.legend()
    figure.savefig(options.output, dpi=100)
    print(f"saved {options.output}")


if __name__ == "__main__":
    main()
