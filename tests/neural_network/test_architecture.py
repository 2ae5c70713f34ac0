"""Layouts known by hand, and starting weights by their statistics."""

from math import prod

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference_network import ReferenceNetwork

from sklearn_backprop.neural_network._initializers import (
    INIT_ALIASES,
    INITIALIZERS,
    draw_parameters,
)
from sklearn_backprop.neural_network._inputs import Inputs
from sklearn_backprop.neural_network._perceptron import (
    ACTIVATIONS,
    build_architecture,
)

FLOAT = np.dtype(np.float64)


def places(architecture):
    return [(row.role, row.start, row.shape) for row in architecture.parameters]


def test_a_block_with_a_projection_known_by_hand():
    architecture = build_architecture(
        Inputs(3), 1, hidden_layer_sizes=(4, 4, 5), normalization="batch", dropout=0.1,
        residual="add", residual_block_size=2,
    )  # fmt: skip
    assert places(architecture) == [
        ("W", 0, (3, 4)), ("b", 12, (4,)), ("gamma", 16, (4,)), ("beta", 20, (4,)),
        ("W", 24, (4, 4)), ("b", 40, (4,)), ("gamma", 44, (4,)), ("beta", 48, (4,)),
        ("W", 52, (4, 5)), ("b", 72, (5,)), ("P", 77, (4, 5)),
        ("gamma", 97, (5,)), ("beta", 102, (5,)), ("W", 107, (5, 1)), ("b", 112, (1,)),
    ]  # fmt: skip
    assert (architecture.n_theta, architecture.n_running) == (113, 26)
    first, block, *behind, output = architecture.layers
    assert first == {
        "kind": "dense", "layer": 0, "n_in": 3, "n_out": 4, "W": 0, "b": 1
    }  # fmt: skip
    assert (block["kind"], block["n_in"], block["n_out"]) == ("add", 4, 5)
    assert block["scale"] == 1.0
    nonlinear = ["batch_norm", "activation", "dropout"]
    kinds = [layer["kind"] for layer in block["layers"]]
    assert kinds == [*nonlinear, "dense"] * 2
    assert [layer["kind"] for layer in behind] == nonlinear
    assert output == {
        "kind": "dense", "layer": 3, "n_in": 5, "n_out": 1, "W": 13, "b": 14
    }  # fmt: skip
    assert_array_equal(
        architecture.start_running(FLOAT), ([0] * 4 + [1] * 4) * 2 + [0] * 5 + [1] * 5
    )


def test_skips_change_nothing_but_the_sum():
    """The same dense layers and activations follow one another as in a plain chain."""
    shape = {"hidden_layer_sizes": (4, 4, 4), "activation": ["relu", "tanh", "elu"]}
    plain = build_architecture(Inputs(3), 1, **shape)
    bypassed = build_architecture(Inputs(3), 1, residual="add", **shape)
    flat = [
        layer
        for outer in bypassed.layers
        for layer in (outer["layers"] if outer["kind"] == "add" else [outer])
    ]
    assert flat == plain.layers
    assert places(bypassed) == places(plain)


def test_concat_widens_the_stream():
    architecture = build_architecture(
        Inputs(3), 2, hidden_layer_sizes=(4, 5), residual="concat"
    )
    assert architecture.shapes("W") == [(3, 4), (7, 5), (12, 2)]


def test_branches_of_many_blocks_are_scaled():
    architecture = build_architecture(
        Inputs(4),
        2,
        hidden_layer_sizes=(4,) * 10,
        residual="add",
        residual_block_size=2,
    )
    scales = [layer["scale"] for layer in architecture.layers if "scale" in layer]
    assert_allclose(scales, [1 / np.sqrt(5)] * 5)
    assert not architecture.shapes("P")


@pytest.mark.parametrize("sizes", [7, (7,), [7], np.array([7])])
def test_one_width_in_any_form(sizes):
    architecture = build_architecture(Inputs(3), 2, hidden_layer_sizes=sizes)
    assert architecture.shapes("W") == [(3, 7), (7, 2)]


