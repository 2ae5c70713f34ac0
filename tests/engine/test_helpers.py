"""The threads that help, which wait from call to call."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from architectures import make_layers, make_network

pytestmark = pytest.mark.once
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells")


@pytest.fixture
def epochs():
    """A function that trains for so many epochs on two threads, from the same start."""
    layers, n, _ = make_layers(8, (64, 64), 1, "relu")
    network = make_network(layers, "squared_error", "identity")
    X = np.random.default_rng(0).normal(size=(2000, 8))

    def train(n_epochs):
        theta = np.random.default_rng(1).normal(0, 0.1, n)
        trainer = network.trainer("sgd")
        for _ in range(n_epochs):
            trainer.train_epoch(
                theta, np.zeros(0), X, X[:, :1].copy(), None, batch_size=2000,
                learning_rate=1e-6, n_threads=2,
            )  # fmt: skip
        return theta

    return train


def tasks():
    """Give the threads of this process, as Linux numbers them."""
    return {int(task.name) for task in Path("/proc/self/task").iterdir()}


@on_linux
def test_a_helper_waits_for_the_next_call(epochs):
    epochs(1)
    before = tasks()
    epochs(20)
    assert tasks() == before


@on_linux
@pytest.mark.parametrize("pause", [0, 0.05])
def test_helpers_may_go_wherever_the_leader_may(epochs, pause):
    """They are woken elsewhere than on its processor, and not kept there."""
    epochs(1)
    time.sleep(pause)
    epochs(1)
    allowed = os.sched_getaffinity(0)
    assert all(os.sched_getaffinity(task) == allowed for task in tasks())


@on_linux
def test_one_processor_is_enough_for_a_team(epochs):
    allowed = os.sched_getaffinity(0)
    expected = epochs(3)
    time.sleep(0.05)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        np.testing.assert_array_equal(epochs(3), expected)
    finally:
        os.sched_setaffinity(0, allowed)
    epochs(1)  # the helper may go everywhere again


def test_calls_of_several_threads_have_helpers_of_their_own(epochs):
    expected = epochs(30)
    with ThreadPoolExecutor(4) as pool:
        for theta in pool.map(epochs, [30] * 12):
            np.testing.assert_array_equal(theta, expected)


FORK = """
import os, sys, threading
import numpy as np

sys.path.insert(0, sys.argv[1])
from architectures import make_layers, make_network

# Normalization adds up over the team, so that no thread can do the work alone.
layers, n, n_running = make_layers(8, (64, 64), 1, "relu", normalization="batch")
network = make_network(layers, "squared_error", "identity")
X = np.random.default_rng(0).normal(size=(5_000, 8))

def train():
    theta, running = np.linspace(-1, 1, n), np.ones(n_running)
    network.trainer("sgd").train_epoch(
        theta, running, X, X[:, :1].copy(), None, batch_size=1_000, learning_rate=0.1,
        n_threads=2,
    )
    return theta

expected = train()
if sys.argv[2] == "amid other calls":
    def go_on():
        while True:
            train()
    for _ in range(2):
        threading.Thread(target=go_on, daemon=True).start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(0 if (train() == expected).all() else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
assert (train() == expected).all()
os._exit(7)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("when", ["alone", "amid other calls"])
def test_a_forked_process_has_helpers_of_its_own(when):
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(Path(__file__).parent), when],
        # As the package holds it; a fork amid a product of several threads waits for a
        # lock of OpenBLAS.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        timeout=300,  # a hang, not slowness
        check=False,
    )
    assert done.returncode == 7
