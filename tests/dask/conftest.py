"""A cluster of two processes, as long as the tests of this folder run."""

import pytest
from distributed import Client, LocalCluster


@pytest.fixture(scope="session")
def client():
    """Two workers of one thread, as a laptop has them."""
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            memory_limit=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
