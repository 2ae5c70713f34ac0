"""Whether errors run away, from walks whose drift is known."""

import itertools

import numpy as np
import pytest

from sklearn_backprop.linear_model._stability import runs_away


def walk(drift, spread, seed=0):
    """Sizes whose logarithm is a random walk."""
    rng = np.random.default_rng(seed)
    logarithm = 0.0
    while True:
        logarithm += drift + spread * rng.standard_normal()
        yield np.exp(logarithm)


@pytest.mark.parametrize("drift", [-0.2, -0.1, 0.1, 0.2])
def test_growth_is_told_from_chance(drift):
    answers = {runs_away(walk(drift, 0.5, seed)) for seed in range(200)}
    assert answers == {drift > 0}


@pytest.mark.parametrize("drift", [-3.0, -0.01, 0.01, 3.0])
def test_clear_growth_takes_few_epochs(drift):
    sizes = walk(drift, 0.0)
    assert runs_away(itertools.islice(sizes, 200)) == (drift > 0)


def test_what_neither_grows_nor_shrinks_does_not_run_away():
    assert not runs_away(walk(0.0, 1e-16))


@pytest.mark.parametrize(("last", "answer"), [(0.0, False), (np.inf, True)])
def test_an_end_of_numbers_decides(last, answer):
    assert runs_away(iter([1.0, 2.0, last])) == answer
