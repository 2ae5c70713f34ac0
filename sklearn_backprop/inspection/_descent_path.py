"""The way of gradient descent through the landscape of the cost."""

import numpy as np
from scipy import sparse
from sklearn.utils.validation import (
    _check_sample_weight,
    _get_feature_names,
    check_array,
    check_consistent_length,
)

from ._canvas import (
    VERMILION,
    name_of,
    require_axes,
    shade,
    wrapped,
)
from ._pipeline import fitted_last_step
from ._valley import Valley, descent_scale

__all__ = ["DescentPathDisplay"]


class DescentPathDisplay:
    """The way of gradient descent through the landscape of the cost.

    Built by :meth:`from_estimator` from the ``coef_path_`` of a linear regression:
    contours of J over two coefficients, and the path on them. The other coefficients
    stand where the path ends, and the intercept where it is best, so that with two
    features, centred or scaled by "standard", contours and path are the whole story.

    Parameters
    ----------
    path : array-like of shape (n_steps + 1, 2)
        The two coefficients from the start on.
    first, second : array-like of shape (n_columns,) and (n_rows,)
        Places of the grid along both axes.
    cost : array-like of shape (n_rows, n_columns)
        J at ``(first[j], second[i])``.
    bottom : array-like of shape (2,) or None, default=None
        Where J is least.
    equal_axes : bool, default=True
        Whether a unit is as long on both axes. Then steps of plain descent leave
        contours at right angles, as they do in the coordinates where it takes them.
    axis_names : tuple of two str, default=("first coefficient", "second coefficient")
        Names of the axes.
    estimator_name : str or None, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure containing them.
    contours_ : matplotlib QuadContourSet
        Lines of equal J; levels lie the closer, the nearer J is to its least.
    line_ : matplotlib Line2D
        The path.

    See Also
    --------
    LearningRateRangeDisplay : How long the steps may be.

    References
    ----------
    LeCun, Y., Bottou, L., Orr, G. B. and Müller, K.-R. (1998). Efficient backprop. In
    Neural networks: tricks of the trade. Springer.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_backprop import GDLinearRegression
    >>> from sklearn_backprop.inspection import DescentPathDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    >>> X = X[["bmi", "bp"]]
    >>> model = GDLinearRegression(track_path=True).fit(X, y)
    >>> display = DescentPathDisplay.from_estimator(model, X, y)
    >>> display.ax_.get_xlabel()
    'coefficient of bmi, scaled'
    """

    def __init__(
        self,
        *,
        path,
        first,
        second,
        cost,
        bottom=None,
        equal_axes=True,
        axis_names=("first coefficient", "second coefficient"),
        estimator_name=None,
    ):
        self.path = path
        self.first = first
        self.second = second
        self.cost = cost
        self.bottom = bottom
        self.equal_axes = equal_axes
        self.axis_names = axis_names
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        sample_weight=None,
        features=(0, 1),
        target=0,
        scaled=True,
        window=None,
        n_grid=121,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Draw the path of a fitted linear regression.

        Parameters
        ----------
        estimator : GDLinearRegression or Pipeline
            Fitted with ``solver="gd"`` and ``track_path=True``, or a pipeline that ends
            in one. Also one whose descent diverged.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows that it was fitted to; they pass through a pipeline's first steps.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.
        features : tuple of two int or str, default=(0, 1)
            Two columns of X, by place or by name.
        target : int, default=0
            Which target, where there are several.
        scaled : bool, default=True
            Whether to draw in the coordinates where descent took its steps, those of
            ``feature_scaling``, or in the units of X.
        window : tuple of two (low, high) or None, default=None
            What to show along both axes, for pictures to be compared; None takes in
            the path and the place where J is least.
        n_grid : int, default=121
            Places along each axis at which J is computed.
        name : str or None, default=None
            Title; None takes the name of the class.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **kwargs : dict
            Passed on to matplotlib's ``plot`` for the path.

        Returns
        -------
        display : DescentPathDisplay
            The picture and what it is made of.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it kept no path, or X, y, `features` and `target` are not those of it.
        """
        model = fitted_last_step(estimator)
        path = _coef_path(model, target)
        if model is not estimator and len(estimator) > 1:
            X = estimator[:-1].transform(X)
        names = _names_of_columns(model, X)
        columns = _two_columns(features, names)
        X, y, weight = _rows_of_path(X, y, sample_weight, path, target)
        pair, valley = _valley_of(model, X, y, weight, path[-1], columns)
        scale = np.ones(2)
        if scaled:
            scale = descent_scale(
                pair, weight, model.feature_scaling, centered=model.fit_intercept
            )
        path = path[:, columns] * scale
        bottom = None if model.positive or valley.l1 > 0 else valley.bottom() * scale
        is_descents = scaled or model.feature_scaling is None
        if window is None:
            window = _window(path, bottom, is_square=is_descents)
        first, second = (np.linspace(low, high, n_grid) for low, high in window)
        unit = ", scaled" if scaled and model.feature_scaling else ""
        display = cls(
            path=path,
            first=first,
            second=second,
            cost=valley.cost(*np.meshgrid(first / scale[0], second / scale[1])),
            bottom=bottom,
            equal_axes=is_descents,
            axis_names=tuple(f"coefficient of {names[c]}{unit}" for c in columns),
            estimator_name=name_of(model, name),
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, name=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        name : str or None, default=None
            Title; None takes `estimator_name`.
        **kwargs : dict
            Passed on to matplotlib's ``plot`` for the path.

        Returns
        -------
        display : DescentPathDisplay
            The display itself.
        """
        self.ax_ = require_axes(ax, "DescentPathDisplay")
        self.figure_ = self.ax_.figure
        path, cost = np.asarray(self.path), np.asarray(self.cost)
        # A contour for every halving of the height above the bottom.
        height = np.ptp(cost) or 1.0
        levels = cost.min() + height * 0.5 ** np.arange(12, -1, -1)
        surface = (np.asarray(self.first), np.asarray(self.second), cost)
        colours = [shade(i / 13) for i in range(13)]
        self.ax_.contourf(
            *surface, levels=[cost.min(), *levels], colors=colours, alpha=0.45
        )
        self.contours_ = self.ax_.contour(
            *surface, levels=levels, colors="white", linewidths=0.8
        )
        style = {
            "color": VERMILION,
            "linewidth": 2,
            "marker": "o" if len(path) <= 1000 else None,
            "markersize": 4,
            "label": f"{len(path) - 1} steps",
            **kwargs,
        }
        (self.line_,) = self.ax_.plot(*path.T, **style)
        self._mark(path[0], "o", "start", markersize=9, markerfacecolor="white")
        if self.bottom is not None:
            self._mark(self.bottom, "*", "least J", markersize=16, color="black")
        self.ax_.set(
            aspect="equal" if self.equal_axes else "auto",
            xlim=(surface[0].min(), surface[0].max()),
            ylim=(surface[1].min(), surface[1].max()),
            xlabel=wrapped(self.axis_names[0]),
            ylabel=wrapped(self.axis_names[1]),
        )
        self.ax_.legend()
        title = self.estimator_name if name is None else name
        if title:
            self.ax_.set_title(wrapped(title, 50))
        return self

    def _mark(self, place, marker, label, **style):
        self.ax_.plot(
            *np.asarray(place)[:, None],
            marker=marker,
            label=label,
            linestyle="none",
            **{"markeredgecolor": "black", "zorder": 3, **style},
        )


