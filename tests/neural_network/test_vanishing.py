"""Findings from records set by hand."""

import numpy as np
import pytest

from sklearn_backprop.neural_network._vanishing import (
    is_at_chance_level,
    why_nothing_arrives,
)

NAN = np.nan


def history(norms=(1.0, 1.0, 1.0), dead=(0, 0, NAN), saturated=(0, 0, NAN)):
    """Two epochs: a healthy one, then the one that counts."""
    healthy = [1.0, 1.0, 1.0]
    return {
        "gradient_norm": np.array([healthy, norms]),
        "dead_fraction": np.array([[0, 0, NAN], dead]),
        "saturated_fraction": np.array([[0, 0, NAN], saturated]),
    }


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (history(), None),
        (history(norms=(1e-3, 1e-2, 1.0)), None),
        (history(norms=(2e-5, 1e-2, 1.0)), "gradient of the first layer (2e-05)"),
        (history(norms=(0.0, 0.0, 0.0)), "gradient of the first layer (0)"),
        (history(dead=(0.9, 0.5, NAN)), None),
        (history(dead=(0.2, 1.0, NAN)), "100% of the units of hidden layer 2 are dead"),
        (
            history(saturated=(0.97, 0.9, NAN)),
            "97% of the activations of hidden layer 1",
        ),
        ({}, None),
    ],
)
def test_reasons(records, reason):
    found = why_nothing_arrives(records)
    assert found is None if reason is None else reason in found


@pytest.mark.parametrize(
    ("spread", "expected"), [(0.0, True), (0.005, True), (0.02, False), (1.0, False)]
)
def test_chance_level_is_a_prediction_that_does_not_vary(spread, expected):
    Y = np.array([[-1.0], [1.0]])
    assert is_at_chance_level(3 + spread * Y, Y) is expected


def test_equal_targets_are_no_chance_level():
    assert not is_at_chance_level(np.zeros((4, 1)), np.ones((4, 1)))
