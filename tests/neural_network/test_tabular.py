"""The presets for raw tables: what comes in, what is settled, what comes out."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import eye_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_backprop.exchange import to_onnx
from sklearn_backprop.inspection import backpropagate, diagnose, input_gradients
from sklearn_backprop.neural_network import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    PiecewiseLinearEmbedding,
    TabularMLPClassifier,
    TabularMLPRegressor,
)
from sklearn_backprop.neural_network._numbers import StandardizingCoder
from sklearn_backprop.neural_network._table_sizes import settings_of_size
from sklearn_backprop.preprocessing import TableEncoder

SMALL = {"hidden_layer_sizes": (16,), "n_members": 3}
QUICK = {**SMALL, "max_iter": 4, "random_state": 0}
pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer. Maximum:sklearn.exceptions.ConvergenceWarning"
)


@parametrize_with_checks(
    [
        TabularMLPClassifier(**SMALL, max_iter=60),
        TabularMLPRegressor(**SMALL, max_iter=60),
    ]
)
def test_sklearn_check(estimator, check):
    check(estimator)


def table(n=200, seed=0):
    """Columns of every kind; y depends on four of them, one by what is missing."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({
        "size": rng.lognormal(size=n),
        "age": np.where(rng.random(n) < 0.3, np.nan, rng.integers(0, 90, n)),
        "colour": rng.choice(["red", "green", "blue"], n),
        "grade": pd.Categorical(rng.choice(["a", "b"], n), categories=["b", "a", "c"]),
        "old": rng.random(n) < 0.5,
        "maybe": pd.array(rng.choice([True, False, None], n), dtype="boolean"),
        "count": pd.array(rng.choice([1, 2, 3, None], n), dtype="Int64"),
        "day": np.datetime64("2020-01-01", "D") + rng.integers(0, 99, n),
        "nothing": np.nan,
        "one": 1.0,
        "rounded": np.where(rng.random(n) < 0.5, 0.3, 0.1 + 0.2),
    })  # fmt: skip
    effect = np.log(X["size"]) + (X["colour"] == "red") + X["age"].isna()
    return X, np.asarray(effect + 2.0 * X["old"], dtype=float)


X, Y = table()


def objects(X):
    return X.astype(object).to_numpy()


FORMS = {
    "polars": lambda X: pl.from_pandas(X),
    "array of objects": objects,
    "columns of objects": lambda X: X.astype(object),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_table_gives_the_same_model(form):
    X_plain = X.drop(columns=["day"])  # arrays of objects do not say what a date is
    expected = TabularMLPRegressor(**QUICK).fit(X_plain, Y)
    given = FORMS[form](X_plain)
    model = TabularMLPRegressor(**QUICK).fit(given, Y)
    assert_array_equal(model.predict(given), expected.predict(X_plain))
    if form == "columns of objects":  # names of polars' take a newer scikit-learn
        assert_array_equal(model.feature_names_in_, expected.feature_names_in_)


def test_what_becomes_of_columns():
    model = TabularMLPRegressor(**QUICK).fit(X, Y)
    assert dict(zip(X, model.table_encoder_.kinds_, strict=True)) == {
        "size": "number", "age": "number", "colour": "category", "grade": "category",
        "old": "binary", "maybe": "category", "count": "number", "day": "number",
        "nothing": "dropped", "one": "dropped", "rounded": "dropped",
    }  # fmt: skip
    # Numbers alone are embedded: "old" is one input, of 0 and 1.
    names = model.table_encoder_.get_feature_names_out()
    inputs = model._training.network.architecture.inputs
    assert list(names[inputs.embedded]) == ["size", "age", "count", "day"]
    assert list(names[inputs.coded]) == ["colour", "grade", "maybe"]
    assert list(names[inputs.as_they_are]) == ["age_missing", "count_missing", "old"]
    assert list(model.feature_names_in_) == list(X)
    assert model.n_features_in_ == X.shape[1]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X.rename(columns={"size": "length"}))
    with pytest.raises(ValueError, match=r"has 3 features, but .* is expecting 11"):
        TabularMLPRegressor(**QUICK).fit(objects(X), Y).predict(objects(X)[:, :3])


def test_names_that_are_missing_are_said_once():
    numbers = X[["size", "age"]]
    model = TabularMLPRegressor(**QUICK).fit(numbers, Y)
    with pytest.warns(UserWarning, match="X does not have valid") as warned:
        model.predict(numbers.to_numpy())
    assert len(warned) == 1


