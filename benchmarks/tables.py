"""Accuracy on real tables: presets, boosted trees and scikit-learn's perceptron.

Every model sees the same rows: a fifth of the training rows, drawn by the seed, is kept
for stopping, unless a set comes with validation rows. Nothing was chosen by test rows.
"""

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from measuring import MEGABYTE, forget_peak, peak_bytes
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
)

DATA = Path(__file__).parent / "data"
TREES = 2000  # most trees of a booster that stops by validation rows
PATIENCE = 50  # trees without improvement
PARTS = ("train", "val", "test")


class Split(NamedTuple):
    """Training, validation and test rows, each X and y."""

    train: tuple[Any, Any]
    val: tuple[Any, Any]
    test: tuple[Any, Any]


# --- the sets
def california(seed: int) -> Iterator[Split]:
    """Yield the split of the papers on deep learning for tables."""
    with np.load(DATA / "california_housing.npz") as data:
        parts = [(data[f"X_{part}"], data[f"y_{part}"]) for part in PARTS]
    yield Split(*parts)


def magic(seed: int) -> Iterator[Split]:
    """Yield five folds of gamma-telescope events."""
    table = pd.read_csv(DATA / "magic.csv.gz")
    X, label = table.iloc[:, :-1], table.iloc[:, -1]
    yield from _folds(X, (label == "g").to_numpy().astype(int), seed)


def txhousing(seed: int) -> Iterator[Split]:
    """Yield years before 2013, and those from 2013 on as test rows."""
    table = pd.read_csv(DATA / "txhousing.csv.gz")
    table = table[table["median"].notna()].reset_index(drop=True)
    X, y = table.drop(columns=["median"]), table["median"].to_numpy()
    later = (table["year"] >= 2013).to_numpy()
    yield _with_validation(X[~later], y[~later], (X[later], y[later]), seed)


def diabetes(seed: int) -> Iterator[Split]:
    """Yield five folds of 442 patients."""
    yield from _folds(*load_diabetes(return_X_y=True, as_frame=True), seed)


def breast_cancer(seed: int) -> Iterator[Split]:
    """Yield five folds of 569 tumours."""
    yield from _folds(*load_breast_cancer(return_X_y=True, as_frame=True), seed)


def digits(seed: int) -> Iterator[Split]:
    """Yield five folds of 1797 pictures of 64 pixels."""
    yield from _folds(*load_digits(return_X_y=True, as_frame=True), seed)


def terrain(seed: int) -> Iterator[Split]:
    """Yield 400 000 made-up rows of 10 numbers and 44 columns of 0 and 1, 7 classes."""
    rng = np.random.default_rng(seed)
    n, waves = 500_000, 60
    numbers = rng.normal(size=(n, 10)).astype(np.float32)
    area, soil = rng.integers(0, 4, n), rng.integers(0, 40, n)
    binary = np.hstack([np.eye(4)[area], np.eye(40)[soil]]).astype(np.float32)
    scores = (
        np.sin(numbers @ rng.normal(size=(10, waves)))
        @ rng.normal(size=(waves, 7))
        / np.sqrt(waves)
    )
    scores += rng.normal(size=(40, 7))[soil] + 0.3 * rng.gumbel(size=(n, 7))
    X, y = pd.DataFrame(np.hstack([numbers, binary])), scores.argmax(axis=1)
    given = X[400_000:], y[400_000:]
    yield _with_validation(X[:400_000], y[:400_000], given, seed)


def _folds(X, y, seed: int) -> Iterator[Split]:
    y = np.asarray(y)
    kind = KFold if y.dtype.kind == "f" else StratifiedKFold
    for train, test in kind(5, shuffle=True, random_state=seed).split(X, y):
        given = X.iloc[test], y[test]
        yield _with_validation(X.iloc[train], y[train], given, seed)


def _with_validation(X, y, test, seed: int) -> Split:
    strata = None if y.dtype.kind == "f" else y
    X, X_val, y, y_val = train_test_split(
        X, y, test_size=0.2, random_state=seed, stratify=strata
    )
    return Split((X, y), (X_val, y_val), test)


