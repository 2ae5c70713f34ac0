"""Displays: what is drawn is what was recorded, in axes that can be read."""

import builtins
import inspect
import pickle

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    GDLinearRegression,
)
from sklearn_backprop.exceptions import DivergenceError
from sklearn_backprop.inspection import (
    DescentPathDisplay,
    GradientFlowDisplay,
    LearningRateRangeDisplay,
    LossCurveDisplay,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
LONG_NAME = "a network whose name tells all of its hyper-parameters, one by one " * 2


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True, as_frame=True, scaled=False)


@pytest.fixture(scope="module")
def network(iris):
    model = BackpropMLPClassifier(
        (8, 6), max_iter=7, batch_size=40, early_stopping=True, random_state=0
    )
    with pytest.warns(ConvergenceWarning):
        return model.fit(*iris)


def tick_labels(axis):
    """Boxes of the labels of ticks inside the limits."""
    low, high = sorted(axis.get_view_interval())
    return [
        label.get_window_extent()
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        if low <= tick.get_loc() <= high
        for label in (tick.label1, tick.label2)
        if label.get_visible() and label.get_text()
    ]


def check_legible(figure):
    """At 600 pixels: every axis numbered, no number over another, all inside."""
    figure.set_dpi(600 / figure.get_figwidth())
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            boxes = tick_labels(axis)
            for i, box in enumerate(boxes):
                assert not any(box.overlaps(other) for other in boxes[i + 1 :])
                assert box.x0 >= -1
                assert box.y0 >= -1
                assert box.x1 <= width + 1
                assert box.y1 <= height + 1
        title = ax.title.get_window_extent()
        assert title.x0 >= 0
        assert title.x1 <= width
    for ax in figure.axes[:1]:
        assert tick_labels(ax.xaxis)
        assert tick_labels(ax.yaxis)


# ------------------------------------------------------------------- gradients
@pytest.mark.parametrize(
    "quantity", ["gradient_norm", "gradient_norm_max", "update_ratio"]
)
def test_lines_are_the_history(network, quantity):
    display = GradientFlowDisplay.from_estimator(network, quantity=quantity)
    history = network.gradient_history_[quantity]
    assert len(display.lines_) == history.shape[1]
    for line, column in zip(display.lines_, history.T, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 8))
        np.testing.assert_array_equal(line.get_ydata(), column)
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_xlabel() == "epoch"


def test_heat_map_is_the_history_with_the_input_below(network):
    display = GradientFlowDisplay.from_estimator(network, kind="heatmap")
    history = network.gradient_history_["gradient_norm"]
    np.testing.assert_array_equal(display.image_.get_array(), history.T)
    assert display.image_.origin == "lower"
    assert display.image_.get_extent() == [0.5, 7.5, 0.5, 3.5]
    assert isinstance(display.image_.norm, matplotlib.colors.LogNorm)


def test_shares_are_drawn_from_zero_to_one(network):
    display = GradientFlowDisplay.from_estimator(network, quantity="dead_fraction")
    assert display.ax_.get_yscale() == "linear"
    np.testing.assert_array_equal(
        display.lines_[0].get_ydata(), network.gradient_history_["dead_fraction"][:, 0]
    )
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    # The output layer has no units.
    assert labels == ["hidden 1 weights", "hidden 2 weights"]


def test_records_of_mini_batches_are_called_so(iris):
    model = BackpropMLPClassifier(
        (4,), max_iter=2, batch_size=50, track_gradients="batch"
    ).fit(*iris)
    display = GradientFlowDisplay.from_estimator(model)
    assert display.ax_.get_xlabel() == "mini-batch"
    assert len(display.lines_[0].get_xdata()) == 6


@pytest.mark.once
@pytest.mark.parametrize("kind", ["lines", "heatmap"])
@pytest.mark.parametrize("n_layers", [1, 6, 7, 100])
@pytest.mark.parametrize("n_records", [1, 300])
def test_pictures_of_any_depth_can_be_read(kind, n_layers, n_records):
    rng = np.random.default_rng(0)
    values = 10 ** rng.normal(-3, 2, (n_records, n_layers))
    display = GradientFlowDisplay(values=values, estimator_name=LONG_NAME)
    check_legible(display.plot(kind=kind).figure_)


