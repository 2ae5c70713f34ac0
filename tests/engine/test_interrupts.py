"""Ctrl-C ends whatever the engine computes, long before its end."""

import signal
import sys
import threading
import time

import numpy as np
import pytest
from architectures import make_layers, make_network

from sklearn_backprop.engine import _engine

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def ctrl_c_raises():
    """As in a terminal; a shell's background jobs start with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt(part, whole, n_parts, after=0.0):
    """Run `whole`, n_parts times the work of `part`, and have it interrupted.

    That is done at once, or after a share of the time that it would take on this
    machine now. Its end comes within a twentieth of that time: no thread goes on to the
    end of its share.
    """
    part()
    began = time.perf_counter()
    part()
    expected = n_parts * (time.perf_counter() - began)
    delay = max(0.2, after * expected)
    threading.Timer(delay, signal.raise_signal, [signal.SIGINT]).start()
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        whole()
    assert time.perf_counter() - began < delay + max(expected / 20, 1.8)


def a_network(*widths):
    layers, n, _ = make_layers(8, widths, 1, "relu")
    network = make_network(layers, "squared_error", "identity")
    rng = np.random.default_rng(0)
    return network, 0.01 * rng.normal(size=n), np.zeros(0)


@pytest.mark.parametrize("batch_size", [50, 2_000_000])
def test_an_epoch_answers(batch_size):
    network, theta, running = a_network(256, 256)
    X, Y = np.zeros((5000, 8)), np.zeros((5000, 1))
    trainer = network.trainer("sgd")
    rows = np.arange(5000)

    def run(order):
        trainer.train_epoch(
            theta, running, X, Y, None, order, batch_size=batch_size, learning_rate=1e-6
        )

    before = trainer.get_state()["t"]
    interrupt(lambda: run(rows), lambda: run(np.tile(rows, 400)), 400)
    # The two parts, and steps of the whole where it takes more than one.
    n_steps = trainer.get_state()["t"] - before
    assert n_steps > 200 if batch_size == 50 else n_steps == 2


def test_handlers_reckon_with_numbers_that_training_takes_for_zero():
    network, theta, _ = a_network(256, 256)
    X, Y = np.zeros((600_000, 8)), np.zeros((600_000, 1))
    halves = []

    def handler(*_):
        halves.append(sys.float_info.min / 2)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handler)
    threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        network.value_and_gradient(theta, X, Y)
    assert len(halves) == 1
    assert halves[0] > 0


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("what", ["predict", "raw_outputs", "loss", "gradient"])
def test_passes_over_many_rows_answer(what, n_threads):
    network, theta, running = a_network(512, 512, 512)
    X = np.zeros((600_000, 8))
    Y = np.zeros((600_000, 1))

    def run(n_rows):
        rows, targets = X[:n_rows], Y[:n_rows]
        if what == "loss":
            network.loss(theta, running, rows, targets, n_threads=n_threads)
        elif what == "gradient":
            network.value_and_gradient(theta, rows, targets, n_threads=n_threads)
        else:
            getattr(network, what)(theta, running, rows, n_threads=n_threads)

    interrupt(lambda: run(1000), lambda: run(600_000), 600)


def test_a_gradient_in_many_shares_answers():
    """The leader looks for signals in each share that it does."""
    network, theta, _ = a_network(128, 128)
    X, Y = np.zeros((4_000_000, 8)), np.zeros((4_000_000, 1))

    def run(n_rows):
        network.value_and_gradient(theta, X[:n_rows], Y[:n_rows], n_threads=2)

    interrupt(lambda: run(50_000), lambda: run(4_000_000), 80, after=0.25)


@pytest.mark.parametrize(("n_threads", "dtype"), [(1, np.float32), (2, np.float64)])
@pytest.mark.parametrize("what", ["gram", "residuals"])
def test_the_exact_road_answers(what, dtype, n_threads):
    n_rows, n_features = 20_000_000, 100
    # One row in the place of all: the engine reads any strides of X.
    X = np.broadcast_to(np.ones(n_features, dtype), (n_rows, n_features))
    y = np.ones((n_rows, 1))
    gram = np.zeros((n_features + 2,) * 2)
    coef, intercept = np.ones((1, n_features)), np.zeros(1)

    def run(n):
        if what == "gram":
            shift = np.zeros(n_features + 1)
            _engine.accumulate_gram(X[:n], y[:n], None, shift, gram, n_threads)
        else:
            sums = _engine.ResidualSums(n_features, 1)
            sums.add(X[:n], y[:n], None, coef, intercept, n_threads)

    interrupt(lambda: run(50_000), lambda: run(n_rows), 400)