def test_the_encoder_inside_writes_arrays():
    expected = TabularMLPRegressor(**QUICK).fit(X, Y).predict(X)
    with config_context(transform_output="pandas"):
        model = TabularMLPRegressor(**QUICK).fit(X, Y)
        assert_array_equal(model.predict(X), expected)


def test_it_learns_from_every_kind_of_column():
    model = TabularMLPRegressor((32,), n_members=4, random_state=0).fit(*table(1500))
    assert model.score(*table(500, seed=1)) > 0.97


def test_it_is_a_perceptron_on_the_encoded_table_and_standardised_targets():
    """Numbers alone, for the perceptron takes no codes."""
    rng = np.random.default_rng(1)
    X = rng.lognormal(size=(150, 3))
    y = 1e6 + 1e3 * X[:, 0]
    weight = rng.integers(0, 3, 150)
    X_val, y_val = rng.lognormal(size=(50, 3)), rng.normal(1e6, 1e3, 50)
    model = TabularMLPRegressor(**QUICK, batch_size=40, averaging=0.0)
    model.fit(X, y, weight, X_val=X_val, y_val=y_val)
    encoder = TableEncoder(dtype=np.float32).fit(X, sample_weight=weight)
    mean = np.average(y, weights=weight)
    spread = np.sqrt(np.average((y - mean) ** 2, weights=weight))
    shared = set(BackpropMLPRegressor().get_params()) & set(model.get_params())
    own = {name: getattr(model, name) for name in shared}
    own |= model.choices_ | {"early_stopping": False}
    plain = BackpropMLPRegressor(**own).fit(
        encoder.transform(X), (y - mean) / spread, weight,
        X_val=encoder.transform(X_val), y_val=(y_val - mean) / spread,
    )  # fmt: skip
    outputs = plain.predict(encoder.transform(X_val)).astype(float)
    assert_allclose(model.predict(X_val), mean + spread * outputs, rtol=1e-12)
    assert_allclose(model.validation_scores_, plain.validation_scores_, rtol=1e-5)
    assert_allclose(model.target_mean_, [mean])
    assert_allclose(model.target_spread_, [spread])


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "quantile"])
def test_the_unit_of_y_changes_nothing(loss):
    y = np.exp(Y)
    big = TabularMLPRegressor(**QUICK, loss=loss).fit(X, 2.0**40 * y)
    small = TabularMLPRegressor(**QUICK, loss=loss).fit(X, y)
    assert_allclose(big.predict(X), 2.0**40 * small.predict(X), rtol=1e-12)


def test_targets_of_any_size_and_without_spread():
    for y in (np.array([-1.7e308, 1.7e308, 0.0]), np.full(3, 5.0), np.zeros(3)):
        for loss in ("squared_error", "poisson"):
            y = np.abs(y) if loss == "poisson" else y
            coder = StandardizingCoder.of(loss, y, None)
            Y = coder.encode(y, np.float64)
            assert np.abs(Y).max() <= 3
            back = np.exp(np.log(Y)) if loss == "poisson" and Y.all() else Y
            assert_allclose(coder.decode(back), y, rtol=1e-12)
    model = TabularMLPRegressor(**QUICK).fit(X, np.full(len(X), 5.0))
    assert_allclose(model.predict(X), 5.0, atol=1.0)


def test_new_categories_and_gaps_are_no_error():
    model = TabularMLPClassifier(**QUICK).fit(X, Y > 0)
    new = X.copy()
    new["colour"] = "violet"
    new[["size", "old", "grade"]] = None, None, None
    new["old"] = new["old"].astype("boolean")
    p = model.predict_proba(new)
    assert np.isfinite(p).all()
    others = X.copy()
    others["colour"] = "also unknown"
    violet = X.copy()
    violet["colour"] = "violet"
    assert_array_equal(model.predict_proba(others), model.predict_proba(violet))


def test_infinite_numbers_are_an_error():
    bad = X.copy()
    bad.loc[3, "size"] = np.inf
    with pytest.raises(ValueError, match=r"Column 'size' of X has 1 infinite value"):
        TabularMLPRegressor(**QUICK).fit(bad, Y)
    model = TabularMLPRegressor(**QUICK).fit(X, Y)
    with pytest.raises(ValueError, match="the first in row 3"):
        model.predict(bad)
    with pytest.raises(ValueError, match=r"infinity|NaN"):
        TabularMLPRegressor(**QUICK).fit(X, np.where(Y > 1, np.inf, Y))
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        TabularMLPRegressor(**QUICK).fit(eye_array(9).tocsr(), np.arange(9))