@pytest.mark.parametrize("kind", ["lines", "heatmap"])
def test_values_that_hardly_differ_are_numbered(kind):
    values = np.linspace(0.42, 0.47, 20).reshape(5, 4)
    check_legible(GradientFlowDisplay(values=values).plot(kind=kind).figure_)


def test_all_layers_are_told_apart():
    for n_layers in (2, 6, 7, 100):
        display = GradientFlowDisplay(values=np.ones((3, n_layers))).plot()
        colours = {line.get_color() for line in display.lines_}
        assert len(colours) == n_layers
        assert (display.colorbar_ is None) == (display.ax_.get_legend() is not None)


def test_zero_infinity_and_nan_are_marked_on_a_log_scale():
    values = np.array([[1.0, 0.0, 2.0], [10.0, 0.0, np.inf], [100.0, 3.0, np.nan]])
    display = GradientFlowDisplay(values=values).plot()
    drawn = np.array([line.get_ydata() for line in display.lines_]).T
    np.testing.assert_array_equal(
        drawn, [[1.0, 0.1, 2.0], [10.0, 0.1, 1000.0], [100.0, 3.0, np.nan]]
    )
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels[3:] == ["exactly 0", "infinite"]

    heat = GradientFlowDisplay(values=values).plot(kind="heatmap")
    labels = [text.get_text() for text in heat.ax_.get_legend().get_texts()]
    assert labels == ["exactly 0", "infinite", "no value"]
    colours = heat.image_.to_rgba(heat.image_.get_array())
    np.testing.assert_array_equal(colours[1, 0], (1, 1, 1, 1))  # zero: white
    assert heat.image_.get_array().mask[2, 2]


@pytest.mark.parametrize("kind", ["lines", "heatmap"])
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_nothing_but_odd_values_can_be_drawn(kind, value):
    display = GradientFlowDisplay(values=np.full((4, 3), value)).plot(kind=kind)
    display.figure_.canvas.draw()
    assert display.ax_.get_xlabel() == "epoch"


def test_history_of_a_training_that_diverged_can_be_drawn(iris):
    X, y = iris
    model = BackpropMLPRegressor(
        (8, 8),
        activation="identity",
        solver="sgd",
        learning_rate_init=1.0,
        random_state=0,
    )
    with pytest.raises(DivergenceError):
        model.fit(X, y)
    for kind in ("lines", "heatmap"):
        GradientFlowDisplay.from_estimator(model, kind=kind).figure_.canvas.draw()
    LossCurveDisplay.from_estimator(model).figure_.canvas.draw()


def test_it_is_said_why_there_is_no_history(iris):
    model = BackpropMLPClassifier((3,), max_iter=2, track_gradients=None).fit(*iris)
    with pytest.raises(ValueError, match="track_gradients=None"):
        GradientFlowDisplay.from_estimator(model)


@pytest.mark.parametrize("kind", ["lines", "heatmap"])
def test_iterations_of_lbfgs_are_drawn(iris, kind):
    model = BackpropMLPClassifier((3,), max_iter=5, solver="lbfgs").fit(*iris)
    display = GradientFlowDisplay.from_estimator(model, kind=kind)
    np.testing.assert_array_equal(
        display.values, model.gradient_history_["gradient_norm"]
    )
    assert display.ax_.get_xlabel() == "iteration"


def test_other_estimators_and_quantities_are_refused(network, diabetes):
    linear = GDLinearRegression().fit(*diabetes)
    with pytest.raises(ValueError, match="keeps no gradient_history_"):
        GradientFlowDisplay.from_estimator(linear)
    with pytest.raises(ValueError, match="quantity must be one of 'gradient_norm'"):
        GradientFlowDisplay.from_estimator(network, quantity="global_norm")
    with pytest.raises(ValueError, match="kind must be 'lines' or 'heatmap'"):
        GradientFlowDisplay.from_estimator(network, kind="bars")


