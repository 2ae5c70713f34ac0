"""Data that several tests share."""

from pathlib import Path

import numpy as np
import pytest

CALIFORNIA = (
    Path(__file__).parents[1] / "benchmarks" / "data" / "california_housing.npz"
)


def pytest_collection_modifyitems(items):
    """What scikit-learn expects to fail in its own tests passes in ours."""
    for item in items:
        item.own_markers = [mark for mark in item.own_markers if mark.name != "xfail"]


@pytest.fixture(autouse=True)
def _same_numbers_where_random_state_is_none():
    """Some of scikit-learn's checks set none, and few of many starts may diverge."""
    np.random.seed(0)  # noqa: NPY002


@pytest.fixture(scope="session")
def california():
    """California housing (Pace and Barry, 1997): training rows, target in 100 000 $."""
    with np.load(CALIFORNIA) as data:
        return data["X_train"].astype(np.float64), data["y_train"]