@pytest.mark.parametrize(
    ("model", "bad_X", "bad_y", "error", "message"),
    [
        (
            TabularMLPRegressor,
            X["size"],
            Y,
            ValueError,
            "Expected (2D array, got 1D|a 2-dimensional)",
        ),
        (
            TabularMLPRegressor,
            pl.LazyFrame({"size": [1.0]}),
            Y,
            TypeError,
            r"pass X\.collect\(\)",
        ),
        (
            TabularMLPRegressor,
            pl.DataFrame({"size": [{"a": 1.0, "b": i} for i in range(len(X))]}),
            Y,
            TypeError,
            "Column 'size' of X holds 2 values in each row",
        ),
        (
            TabularMLPRegressor,
            pd.concat([X["size"], X["size"]], axis=1),
            Y,
            ValueError,
            "several columns of the name 'size'",
        ),
        (
            TabularMLPRegressor,
            X.assign(size=1j * np.arange(len(X))),
            Y,
            ValueError,
            "Complex data not supported: column 'size' of X holds 0j",
        ),
        (
            TabularMLPRegressor,
            X,
            np.datetime64("2020-01-01") + np.arange(len(X)),
            ValueError,
            "y holds dates",
        ),
        (
            TabularMLPClassifier,
            X,
            np.array(["yes", None] * (len(X) // 2), dtype=object),
            ValueError,
            f"None in {len(X) // 2} .* the first is row 1",
        ),
        (TabularMLPClassifier, X, Y, ValueError, "Unknown label type: continuous"),
        (
            TabularMLPRegressor,
            np.full((len(X), 1), 10**400, dtype=object),
            Y,
            ValueError,
            "Column 0 of X holds an integer beyond the largest float",
        ),
        (
            TabularMLPRegressor,
            X,
            [10**400] * len(X),
            ValueError,
            "y holds an integer beyond the largest float",
        ),
    ],
)
def test_what_came_in_is_named_where_it_cannot_work(
    model, bad_X, bad_y, error, message
):
    with pytest.raises(error, match=message):
        model(**QUICK).fit(bad_X, bad_y)


def test_one_row_one_class_and_nothing_that_varies():
    row = X.iloc[:1]
    assert_allclose(TabularMLPRegressor(**QUICK).fit(row, [7.0]).predict(row), 7, 0.2)
    one = TabularMLPClassifier(**QUICK).fit(X, ["yes"] * len(X))
    assert set(one.predict(X)) == {"yes"}
    y = np.arange(100) < 25
    same = TabularMLPClassifier(**SMALL, random_state=0)
    same.set_params(early_stopping=False, learning_rate_init=0.02)
    same.fit(np.ones((100, 2)), y)  # without a warning of dead units
    assert_allclose(same.predict_proba(np.ones((1, 2))), [[0.75, 0.25]], atol=0.02)


@pytest.mark.parametrize("weight", [None, [0.0] * 9 + [1.0]])
def test_one_row_leaves_none_to_train_on(weight):
    n_rows = 1 if weight is None else len(weight)
    model = TabularMLPRegressor(**{**QUICK, "early_stopping": True})
    with pytest.raises(ValueError, match="The validation set is too small"):
        model.fit(X[:n_rows], Y[:n_rows], weight)


def test_a_class_of_one_row_is_no_hindrance():
    y = np.zeros(len(X), dtype=int)
    y[5] = 1
    assert TabularMLPClassifier(**QUICK).fit(X, y).score(X, y) > 0.9


def test_several_targets_weights_and_labels():
    both = np.column_stack([Y, -100 * Y + 5])
    model = TabularMLPRegressor((32,), n_members=4, random_state=0).fit(X, both)
    assert model.predict(X).shape == both.shape
    assert model.score(X, both) > 0.9
    labels = np.column_stack([Y > 0, Y > 1, Y < 0]).astype(int)
    many = TabularMLPClassifier(**QUICK).fit(X, labels)
    assert many.predict_proba(X).shape == (len(X), 3)
    assert set(np.unique(many.predict(X))) <= {0, 1}
    rare = np.argsort(np.argsort(Y)) >= 190
    plain, even = (
        TabularMLPClassifier(
            **QUICK, class_weight=weight, learning_rate_init=0.02, early_stopping=False
        ).fit(X, rare)
        for weight in (None, "balanced")
    )
    assert even.predict_proba(X)[:, 1].mean() > 2 * plain.predict_proba(X)[:, 1].mean()


@pytest.mark.parametrize("Estimator", [TabularMLPClassifier, TabularMLPRegressor])
def test_rows_without_weight_are_not_there(Estimator):
    y = Y > 0 if Estimator is TabularMLPClassifier else Y
    weight = (np.arange(len(Y)) < 150).astype(float)
    model = Estimator(**QUICK, early_stopping=False)
    weighted = clone(model).fit(X, y, weight)
    short = clone(model).fit(X[:150], y[:150])
    kinds = zip(
        weighted.table_encoder_.knots_, short.table_encoder_.knots_, strict=True
    )
    assert all(a is b or np.array_equal(a, b) for a, b in kinds)
    assert_allclose(
        weighted._forward(X, raw=True),
        short._forward(X, raw=True),
        rtol=1e-4,
        atol=1e-5,
    )


def test_validation_rows_pickles_and_clones():
    model = TabularMLPRegressor(**QUICK)
    model.fit(X[:150], Y[:150], X_val=X[150:], y_val=Y[150:])
    assert_allclose(max(model.validation_scores_), model.score(X[150:], Y[150:]))
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(X), model.predict(X))
    assert again.choices_ == model.choices_
    refit = clone(model).fit(X[:150], Y[:150], X_val=X[150:], y_val=Y[150:])
    assert_array_equal(refit.predict(X), model.predict(X))


def test_the_model_keeps_the_best_mean_of_weights():
    """By hand, from the weights after each epoch; means of the first count alike."""
    share, val = 0.6, {"X_val": X[150:], "y_val": Y[150:]}
    settings = {**QUICK, "averaging": 0.0, "n_members": 1}
    after = [
        TabularMLPRegressor(**{**settings, "max_iter": n}).fit(X[:150], Y[:150], **val)
        for n in range(1, 5)
    ]
    means = TabularMLPRegressor(**{**settings, "averaging": share})
    means.fit(X[:150], Y[:150], **val)
    assert means.loss_curve_ == after[-1].loss_curve_
    scores = after[-1].validation_scores_
    assert means.validation_scores_[0] == scores[0]
    assert (np.diff(scores) > 0).all()  # so that each of `after` has its last weights
    thetas = [model._training.network.theta for model in after]
    expected = thetas[0]
    for i, theta in enumerate(thetas[1:], start=2):
        so_far = min(share, 1 - 1 / i)
        expected = so_far * expected + (1 - so_far) * theta
    assert_allclose(means._training.network.theta, expected, rtol=1e-4, atol=1e-6)


def test_scores_are_of_probabilities():
    for y in (Y > 0, np.digitize(Y, [0, 1])):
        model = TabularMLPClassifier(**QUICK)
        model.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])
        found = log_loss(y[150:], model.predict_proba(X[150:]))
        assert_allclose(max(model.validation_scores_), -found, rtol=1e-5)


