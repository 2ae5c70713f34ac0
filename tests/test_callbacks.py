"""scikit-learn's callbacks on all estimators: told in full, and changing nothing."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    BackpropRNNClassifier,
    GDLinearRegression,
    TabularMLPClassifier,
)
from sklearn_backprop.exceptions import DivergenceError
from sklearn_backprop.linear_model._descent import n_slices, next_slice_end

callback = pytest.importorskip("sklearn.callback")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_CLASS, Y_CLASS = load_breast_cancer(return_X_y=True)
X_CLASS = scale(X_CLASS)
X_NUMBER, Y_NUMBER = load_diabetes(return_X_y=True)
NET = {"hidden_layer_sizes": (6,), "max_iter": 7, "random_state": 0}
CLASSES = (X_CLASS, Y_CLASS)
NUMBERS = (X_NUMBER, Y_NUMBER / 100)
# An estimator, its data, and the name of its subtasks.
CASES = {
    "adam": (BackpropMLPClassifier(**NET), CLASSES, "epoch"),
    "early": (BackpropMLPClassifier(**NET, early_stopping=True), CLASSES, "epoch"),
    "batchnorm": (BackpropMLPRegressor(**NET, normalization="batch"), NUMBERS, "epoch"),
    "frozen": (
        BackpropMLPRegressor(
            **NET,
            normalization="batch",
            pretrained=FrozenEstimator(
                BackpropMLPRegressor((6,), normalization="batch").partial_fit(*NUMBERS)
            ),
            layer_rates=[0, 1],
        ),
        NUMBERS,
        "epoch",
    ),
    "lbfgs": (BackpropMLPRegressor(**NET, solver="lbfgs"), NUMBERS, "iteration"),
    "recurrent": (BackpropRNNClassifier(**NET), CLASSES, "epoch"),
    "members": (
        BackpropMLPRegressor(
            **NET, numerical_embedding="piecewise_linear", n_members=2
        ),
        NUMBERS,
        "epoch",
    ),
    "table": (TabularMLPClassifier(**NET, n_members=2), CLASSES, "epoch"),
    "descent": (GDLinearRegression(max_iter=7), NUMBERS, "iterations"),
    "batches": (
        GDLinearRegression(max_iter=7, batch_size=50, random_state=0),
        NUMBERS,
        "epoch",
    ),
}


class Recorder:
    """Keeps all that it is told; asks to stop in that subtask."""

    def __init__(self, stop_in=None):
        self.events, self.tasks, self.twins = [], [], []
        self.stop_in = stop_in

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator
    ):
        self.events.append(("end", context.task_name, context.task_id))
        self.data = X, y, metadata
        if context.parent is not None:
            self.twins.append(fitted_estimator)
            return context.task_id == self.stop_in
        return None


class Propagated(Recorder):
    """The same, set on meta-estimators."""

    max_propagation_depth = None

    def on_fit_task_end(self, estimator, context):
        self.events.append(("end", context.estimator_name, context.task_name))


def fitted_state(model):
    """All arrays and numbers that a fit has set, by name."""
    return {
        name: fitted_state(value) if isinstance(value, BaseEstimator) else value
        for name, value in vars(model).items()
        if name.endswith("_") and not name.startswith("_")
    }


def assert_same_fit(model, expected):
    ours, theirs = fitted_state(model), fitted_state(expected)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_equal(ours[name], theirs[name], err_msg=name)


@pytest.fixture(params=CASES)
def case(request):
    estimator, data, task = CASES[request.param]
    return clone(estimator), data, task


def test_callbacks_see_every_task_and_change_no_bit(case):
    estimator, data, task = case
    expected = clone(estimator).fit(*data)
    recorder = Recorder()
    assert_same_fit(estimator.set_callbacks(recorder).fit(*data), expected)

    n_tasks = n_slices(7) if task == "iterations" else 7
    subtasks = [
        (moment, task, i) for i in range(n_tasks) for moment in ("begin", "end")
    ]
    assert recorder.events == [
        "setup", ("begin", "fit", 0), *subtasks, ("end", "fit", 0), "teardown",
    ]  # fmt: skip
    assert recorder.data[0] is data[0]
    assert recorder.data[1] is data[1]
    assert not {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} & set(
        vars(estimator)
    )


def test_fitted_estimators_are_fits_that_stopped_there(case):
    estimator, data, _ = case
    recorder = Recorder()
    estimator.set_callbacks(recorder).fit(*data)
    for twin in recorder.twins:
        shorter = clone(estimator).set_callbacks().set_params(max_iter=twin.n_iter_)
        assert_same_fit(twin, shorter.fit(*data))
        assert_array_equal(twin.predict(data[0]), shorter.predict(data[0]))
    assert [twin.n_iter_ for twin in recorder.twins] == list(range(1, 8))


class Spoiler(Recorder):
    """Spoils every fitted estimator that it is shown."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.parent is None:
            return
        if hasattr(fitted_estimator, "coefs_"):
            training = fitted_estimator._training
            network = training.network
            network.theta[:] = network.running[:] = np.nan
            training.random_state.random_sample()
            training.progress.epoch += 100
            training.loss_curve.append(np.nan)
        else:
            fitted_estimator.coef_[:] = fitted_estimator.loss_curve_[:] = np.nan


