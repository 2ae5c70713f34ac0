"""Where the system lets helpers of a team run."""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from architectures import make_layers, make_network

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells"),
]


@pytest.fixture
def epochs():
    """A function that trains for so many epochs on two threads."""
    layers, n, _ = make_layers(8, (64, 64), 1, "relu")
    network = make_network(layers, "squared_error", "identity")
    trainer = network.trainer("sgd")
    X = np.random.default_rng(0).normal(size=(2000, 8))
    theta = np.random.default_rng(1).normal(0, 0.1, n)

    def train(n_epochs):
        order = np.tile(np.arange(2000), n_epochs)
        trainer.train_epoch(
            theta, np.zeros(0), X, X[:, :1].copy(), None, order, batch_size=2000,
            learning_rate=1e-6, n_threads=2,
        )  # fmt: skip
        return theta

    return train


def masks():
    """Give the processors that each thread of this process may use."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # it has ended
            found[int(task.name)] = os.sched_getaffinity(int(task.name))
    return found


def test_helpers_may_go_wherever_the_leader_may(epochs):
    """They are sent away from its processor, once, and not kept away."""
    allowed = os.sched_getaffinity(0)
    before = set(masks())
    call = threading.Thread(target=epochs, args=[300])
    call.start()
    seen = {}
    while call.is_alive():
        # As they are last: what a helper is told comes in two calls.
        seen |= {task: mask for task, mask in masks().items() if task not in before}
    call.join()
    assert len(seen) == 2  # the leader and a helper
    assert all(mask == allowed for mask in seen.values())


def test_one_processor_is_enough_for_a_team(epochs):
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert np.isfinite(epochs(2)).all()
    finally:
        os.sched_setaffinity(0, allowed)
