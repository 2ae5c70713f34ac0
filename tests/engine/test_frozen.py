"""Frozen arrays: what is not computed changes nothing of what is."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from problems import LAYER_KINDS, draw_targets, name_of
from sequence_layers import (
    SequenceNetwork,
    as_engine_reads,
    make_sequences,
    recurrent_layers,
)
from sequence_layers import make_engine as make_sequence_engine

from sklearn_backprop.engine import _engine
from sklearn_backprop.neural_network._inputs import Inputs
from sklearn_backprop.neural_network._perceptron import build_architecture

pytestmark = pytest.mark.once

N_FEATURES, WIDTHS, N_OUTPUTS, N_ROWS = 4, (5, 5, 3), 2, 23
N_LAYERS = len(WIDTHS) + 1
MEMBERS = [
    {"n_members": 3, "member_weights": weights}
    for weights in ("mini", "adapters", "independent")
]
# How each layer learns, from input to output.
RATES = [(0, 0, 0, 1), (0, 1, 1, 1), (0, 0, 1, 0), (1, 0, 1, 1), (1, 1, 1, 0)]


def make_engine(shape, rates=None):
    """Make a network whose layers learn at these rates."""
    architecture = build_architecture(
        Inputs(N_FEATURES), N_OUTPUTS, hidden_layer_sizes=WIDTHS, **shape
    )
    architecture.set_rates(rates)
    engine = _engine.NetworkFloat64(
        architecture.table,
        architecture.layers,
        loss="squared_error",
        link="identity",
        n_members=architecture.n_members,
    )
    return architecture, engine


def make_rows(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N_ROWS, N_FEATURES))
    return X, draw_targets("identity", N_ROWS, N_OUTPUTS, rng)


def draw(architecture, seed=1):
    rng = np.random.default_rng(seed)
    running = np.abs(rng.normal(1.0, 0.2, architecture.n_running))
    return rng.normal(0.0, 0.5, architecture.n_theta), running


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("shape", [*LAYER_KINDS, *MEMBERS], ids=name_of)
def test_the_gradient_of_what_learns_is_that_of_the_whole(shape, rates, n_threads):
    if shape.get("normalization") == "batch":
        shape = {**shape, "normalization": "layer"}  # reads no running statistics
    whole, engine = make_engine(shape)
    _, frozen = make_engine(shape, rates)
    theta, _ = draw(whole)
    X, Y = make_rows()
    settings = {"alpha": 0.3, "n_threads": n_threads}
    value, gradient = engine.value_and_gradient(theta, X, Y, **settings)
    same, partial = frozen.value_and_gradient(theta, X, Y, **settings)
    assert same == value
    for row in whole.parameters:
        expected = row.view(gradient) if rates[row.layer] else np.zeros(row.shape)
        assert_array_equal(row.view(partial), expected, err_msg=row.name)


@pytest.mark.parametrize("rates", [(0, 0, 0, 1), (0, 1, 1, 1), (1, 0, 1, 1)])
@pytest.mark.parametrize("residual", [None, "add", "concat"])
def test_frozen_statistics_are_read_and_left(residual, rates):
    shape = {"normalization": "batch", "residual": residual}
    architecture, engine = make_engine(shape, rates)
    theta, running = draw(architecture)
    X, Y = make_rows()
    before, statistics = theta.copy(), running.copy()
    value, _ = engine.value_and_gradient(theta, X, Y, running=running)
    if not any(rates[:-1]):  # then training passes rows as prediction does
        assert value == pytest.approx(engine.loss(theta, running, X, Y), rel=1e-13)
    epoch = engine.trainer("adam").train_epoch(
        theta, running, X, Y, batch_size=8, learning_rate=0.1
    )
    assert np.isfinite(epoch["loss"])
    for row in architecture.parameters:
        is_same = np.array_equal(row.view(theta), row.view(before))
        assert is_same == (rates[row.layer] == 0), row.name
    ends = np.cumsum([2 * width for width in WIDTHS])
    for rate, stretch in zip(
        rates, np.split(np.arange(ends[-1]), ends[:-1]), strict=False
    ):
        assert np.array_equal(running[stretch], statistics[stretch]) == (rate == 0)


@pytest.mark.parametrize("rates", [(0, 0, 0, 1), (0, 1, 1, 1), (1, 0, 1, 1)])
def test_the_gradient_through_frozen_statistics_is_that_of_the_objective(rates):
    shape = {"normalization": "batch", "activation": "tanh"}
    architecture, engine = make_engine(shape, rates)
    theta, running = draw(architecture)
    X, Y = make_rows()
    direction = np.random.default_rng(2).standard_normal(len(theta))
    direction *= architecture.rates()

    def value(t):
        return engine.value_and_gradient(theta + t * direction, X, Y, running=running)

    h = 1e-4
    slope = (value(h)[0] - value(-h)[0]) / (2 * h)
    assert value(0)[1] @ direction == pytest.approx(slope, rel=1e-6)


def test_statistics_that_training_reads_must_be_given():
    architecture, engine = make_engine({"normalization": "batch"}, (0, 1, 1, 1))
    theta, _ = draw(architecture)
    with pytest.raises(ValueError, match="running has 0 elements, expected 26"):
        engine.value_and_gradient(theta, *make_rows())


@pytest.mark.parametrize("n_frozen", [1, 3, 4, 6, 8])
@pytest.mark.parametrize("kind", [{}, {"bidirectional": True}, {"residual": True}])
def test_recurrent_layers_below_a_trained_one_change_nothing(kind, n_frozen):
    recurrent = recurrent_layers("lstm", (4, 4), **kind)
    network = SequenceNetwork(recurrent, N_OUTPUTS, "mean", None)
    (table, layers), n_theta = as_engine_reads(network)
    some = [{**row, "rate": float(i >= n_frozen)} for i, row in enumerate(table)]
    X = make_sequences().reshape(13, -1)
    Y = draw_targets("identity", 13, N_OUTPUTS, np.random.default_rng(1))
    theta = np.random.default_rng(2).normal(0.0, 0.5, n_theta)
    whole, frozen = (
        make_sequence_engine((rows, layers), "squared_error", "identity")
        for rows in (table, some)
    )
    value, gradient = whole.value_and_gradient(theta, X, Y)
    same, partial = frozen.value_and_gradient(theta, X, Y)
    start = table[n_frozen]["start"] if n_frozen < len(table) else n_theta
    assert same == value
    assert_array_equal(partial, [*np.zeros(start), *gradient[start:]])
