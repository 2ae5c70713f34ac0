"""One pass of backpropagation, kept whole."""

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_random_state

from .._threads import single_threaded_blas
from ._gradient_check import GradientCheck, Objective, compare
from ._layer_pass import LayerPass

__all__ = ["Backpropagation", "shares_of"]


@dataclass(frozen=True, repr=False)
class Backpropagation:
    """A pass forward and back; made by :func:`backpropagate`.

    Attributes
    ----------
    J : float
        The objective of these rows: `loss` + `penalty`.
    loss : float
        Mean of `row_losses`, weighted by `row_weights`.
    penalty : float
        What the size of the weights adds.
    row_losses : ndarray of shape (n_samples,)
        Loss of each row by itself.
    row_weights : ndarray of shape (n_samples,)
        Share of each row in `loss`, from sample and class weights; their sum is 1.
    layers : list of LayerPass
        The layers, from input to output.
    predictions : ndarray of shape (n_samples, n_outputs)
        What the last layer gave, behind the link.
    targets : ndarray of shape (n_samples, n_outputs)
        What that is compared with: numbers, 0 and 1, or one-hot rows.
    dJ_dX : ndarray of shape (n_samples, n_features)
        Derivative of J in the inputs.

    See Also
    --------
    BackpropagationDisplay : The same as a picture.

    References
    ----------
    Rumelhart, D. E., Hinton, G. E., & Williams, R. J. (1986). Learning representations
    by back-propagating errors. Nature, 323.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_backprop import BackpropMLPClassifier
    >>> from sklearn_backprop.inspection import backpropagate
    >>> X, y = load_iris(return_X_y=True)
    >>> net = BackpropMLPClassifier((4,), learning_rate_init=0.05, tol=1e-3,
    ...                             random_state=0).fit(X, y)
    >>> passed = backpropagate(net, X[:10], y[:10])
    >>> passed.dJ_dX.shape, passed.predictions.shape
    ((10, 4), (10, 3))
    >>> abs(passed.J - passed.loss - passed.penalty) < 1e-12
    True
    """

    J: float
    row_losses: np.ndarray
    row_weights: np.ndarray
    layers: list[LayerPass]
    targets: np.ndarray
    dJ_dX: np.ndarray
    _objective: Objective = field(compare=False)

    @property
    def loss(self) -> float:
        """Weighted mean of `row_losses`."""
        return float(self.row_weights @ self.row_losses.astype(np.float64))

    @property
    def penalty(self) -> float:
        """What the size of the weights adds to J."""
        return self.J - self.loss

    @property
    def predictions(self) -> np.ndarray:
        """What the last layer gave, behind the link."""
        return self.layers[-1].a

    def check(self, *, n_elements=30, random_state=0) -> GradientCheck:
        """Compare the gradients with central differences of J, in float64.

        Parameters
        ----------
        n_elements : int or None, default=30
            How many elements of each array are compared, drawn at random; None compares
            all. Each takes at least four passes, so that a few rows check as well as
            many, and sooner.
        random_state : int, RandomState instance or None, default=0
            Draws them.

        Returns
        -------
        check : GradientCheck
            Its `worst` is the largest relative error: some 1e-10 in float64 and 1e-6 in
            float32.
        """
        rng = check_random_state(random_state)
        with single_threaded_blas:
            return compare(self._objective, self._gradients(), n_elements, rng)

    def _gradients(self) -> dict[str, np.ndarray]:
        """All gradients, each flat: dJ/dX where X stores numbers."""
        X = self._objective.X
        stored = _places_stored(X) if issparse(X) else ...
        found = {
            f"{layer.name} {role}": gradient
            for layer in self.layers
            for role, gradient in layer.gradients.items()
        }
        found["X"] = self.dJ_dX[stored]
        return {name: array.ravel() for name, array in found.items()}

    def __repr__(self) -> str:
        head = (
            f"Backpropagation of {_counted(len(self.targets), 'row')} through "
            f"{_counted(len(self.layers), 'layer')}\n"
            f"J = {self.J:.6g} = mean loss {self.loss:.6g} + penalty {self.penalty:.3g}"
        )
        inputs = f"|dJ/dX| = {np.linalg.norm(self.dJ_dX):.3g}"
        legend = "(|.| of a gradient is the root of the sum of its squares.)"
        return "\n".join([head, "", *_table(self.layers), "", f"{inputs}  {legend}"])


def shares_of(weight, n_rows: int) -> np.ndarray:
    """What each row counts in the mean (n,)."""
    if weight is None:
        return np.full(n_rows, 1 / n_rows)
    weight = np.asarray(weight, dtype=np.float64)
    return weight / weight.sum()


def _places_stored(X) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the stored elements of a CSR matrix."""
    return np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), X.indices


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _table(layers: list[LayerPass]) -> list[str]:
    """Lines of a table with a row for each layer; |.| are Frobenius norms."""
    lines = [["", "units", "mean |a|", "|dJ/dz|", "|dJ/dW|", "|dJ/db|"]]
    lines += [_table_row(layer) for layer in layers]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            [name.ljust(widths[0]), *map(str.rjust, numbers, widths[1:])]
        ).rstrip()
        for name, *numbers in lines
    ]


def _table_row(layer: LayerPass) -> list[str]:
    gradients = [layer.dJ_dz, layer.gradients.get("W"), layer.gradients.get("b")]
    return [
        layer.name,
        str(layer.a.shape[-1]),
        f"{np.nanmean(np.abs(layer.a)):.3g}",
        *("-" if g is None else f"{np.linalg.norm(g):.3g}" for g in gradients),
    ]
