"""Gradients against central differences of what they are the gradients of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

__all__ = ["GradientCheck", "Objective", "compare"]

# Relative to the size of an array. A long step may reach over a kink, a short one loses
# digits.
_STEPS = (1e-3, 1e-4, 1e-5, 1e-6)
# Relative errors that need no other step.
_CLOSE = {"float32": 1e-5, "float64": 1e-8}
# Of J per size of an array: smaller gradients are as good as zero, and differences do
# not resolve them, for what rounding leaves of J stays in them.
_NEGLIGIBLE = 1e-4


@dataclass(frozen=True)
class GradientCheck:
    """How far gradients are from central differences.

    Attributes
    ----------
    worst : float
        The largest relative error: of gradient - difference, over the largest magnitude
        of a gradient in the same array. (Of an array whose gradients are as good as
        zero, such as that of biases before batch normalization: over 1e-4 J divided by
        the root mean square of its elements. Rounding hides smaller gradients from
        differences.)
    where : str
        The array in which it was met.
    errors : dict of float
        The largest relative error of each array, by its name; "X" is dJ/dX.
    n_checked : int
        Number of elements that were compared.
    n_kinks : int
        Number of those at which J has a kink, such as z = 0 of a relu. There the slopes
        on both sides differ, and any number between them is right.

    See Also
    --------
    Backpropagation.check : Makes it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_backprop import BackpropMLPClassifier
    >>> from sklearn_backprop.inspection import backpropagate
    >>> X, y = load_iris(return_X_y=True)
    >>> net = BackpropMLPClassifier((4,), learning_rate_init=0.05, tol=1e-3,
    ...                             random_state=0).fit(X, y)
    >>> check = backpropagate(net, X[:10], y[:10]).check(n_elements=5)
    >>> check.worst < 1e-6
    True
    >>> list(check.errors)
    ['hidden 1 W', 'hidden 1 b', 'output W', 'output b', 'X']
    """

    worst: float
    where: str
    errors: Mapping[str, float]
    n_checked: int
    n_kinks: int

    def __str__(self) -> str:
        kinks = f", {self.n_kinks} of them at kinks of J" if self.n_kinks else ""
        return (
            f"largest relative error {self.worst:.1e} ({self.where}), of "
            f"{self.n_checked} elements compared with central differences{kinks}"
        )


@dataclass(frozen=True)
class Objective:
    """J as a function of all parameters and of X, in float64."""

    value: Callable[[np.ndarray, Any], float]  # (theta, X) -> J
    theta: np.ndarray
    X: Any  # dense, or CSR
    places: Mapping[str, slice]  # of each array in theta

    def elements(self, name: str, theta: np.ndarray, X) -> np.ndarray:
        """Show the elements of one array in theta and X: "X" has those it stores."""
        if name != "X":
            return theta[self.places[name]]
        return X.data if issparse(X) else X.reshape(-1)


def compare(
    objective: Objective, gradients: Mapping[str, np.ndarray], n_elements, rng
) -> GradientCheck:
    """Compare flat gradients, by the name of the array, at n_elements of each."""
    errors, n_checked, n_kinks = {}, 0, 0
    for name, gradient in gradients.items():
        difference = _Difference(objective, name)
        scale = max(np.abs(gradient).max(), difference.negligible) or 1.0
        tolerance = _CLOSE[gradient.dtype.name] * scale
        places = _draw_places(gradient.size, n_elements, rng)
        slopes = [
            difference.nearest(place, gradient[place], tolerance) for place in places
        ]
        errors[name] = float(np.abs(slopes - gradient[places]).max() / scale)
        n_checked += len(places)
        n_kinks += difference.n_kinks
    where = max(errors, key=errors.__getitem__)
    return GradientCheck(errors[where], where, errors, n_checked, n_kinks)


def _draw_places(size: int, n_elements: int | None, rng) -> np.ndarray:
    if n_elements is None or n_elements >= size:
        return np.arange(size)
    return rng.choice(size, n_elements, replace=False)


class _Difference:
    """Derivatives of J in single elements of one array, by central differences."""

    def __init__(self, objective: Objective, name: str):
        theta, X = objective.theta.copy(), objective.X.copy()
        self.elements = objective.elements(name, theta, X)
        self.evaluate = lambda: objective.value(theta, X)
        # Behind the end of a sequence X is NaN, and no derivative but zero.
        self.unit = np.sqrt(np.nanmean(self.elements**2)) or 1.0
        self.n_kinks = 0

    @property
    def negligible(self) -> float:
        """Derivatives below this are as good as zero."""
        return _NEGLIGIBLE * abs(self.evaluate()) / self.unit

    def nearest(self, place: int, expected: float, tolerance: float) -> float:
        """Slope at the first step that gives what is expected, or the nearest to it."""
        best = np.inf
        for step in _STEPS:
            slope = self._slope(place, step * self.unit)
            if abs(slope - expected) < abs(best - expected):
                best = slope
            if abs(best - expected) <= tolerance:
                return best
        sides = self._one_sided(place, _STEPS[-1] * self.unit)
        if min(sides) - tolerance <= expected <= max(sides) + tolerance:
            self.n_kinks += 1
            return expected
        return best

    def _one_sided(self, place: int, h: float) -> tuple[float, float]:
        """Slopes below and above."""
        J = self.evaluate()
        return (J - self._moved(place, -h)) / h, (self._moved(place, h) - J) / h

    def _slope(self, place: int, h: float) -> float:
        """Difference of the fourth order."""
        near = self._moved(place, h) - self._moved(place, -h)
        far = self._moved(place, 2 * h) - self._moved(place, -2 * h)
        return (8 * near - far) / (12 * h)

    def _moved(self, place: int, by: float) -> float:
        """J where one element is another."""
        before = self.elements[place]
        self.elements[place] = before + by
        J = self.evaluate()
        self.elements[place] = before
        return J
