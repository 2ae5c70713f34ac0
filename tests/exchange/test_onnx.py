"""ONNX models against the estimators that they were written from, by onnxruntime."""

import sys
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    BackpropRNNClassifier,
    BackpropRNNRegressor,
    GDLinearRegression,
)
from sklearn_backprop.engine import _engine
from sklearn_backprop.exchange import register_converters, to_onnx
from sklearn_backprop.exchange._graph import ModelGraph
from sklearn_backprop.exchange._layers import ACTIVATIONS, LAYERS
from sklearn_backprop.exchange._outputs import LINKS
from sklearn_backprop.exchange._tables import write_indicators_of_levels
from sklearn_backprop.neural_network import (
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
)
from sklearn_backprop.neural_network._network import ENGINE_LINKS

onnxruntime = pytest.importorskip("onnxruntime", reason="installed with the newest")
skl2onnx = pytest.importorskip("skl2onnx")

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
)
TOLERANCE = {np.float64: 1e-10, np.float32: 1e-5}
RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 5))
Y = np.column_stack([np.sin(X[:, 0]) + X[:, 1], X[:, 2] * X[:, 3]])
LABELS = np.digitize(Y[:, 0], [-0.5, 0.7])


def run(model, X, **inputs):
    """Give the outputs of a model by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    feed = inputs or {session.get_inputs()[0].name: X}
    return dict(zip(names, session.run(None, feed), strict=True))


def fit_regressor(y=Y, dtype=np.float64, **settings):
    settings = {"max_iter": 3, "random_state": 0, **settings}
    net = BackpropMLPRegressor((7, 4, 4), **settings)
    return net.fit(X.astype(dtype), y)


def fit_classifier(y, dtype=np.float64, **settings):
    settings = {
        "max_iter": 40,
        "random_state": 0,
        "learning_rate_init": 0.02,
    } | settings
    return BackpropMLPClassifier((6,), **settings).fit(X.astype(dtype), y)


def assert_same(actual, expected, tolerance):
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.once
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("activation", _engine.activation_names())
def test_every_architecture(activation, dtype):
    for normalization, residual, size in product(
        (None, "batch", "layer"), (None, "add", "concat"), (1, 2)
    ):
        net = fit_regressor(
            dtype=dtype, activation=activation, normalization=normalization,
            residual=residual, residual_block_size=size, dropout=0.2,
        )  # fmt: skip
        # Far out, where branches of activations and exponentials end.
        rows = (np.array([[1.0], [10.0], [100.0]])[:, None] * X).reshape(-1, 5)
        rows = rows.astype(dtype)
        outputs = run(to_onnx(net), rows)
        assert list(outputs) == ["variable"]
        assert outputs["variable"].dtype == dtype
        assert_same(outputs["variable"], net.predict(rows), TOLERANCE[dtype])


def padded_sequences(n_rows=30, n_steps=6, n_channels=3, dtype=np.float64):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n_rows, n_steps, n_channels)).astype(dtype)
    lengths = rng.integers(1, n_steps + 1, size=n_rows)
    rows[np.arange(n_steps) >= lengths[:, None]] = np.nan
    return rows.reshape(n_rows, -1)


@pytest.mark.once
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", _engine.cell_names())
def test_recurrent_networks(cell, bidirectional, pooling, dtype):
    rows = padded_sequences(dtype=dtype)
    net = BackpropRNNRegressor(
        (4, 4, 5), n_channels=3, cell=cell, bidirectional=bidirectional,
        pooling=pooling, residual="add", dropout=0.2, max_iter=3, random_state=0,
    ).fit(rows, np.nan_to_num(rows[:, :2]))  # fmt: skip
    rows[:5] *= 10
    variable = run(to_onnx(net), rows)["variable"]
    assert variable.dtype == dtype
    assert_same(variable, net.predict(rows), TOLERANCE[dtype])


def test_a_recurrent_network_in_a_pipeline():
    rows = padded_sequences()
    y = (rows[:, 0] > 0).astype(int)
    net = BackpropRNNClassifier((4,), n_channels=3, max_iter=3, random_state=0)
    pipeline = make_pipeline(StandardScaler(), net).fit(rows, y)
    p = run(to_onnx(pipeline), rows)["probabilities"]
    assert_same(p, pipeline.predict_proba(rows), 1e-5)


EMBEDDINGS = {
    "none": None,
    "piecewise_linear": PiecewiseLinearEmbedding(n_bins=6, size=3),
    "periodic": PeriodicEmbedding(n_frequencies=3, frequency_scale=1.0, size=4),
    "periodic_apart": PeriodicEmbedding(3, 1.0, size=4, shared=False),
}
MEMBERS = {
    "alone": {},
    "mini": {"n_members": 3},
    "adapters": {"n_members": 3, "member_weights": "adapters"},
    "independent": {"n_members": 3, "member_weights": "independent"},
}


@pytest.mark.once
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("members", MEMBERS)
@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_embeddings_and_members(embedding, members, dtype):
    """Numbers and probabilities, rows far out, gaps, and columns as they are."""
    embedded = {"numerical_embedding": EMBEDDINGS[embedding], **MEMBERS[members]}
    gappy = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
    if embedding == "none":
        gappy = X
    gappy = gappy.astype(dtype)
    gappy[1, 4] = 0.5
    for y in (LABELS, LABELS > 0, (Y > 0).astype(int)):
        net = BackpropMLPClassifier((6, 5), max_iter=5, random_state=0, **embedded)
        net.fit(gappy, y)
        outputs = run(to_onnx(net), gappy)
        expected = net.predict_proba(gappy)
        assert_same(outputs["probabilities"], expected, TOLERANCE[dtype])
        assert_array_equal(outputs["label"], net.predict(gappy))
    rows = np.concatenate([X, 30 * X]).astype(dtype)
    for shape in ({}, {"normalization": "layer", "residual": "concat"}):
        net = fit_regressor(
            dtype=dtype, embedded_features=[3, 0], **embedded, **shape, dropout=0.1
        )
        if embedding == "piecewise_linear":  # V starts at zero
            (V,) = net._training.network.views("V")
            V[...] = RNG.standard_normal(V.shape)
        outputs = run(to_onnx(net, target_opset=14), rows)
        assert_same(outputs["variable"], net.predict(rows), TOLERANCE[dtype])


def test_independent_members_have_statistics_of_their_own():
    net = fit_regressor(**MEMBERS["independent"], normalization="batch")
    assert_same(run(to_onnx(net), X)["variable"], net.predict(X), 1e-10)


def test_codes_of_levels():
    """A layer that networks for raw tables have."""
    graph = ModelGraph(np.float64, 18)
    layer = {"columns": [2, 0], "n_levels": [3, 2]}
    write_indicators_of_levels(graph, layer, None, graph.declare_input("X", "n", 3))
    (node,) = (node for node in graph._nodes if node.op_type == "Concat")
    graph.add("Identity", node.output[0], output="codes")
    graph.declare_output("codes", np.float64, "n", 5)
    rows = np.array([[0, 9, 2], [1, 9, -1], [np.nan, 9, 0], [2, 9, 1.5]])
    expected = [[0, 0, 1, 1, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0], [0] * 5]
    assert_array_equal(run(graph.model("codes"), rows)["codes"], expected)


def test_embeddings_and_members_inside_a_pipeline():
    net = BackpropMLPClassifier(
        (6,), numerical_embedding="piecewise_linear", n_members=2, max_iter=5
    )
    pipeline = make_pipeline(StandardScaler(), net).fit(X, LABELS)
    expected = pipeline.predict_proba(X)
    assert_same(run(to_onnx(pipeline), X)["probabilities"], expected, 1e-10)


def test_all_that_the_engine_knows_can_be_written():
    assert set(LAYERS) == set(_engine.layer_kinds())
    assert set(ACTIVATIONS) == set(_engine.activation_names())
    assert set(LINKS) == set(ENGINE_LINKS)


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "y",
    [
        LABELS,
        LABELS > 0,
        (LABELS > 0) * 2.0 - 1.0,
        np.array(["low", "middle", "high"])[LABELS],
        np.array(["no", "yes"], dtype=object)[(LABELS > 0).astype(int)],
        (Y > 0).astype(int),
        np.full(60, 7),
    ],
    ids=["three", "bool", "float", "text", "object", "multilabel", "single"],
)
def test_labels_and_probabilities(y, dtype, loss):
    net = fit_classifier(y, dtype, loss=loss)
    rows = X.astype(dtype)
    model = to_onnx(net)
    outputs = run(model, rows)
    assert list(outputs) == ["label", "probabilities"]
    for output in model.graph.output:
        promised = [size.dim_value for size in output.type.tensor_type.shape.dim]
        assert promised[1:] == list(outputs[output.name].shape[1:])
    assert_same(outputs["probabilities"], net.predict_proba(rows), TOLERANCE[dtype])
    predicted = net.predict(rows)
    assert outputs["label"].shape == predicted.shape
    assert_array_equal(outputs["label"], predicted)


def test_small_probabilities_of_two_classes_are_not_rounded_away():
    y = LABELS > 0
    net = fit_classifier(y, max_iter=300, tol=0.0, alpha=0.0)
    rows = 50 * X
    p = run(to_onnx(net), rows)["probabilities"]
    assert p.min() < 1e-30
    assert_allclose(p, net.predict_proba(rows), rtol=1e-9, atol=1e-300)


def test_poisson_predicts_means():
    net = fit_regressor(RNG.poisson(3.0, 60), loss="poisson")
    variable = run(to_onnx(net), X)["variable"]
    assert_same(variable, net.predict(X)[:, None], 1e-10)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("normalization", [None, "batch"])
def test_a_network_that_started_as_another(normalization, dtype):
    shape = {"normalization": normalization, "dtype": dtype}
    source = fit_classifier(LABELS, **shape)
    tuned = fit_classifier(
        LABELS == 2, **shape, pretrained=source, layer_rates=[0, 1], solver="lbfgs"
    )
    outputs = run(to_onnx(tuned), X.astype(dtype))
    expected = tuned.predict_proba(X.astype(dtype))
    assert_same(outputs["probabilities"], expected, TOLERANCE[dtype])


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("y", [Y[:, 0], Y], ids=["one", "two"])
@pytest.mark.parametrize("solver", ["gd", "normal"])
def test_linear_regression(solver, y, fit_intercept):
    model = GDLinearRegression(solver=solver, fit_intercept=fit_intercept).fit(X, y)
    variable = run(to_onnx(model), X)["variable"]
    assert_same(variable, model.predict(X).reshape(60, -1), 1e-10)


def test_another_precision_than_the_weights():
    net = fit_regressor()
    variable = run(to_onnx(net, dtype=np.float32), X.astype(np.float32))["variable"]
    assert variable.dtype == np.float32
    assert_same(variable, net.predict(X), 1e-5)
    with pytest.raises(ValueError, match="float32 or float64, got int64"):
        to_onnx(net, dtype=np.int64)


@pytest.mark.parametrize("opset", [13, 15, 17, 18, 20, 21])
def test_versions_of_operators(opset):
    net = fit_regressor(activation="gelu", normalization="layer")
    model = to_onnx(net, target_opset=opset)
    assert [entry.version for entry in model.opset_import] == [opset]
    assert_same(run(model, X)["variable"], net.predict(X), 1e-10)
    with pytest.raises(ValueError, match="at least 13, got 12"):
        to_onnx(net, target_opset=12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("names", [np.array([3, 1, 2]), np.array(list("abc"))])
def test_maps_of_probabilities(names, dtype):
    net = fit_classifier(names[LABELS], dtype)
    rows = X.astype(dtype)
    maps = run(to_onnx(net, zipmap=True), rows)["probabilities"]
    p = np.array([[row[name] for name in net.classes_] for row in maps])
    assert_same(p, net.predict_proba(rows), 1e-6)


def test_a_model_says_where_it_comes_from():
    model = to_onnx(fit_regressor(), name="prices")
    assert model.graph.name == "prices"
    assert model.producer_name == "sklearn-backprop"
    assert to_onnx(fit_regressor()).graph.name == "BackpropMLPRegressor"


def test_what_cannot_be_written_is_named(monkeypatch):
    with pytest.raises(NotFittedError):
        to_onnx(BackpropMLPRegressor())
    net = fit_classifier(LABELS)
    net.classes_ = np.array([0, "a", None], dtype=object)
    with pytest.raises(ValueError, match="integers and strings for labels"):
        to_onnx(net)
    net = fit_regressor()
    net._training.network.architecture.layers[0]["kind"] = "convolution"
    with pytest.raises(ValueError, match="kind 'convolution' cannot be written"):
        to_onnx(net)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"extra \"onnx\": pip install"):
        to_onnx(fit_regressor())


# ---- Inside skl2onnx ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_pipelines(dtype):
    net = BackpropMLPClassifier((6,), normalization="batch", max_iter=5, random_state=0)
    names = np.array(["low", "middle", "high"])
    pipeline = make_pipeline(StandardScaler(), net).fit(X.astype(dtype), names[LABELS])
    outputs = run(to_onnx(pipeline), X.astype(dtype))
    assert list(outputs) == ["label", "probabilities"]
    expected = pipeline.predict_proba(X.astype(dtype))
    assert_same(outputs["probabilities"], expected, TOLERANCE[dtype])
    assert_array_equal(outputs["label"], pipeline.predict(X.astype(dtype)))
    with pytest.raises(ValueError, match=r"zipmap=True of a Pipeline needs"):
        to_onnx(pipeline, zipmap=True, dtype=np.float64)
    maps = run(to_onnx(pipeline, zipmap=True, dtype=np.float32), X.astype(np.float32))
    assert_allclose(maps["output_probability"][0]["low"], expected[0, 1], rtol=1e-4)


def test_options_of_the_converter():
    register_converters()
    rows = X.astype(np.float32)
    net = fit_classifier(np.array(["a", "b", "c"])[LABELS], np.float32)

    def outputs_of(**options):
        return run(skl2onnx.to_onnx(net, rows[:1], options={id(net): options}), rows)

    expected = net.predict_proba(rows)
    columns = outputs_of(zipmap="columns")
    assert list(columns) == ["output_label", "sa", "sb", "sc"]
    assert_allclose(columns["sb"], expected[:, 1], atol=1e-6)
    numbered = outputs_of(nocl=True, zipmap=False)
    assert_array_equal(numbered["label"], expected.argmax(axis=1))
    named = outputs_of(zipmap=False, output_class_labels=True)
    assert_array_equal(named["class_labels"], ["a", "b", "c"])
    with pytest.raises(NameError, match="raw_scores"):
        outputs_of(raw_scores=True)


def test_several_labels_inside_a_pipeline():
    y = (Y > 0).astype(int)
    pipeline = make_pipeline(StandardScaler(), fit_classifier(y)).fit(X, y)
    outputs = run(to_onnx(pipeline), X)
    assert_array_equal(outputs["label"], pipeline.predict(X))
    assert_same(outputs["probabilities"], pipeline.predict_proba(X), 1e-10)


def test_a_search_over_a_pipeline_with_columns_of_both_kinds():
    groups = RNG.integers(3, size=(60, 1)).astype(float)
    table = np.hstack([X, groups])
    columns = ColumnTransformer(
        [("scale", StandardScaler(), [0, 1, 2, 3, 4]), ("code", OneHotEncoder(), [5])]
    )
    net = BackpropMLPRegressor((4,), residual="concat", max_iter=3, random_state=0)
    search = GridSearchCV(
        make_pipeline(columns, net), {"backpropmlpregressor__alpha": [0.1, 1.0]}, cv=2
    ).fit(table, Y)
    variable = run(to_onnx(search), table)["variable"]
    assert_same(variable, search.predict(table), 1e-10)


def test_linear_regression_and_integers_inside_a_pipeline():
    rows = RNG.integers(-3, 4, size=(60, 3))
    model = make_pipeline(StandardScaler(), GDLinearRegression(solver="normal")).fit(
        rows, rows @ [1.0, 2.0, 3.0]
    )
    register_converters()
    written = skl2onnx.to_onnx(model, rows[:1])
    found = run(written, rows)["variable"]
    assert_same(found, model.predict(rows)[:, None], 1e-5)
    net = BackpropMLPRegressor((3,), max_iter=2, random_state=0).fit(rows, rows[:, 0])
    found = run(skl2onnx.to_onnx(net, rows[:1]), rows)["variable"]
    assert_same(found, net.predict(rows)[:, None], 1e-5)
