"""Rows that an order picks pass as copies of them would."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from problems import draw_targets, make_pair
from scipy import sparse

pytestmark = pytest.mark.once

ORDER = np.array([5, 0, 3, 3, 1])


def draw():
    engine, reference = make_pair(
        4, (5, 3), 3, loss="log_loss", link="softmax", activation="gelu"
    )
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6, 4))
    X[X < 0] = 0
    Y, weight = draw_targets("softmax", 6, 3, rng), rng.uniform(0, 2, 6)
    return engine, (reference.start_theta(rng), np.zeros(0)), X, Y, weight


@pytest.mark.parametrize("make", [np.array, sparse.csr_array], ids=["dense", "csr"])
def test_an_order_passes_its_rows(make):
    engine, numbers, X, Y, weight = draw()
    table, copies = make(X), make(X[ORDER])
    for compute in (engine.predict, engine.raw_outputs):
        assert_array_equal(compute(*numbers, table, ORDER), compute(*numbers, copies))
    for w, of_copies in ((None, None), (weight, weight[ORDER])):
        loss = engine.loss(*numbers, table, Y, w, ORDER)
        assert loss == engine.loss(*numbers, copies, Y[ORDER], of_copies)


@pytest.mark.parametrize("row", [-1, 6])
def test_rows_that_are_not_there_are_refused(row):
    engine, numbers, X, Y, _ = draw()
    with pytest.raises(ValueError, match="order has a row that X has not"):
        engine.predict(*numbers, X, np.array([0, row]))
    with pytest.raises(ValueError, match="order has a row that X has not"):
        engine.loss(*numbers, X, Y, None, np.array([0, row]))