# ---------------------------------------------------------------------- losses
def test_loss_curves_are_the_fitted_ones(network):
    display = LossCurveDisplay.from_estimator(network, name="net")
    np.testing.assert_array_equal(display.line_.get_xdata(), np.arange(1, 8))
    np.testing.assert_array_equal(display.line_.get_ydata(), network.loss_curve_)
    np.testing.assert_array_equal(
        display.validation_line_.get_ydata(), network.validation_loss_curve_
    )
    best = network.validation_scores_.index(network.best_validation_score_)
    assert display.best_.get_xdata() == [best + 1]
    assert display.best_.get_ydata() == [network.validation_loss_curve_[best]]
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["net: training", "net: validation", f"best epoch: {best + 1}"]


def test_several_estimators_share_an_axis(network, diabetes):
    first = LossCurveDisplay.from_estimator(network, name=LONG_NAME)
    second = LossCurveDisplay.from_estimator(network, name="again", ax=first.ax_)
    assert second.ax_ is first.ax_
    assert second.figure_ is first.figure_
    assert second.line_.get_color() != first.line_.get_color()
    assert second.line_.get_color() == second.validation_line_.get_color()
    check_legible(second.figure_)


def test_linear_regression_has_iterations(diabetes):
    model = GDLinearRegression(max_iter=50).fit(*diabetes)
    display = LossCurveDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.line_.get_ydata(), model.loss_curve_)
    assert display.ax_.get_xlabel() == "iteration"
    assert display.validation_line_ is None
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == [
        "GDLinearRegression"
    ]
    batches = GDLinearRegression(max_iter=5, batch_size=50).fit(*diabetes)
    assert LossCurveDisplay.from_estimator(batches).ax_.get_xlabel() == "epoch"


def test_a_curve_over_many_decades_is_drawn_on_a_log_scale():
    wide = LossCurveDisplay(train_loss=[1000.0, 1.0, 0.1]).plot()
    assert wide.ax_.get_yscale() == "log"
    narrow = LossCurveDisplay(train_loss=[10.0, 1.0, np.inf]).plot()
    assert narrow.ax_.get_yscale() == "linear"


def test_the_epoch_that_diverged_moves_no_validation_loss():
    from sklearn_backprop.inspection._loss_curve import _validation_epochs

    assert _validation_epochs([3.0, 2.0, 1.0], 3).tolist() == [1, 2, 3]
    assert _validation_epochs([3.0, 2.0, np.inf], 2).tolist() == [1, 2]
    assert _validation_epochs([3.0, 2.0, 1.0], 1).tolist() == [3]  # after a warm start


def test_missing_curves_are_explained(iris, diabetes):
    model = BackpropMLPClassifier((3,), max_iter=1).fit(*iris)
    display = LossCurveDisplay.from_estimator(model)
    assert display.line_.get_marker() == "o"  # one epoch: a line has no length
    with pytest.raises(ValueError, match="watched no validation set"):
        LossCurveDisplay.from_estimator(model, validation=True)
    exact = GDLinearRegression(solver="normal").fit(*diabetes)
    with pytest.raises(ValueError, match="has no loss curve"):
        LossCurveDisplay.from_estimator(exact)


# --------------------------------------------------------------------- descent
def cost_by_hand(model, X, y, weight, coef):
    """J of one target at coef (p,), at its best intercept."""
    X, y, coef = (np.asarray(values, float) for values in (X, y, coef))
    errors = y - X @ coef
    if model.fit_intercept:
        errors = errors - np.average(errors, weights=weight)
    penalty = model.l1_ratio * np.abs(coef).sum()
    penalty += (1 - model.l1_ratio) / 2 * (coef @ coef)
    return np.average(errors**2, weights=weight) / 2 + model.alpha * penalty


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"feature_scaling": None, "max_iter": 30},
        {"feature_scaling": "minmax"},
        {"fit_intercept": False},
        {"alpha": 2.0, "l1_ratio": 0.3},
        {"alpha": 0.5},
    ],
)
@pytest.mark.parametrize("is_weighted", [False, True])
def test_contours_are_the_cost(diabetes, parameters, is_weighted):
    X, y = diabetes
    X = X[["age", "bmi", "bp"]]
    weight = np.arange(len(y)) % 3 if is_weighted else np.ones(len(y))
    model = GDLinearRegression(max_iter=200, track_path=True).set_params(**parameters)
    model.fit(X, y, sample_weight=weight)
    display = DescentPathDisplay.from_estimator(
        model, X, y, sample_weight=weight, features=("bmi", "bp"), scaled=False
    )
    np.testing.assert_array_equal(display.line_.get_xydata(), model.coef_path_[:, 1:])
    for row, column in ((0, 0), (60, 7), (120, 120), (13, 99)):
        coef = model.coef_.copy()
        coef[1:] = display.first[column], display.second[row]
        np.testing.assert_allclose(
            display.cost[row, column],
            cost_by_hand(model, X, y, weight, coef),
            rtol=1e-10,
        )
    if display.bottom is not None:
        least = cost_by_hand(model, X, y, weight, [model.coef_[0], *display.bottom])
        assert least <= display.cost.min()