def test_verbose_says_what_is_left(capsys):
    settings = {**QUICK, "max_iter": 3, "n_iter_no_change": 1}
    TabularMLPRegressor(**settings, verbose=1).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        f"Iteration {i}" for i in (1, 2, 3)
    ]
    assert all("validation score" in line for line in lines)
    assert lines[-1].endswith("left = 0 s")


def test_training_goes_on():
    settings = {**QUICK, "dropout": 0.0, "early_stopping": False, "batch_size": 50}
    whole = TabularMLPRegressor(**settings).fit(X, Y)
    halves = TabularMLPRegressor(**{**settings, "max_iter": 2}, warm_start=True)
    halves.fit(X, Y).fit(X, Y)
    assert_array_equal(halves.predict(X), whole.predict(X))
    blocks = TabularMLPRegressor(**{**settings, "early_stopping": "auto"})
    for _ in range(4):
        blocks.partial_fit(X, Y)
    assert_array_equal(blocks.predict(X), whole.predict(X))
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        blocks.set_params(early_stopping=True).partial_fit(X, Y)


def test_one_network_steps_by_whole_matrices_of_many_rows():
    """From where mini-batches have 256 rows, and otherwise as "adamw" does."""
    many, y = table(6_400)
    settings = {"n_members": 1, "max_iter": 1, "early_stopping": False}

    def predictions(n_rows, **solver):
        model = TabularMLPRegressor((4, 4), random_state=0, **settings, **solver)
        return model.fit(many[:n_rows], y[:n_rows]).predict(many[:100])

    for n_rows, solver in ((6_399, "adamw"), (6_400, "muon")):
        assert_array_equal(predictions(n_rows), predictions(n_rows, solver=solver))