def test_no_hidden_layer_is_a_linear_model():
    architecture = build_architecture(
        Inputs(3), 2, hidden_layer_sizes=(), residual="add"
    )
    assert places(architecture) == [("W", 0, (3, 2)), ("b", 6, (2,))]


@pytest.mark.parametrize("residual", [None, "add", "concat"])
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_layout_is_that_of_the_reference(residual, normalization):
    shape = {
        "hidden_layer_sizes": (4, 3, 3, 5, 5),
        "normalization": normalization,
        "residual": residual,
        "residual_block_size": 2,
    }
    architecture = build_architecture(Inputs(6), 2, **shape)
    reference = ReferenceNetwork(6, n_outputs=2, **shape)
    shapes = [row.shape for row in architecture.parameters]
    assert shapes == list(reference.shapes.values())
    starts = np.cumsum([0, *map(prod, shapes)])
    assert [row.start for row in architecture.parameters] == list(starts[:-1])
    assert_array_equal(architecture.start_running(FLOAT), reference.start_running())


# ------------------------------------------------------------------ initializers
N_IN, N_OUT = 300, 200
VARIANCE = {  # from the papers
    "xavier_uniform": 2 / (N_IN + N_OUT),  # Glorot & Bengio, 2010
    "xavier_normal": 2 / (N_IN + N_OUT),
    "he_normal": 2 / N_IN,  # He et al., 2015
    "he_uniform": 2 / N_IN,
    "lecun_normal": 1 / N_IN,  # LeCun et al., 1998
    "lecun_uniform": 1 / N_IN,
    "orthogonal": 1 / N_IN,  # columns of length 1
    "zeros": 0.0,
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers_have_the_published_variance(name):
    W = INITIALIZERS[name](np.random.RandomState(0), (N_IN, N_OUT))
    assert W.shape == (N_IN, N_OUT)
    assert_allclose(W.mean(), 0, atol=5 * W.std() / np.sqrt(W.size))
    assert_allclose(W.var(), VARIANCE[name], rtol=0.02)
    if name.endswith("uniform"):
        assert np.abs(W).max() <= np.sqrt(3 * VARIANCE[name])
        assert np.abs(W).max() > 0.999 * np.sqrt(3 * VARIANCE[name])


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_orthogonal_matrices_are_orthogonal(shape):
    W = INITIALIZERS["orthogonal"](np.random.RandomState(0), shape)
    small = W.T @ W if shape[0] >= shape[1] else W @ W.T
    assert_allclose(small, np.eye(min(shape)), atol=1e-14)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_auto_follows_the_activation(activation):
    architecture = build_architecture(
        Inputs(N_OUT), 150, hidden_layer_sizes=(N_IN, N_OUT), activation=activation
    )
    theta = draw_parameters(architecture, "auto", 1.0, np.random.RandomState(0), FLOAT)
    first, hidden, output = architecture.views("W", theta)
    rule = ACTIVATIONS[activation]
    of_first = {
        "xavier_uniform": VARIANCE["xavier_uniform"],  # of N_OUT and N_IN, too
        "lecun_normal": 1 / N_OUT,
        "he_normal": 0.5 / N_OUT,
    }
    assert_allclose(first.var(), of_first[rule], rtol=0.03)
    assert_allclose(hidden.var(), VARIANCE[rule], rtol=0.02)
    assert_allclose(output.var(), 1 / N_OUT, rtol=0.03)


@pytest.mark.parametrize("alias", INIT_ALIASES)
def test_aliases_and_scale(alias):
    architecture = build_architecture(
        Inputs(5), 2, hidden_layer_sizes=(4,), normalization="layer"
    )
    plain, scaled = (
        draw_parameters(architecture, init, scale, np.random.RandomState(0), FLOAT)
        for init, scale in ((INIT_ALIASES[alias], 1.0), (alias, 3.0))
    )
    for role, factor in (("W", 3.0), ("b", 0.0), ("beta", 0.0), ("gamma", 1.0)):
        for one, other in zip(
            architecture.views(role, plain),
            architecture.views(role, scaled),
            strict=True,
        ):
            assert_allclose(other, factor * one)
    assert_array_equal(architecture.views("gamma", plain)[0], np.ones(4))
