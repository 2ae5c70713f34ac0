"""Scores of some rows, and of all when they are merged, beside scikit-learn's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.metrics import accuracy_score, r2_score

from sklearn_backprop._scores import Accuracy, RSquared

rng = np.random.default_rng(0)
LABELS = {
    "numbers": rng.integers(0, 3, (2, 40)),
    "strings": rng.choice(["a", "bc", "d"], (2, 40)),
    "indicators": rng.integers(0, 2, (2, 40, 2)),
}
WEIGHTS = [None, rng.uniform(0, 2, 40)]
NUMBERS = {
    "one": rng.normal(size=(2, 40, 1)),
    "several": rng.normal(size=(2, 40, 3)) + 1e3,
}


def part(values, rows):
    return None if values is None else values[rows]


def merged(of, y, predicted, weight):
    """Score three parts of the rows, put together."""
    parts = slice(0, 5), slice(5, 6), slice(6, None)
    first, *others = [
        of(y[rows], predicted[rows], part(weight, rows)) for rows in parts
    ]
    for other in others:
        first = first.merge(other)
    return first.value


@pytest.mark.parametrize("weight", WEIGHTS, ids=["equal", "weighted"])
@pytest.mark.parametrize("kind", LABELS)
def test_accuracy(kind, weight):
    y, predicted = LABELS[kind]
    expected = accuracy_score(y, predicted, sample_weight=weight)
    assert_allclose(Accuracy.of(y, predicted, weight).value, expected, rtol=1e-14)
    assert_allclose(merged(Accuracy.of, y, predicted, weight), expected, rtol=1e-14)
    if kind == "indicators":
        sparse = Accuracy.of(csr_array(y), csr_array(predicted), weight)
        assert_allclose(sparse.value, expected, rtol=1e-14)


@pytest.mark.parametrize("weight", WEIGHTS, ids=["equal", "weighted"])
@pytest.mark.parametrize("kind", NUMBERS)
def test_r_squared(kind, weight):
    y, predicted = NUMBERS[kind]
    expected = r2_score(y, predicted, sample_weight=weight)
    assert_allclose(RSquared.of(y, predicted, weight).value, expected, rtol=1e-12)
    assert_allclose(merged(RSquared.of, y, predicted, weight), expected, rtol=1e-9)


@pytest.mark.parametrize("weight", WEIGHTS, ids=["equal", "weighted"])
@pytest.mark.parametrize(("predicted", "expected"), [(0.1, 1.0), (0.2, 0.0)])
def test_r_squared_of_a_constant(weight, predicted, expected):
    # r2_score agrees without weights; with them, its mean of a constant is not exact.
    y, predicted = np.full((40, 1), 0.1), np.full((40, 1), predicted)
    assert r2_score(y, predicted) == expected
    assert RSquared.of(y, predicted, weight).value == expected
    assert merged(RSquared.of, y, predicted, weight) == expected
