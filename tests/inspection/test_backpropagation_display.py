"""The picture of a pass: what is drawn is what passed, and it can be read."""

import builtins
import inspect
import pickle
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    GDLinearRegression,
)
from sklearn_backprop.inspection import BackpropagationDisplay, backpropagate
from sklearn_backprop.neural_network import PiecewiseLinearEmbedding

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3))
Y = np.column_stack([X[:, 0] + X[:, 1] ** 2, np.sin(X[:, 2])])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def small():
    """3-4-2."""
    net = BackpropMLPRegressor((4,), activation="tanh", max_iter=30, random_state=0)
    return net.fit(X, Y)


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def large(digits):
    """64-(64, 64)-10."""
    net = BackpropMLPClassifier((64, 64), max_iter=3, random_state=0)
    return make_pipeline(StandardScaler(), net).fit(*digits)


def texts_of(figure):
    """All that is written, with its box at 600 pixels."""
    figure.set_dpi(600 / figure.get_figwidth())
    figure.canvas.draw()
    ax = figure.axes[0]
    written = [*ax.texts, ax.title]
    for bar in ax.child_axes:
        written.append(bar.yaxis.label)
        written += [tick.label2 for tick in bar.yaxis.get_major_ticks()]
    boxes = {
        text: text.get_window_extent()
        for text in written
        if text.get_visible() and text.get_text()
    }
    return boxes | {bar: bar.get_window_extent() for bar in ax.child_axes}


def check_legible(figure):
    """At 600 pixels nothing written meets another, and all is inside."""
    boxes = texts_of(figure)
    width, height = figure.canvas.get_width_height()
    for text, box in boxes.items():
        assert min(box.x0, box.y0) >= -1, text
        assert max(box.x1 - width, box.y1 - height) <= 1, text
    for (text, box), (other, its) in combinations(boxes.items(), 2):
        near = box.shrunk(0.95, 0.75)  # letters do not fill their boxes
        assert not near.overlaps(its), (text, other)
    assert min(box.height for box in boxes.values()) >= 8


def numbers_on(ax):
    """Numbers written on the axes."""
    found = []
    for text in ax.texts:
        try:
            found.append(float(text.get_text()))
        except ValueError:
            continue
    return found


def test_a_small_network_shows_its_numbers(small):
    display = BackpropagationDisplay.from_estimator(small, X, Y)
    passed = display.passed
    hidden, output = passed.layers
    columns = [X.mean(axis=0), hidden.a.mean(axis=0), output.a.mean(axis=0)]
    for units, expected in zip(display.units_, columns, strict=True):
        np.testing.assert_allclose(units.get_array(), expected)
    gradients = [*hidden.dJ_dW.ravel(), *output.dJ_dW.ravel()]
    largest = np.abs([*gradients, *hidden.dJ_db, *output.dJ_db]).max()
    unit = 10.0 ** np.floor(np.log10(largest))
    expected = [*np.concatenate(columns), *(np.array(gradients) / unit)]
    written = numbers_on(display.ax_)
    assert len(written) == 3 + 4 + 2 + 12 + 8
    np.testing.assert_allclose(sorted(written), np.sort(expected), atol=0.0051)
    assert f"10^{{{int(np.log10(unit))}}}" in display.colorbars_[1].ax.get_ylabel()
    check_legible(display.figure_)


def test_lines_lead_from_unit_to_unit(small):
    display = BackpropagationDisplay.from_estimator(small, X, Y)
    heights = [units.get_offsets()[:, 1] for units in display.units_]
    for k, (edges, layer) in enumerate(
        zip(display.edges_, display.passed.layers, strict=True)
    ):
        assert len(edges.get_segments()) == layer.W.size
        for (start, end), gradient in zip(
            edges.get_segments(), edges.get_array(), strict=True
        ):
            assert (start[0], end[0]) == (k, k + 1)
            i = np.flatnonzero(heights[k] == start[1])[0]
            j = np.flatnonzero(heights[k + 1] == end[1])[0]
            assert gradient == layer.dJ_dW[i, j]
        # What is strong is drawn last, and wide.
        order = np.argsort(np.abs(edges.get_array()))
        np.testing.assert_array_equal(order, np.arange(len(order)))
        assert np.all(np.diff(edges.get_linewidths()) >= 0)
        below = np.asarray(edges.get_array()) < -edges.norm.vmax / 10
        edges.update_scalarmappable()
        blue, red = edges.get_colors()[:, 2], edges.get_colors()[:, 0]
        assert np.all((blue > red)[below])


