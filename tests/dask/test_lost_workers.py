"""Workers that die amid a fit: others compute the same, or it goes on elsewhere."""

import os
import signal

import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster

from sklearn_backprop.dask import (
    DaskBackpropMLPRegressor,
    DaskGDLinearRegression,
    _cluster,
)
from sklearn_backprop.exceptions import ClusterLostError

pytestmark = [
    pytest.mark.once,
    pytest.mark.xdist_group("dask"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def parts():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5))
    y = X @ rng.normal(size=5) + np.sin(3 * X[:, 0])
    return da.from_array(X, chunks=(100, -1)), da.from_array(y, chunks=100)


def network(**params):
    return DaskBackpropMLPRegressor(
        (8,),
        n_shards=2,
        rounds_per_epoch=2,
        outer="nesterov",
        random_state=0,
        **{"max_iter": 3, **params},
    )


def after_merges(monkeypatch, number, act):
    """Let something happen while tasks are under way whose results are merged."""
    merge, count = _cluster.Cluster.merge, iter(range(10**6))

    def merge_after(self, futures, how):
        if next(count) == number:
            act(self.client)
        return merge(self, futures, how)

    monkeypatch.setattr(_cluster.Cluster, "merge", merge_after)


def kill_one_worker(client):
    os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)


def test_a_killed_worker_changes_no_bit_of_a_network(client, monkeypatch):
    expected = network().fit(*parts())
    after_merges(monkeypatch, 3, kill_one_worker)
    model = network().fit(*parts())
    np.testing.assert_array_equal(model.coefs_[0], expected.coefs_[0])
    np.testing.assert_array_equal(model.loss_curve_, expected.loss_curve_)


def test_a_killed_worker_changes_no_bit_of_a_linear_model(client, monkeypatch):
    expected = DaskGDLinearRegression(solver="normal").fit(*parts())
    after_merges(monkeypatch, 0, kill_one_worker)
    model = DaskGDLinearRegression(solver="normal").fit(*parts())
    np.testing.assert_array_equal(model.coef_, expected.coef_)


def test_a_lost_cluster_is_an_error_and_the_fit_goes_on_elsewhere(client, monkeypatch):
    expected = network().fit(*parts())
    monkeypatch.setattr(_cluster, "_POLL_SECONDS", 0.2)
    monkeypatch.setattr(_cluster, "_LONGEST_WITHOUT_WORKERS", 1.0)
    with (
        LocalCluster(1, 1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as other,
    ):
        # Amid the second epoch, after its first round.
        after_merges(monkeypatch, 3, lambda client: cluster.scale(0))
        model = network(client=other)
        with pytest.raises(ClusterLostError, match="no worker for 1 seconds"):
            model.fit(*parts())
    assert model.n_iter_ == 1
    assert model.loss_curve_ == expected.loss_curve_[:1]
    model.set_params(client=client, warm_start=True, max_iter=2).fit(*parts())
    np.testing.assert_array_equal(model.coefs_[0], expected.coefs_[0])
    assert model.loss_curve_ == expected.loss_curve_