def _coef_path(model, target) -> np.ndarray:
    """Coefficients (n_steps + 1, n_features) of one target."""
    path = getattr(model, "coef_path_", None)
    if path is None:
        raise ValueError(
            f"This {type(model).__name__} kept no coef_path_. Fit "
            "GDLinearRegression(solver='gd', track_path=True)."
        )
    n_targets = 1 if path.ndim == 2 else path.shape[1]
    if not 0 <= target < n_targets:
        raise ValueError(f"target={target}, but the model has {n_targets} target(s).")
    return path if path.ndim == 2 else path[:, target]


def _names_of_columns(model, X) -> list[str]:
    """Names of the columns of X, or x0, x1 and so on."""
    names = getattr(model, "feature_names_in_", None)
    names = _get_feature_names(X) if names is None else names
    return [f"x{i}" for i in range(model.n_features_in_)] if names is None else [*names]


def _two_columns(features, names) -> list[int]:
    """Places of two different columns, given by place or name."""
    columns = [names.index(f) if f in names else f for f in features]
    is_place = [isinstance(c, (int, np.integer)) for c in columns]
    if (
        len(columns) != 2
        or not all(is_place)
        or columns[0] == columns[1]
        or not all(0 <= c < len(names) for c in columns)
    ):
        raise ValueError(
            f"features={features!r} must be two different columns of X, by place (0 to "
            f"{len(names) - 1}) or by name."
        )
    return columns


def _rows_of_path(X, y, sample_weight, path, target):
    """X (n, p), one target y (n,) and weight (n,), checked against the path."""
    X = check_array(X, accept_sparse="csr", dtype=np.float64)
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    check_consistent_length(X, y)
    if X.shape[1] != path.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} features, but the path is of {path.shape[1]} "
            "coefficients. Pass the rows that the model was fitted to."
        )
    y = y if y.ndim == 1 else y[:, target]
    return X, y, _check_sample_weight(sample_weight, X, dtype=np.float64)


def _valley_of(model, X, y, weight, coef, columns):
    """Two columns of X, dense (n, 2), and the landscape over their coefficients.

    The other coefficients stand where `coef` (p,) has them.
    """
    others = np.array(coef, dtype=np.float64)
    others[columns] = 0.0
    pair = X[:, columns]
    pair = pair.toarray() if sparse.issparse(pair) else pair
    l1 = model.alpha * model.l1_ratio
    l2 = model.alpha * (1.0 - model.l1_ratio)
    rest = l1 * np.abs(others).sum() + l2 / 2 * (others @ others)
    valley = Valley.of_rows(
        pair,
        y - X @ others,
        weight,
        centered=model.fit_intercept,
        l1=l1,
        l2=l2,
        rest_penalty=rest,
    )
    return pair, valley


def _window(path, bottom, *, is_square) -> list[tuple[float, float]]:
    """Ends of both axes that take in path (n, 2) and bottom (2,) or None."""
    seen = path if bottom is None else np.vstack([path, bottom])
    low, high = seen.min(axis=0), seen.max(axis=0)
    span = np.where(high > low, high - low, np.maximum(np.abs(low), 1.0))
    if is_square:
        span = np.full(2, span.max())
    middle = low + (high - low) / 2
    return [*zip(middle - 0.7 * span, middle + 0.7 * span, strict=True)]