def test_fitted_estimators_share_nothing_with_the_fit(case):
    estimator, data, _ = case
    expected = clone(estimator).fit(*data)
    assert_same_fit(estimator.set_callbacks(Spoiler()).fit(*data), expected)


def test_a_request_to_stop_ends_the_fit(case):
    estimator, data, _ = case
    estimator.set_callbacks(Recorder(stop_in=2))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        estimator.fit(*data)
    shorter = clone(estimator).set_callbacks().set_params(max_iter=3)
    assert estimator.n_iter_ == 3
    assert_same_fit(estimator, shorter.fit(*data))


def test_a_stopped_fit_says_so(capsys):
    for solver in ("adam", "lbfgs"):
        model = BackpropMLPClassifier(**NET, solver=solver, verbose=True)
        model.set_callbacks(Recorder(stop_in=0)).fit(*CLASSES)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("Iteration 1, loss")
        assert lines[1:] == ["A callback asked to stop. Stopping."]


def test_the_normal_equation_is_one_task():
    recorder = Recorder()
    model = GDLinearRegression(solver="normal").set_callbacks(recorder).fit(*NUMBERS)
    assert recorder.events == [
        "setup", ("begin", "fit", 0), ("end", "fit", 0), "teardown",
    ]  # fmt: skip
    assert_same_fit(model, GDLinearRegression(solver="normal").fit(*NUMBERS))


@pytest.mark.parametrize("solver", ["adam", "gd", "normal"])
def test_partial_fit_is_a_fit_of_one_task(solver):
    recorder = Recorder()
    model = BackpropMLPRegressor(**NET)
    if solver != "adam":
        model = GDLinearRegression(solver=solver)
    model.set_callbacks(recorder)
    for _ in range(2):
        model.partial_fit(*NUMBERS)
    n_subtasks = 0 if solver == "normal" else 1
    assert [event[0] for event in recorder.events if event[1:] == ("fit", 0)] == [
        "begin", "end",
    ] * 2  # fmt: skip
    assert len(recorder.twins) == 2 * n_subtasks
    assert recorder.events.count("teardown") == 2


@pytest.mark.parametrize("max_iter", [1, 7, 99, 100, 101, 1234, 100_000])
def test_slices_of_descent(max_iter):
    ends = [0]
    while ends[-1] < max_iter:
        ends.append(next_slice_end(ends[-1], max_iter))
    assert ends[-1] == max_iter
    assert n_slices(max_iter) == len(ends) - 1 <= 120
    length = -(-max_iter // 100)
    assert max(np.diff(ends)) <= length
    assert {1, 2, 5, 10, 20, 50} & set(range(max_iter)) <= set(ends)


# ------------------------------------------------------------- scikit-learn's own
def test_scoring_monitor_follows_the_fit(case):
    estimator, (X, y), _ = case
    name = "accuracy" if hasattr(estimator, "predict_proba") else "r2"
    monitor = callback.ScoringMonitor(scoring=name)
    weight = np.linspace(0.5, 2, len(y))
    estimator.set_callbacks(monitor).fit(X, y, sample_weight=weight)
    rows = monitor.get_logs().data
    expected = []
    for n_iter in range(1, 8):
        shorter = clone(estimator).set_callbacks().set_params(max_iter=n_iter)
        shorter.fit(X, y, sample_weight=weight)
        expected.append(shorter.score(X, y, weight))
    scores = {row["task_id_path"]: row[name] for row in rows}
    assert scores.pop((0,)) == expected[-1]
    assert [scores[0, i] for i in range(len(scores))] == expected


def test_data_frames_are_scored_without_a_warning():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    for model in (BackpropMLPRegressor(**NET), GDLinearRegression()):
        monitor = callback.ScoringMonitor(scoring="r2")
        model.set_callbacks(monitor).fit(X, y)
        assert len(monitor.get_logs().data) > 5


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_under_a_grid_search(n_jobs):
    pipeline = make_pipeline(StandardScaler(), BackpropMLPClassifier(**NET))
    grid = {"backpropmlpclassifier__learning_rate_init": [0.001, 0.01]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs)
    expected = clone(search).fit(*CLASSES)
    monitor = callback.ScoringMonitor(scoring="accuracy")
    pipeline[-1].set_callbacks(monitor)
    search.fit(*CLASSES)
    for name in ("mean_test_score", "std_test_score"):
        assert_array_equal(search.cv_results_[name], expected.cv_results_[name])
    rows = monitor.get_logs().data
    assert len(rows) == (7 + 1) * (2 * 2 + 1)  # epochs and fits, folds and the refit
    assert all(0 < row["accuracy"] <= 1 for row in rows)


def test_a_request_to_stop_inside_a_pipeline_and_a_search():
    pipeline = make_pipeline(StandardScaler(), BackpropMLPClassifier(**NET))
    pipeline[-1].set_callbacks(Recorder(stop_in=1))
    assert pipeline.fit(*CLASSES)[-1].n_iter_ == 2
    search = GridSearchCV(pipeline, {"backpropmlpclassifier__alpha": [0.0]}, cv=2)
    assert search.fit(*CLASSES).best_estimator_[-1].n_iter_ == 2


def test_meta_estimators_propagate_to_epochs():
    recorder = Propagated()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), BackpropMLPClassifier(**NET)),
        {"backpropmlpclassifier__alpha": [0.0, 1.0]},
        cv=2,
    )
    search.set_callbacks(recorder).fit(*CLASSES)
    epochs = recorder.events.count(("end", "BackpropMLPClassifier", "epoch"))
    assert epochs == 7 * (2 * 2 + 1)
    assert [recorder.events.count(e) for e in ("setup", "teardown")] == [1, 1]
    assert not hasattr(search.best_estimator_[-1], "_skl_callbacks")
    assert not hasattr(search.best_estimator_[-1], "_parent_callback_ctx")