def test_what_is_set_between_two_fits_counts():
    model = TabularMLPRegressor(**QUICK, warm_start=True, early_stopping=False)
    first = model.fit(X, Y)._forward(X, raw=True)
    assert model.choices_["learning_rate_init"] == 0.002
    model.set_params(learning_rate_init=1e-30).fit(X, Y)
    assert_allclose(model._forward(X, raw=True), first, rtol=1e-5)
    assert model.learning_rate_curve_[-1] == 1e-30


def test_grid_search_reaches_bins_and_members():
    model = TabularMLPRegressor(
        (8,), numerical_embedding=PiecewiseLinearEmbedding(), max_iter=2, random_state=0
    )
    grid = {"numerical_embedding__n_bins": [2, 16], "n_members": [1, 2]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 4
    assert search.best_estimator_.predict(X).shape == (len(X),)


def test_columns_that_are_not_embedded():
    """They enter as normal quantiles, with zero and a column of their own for gaps."""
    for columns in (["size"], [0], np.arange(X.shape[1]) == 0):
        model = TabularMLPRegressor(**QUICK, embedded_features=columns).fit(X, Y)
        assert model._training.network.architecture.inputs.embedded == [0]
    none = TabularMLPRegressor(**QUICK, numerical_embedding=None).fit(X, Y)
    assert none._training.network.architecture.inputs.embedded == []
    for gappy in (model, none):
        assert np.isfinite(gappy.predict(X)).all()
        rows = gappy._encode_table(X)
        missing = list(gappy.table_encoder_.get_feature_names_out()).index
        assert (rows[X["age"].isna(), 1] == 0).all()
        assert_array_equal(rows[:, missing("age_missing")], X["age"].isna())


def test_what_auto_stands_for():
    model = TabularMLPRegressor((4,), random_state=0, max_iter=1).fit(X, Y)
    assert model.choices_ == {
        "batch_size": 32, "dropout": 0.1, "n_members": 16, "learning_rate": "constant",
        "learning_rate_init": 0.002, "weight_decay": 0.25, "solver": "adamw",
    }  # fmt: skip
    assert model._training.network.n_members == 16
    assert model.validation_scores_ is not None
    one = settings_of_size(1000, 1)
    assert (one["learning_rate_init"], one["weight_decay"]) == (0.001, 0.5)
    solvers = [settings_of_size(n, m)["solver"] for n in (6_399, 6_400) for m in (1, 2)]
    assert solvers == ["adamw", "adamw", "muon", "adamw"]
    few = TabularMLPRegressor((4,)).fit(X[:40], Y[:40])
    assert few.choices_["batch_size"] == 40
    assert few.choices_["dropout"] == 0
    assert few.validation_scores_ is None
    sizes = {n: settings_of_size(n, "auto") for n in (10, 64, 3_000, 50_000, 10**6)}
    assert [size["batch_size"] for size in sizes.values()] == [10, 32, 64, 512, 1024]
    assert [size["n_members"] for size in sizes.values()] == [16, 16, 16, 16, 4]
    assert [size["max_iter"] for size in sizes.values()] == [400, 400, 400, 80, 20]
    assert sizes[50_000]["learning_rate"] == "cosine"
    assert settings_of_size(50_000, 2)["max_iter"] == 400


def test_history_and_diagnosis_are_those_of_the_perceptrons():
    model = TabularMLPClassifier((32,), n_members=4, random_state=0).fit(X, Y > 0)
    history = model.gradient_history_
    n_epochs = len(model.loss_curve_)
    assert history["gradient_norm"].shape == (n_epochs, 3)
    assert model.gradient_history_names_[0] == "embedding bins"
    assert model.feature_scale_.max() < 5
    kinds = {finding.kind for finding in diagnose(model)}
    assert "feature_scales" not in kinds
    assert "not_recorded" not in kinds
    assert len(model.validation_scores_) == n_epochs == model.n_iter_


def test_a_regression_worse_than_a_constant_is_said():
    model = TabularMLPRegressor(**{**QUICK, "max_iter": 1}, init_scale=4.0)
    with pytest.warns(ConvergenceWarning, match="of predicting the mean of y; the lar"):
        model.fit(X, Y)
    (finding,) = (f for f in diagnose(model) if f.kind == "worse_than_constant")
    assert "TransformedTarget" not in str(finding)


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match=r"names \['z'\], which are not columns"):
        TabularMLPRegressor(**QUICK, categorical_features=["z"]).fit(X, Y)
    with pytest.raises(ValueError, match="'colour' of X holds values that are no num"):
        TabularMLPRegressor(**QUICK, categorical_features=None).fit(X, Y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        TabularMLPRegressor(**QUICK).fit(X, Y[:-1])
    with pytest.raises(ValueError, match="'max_iter' parameter"):
        TabularMLPRegressor(max_iter="many").fit(X, Y)


def test_what_works_on_numbers_alone_is_refused():
    numbers = X[["size"]]
    model = TabularMLPRegressor(**QUICK).fit(numbers, Y)
    for refuses in (
        lambda: backpropagate(model, numbers, Y),
        lambda: input_gradients(model, numbers),
        lambda: to_onnx(model),
    ):
        with pytest.raises(ValueError, match="TabularMLPRegressor takes raw tables"):
            refuses()


def test_numbers_that_are_declared_categories():
    codes = np.arange(120) % 3
    model = TabularMLPClassifier(
        (16,), n_members=2, categorical_features=[0], learning_rate_init=0.05,
        max_iter=20, early_stopping=False, random_state=0,
    ).fit(codes[:, None], codes == 1)  # fmt: skip
    assert model.score(codes[:, None], codes == 1) == 1
    assert model.table_encoder_.n_categories_ == [3]


def test_probabilities_agree_with_labels():
    model = TabularMLPClassifier(**QUICK).fit(X, np.digitize(Y, [0, 1]))
    p = model.predict_proba(X)
    assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert_array_equal(model.predict(X), p.argmax(axis=1))
    assert isinstance(model, TabularMLPClassifier)
    assert not isinstance(model, BackpropMLPClassifier)


def test_a_preset_starts_from_another_for_other_targets():
    """Its encoder comes along, so that equal rows become equal inputs."""
    quick = {**QUICK, "early_stopping": False}
    source = TabularMLPClassifier(**quick).fit(X, Y > 0)
    few, y = X[:70].copy(), Y[:70]
    few["colour"] = few["colour"].replace("blue", "violet")
    frozen = TabularMLPRegressor(
        **quick, pretrained=FrozenEstimator(source), layer_rates=[0, 0, 1]
    )
    with pytest.warns(ConvergenceWarning, match="worse than a constant"):
        model = clone(frozen).fit(few, y)  # in four epochs of an output layer
    assert model.table_encoder_ is source.table_encoder_
    before, after = (
        {row.name: row.view(network.theta) for row in network.architecture.parameters}
        for network in (source._training.network, model._training.network)
    )
    assert before.keys() == after.keys()
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {"output weights", "output biases"}
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(X), model.predict(X))
    thawed = clone(frozen).set_params(layer_rates=None).fit(few, y)
    assert not np.array_equal(
        thawed._training.network.theta[:10], source._training.network.theta[:10]
    )


def test_presets_and_perceptrons_do_not_start_from_each_other():
    numbers = X[["size", "day"]].astype({"day": "int64"})
    preset = TabularMLPRegressor(**QUICK).fit(numbers, Y)
    plain = BackpropMLPRegressor(
        (16,), n_members=3, numerical_embedding="piecewise_linear", max_iter=2
    ).fit(numbers, Y)
    for model, source in ((clone(preset), plain), (clone(plain), preset)):
        with pytest.raises(ValueError, match="one of them reads raw tables"):
            model.set_params(pretrained=source).fit(numbers, Y)
    other = TabularMLPRegressor(**QUICK, pretrained=preset)
    with pytest.raises(ValueError, match="fitted to other features"):
        other.fit(numbers.rename(columns={"day": "night"}), Y)
    wider = clone(other).set_params(hidden_layer_sizes=(17,), pretrained=preset)
    with pytest.raises(ValueError, match="another network than this one"):
        wider.fit(numbers, Y)