SETS: dict[str, Callable[[int], Iterator[Split]]] = {
    "california": california,
    "magic": magic,
    "txhousing": txhousing,
    "diabetes": diabetes,
    "breast_cancer": breast_cancer,
    "digits": digits,
}
LARGE_SETS = {"terrain": terrain}  # tried where they are named


# --- the models: each fits and predicts as scikit-learn's do, X_val and y_val besides
class Preset:
    """TabularMLPClassifier or TabularMLPRegressor, at its defaults otherwise."""

    def __init__(self, **settings):
        self.settings = settings

    def fit(self, split: Split, is_labels: bool, seed: int):
        """Train."""
        kind = TabularMLPClassifier if is_labels else TabularMLPRegressor
        X_val, y_val = split.val
        model = kind(random_state=seed, **self.settings)
        return model.fit(*split.train, X_val=X_val, y_val=y_val)


class Trees:
    """Boosted trees, which take columns of strings as categories."""

    def __init__(self, make: Callable):
        self.make = make

    def fit(self, split: Split, is_labels: bool, seed: int):
        """Grow."""
        X = pd.DataFrame(split.train[0])
        self.categories = {
            name: pd.CategoricalDtype(X[name].dropna().unique())
            for name in X
            if not pd.api.types.is_numeric_dtype(X[name])
        }
        parts = [(self.columns(X), y) for X, y in split]
        self.model = self.make(
            parts[0], parts[1], list(self.categories), is_labels, seed
        )
        self.classes_ = getattr(self.model, "classes_", None)
        return self

    def columns(self, X):
        """Columns as trees take them."""
        return pd.DataFrame(X).astype(self.categories)

    def predict(self, X):
        """Numbers."""
        return self.model.predict(self.columns(X))

    def predict_proba(self, X):
        """Probabilities."""
        return self.model.predict_proba(self.columns(X))


def hist_gradient_boosting(train, val, categories, is_labels, seed):
    """At all its defaults, 100 trees."""
    classes = HistGradientBoostingClassifier, HistGradientBoostingRegressor
    return classes[not is_labels](random_state=seed).fit(*train)


def xgboost(train, val, categories, is_labels, seed):
    """At its defaults, but as many trees as the validation rows want."""
    from xgboost import XGBClassifier, XGBRegressor

    return (XGBClassifier if is_labels else XGBRegressor)(
        n_estimators=TREES,
        early_stopping_rounds=PATIENCE,
        enable_categorical=True,
        random_state=seed,
        n_jobs=2,
    ).fit(*train, eval_set=[val], verbose=False)


def lightgbm(train, val, categories, is_labels, seed):
    """At its defaults, but as many trees as the validation rows want."""
    from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping

    return (LGBMClassifier if is_labels else LGBMRegressor)(
        n_estimators=TREES, random_state=seed, n_jobs=2, verbose=-1
    ).fit(*train, eval_set=[val], callbacks=[early_stopping(PATIENCE, verbose=False)])


def catboost(train, val, categories, is_labels, seed):
    """At its defaults, but as many trees as the validation rows want."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    texts = [(X.astype(dict.fromkeys(categories, str)), y) for X, y in (train, val)]
    return (CatBoostClassifier if is_labels else CatBoostRegressor)(
        iterations=TREES,
        early_stopping_rounds=PATIENCE,
        cat_features=categories,
        random_seed=seed,
        thread_count=2,
        allow_writing_files=False,
        verbose=False,
    ).fit(*texts[0], eval_set=texts[1])


def prepared_columns():
    """Make what writes a table as users of perceptrons do: standardised, one-hot."""
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    labels = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (labels, make_column_selector(dtype_exclude="number")),
    )
    return make_pipeline(FunctionTransformer(pd.DataFrame), columns)


class SklearnMLP:
    """scikit-learn's perceptron, its table prepared as its users do."""

    def fit(self, split: Split, is_labels: bool, seed: int):
        """Train; a tenth of the rows is held out, for it takes no validation rows."""
        settings = {"early_stopping": True, "random_state": seed}
        if is_labels:
            model = MLPClassifier((256, 256), **settings)
        else:
            model = TransformedTargetRegressor(
                MLPRegressor(hidden_layer_sizes=(256, 256), **settings),
                transformer=StandardScaler(),
            )
        return make_pipeline(prepared_columns(), model).fit(*split.train)


