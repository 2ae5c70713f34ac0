"""A process forked after the parent has used several threads must not wait for them."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.once

CHILD = """
import os, sys, threading
import numpy as np
from sklearn_backprop import BackpropMLPRegressor, GDLinearRegression

rng = np.random.default_rng(0)
tall, wide = rng.normal(size=(60_000, 20)), rng.normal(size=(300, 2_000))
networks = dict(hidden_layer_sizes=(128, 128), max_iter=1, batch_size=2_000, tol=1e9)

def work():
    for solver in ("normal", "gd"):
        GDLinearRegression(solver=solver).fit(tall, tall[:, 0]).predict(tall)
    GDLinearRegression(max_iter=2, tol=1e9).fit(wide, wide[:, 0])
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        BackpropMLPRegressor(**networks).fit(tall, tall[:, 0]).predict(tall)

work()
if sys.argv[1] == "amid another fit":
    threading.Thread(target=work, daemon=True).start()
child = os.fork()
if child == 0:
    work()
    os._exit(7)
_, status = os.waitpid(child, 0)
os._exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("when", ["alone", "amid another fit"])
def test_a_forked_child_works(when):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, when],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        timeout=600,  # a hang, not slowness
        check=False,
    )
    assert done.returncode == 7


POOL = """
import numpy as np
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import cross_val_score
from sklearn_backprop import BackpropMLPRegressor, GDLinearRegression

rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 20))
network = BackpropMLPRegressor((64, 64), max_iter=2, batch_size=2_000, random_state=0)

def scores():
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            *cross_val_score(network, X, X[:, 0], cv=2),
            *cross_val_score(GDLinearRegression(), X, X[:, 0], cv=2),
        ]

alone = scores()  # on two threads
with parallel_config("multiprocessing", n_jobs=2):
    pooled = scores()
np.testing.assert_allclose(pooled, alone, rtol=1e-6)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_pool_of_forked_processes_works():
    subprocess.run(
        [sys.executable, "-c", POOL],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        timeout=600,  # a hang, not slowness
        check=True,
    )