def test_scaled_coordinates_are_those_of_the_descent(diabetes):
    X, y = diabetes
    X = X[["bmi", "bp"]]
    for scaling, scale in (
        ("standard", StandardScaler().fit(X).scale_),
        ("minmax", np.ptp(X.to_numpy(), axis=0)),
        (None, np.ones(2)),
    ):
        model = GDLinearRegression(
            feature_scaling=scaling, track_path=True, max_iter=20
        ).fit(X, y)
        display = DescentPathDisplay.from_estimator(model, X, y)
        np.testing.assert_allclose(display.path, model.coef_path_ * scale, rtol=1e-12)
        assert display.ax_.get_aspect() == 1.0


def test_steps_of_descent_leave_contours_at_right_angles(diabetes):
    X, y = diabetes
    model = GDLinearRegression(track_path=True).fit(X[["bmi", "bp"]], y)
    display = DescentPathDisplay.from_estimator(model, X[["bmi", "bp"]], y)
    Z = StandardScaler().fit_transform(X[["bmi", "bp"]])
    first_step = display.path[1] - display.path[0]
    gradient = -Z.T @ np.asarray(y - y.mean()) / len(y)
    np.testing.assert_allclose(first_step, -model.learning_rate_ * gradient)


def test_path_of_one_of_several_targets_sparse_and_in_a_pipeline(diabetes):
    from scipy.sparse import csr_array

    X, y = diabetes
    Y = np.column_stack([y, -2 * y])
    model = GDLinearRegression(track_path=True, max_iter=30)
    pipeline = make_pipeline(StandardScaler(), model).fit(X, Y)
    display = DescentPathDisplay.from_estimator(pipeline, X, Y, target=1)
    np.testing.assert_allclose(display.path, model.coef_path_[:, 1, :2], rtol=1e-9)
    Z = pipeline[0].transform(X)
    sparse = DescentPathDisplay.from_estimator(model, csr_array(Z), Y, target=1)
    np.testing.assert_allclose(sparse.cost, display.cost)
    with pytest.raises(ValueError, match="target=2, but the model has 2"):
        DescentPathDisplay.from_estimator(model, Z, Y, target=2)


def test_a_path_that_diverged_can_be_drawn(diabetes):
    X, y = diabetes
    model = GDLinearRegression(learning_rate_init=1.2, track_path=True)
    with pytest.raises(DivergenceError):
        model.fit(X, y)
    display = DescentPathDisplay.from_estimator(model, X, y)
    np.testing.assert_array_equal(len(display.path), model.n_iter_ + 1)
    check_legible(display.figure_)


def test_a_window_can_be_chosen(diabetes):
    X, y = diabetes
    model = GDLinearRegression(track_path=True).fit(X, y)
    display = DescentPathDisplay.from_estimator(
        model, X, y, window=((-1, 2), (3, 5)), name=LONG_NAME
    )
    assert display.ax_.get_xlim() == (-1, 2)
    assert display.ax_.get_ylim() == (3, 5)
    check_legible(display.figure_)