class PlainMLP:
    """Our perceptron at its defaults, on the same prepared table."""

    def fit(self, split: Split, is_labels: bool, seed: int):
        """Train."""
        self.columns = prepared_columns()
        X = self.columns.fit_transform(split.train[0])
        X_val = self.columns.transform(split.val[0])
        y, y_val = (np.asarray(y) for _, y in split[:2])
        kind = BackpropMLPClassifier if is_labels else BackpropMLPRegressor
        self.mean, self.spread = (0.0, 1.0) if is_labels else (y.mean(), y.std())
        if not is_labels:
            y, y_val = ((y - self.mean) / self.spread for y in (y, y_val))
        self.model = kind((256, 256), random_state=seed)
        self.model.fit(X, y, X_val=X_val, y_val=y_val)
        self.classes_ = getattr(self.model, "classes_", None)
        return self

    def predict(self, X):
        """Numbers."""
        return self.mean + self.spread * self.model.predict(self.columns.transform(X))

    def predict_proba(self, X):
        """Probabilities."""
        return self.model.predict_proba(self.columns.transform(X))


MODELS: dict[str, Callable[[], Any]] = {
    "TabularMLP": Preset,
    "TabularMLP, 1 member": partial(Preset, n_members=1),
    "HistGradientBoosting": partial(Trees, hist_gradient_boosting),
    "XGBoost": partial(Trees, xgboost),
    "LightGBM": partial(Trees, lightgbm),
    "CatBoost": partial(Trees, catboost),
    "sklearn MLP": SklearnMLP,
    "BackpropMLP": PlainMLP,
}


def installed_models() -> list[str]:
    """Name the models that can be tried here."""
    return [
        name
        for name in MODELS
        if name not in ("XGBoost", "LightGBM", "CatBoost")
        or importlib.util.find_spec(name.lower())
    ]


# --- figures
def figures(model, split: Split, is_labels: bool) -> dict[str, float]:
    """Score the test rows; the Brier score is the sum over classes."""
    X, y = split.test
    if not is_labels:
        return {"RMSE": float(np.sqrt(np.mean((model.predict(X) - y) ** 2)))}
    p = np.asarray(model.predict_proba(X), dtype=float)
    p /= p.sum(axis=1, keepdims=True)
    classes = np.asarray(model.classes_)
    hot = y[:, None] == classes
    auc = {"AUC": roc_auc_score(hot[:, 1], p[:, 1])} if len(classes) == 2 else {}
    return {
        "accuracy": accuracy_score(y, classes[p.argmax(axis=1)]),
        **auc,
        "log loss": log_loss(y, p, labels=classes),
        "Brier": float(np.mean(np.sum((p - hot) ** 2, axis=1))),
    }


# What a fit takes; of memory, all that the process has resident.
COSTS = ("s", "s of processors", "MB at the peak")


def try_model(name: str, table: str, seed: int) -> dict[str, float]:
    """Fit to every split of a set; mean figures, and what a fit takes."""
    rows = []
    for split in {**SETS, **LARGE_SETS}[table](seed):
        is_labels = np.asarray(split.train[1]).dtype.kind != "f"
        forget_peak()
        start, processor_start = time.perf_counter(), time.process_time()
        model = MODELS[name]().fit(split, is_labels, seed)
        taken = (
            time.perf_counter() - start,
            time.process_time() - processor_start,
            peak_bytes() / MEGABYTE,
        )
        costs = dict(zip(COSTS, taken, strict=True))
        rows.append({**figures(model, split, is_labels), **costs})
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def run_tables(options: argparse.Namespace) -> None:
    """Compare the presets for raw tables with boosted trees, on each set."""
    warnings.simplefilter("ignore")  # of peers, that fits are short or names change
    for table in options.sets or SETS:
        print(f"{table}: mean +- standard deviation of {options.seeds} seeds")
        for name in options.models or installed_models():
            trials = [try_model(name, table, seed) for seed in range(options.seeds)]
            columns = [
                f"{np.mean(values):.1f} {key}"
                if key in COSTS
                else f"{key} {np.mean(values):.4f} +- {np.std(values):.4f}"
                for key in trials[0]
                for values in [[trial[key] for trial in trials]]
            ]
            print(f"  {name:<22}{'  '.join(columns)}", flush=True)