def test_rings_are_the_gradients_of_biases(small):
    display = BackpropagationDisplay.from_estimator(small, X, Y)
    norm, cmap = display.edges_[0].norm, display.edges_[0].cmap
    for units, layer in zip(display.units_[1:], display.passed.layers, strict=True):
        np.testing.assert_allclose(units.get_edgecolors(), cmap(norm(layer.dJ_db)))


def test_wide_layers_are_strips(large, digits):
    display = BackpropagationDisplay.from_estimator(large, *digits)
    layers = display.passed.layers
    for units, layer in zip(display.units_[1:3], layers[:2], strict=True):
        np.testing.assert_allclose(units.get_array(), layer.a.mean(axis=0), rtol=1e-5)
        tops = [path.vertices[:, 1].max() for path in units.get_paths()]
        assert tops == sorted(tops, reverse=True)
    assert len(display.units_[3].get_offsets()) == 10
    for edges, layer in zip(display.edges_, layers, strict=True):
        strongest = np.sort(np.abs(layer.dJ_dW), axis=None)[-150:]
        np.testing.assert_allclose(np.abs(edges.get_array()), strongest)
    assert not [n for n in numbers_on(display.ax_) if n != int(n)]  # classes alone
    captions = [text.get_text() for text in display.ax_.texts]
    assert "hidden 2\n64 relu" in captions
    assert f"|dJ/dW|\n{np.linalg.norm(layers[0].dJ_dW):.2g}" in captions
    check_legible(display.figure_)


def test_a_very_wide_layer_shows_means_of_neighbours():
    wide = RNG.standard_normal((5, 1000))
    net = BackpropMLPRegressor((2,), max_iter=1, random_state=0).fit(wide, Y[:5])
    display = BackpropagationDisplay.from_estimator(net, wide, Y[:5])
    cells = display.units_[0].get_array()
    assert len(cells) == 64
    np.testing.assert_allclose(cells[0], wide.mean(axis=0)[:16].mean())
    np.testing.assert_allclose(cells[-1], wide.mean(axis=0)[-15:].mean())


@pytest.mark.parametrize("residual", ["add", "concat"])
def test_blocks_have_arcs(residual):
    net = BackpropMLPRegressor(
        (4, 5, 4, 4), residual=residual, residual_block_size=2, max_iter=3,
        random_state=0,
    ).fit(X, Y)  # fmt: skip
    display = BackpropagationDisplay.from_estimator(net, X, Y)
    places = {"add": [(1, 3), (3, 4)], "concat": [(0, 2), (2, 4)]}[residual]
    arcs = [patch._posA_posB for patch in display.ax_.patches]
    assert [(a[0], b[0]) for a, b in arcs] == places
    for patch in display.ax_.patches:
        box = patch.get_window_extent().transformed(display.ax_.transData.inverted())
        assert box.y0 > 0.95
        assert box.y1 > 1.01
    # The lines are those of the units before, not of what the block joins them to.
    last = display.passed.layers[-1].dJ_dW[-4:]
    drawn = display.edges_[-1].get_array()
    np.testing.assert_array_equal(np.sort(drawn), np.sort(last, axis=None))
    check_legible(display.figure_)


def test_weights_that_do_not_lead_from_unit_to_unit_are_not_drawn(small):
    """As those of layers to come, which hold other arrays."""
    passed = backpropagate(small, X, Y)
    odd = replace(passed.layers[0], gradients={"W": np.ones((3, 8)), "U": np.ones(4)})
    passed.layers[0] = odd
    display = BackpropagationDisplay(passed=passed).plot()
    assert [len(edges.get_segments()) for edges in display.edges_] == [0, 8]
    check_legible(display.figure_)


