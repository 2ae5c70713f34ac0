"""Telling a network that did not train at all, and why."""

import warnings

import numpy as np

from ..exceptions import VanishedTrainingWarning

__all__ = ["warn_if_vanished"]


def warn_if_vanished(estimator, rows) -> None:
    """Placeholder."""
