"""How many threads a computation takes where others run beside it."""

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from sklearn_backprop import BackpropMLPClassifier
from sklearn_backprop._threads import allowed_threads


def threads_of_workers(backend):
    with threadpool_limits(2), parallel_config(backend=backend, n_jobs=2):
        return Parallel()(delayed(allowed_threads)() for _ in range(4))


def test_a_thread_of_joblib_makes_no_team_of_its_own():
    assert threads_of_workers("threading") == [1, 1, 1, 1]


def test_without_workers_all_threads_are_allowed():
    with threadpool_limits(2):
        assert allowed_threads() == min(2, cpu_count())


def test_a_search_in_threads_finds_what_one_fit_after_the_other_finds():
    X, y = load_iris(return_X_y=True)
    network = BackpropMLPClassifier((8,), tol=0.1, random_state=0)
    search = GridSearchCV(network, {"learning_rate_init": [1e-3, 1e-2]}, cv=3)
    scores = []
    for n_jobs in (1, 2):
        with parallel_config(backend="threading", n_jobs=n_jobs):
            scores.append(search.fit(X, y).cv_results_["mean_test_score"])
    np.testing.assert_array_equal(*scores)