@pytest.mark.parametrize("member_weights", ["mini", "adapters"])
def test_members_are_drawn_as_one_network(member_weights):
    """With the gradient of what they would share: the sum of theirs."""
    net = BackpropMLPRegressor(
        (4,), n_members=3, member_weights=member_weights, max_iter=3, random_state=0,
        numerical_embedding=PiecewiseLinearEmbedding(n_bins=3, size=2),
    ).fit(X, Y)  # fmt: skip
    display = BackpropagationDisplay.from_estimator(net, X, Y)
    embedding, hidden, output = display.passed.layers
    assert [len(units.get_offsets()) for units in display.units_] == [
        X.shape[1], 2 * X.shape[1], 4, output.a.shape[1],
    ]  # fmt: skip
    np.testing.assert_allclose(display.units_[1].get_array(), embedding.a.mean(axis=0))
    expected = np.sort(output.dJ_dW.sum(axis=0), axis=None)
    np.testing.assert_allclose(np.sort(display.edges_[-1].get_array()), expected)
    np.testing.assert_allclose(
        np.sort(display.edges_[1].get_array()), np.sort(hidden.dJ_dW, axis=None)
    )


def test_names_of_features_and_classes():
    iris = load_iris(as_frame=True)
    kinds = np.array(["the setosa one", "versicolor one", "virginica"])
    names = kinds[iris.target]
    net = BackpropMLPClassifier((4,), max_iter=20, random_state=0).fit(iris.data, names)
    display = BackpropagationDisplay.from_estimator(net, iris.data, names)
    captions = [text.get_text() for text in display.ax_.texts]
    assert {*kinds} <= {*captions}
    assert "sepal length\n(cm)" in captions
    check_legible(display.figure_)
    pipeline = make_pipeline(StandardScaler(), net).fit(iris.data, names == kinds[0])
    display = BackpropagationDisplay.from_estimator(
        pipeline, iris.data, names == kinds[0]
    )
    captions = [text.get_text() for text in display.ax_.texts]
    assert "sepal width\n(cm)" in captions
    assert "True" in captions
    assert "False" not in captions


@pytest.mark.parametrize("n_layers", [10, 25])
def test_any_depth_can_be_read(n_layers, digits):
    net = BackpropMLPClassifier((20,) * n_layers, max_iter=1, random_state=0)
    net.fit(digits[0][:200], digits[1][:200])
    display = BackpropagationDisplay.from_estimator(net, *digits)
    assert len(display.units_) == n_layers + 2
    check_legible(display.figure_)


def test_linear_regression_is_drawn():
    model = GDLinearRegression(max_iter=3).fit(X, Y)
    display = BackpropagationDisplay.from_estimator(model, X, Y)
    assert display.ax_.get_title() == "GDLinearRegression"
    check_legible(display.figure_)
    model = GDLinearRegression(fit_intercept=False).fit(0 * X, Y)
    BackpropagationDisplay.from_estimator(model, 0 * X, Y)  # no gradient at all
    check_legible(display.figure_)


def test_it_follows_the_conventions_of_displays(small, monkeypatch):
    figure, ax = plt.subplots()
    before = pickle.dumps(small)
    display = BackpropagationDisplay.from_estimator(small, X, Y, ax=ax, name="a name")
    assert pickle.dumps(small) == before
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert ax.get_title() == "a name"
    assert display.plot(name="another") is display
    assert display.ax_ is not ax
    assert display.ax_.get_title() == "another"
    made = BackpropagationDisplay(passed=backpropagate(small, X, Y)).plot()
    assert made.ax_.get_title() == ""
    for function, doc in (
        (BackpropagationDisplay, BackpropagationDisplay.__doc__),
        (display.from_estimator, display.from_estimator.__doc__),
        (BackpropagationDisplay.plot, display.plot.__doc__),
    ):
        described = {
            name.strip()
            for line in inspect.cleandoc(doc).splitlines()
            if " : " in line and not line.startswith(" ")
            for name in line.split(" : ")[0].split(",")
        }
        assert {*inspect.signature(function).parameters} - {"self"} <= described
    importer = builtins.__import__

    def no_matplotlib(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return importer(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    with pytest.raises(ImportError, match=r"sklearn-backprop\[plot\]"):
        display.plot()
