"""Copies of theta in a team: each member's is theta, after every step."""

import numpy as np
import pytest

from sklearn_backprop.engine import _engine
from sklearn_backprop.neural_network._inputs import Inputs
from sklearn_backprop.neural_network._perceptron import build_architecture

pytestmark = pytest.mark.once

N_FEATURES, BATCH_SIZE, N_STEPS = 20, 600, 4
NARROW, WIDE = (64, 64), (900, 900)  # copied; too large to be
OPTIMIZERS = [
    ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("adamw", {"weight_decay": 0.1}),
    ("muon", {"weight_decay": 0.1}),
]


def make_network(widths, dtype, **shape):
    """Make a network whose second layer is frozen, and numbers to start from."""
    architecture = build_architecture(
        Inputs(N_FEATURES), 1, hidden_layer_sizes=widths, **shape
    )
    architecture.set_rates((1, 0, 0.5))
    engine = getattr(_engine, f"NetworkFloat{dtype}")(
        architecture.table,
        architecture.layers,
        loss="squared_error",
        link="identity",
        n_members=architecture.n_members,
    )
    rng = np.random.default_rng(0)
    theta = rng.normal(0, 0.1, architecture.n_theta)
    theta[::7] = -0.0  # a sign that a sum with zero takes
    return engine, theta.astype(f"float{dtype}"), architecture


def make_rows(dtype):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((N_STEPS * BATCH_SIZE, N_FEATURES)).astype(f"float{dtype}")
    return X, np.sin(X[:, :1])


def settings(n_threads, n_steps):
    return {
        "batch_size": BATCH_SIZE, "learning_rate": 0.01, "alpha": 0.1 * n_steps,
        "clip": 0.5, "clip_mode": "norm", "seed": 3, "n_threads": n_threads,
    }  # fmt: skip


@pytest.mark.parametrize("n_threads", [2, 3])
@pytest.mark.parametrize("dtype", ["32", "64"])
@pytest.mark.parametrize(
    ("widths", "optimizer", "options"),
    [(NARROW, *optimizer) for optimizer in OPTIMIZERS] + [(WIDE, *OPTIMIZERS[0])],
)
def test_an_epoch_is_its_steps_one_by_one(widths, optimizer, options, dtype, n_threads):
    """Each of which begins with theta as it is: what members have must be the same."""
    network, start, architecture = make_network(widths, dtype, dropout=0.2)
    X, Y = make_rows(dtype)
    none = start[:0]
    at_once, one_by_one = start.copy(), start.copy()
    trainer = network.trainer(optimizer, **options)
    trainer.train_epoch(
        at_once, none, X, Y, record="epoch", **settings(n_threads, N_STEPS)
    )
    trainer = network.trainer(optimizer, **options)
    for begin in range(0, len(X), BATCH_SIZE):
        rows = slice(begin, begin + BATCH_SIZE)
        trainer.train_epoch(
            one_by_one, none, X[rows], Y[rows], **settings(n_threads, 1)
        )
    np.testing.assert_array_equal(at_once, one_by_one)
    for row in architecture.parameters:
        before, after = row.view(start), row.view(at_once)
        if row.rate == 0:
            assert after.tobytes() == before.tobytes()
        else:
            assert not np.array_equal(after, before)


@pytest.mark.parametrize("widths", [NARROW, WIDE], ids=["narrow", "wide"])
def test_theta_may_change_between_epochs(widths):
    network, start, _ = make_network(widths, "64")
    X, Y = make_rows("64")
    ends = []
    for n_threads in (1, 2):
        theta = start.copy()
        trainer = network.trainer("sgd")
        trainer.train_epoch(theta, start[:0], X, Y, **settings(n_threads, N_STEPS))
        theta *= 0.5
        trainer.train_epoch(theta, start[:0], X, Y, **settings(n_threads, N_STEPS))
        ends.append(theta)
    np.testing.assert_allclose(*ends, rtol=1e-9, atol=1e-15)
