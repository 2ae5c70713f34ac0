"""One layer in a pass forward and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

__all__ = ["LayerPass", "Step"]


class Step(NamedTuple):
    """What one step of a layer gave, and the gradient that came back to it.

    Attributes
    ----------
    kind : str
        "dense", "batch_norm", "layer_norm", "activation", "dropout" (which passes all
        on), "recurrent" for a direction and "beside" for both, or "add" and "concat"
        for a residual block that ends in this layer.
    output : ndarray of shape (n_samples, width)
        What it gave.
    gradient : ndarray of shape (n_samples, width)
        Derivative of J in it.

    See Also
    --------
    LayerPass : The layer that takes these steps.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_backprop import BackpropMLPClassifier
    >>> from sklearn_backprop.inspection import backpropagate
    >>> X, y = load_iris(return_X_y=True)
    >>> net = BackpropMLPClassifier((4,), learning_rate_init=0.05, tol=1e-3,
    ...                             random_state=0).fit(X, y)
    >>> hidden, output = backpropagate(net, X[:10], y[:10]).layers
    >>> [(step.kind, step.gradient.shape) for step in hidden.steps]
    [('dense', (10, 4)), ('activation', (10, 4))]
    """

    kind: str
    output: np.ndarray
    gradient: np.ndarray


@dataclass(frozen=True, repr=False)
class LayerPass:
    """One layer in a pass forward and back.

    Attributes
    ----------
    name : str
        "hidden 1", "hidden 2", ..., "output"; "embedding" before them, where numbers
        become vectors.
    activation : str
        What leads from `z` to `a`; for the output layer from raw outputs to
        predictions.
    inputs : {ndarray, sparse matrix} of shape (n_samples, n_in)
        What the layer read.
    z : ndarray of shape (n_samples, n_units) or None
        Pre-activations, inputs @ W + b. Members of an ensemble have a row each, one
        after the other: (n_samples * n_members, n_units). None for a recurrent layer,
        whose gates are not kept.
    a : ndarray of shape (n_samples, n_units)
        Activations; predictions for the output layer. A recurrent layer has its states,
        and so its inputs and steps, as (n_samples, n_steps, n_units), NaN behind the
        ends of sequences; those of both directions stand side by side.
    dJ_dz : ndarray of shape (n_samples, n_units) or None
        Derivative of J in `z`. Without a penalty dJ_dW is inputs.T @ dJ_dz, and dJ_db
        is the sum of its rows. None for a recurrent layer.
    parameters : dict of ndarray
        The arrays of the layer by their roles: "W" (n_in, n_units), "b" (n_units,),
        and where there are, "gamma" and "beta" of the normalization, "P" of the
        projection beside a residual block; "r" and "s", factors of an ensemble's
        members, of which there is a row for each, as of what they have alone; "U" of a
        recurrent layer's states, and "reverse W", "reverse U" and "reverse b" of its
        other direction.
    gradients : dict of ndarray
        Derivative of J in each of them, penalty included.
    steps : tuple of Step
        All that happened between `inputs` and what the layer passed on, in order.
    skip_from : int or None
        Where a residual block ends in this layer: how many layers stand before the
        place where it begins, 0 for the inputs of the network.

    See Also
    --------
    backpropagate : Makes it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_backprop import BackpropMLPClassifier
    >>> from sklearn_backprop.inspection import backpropagate
    >>> X, y = load_iris(return_X_y=True)
    >>> net = BackpropMLPClassifier((4,), learning_rate_init=0.05, tol=1e-3,
    ...                             random_state=0).fit(X, y)
    >>> hidden, output = backpropagate(net, X[:10], y[:10]).layers
    >>> hidden.name, hidden.W.shape, hidden.dJ_dz.shape
    ('hidden 1', (4, 4), (10, 4))
    >>> bool(abs(output.dJ_db - output.dJ_dz.sum(axis=0)).max() < 1e-12)
    True
    """

    name: str
    activation: str
    inputs: Any
    z: np.ndarray | None
    a: np.ndarray
    dJ_dz: np.ndarray | None
    parameters: Mapping[str, np.ndarray]
    gradients: Mapping[str, np.ndarray]
    steps: tuple[Step, ...]
    skip_from: int | None = None

    @property
    def W(self) -> np.ndarray:
        """Weights (n_in, n_units)."""
        return self.parameters["W"]

    @property
    def b(self) -> np.ndarray:
        """Biases (n_units,)."""
        return self.parameters["b"]

    @property
    def dJ_dW(self) -> np.ndarray:
        """Derivative of J in the weights (n_in, n_units)."""
        return self.gradients["W"]

    @property
    def dJ_db(self) -> np.ndarray:
        """Derivative of J in the biases (n_units,)."""
        return self.gradients["b"]

    def __repr__(self) -> str:
        n_in, n_units = self.inputs.shape[-1], self.a.shape[-1]
        shown = {"inputs": self.inputs, "z": self.z, "a": self.a, "dJ/dz": self.dJ_dz}
        arrays = {name: array for name, array in shown.items() if array is not None}
        for role, gradient in self.gradients.items():
            arrays |= {role: self.parameters[role], f"dJ/d{role}": gradient}
        written = [f"{name} =\n{_written(array)}" for name, array in arrays.items()]
        head = f"{self.name}: {n_in} -> {n_units} units, {self.activation}"
        return "\n".join([head, *written])


def _written(array) -> str:
    """Write numbers in a few digits, and of many the first and last."""
    if issparse(array):
        return f"sparse, {array.shape[0]} x {array.shape[1]}, {array.nnz} stored"
    return np.array2string(array, precision=4, threshold=60, edgeitems=3)