@pytest.mark.parametrize("estimator", [model for model, _, _ in CASES.values()])
def test_progress_bars_finish(estimator, capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "150")
    X, y = CLASSES if hasattr(estimator, "predict_proba") else NUMBERS
    grid = {"max_iter": [3, 5]}
    search = GridSearchCV(clone(estimator), grid, cv=2)
    search.set_callbacks(callback.ProgressBar()).fit(X, y)
    out = capsys.readouterr().out
    assert "GridSearchCV - fit" in out
    assert type(estimator).__name__ in out
    assert out.count("100%") >= 6  # the search, its folds, the refit


def test_clones_and_pickles_keep_callbacks(case):
    estimator, data, _ = case
    recorder = Recorder()
    estimator.set_callbacks(recorder)
    assert clone(estimator)._skl_callbacks == [recorder]
    copy = pickle.loads(pickle.dumps(estimator.fit(*data)))
    assert_array_equal(copy.predict(data[0]), estimator.predict(data[0]))
    n_ends = len(copy._skl_callbacks[0].twins)
    copy.set_params(warm_start=False).fit(*data)
    assert len(copy._skl_callbacks[0].twins) == 2 * n_ends


# ------------------------------------------------------------------- bad endings
def test_divergence_tears_callbacks_down():
    diverging = [
        BackpropMLPRegressor(
            **NET, activation="identity", solver="sgd", learning_rate_init=1e6
        ),
        GDLinearRegression(learning_rate_init=1e6),
        GDLinearRegression(learning_rate_init=1e6, batch_size=20),
    ]
    for model in diverging:
        recorder = Recorder()
        with pytest.raises(DivergenceError):
            model.set_callbacks(recorder).fit(*NUMBERS)
        assert recorder.events[-1] == "teardown"
        assert not hasattr(model, "_callback_fit_ctx")
        assert len(model.loss_curve_) > 0
        calm = {"learning_rate_init": 0.001, "solver": model.solver}
        model.set_params(**calm).fit(*NUMBERS)
        assert recorder.events.count("setup") == 2


class Interrupting(Recorder):
    """The user presses Ctrl-C while a task begins."""

    def on_fit_task_begin(self, estimator, context):
        super().on_fit_task_begin(estimator, context)
        if context.parent is not None and context.task_id == 3:
            raise KeyboardInterrupt


def test_an_interrupt_ends_the_fit_and_tears_callbacks_down(case):
    estimator, data, _ = case
    recorder = Interrupting()
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        estimator.set_callbacks(recorder).fit(*data)
    assert recorder.events[-2:] == [("end", "fit", 0), "teardown"]
    shorter = clone(estimator).set_callbacks().set_params(max_iter=3)
    assert_same_fit(estimator, shorter.fit(*data))


def test_an_error_of_a_callback_reaches_the_user(case):
    estimator, data, _ = case

    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise OSError("no space left")

    recorder = Failing()
    with pytest.raises(OSError, match="no space left"):
        estimator.set_callbacks(recorder).fit(*data)
    assert recorder.events[-1] == "teardown"
    assert_same_fit(estimator.set_callbacks().fit(*data), clone(estimator).fit(*data))


def test_without_callbacks_nothing_is_copied(case, monkeypatch):
    estimator, data, _ = case

    def forbidden(self, *arguments, **settings):
        raise AssertionError("a context was made")

    monkeypatch.setattr(type(estimator), "_init_callback_context", forbidden)
    estimator.fit(*data)