def test_what_has_no_path_is_refused(diabetes):
    X, y = diabetes
    model = GDLinearRegression(max_iter=5).fit(X, y)
    with pytest.raises(ValueError, match=r"kept no coef_path_\. Fit .*track_path=True"):
        DescentPathDisplay.from_estimator(model, X, y)
    model.set_params(track_path=True).fit(X, y)
    for features in ((0, 0), (0, 10), ("age", "none"), (0, 1, 2)):
        with pytest.raises(ValueError, match="must be two different columns"):
            DescentPathDisplay.from_estimator(model, X, y, features=features)
    with pytest.raises(ValueError, match="X has 3 features, but the path is of 10"):
        DescentPathDisplay.from_estimator(model, X.iloc[:, :3], y)


# ------------------------------------------------------- conventions of displays
def displays_of(iris, diabetes, network):
    X, y = diabetes
    path = GDLinearRegression(track_path=True, max_iter=5).fit(X, y)
    return [
        (GradientFlowDisplay, (network,)),
        (LossCurveDisplay, (network,)),
        (DescentPathDisplay, (path, X, y)),
        (LearningRateRangeDisplay, (GDLinearRegression(), X, y)),
    ]


def test_displays_follow_the_conventions(iris, diabetes, network):
    for Display, arguments in displays_of(iris, diabetes, network):
        figure, ax = plt.subplots()
        display = Display.from_estimator(*arguments, ax=ax, name="a name")
        assert isinstance(display, Display)
        assert display.ax_ is ax
        assert display.figure_ is figure
        assert "a name" in ax.get_title() + ax.get_legend().get_texts()[0].get_text()
        assert display.plot() is display
        assert display.ax_ is not ax
        styled = Display.from_estimator(*arguments, linewidth=7)
        line = getattr(styled, "line_", None) or styled.lines_[0]
        assert line.get_linewidth() == 7
        plt.close("all")


@pytest.mark.parametrize(
    "Display",
    [
        GradientFlowDisplay,
        LossCurveDisplay,
        DescentPathDisplay,
        LearningRateRangeDisplay,
    ],
)
def test_docstrings_describe_every_parameter(Display):
    for function, doc in (
        (Display, Display.__doc__),
        (Display.from_estimator, Display.from_estimator.__doc__),
        (Display.plot, Display.plot.__doc__),
    ):
        described = {
            name.strip().lstrip("*")
            for line in inspect.cleandoc(doc).splitlines()
            if " : " in line and not line.startswith(" ")
            for name in line.split(" : ")[0].split(",")
        }
        assert {*inspect.signature(function).parameters} - {"self"} <= described
    assert ">>> " in Display.__doc__
    parameters = inspect.signature(Display).parameters.values()
    assert {p.kind for p in parameters} == {inspect.Parameter.KEYWORD_ONLY}


def test_pipelines_are_looked_into(iris):
    pipeline = make_pipeline(StandardScaler(), BackpropMLPClassifier((3,), max_iter=2))
    for Display in (GradientFlowDisplay, LossCurveDisplay):
        with pytest.raises(NotFittedError):
            Display.from_estimator(pipeline)
    pipeline.fit(*iris)
    for Display in (GradientFlowDisplay, LossCurveDisplay):
        assert Display.from_estimator(pipeline).estimator_name == (
            "BackpropMLPClassifier"
        )


def test_estimators_that_are_not_fitted_are_refused(diabetes):
    with pytest.raises(NotFittedError):
        GradientFlowDisplay.from_estimator(BackpropMLPClassifier())
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(GDLinearRegression())
    with pytest.raises(NotFittedError):
        DescentPathDisplay.from_estimator(GDLinearRegression(), *diabetes)


def test_drawing_changes_no_estimator(iris, diabetes, network):
    for Display, arguments in displays_of(iris, diabetes, network):
        before = pickle.dumps(arguments[0])
        Display.from_estimator(*arguments)
        assert pickle.dumps(arguments[0]) == before


def test_without_matplotlib_the_extra_is_named(network, monkeypatch):
    importer = builtins.__import__

    def no_matplotlib(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return importer(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    with pytest.raises(ImportError, match=r"sklearn-backprop\[plot\]"):
        LossCurveDisplay.from_estimator(network)
