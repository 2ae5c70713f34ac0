"""Memory that runs out raises MemoryError, in whichever thread it does."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from sklearn_backprop import BackpropMLPRegressor

pytestmark = [
    pytest.mark.once,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

PROGRAM = """
import itertools, resource, warnings
import numpy as np
from sklearn_backprop import BackpropMLPRegressor, GDLinearRegression
from threadpoolctl import ThreadpoolController

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
tall, wide = rng.normal(size=(8_000, 30)), rng.normal(size=(300, 3_000))
narrow = dict(hidden_layer_sizes=(256, 256), max_iter=1, batch_size=4_000)

def network(**settings):
    return BackpropMLPRegressor(**narrow, random_state=0, **settings)

fitted = network().fit(tall, tall[:, 0])
controller, n_threads = ThreadpoolController(), itertools.count(2)

def predict_with_one_more():
    with controller.limit(limits=next(n_threads)):
        fitted.predict(tall)

JOBS = {
    "fit": lambda: network().fit(tall, tall[:, 0]),
    "batch norm": lambda: network(normalization="batch").fit(tall, tall[:, 0]),
    "lbfgs": lambda: network(solver="lbfgs", max_fun=2).fit(tall, tall[:, 0]),
    "predict": lambda: fitted.predict(tall),
    "one more thread": predict_with_one_more,
    "normal": lambda: GDLinearRegression(solver="normal").fit(tall, tall[:, 0]),
    "descent": lambda: GDLinearRegression(max_iter=3).fit(wide, wide[:, 0]),
}
_, hard = resource.getrlimit(resource.RLIMIT_AS)

def outcome_of(job, extra):
    pages = int(open("/proc/self/statm").read().split()[0])
    limit = pages * resource.getpagesize() + extra
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        job()
        return "fine"
    except MemoryError:
        return "MemoryError"
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))

extras = (0, 2**18, 2**20, 2**21, 2**22, 2**23, 9 * 2**20, 2**24, 2**25, 2**30)
for name, job in JOBS.items():
    job()  # what is kept from call to call is there now
    print(name, *(outcome_of(job, extra) for extra in extras), sep=",", flush=True)
"""

# A network from a file, whose first product finds no room for OpenBLAS's buffer.
FIRST_PRODUCT = """
import pickle, resource, sys
import numpy as np

X = np.zeros((500, 10))
network = pickle.load(sys.stdin.buffer)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
_, hard = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used + 2**24, hard))
try:
    network.predict(X)
except MemoryError:
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    print("MemoryError, then", *network.predict(X).shape)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits and reads its own memory")
def test_no_memory_is_an_error_and_not_the_end():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "2",
            # What is freed goes back at once, or the next job finds it again.
            "MALLOC_MMAP_THRESHOLD_": "65536",
            "MALLOC_TRIM_THRESHOLD_": "0",
        },
        capture_output=True,
        text=True,
        timeout=600,  # a hang, not slowness
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split(",") for line in done.stdout.splitlines()]
    outcomes = {name: rest for name, *rest in lines}
    assert len(outcomes) == 7
    for name, ends in outcomes.items():
        assert ends[-1] == "fine", name
    # Calls with helpers ask for a buffer of OpenBLAS each, if it is there or not.
    assert outcomes["predict"][-2] == "MemoryError"
    for name in ("fit", "batch norm", "one more thread"):  # they need megabytes
        assert "MemoryError" in outcomes[name]


@pytest.mark.skipif(sys.platform != "linux", reason="limits and reads its own memory")
def test_no_memory_for_the_first_product_is_an_error_and_no_hang():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 10))
    network = BackpropMLPRegressor((256, 256), max_iter=1).fit(X, X[:, 0])
    done = subprocess.run(
        [sys.executable, "-c", FIRST_PRODUCT],
        input=pickle.dumps(network),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split() == b"MemoryError, then 500".split(), done.stderr


# Bins by trees load a library in the midst of the fit.
LATE_LIBRARY = """
import resource, sys
import numpy as np
from sklearn_backprop.preprocessing import PiecewiseLinearEncoder

X = np.random.default_rng(0).normal(size=(50, 1))
encoder = PiecewiseLinearEncoder(2, bins="tree")
assert "sklearn.tree" not in sys.modules
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
_, hard = resource.getrlimit(resource.RLIMIT_AS)
for extra in (0, 2**18, 2**20, 2**21, 2**22):
    resource.setrlimit(resource.RLIMIT_AS, (used + extra, hard))
    try:
        encoder.fit(X, X[:, 0])
    except MemoryError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
print(encoder.fit_transform(X, X[:, 0]).shape)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits and reads its own memory")
def test_no_memory_for_a_library_is_a_memory_error():
    done = subprocess.run(
        [sys.executable, "-c", LATE_LIBRARY],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *errors, shape = done.stdout.splitlines()
    assert set(errors) == {"There is no memory left to load sklearn.tree."}
    assert shape == "(50, 2)"
