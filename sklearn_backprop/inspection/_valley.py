"""The cost of linear regression as a landscape over two of its coefficients.

Legend: X (n, 2) the two columns, r (n,) what the other coefficients leave of y, weight
(n,) with sum W, w (2,) the two coefficients.
"""

import numpy as np

from .._immutable import immutable

__all__ = ["Valley", "descent_scale"]


@immutable
class Valley:
    """J(w) = 1/(2W) sum_i weight_i (r_i - X_i w)^2 + penalty, as a quadratic form.

    With an intercept, X and r are taken as deviations from their means: that is J at
    the intercept which is best for w.
    """

    hessian: np.ndarray  # (2, 2)
    linear: np.ndarray  # (2,)
    constant: float
    l1: float
    l2: float

    @classmethod
    def of_rows(cls, X, r, weight, *, centered, l1=0.0, l2=0.0, rest_penalty=0.0):
        """The landscape of X (n, 2) and r (n,); rest_penalty: of other coefficients."""
        share = weight / weight.sum()
        if centered:
            X, r = X - share @ X, r - share @ r
        return cls(
            hessian=X.T @ (share[:, None] * X),
            linear=X.T @ (share * r),
            constant=float(share @ r**2 / 2 + rest_penalty),
            l1=l1,
            l2=l2,
        )

    def cost(self, first, second) -> np.ndarray:
        """J at pairs of coefficients, two arrays of one shape."""
        (a, b), (_, d) = self.hessian + self.l2 * np.eye(2)
        quadratic = (a * first**2 + 2 * b * first * second + d * second**2) / 2
        linear = self.linear[0] * first + self.linear[1] * second
        corner = self.l1 * (np.abs(first) + np.abs(second))
        return self.constant + quadratic - linear + corner

    def bottom(self) -> np.ndarray:
        """Where J is least (2,), without an l1 penalty."""
        hessian = self.hessian + self.l2 * np.eye(2)
        return np.linalg.lstsq(hessian, self.linear, rcond=None)[0]


def descent_scale(X, weight, feature_scaling, *, centered) -> np.ndarray:
    """Units (p,) of X (n, p) in which GDLinearRegression descends.

    A coefficient in those coordinates is the one in units of X times its scale.
    """
    if feature_scaling is None:
        return np.ones(X.shape[1])
    if feature_scaling == "minmax":
        scale = np.ptp(X[weight > 0], axis=0)
    else:
        share = weight / weight.sum()
        center = share @ X if centered else 0.0
        scale = np.sqrt(share @ (X - center) ** 2)
    return np.where(scale > 0, scale, 1.0)
