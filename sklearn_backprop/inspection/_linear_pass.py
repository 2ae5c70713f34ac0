"""Linear regression as a network without hidden layers, from the formulas of its J."""

from dataclasses import dataclass

import numpy as np

from .._fitted import linear_rows_of
from ._backpropagation import Backpropagation, shares_of
from ._gradient_check import Objective
from ._layer_pass import LayerPass, Step

__all__ = ["pass_through_linear"]


@dataclass
class _ElasticNet:
    """J = sum_i s_i |x_i W + b - y_i|^2 / 2 + l1 |W|_1 + l2 |W|^2 / 2."""

    Y: np.ndarray  # (n, k)
    shares: np.ndarray  # (n,) s_i, with sum 1
    l1: float
    l2: float

    def row_losses(self, z):
        return ((z - self.Y) ** 2).sum(axis=1) / 2

    def penalty(self, W):
        return self.l1 * np.abs(W).sum() + self.l2 / 2 * (W**2).sum()

    def dJ_dz(self, z):
        return self.shares[:, None] * (z - self.Y)

    def dJ_dW(self, X, dJ_dz, W):
        return X.T @ dJ_dz + self.l1 * np.sign(W) + self.l2 * W


def pass_through_linear(model, X, y, sample_weight) -> Backpropagation:
    """Go through a fitted GDLinearRegression once."""
    X, Y, weight = linear_rows_of(model, X, y, sample_weight)
    W = np.atleast_2d(model.coef_).T.astype(np.float64)
    b = np.zeros(W.shape[1]) + model.intercept_
    l1, l2 = model.alpha * model.l1_ratio, model.alpha * (1 - model.l1_ratio)
    J = _ElasticNet(Y, shares_of(weight, len(Y)), l1, l2)
    z = X @ W + b
    dJ_dz = J.dJ_dz(z)
    parameters, gradients = {"W": W}, {"W": J.dJ_dW(X, dJ_dz, W)}
    if model.fit_intercept:
        parameters["b"], gradients["b"] = b, dJ_dz.sum(axis=0)
    row_losses = J.row_losses(z)
    return Backpropagation(
        J=float(J.shares @ row_losses + J.penalty(W)),
        row_losses=row_losses,
        row_weights=J.shares,
        layers=[
            LayerPass(
                name="output",
                activation="identity",
                inputs=X,
                z=z,
                a=z,
                dJ_dz=dJ_dz,
                parameters=parameters,
                gradients=gradients,
                steps=(Step("dense", z, dJ_dz),),
            )
        ],
        targets=Y,
        dJ_dX=dJ_dz @ W.T,
        _objective=_objective(J, X, W, b),
    )


def _objective(J: _ElasticNet, X, W, b) -> Objective:
    n = W.size

    def value(theta, X):
        at = theta[:n].reshape(W.shape)
        return J.shares @ J.row_losses(X @ at + theta[n:]) + J.penalty(at)

    theta = np.concatenate([W.ravel(), b])
    places = {"output W": slice(0, n), "output b": slice(n, None)}
    return Objective(value, theta, X, places)
