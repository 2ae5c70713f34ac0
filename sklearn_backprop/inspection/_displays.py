"""Pictures of what a fit recorded: gradients, losses, and the path of descent."""

import numpy as np
from scipy import sparse
from sklearn.utils.validation import (
    _check_sample_weight,
    _get_feature_names,
    check_array,
    check_consistent_length,
)

from ._canvas import (
    GREY,
    OKABE_ITO,
    VERMILION,
    fitted_last_step,
    name_of,
    number_layers,
    require_axes,
    shade,
    whole_numbers,
    wrapped,
)
from ._valley import Valley, descent_scale

__all__ = ["DescentPathDisplay", "GradientFlowDisplay", "LossCurveDisplay"]

# Records per layer: what the axis says, and whether they span decades.
LAYER_RECORDS = {
    "gradient_norm": ("norm of gradient", True),
    "gradient_norm_max": ("largest norm of gradient", True),
    "update_ratio": ("norm of update / norm of weights", True),
    "dead_fraction": ("share of dead units", False),
    "saturated_fraction": ("share of saturated activations", False),
}
MOST_LEGEND_ENTRIES = 6  # more layers are told apart by a colour bar


# ------------------------------------------------------------------- gradients
class GradientFlowDisplay:
    """What happened to every layer's gradient during training.

    Built by :meth:`from_estimator` from the ``gradient_history_`` of a network: one
    line per layer over the epochs, or a heat map of layers by epochs. Zeros and
    infinities, which a logarithmic scale has no place for, are drawn a decade below and
    above all other values and marked as what they are; NaN leaves a gap.

    Parameters
    ----------
    values : array-like of shape (n_records, n_weight_layers)
        The records, one column per weight matrix from input to output.
    quantity : str, default="gradient_norm"
        What they are: "gradient_norm", "gradient_norm_max", "update_ratio",
        "dead_fraction" or "saturated_fraction".
    record_name : str, default="epoch"
        What a record covers: "epoch" or "mini-batch".
    estimator_name : str or None, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure containing them.
    lines_ : list of matplotlib Line2D or None
        A line per layer, from input to output; None for ``kind="heatmap"``.
    image_ : matplotlib AxesImage or None
        The heat map; None for ``kind="lines"``.
    colorbar_ : matplotlib Colorbar or None
        Which colour is which layer, or which value.

    See Also
    --------
    LossCurveDisplay : What happened to the loss.

    References
    ----------
    Glorot, X. and Bengio, Y. (2010). Understanding the difficulty of training deep
    feedforward neural networks. AISTATS.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_backprop import BackpropMLPClassifier
    >>> from sklearn_backprop.inspection import GradientFlowDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = BackpropMLPClassifier(
    ...     (16, 16), learning_rate_init=0.01, tol=1e-3, random_state=0
    ... ).fit(X, y)
    >>> display = GradientFlowDisplay.from_estimator(model)
    >>> len(display.lines_)
    3
    >>> display.ax_.get_yscale()
    'log'
    """

    def __init__(
        self,
        *,
        values,
        quantity="gradient_norm",
        record_name="epoch",
        estimator_name=None,
    ):
        self.values = values
        self.quantity = quantity
        self.record_name = record_name
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        quantity="gradient_norm",
        kind="lines",
        name=None,
        ax=None,
        **kwargs,
    ):
        """Draw the history of a fitted network.

        Parameters
        ----------
        estimator : BackpropMLPClassifier, BackpropMLPRegressor or Pipeline
            Fitted network, or a pipeline that ends in one. Also one whose training
            diverged: its history reaches to the end.
        quantity : str, default="gradient_norm"
            "gradient_norm" (L2 norm, before clipping), "gradient_norm_max" (largest
            mini-batch of the record), "update_ratio", "dead_fraction" or
            "saturated_fraction".
        kind : {"lines", "heatmap"}, default="lines"
            A line per layer, or layers by epochs in colour.
        name : str or None, default=None
            Title; None takes the name of the class.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **kwargs : dict
            Passed on to matplotlib's ``plot`` or ``imshow``.

        Returns
        -------
        display : GradientFlowDisplay
            The picture and what it is made of.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it kept no such history.
        """
        estimator = fitted_last_step(estimator)
        _require_layer_record(quantity)
        history = _gradient_history(estimator)
        values = np.asarray(history[quantity])
        per_epoch = len(values) == len(estimator.loss_curve_)
        display = cls(
            values=values,
            quantity=quantity,
            record_name="epoch" if per_epoch else "mini-batch",
            estimator_name=name_of(estimator, name),
        )
        return display.plot(ax=ax, kind=kind, **kwargs)

    def plot(self, ax=None, *, kind="lines", name=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        kind : {"lines", "heatmap"}, default="lines"
            A line per layer, or layers by epochs in colour.
        name : str or None, default=None
            Title; None takes `estimator_name`.
        **kwargs : dict
            Passed on to matplotlib's ``plot`` or ``imshow``.

        Returns
        -------
        display : GradientFlowDisplay
            The display itself.
        """
        _require_layer_record(self.quantity)
        if kind not in ("lines", "heatmap"):
            raise ValueError(f"kind must be 'lines' or 'heatmap', got {kind!r}.")
        self.ax_ = require_axes(ax, "GradientFlowDisplay")
        self.figure_ = self.ax_.figure
        self.lines_ = self.image_ = self.colorbar_ = None
        values = np.asarray(self.values, dtype=float)
        _, is_log = LAYER_RECORDS[self.quantity]
        drawable = _Drawable(values, is_log)
        if kind == "lines":
            self._plot_lines(drawable, kwargs)
        else:
            self._plot_heatmap(drawable, kwargs)
        self.ax_.set_xlabel(self.record_name)
        whole_numbers(self.ax_)
        title = self.estimator_name if name is None else name
        if title:
            is_under_legend = kind == "heatmap" and self.ax_.get_legend() is not None
            self.ax_.set_title(wrapped(title, 50), pad=22 if is_under_legend else 6)
        return self

    def _plot_lines(self, drawable, kwargs):
        n_records, n_layers = drawable.values.shape
        label, is_log = LAYER_RECORDS[self.quantity]
        has_legend = n_layers <= MOST_LEGEND_ENTRIES
        # A line through one point is invisible.
        style = {"marker": "o" if n_records == 1 else None, **kwargs}
        records = np.arange(1, n_records + 1)
        self.lines_ = []
        for layer, column in enumerate(drawable.values.T):
            is_known = has_legend and not np.isnan(column).all()
            colour = shade(layer / max(1, n_layers - 1))
            self.lines_ += self.ax_.plot(
                records,
                column,
                **{
                    "color": colour,
                    "label": _layer_name(layer, n_layers) if is_known else None,
                    **style,
                },
            )
        self.ax_.set_ylabel(label)
        if is_log:
            self.ax_.set_yscale("log")
            drawable.mark_outsiders(self.ax_)
        else:
            self.ax_.set_ylim(-0.02, 1.02)
        if self.ax_.get_legend_handles_labels()[0]:
            self.ax_.legend()
        if not has_legend:
            self.colorbar_ = _layer_bar(self.ax_, n_layers)

    def _plot_heatmap(self, drawable, kwargs):
        from matplotlib import colormaps, colors

        n_records, n_layers = drawable.values.shape
        label, is_log = LAYER_RECORDS[self.quantity]
        norm = (
            colors.LogNorm(*drawable.decades) if is_log else colors.Normalize(0.0, 1.0)
        )
        cmap = colormaps["viridis"].with_extremes(
            bad=GREY, under="white", over=VERMILION
        )
        self.image_ = self.ax_.imshow(
            np.ma.masked_invalid(drawable.values.T),
            **{
                "cmap": cmap,
                "norm": norm,
                "aspect": "auto",
                "origin": "lower",
                "interpolation": "nearest",
                "extent": (0.5, n_records + 0.5, 0.5, n_layers + 0.5),
                **kwargs,
            },
        )
        if drawable.has_scale:
            self.colorbar_ = self.figure_.colorbar(
                self.image_, ax=self.ax_, label=label
            )
        self.ax_.set_ylabel("layer, from input to output")
        number_layers(self.ax_.yaxis, n_layers)
        drawable.explain_colours(self.ax_)


class _Drawable:
    """Values (n_records, n_layers) with stand-ins for what a log scale cannot show."""

    def __init__(self, values, is_log):
        positive = values[np.isfinite(values) & (values > 0)]
        self.has_scale = not is_log or len(positive) > 0
        smallest, largest = 1.0, 1.0
        if len(positive):
            smallest, largest = positive.min(), positive.max()
        # Colours span a decade at least, lest noise look like a change.
        middle = np.sqrt(smallest) * np.sqrt(largest)
        root = np.sqrt(10.0)
        self.decades = min(smallest, middle / root), max(largest, middle * root)
        self.has_zero = is_log and bool((values == 0).any())
        self.has_inf = is_log and bool(np.isinf(values).any())
        self.has_nan = bool(np.isnan(values).any())
        self.floor, self.ceiling = self.decades[0] / 10, self.decades[1] * 10
        self.values = values
        if is_log:
            self.values = np.where(values == 0, self.floor, values)
            self.values[np.isinf(values)] = self.ceiling

    def mark_outsiders(self, ax):
        """Draw where zero and infinity stand, over the lines that run there."""
        for present, height, style, text in (
            (self.has_zero, self.floor, ":", "exactly 0"),
            (self.has_inf, self.ceiling, "--", "infinite"),
        ):
            if present:
                ax.axhline(height, color="black", linestyle=style, zorder=3, label=text)
        if not self.has_scale:
            ax.yaxis.set_ticks([])
            ax.yaxis.set_ticks([], minor=True)

    def explain_colours(self, ax):
        """Say above a heat map what its colours off the scale are."""
        from matplotlib.patches import Patch

        patches = [
            Patch(facecolor=colour, edgecolor="#555555", label=text)
            for present, colour, text in (
                (self.has_zero, "white", "exactly 0"),
                (self.has_inf, VERMILION, "infinite"),
                (self.has_nan, GREY, "no value"),
            )
            if present
        ]
        if patches:
            ax.legend(
                handles=patches,
                loc="lower left",
                bbox_to_anchor=(0.0, 1.0),
                ncols=3,
                frameon=False,
                borderaxespad=0.1,
            )


def _require_layer_record(quantity) -> None:
    """Refuse what is not recorded per layer."""
    if quantity not in LAYER_RECORDS:
        raise ValueError(
            f"quantity must be one of {', '.join(map(repr, LAYER_RECORDS))}, which are "
            f"recorded for every layer; got {quantity!r}."
        )


def _gradient_history(estimator) -> dict[str, np.ndarray]:
    """The records of a fitted network."""
    history = getattr(estimator, "gradient_history_", None)
    if history is None:
        raise ValueError(
            f"{type(estimator).__name__} keeps no gradient_history_: only "
            "BackpropMLPClassifier and BackpropMLPRegressor have layers to look into."
        )
    if not history:
        reason = (
            "solver='lbfgs' takes no steps per mini-batch to record. Fit with a "
            "first-order solver such as solver='adam'"
            if estimator.solver == "lbfgs"
            else f"it was fitted with track_gradients={estimator.track_gradients!r}. "
            "Fit with track_gradients='epoch' or 'batch'"
        )
        raise ValueError(f"gradient_history_ is empty: {reason}.")
    return history


def _layer_name(layer, n_layers) -> str:
    """Name a column of the records."""
    if layer == n_layers - 1:
        return f"layer {layer + 1} (output)"
    return f"layer {layer + 1}" + (" (input)" if layer == 0 else "")


def _layer_bar(ax, n_layers):
    """A bar that says which colour is which layer."""
    from matplotlib import cm, colors

    cmap = colors.ListedColormap([shade(i / (n_layers - 1)) for i in range(n_layers)])
    norm = colors.Normalize(0.5, n_layers + 0.5)
    bar = ax.figure.colorbar(
        cm.ScalarMappable(norm, cmap), ax=ax, label="layer, from input to output"
    )
    number_layers(bar.ax.yaxis, n_layers)
    return bar


# ---------------------------------------------------------------------- losses
class LossCurveDisplay:
    """How the loss fell: training, validation, and the epoch whose weights were kept.

    Built by :meth:`from_estimator`; draw several estimators on one axis by passing
    ``ax``. Where losses span more than two decades the axis becomes logarithmic.

    Parameters
    ----------
    train_loss : array-like of shape (n_epochs,)
        Training objective of every epoch or iteration.
    validation_loss : array-like of shape (n_validated,) or None, default=None
        Loss of the validation set after each of `validation_epochs`.
    validation_epochs : array-like of shape (n_validated,) or None, default=None
        Epochs, counted from one; None takes the first ones.
    best_epoch : int or None, default=None
        The epoch with the best validation score, counted from one.
    step_name : str, default="epoch"
        What an entry of the curves belongs to: "epoch" or "iteration".
    estimator_name : str or None, default=None
        Name in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure containing them.
    line_ : matplotlib Line2D
        Training loss.
    validation_line_ : matplotlib Line2D or None
        Validation loss, dashed.
    best_ : matplotlib Line2D or None
        Marker of the best epoch.

    See Also
    --------
    GradientFlowDisplay : What the gradients of every layer did meanwhile.

    References
    ----------
    Prechelt, L. (1998). Early stopping - but when? In Neural networks: tricks of the
    trade. Springer.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_backprop import GDLinearRegression
    >>> from sklearn_backprop.inspection import LossCurveDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> plain = GDLinearRegression().fit(X, y)
    >>> fast = GDLinearRegression(momentum=0.9).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(plain, name="plain")
    >>> display = LossCurveDisplay.from_estimator(
    ...     fast, name="momentum", ax=display.ax_
    ... )
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['plain', 'momentum']
    """

    def __init__(
        self,
        *,
        train_loss,
        validation_loss=None,
        validation_epochs=None,
        best_epoch=None,
        step_name="epoch",
        estimator_name=None,
    ):
        self.train_loss = train_loss
        self.validation_loss = validation_loss
        self.validation_epochs = validation_epochs
        self.best_epoch = best_epoch
        self.step_name = step_name
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls, estimator, *, validation=None, name=None, ax=None, **kwargs
    ):
        """Draw the loss curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator or Pipeline
            Fitted network or ``GDLinearRegression(solver="gd")``, or a pipeline that
            ends in one. Also one whose training diverged.
        validation : bool or None, default=None
            Whether to draw the validation loss; None draws it where there is one.
        name : str or None, default=None
            Name in the legend; None takes the name of the class.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **kwargs : dict
            Passed on to matplotlib's ``plot`` for both curves.

        Returns
        -------
        display : LossCurveDisplay
            The picture and what it is made of.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it has no curve, or ``validation=True`` and it watched no validation set.
        """
        estimator = fitted_last_step(estimator)
        train_loss = _loss_curve(estimator)
        curve = getattr(estimator, "validation_loss_curve_", None)
        if validation and not curve:
            raise ValueError(
                f"This {type(estimator).__name__} watched no validation set. Fit a "
                "network with early_stopping=True or fit(X, y, X_val=..., y_val=...), "
                "or pass validation=None."
            )
        epochs = best = None
        if validation is False or not curve:
            curve = None
        else:
            epochs = _validation_epochs(train_loss, len(curve))
            best = int(epochs[np.argmax(estimator.validation_scores_)])
        display = cls(
            train_loss=train_loss,
            validation_loss=curve,
            validation_epochs=epochs,
            best_epoch=best,
            step_name="iteration" if _counts_iterations(estimator) else "epoch",
            estimator_name=name_of(estimator, name),
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, name=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        name : str or None, default=None
            Name in the legend; None takes `estimator_name`.
        **kwargs : dict
            Passed on to matplotlib's ``plot`` for both curves.

        Returns
        -------
        display : LossCurveDisplay
            The display itself.
        """
        self.ax_ = require_axes(ax, "LossCurveDisplay")
        self.figure_ = self.ax_.figure
        self.validation_line_ = self.best_ = None
        name = self.estimator_name if name is None else name
        prefix = f"{name}: " if name else ""
        is_alone = name and self.validation_loss is None
        label = name if is_alone else f"{prefix}training"
        train = np.asarray(self.train_loss, dtype=float)
        # A line through one point is invisible.
        style = {
            "color": _next_colour(self.ax_),
            "marker": "o" if len(train) == 1 else None,
            **kwargs,
        }
        (self.line_,) = self.ax_.plot(
            np.arange(1, len(train) + 1),
            train,
            **{"label": wrapped(label), **style},
        )
        self.line_.set_gid(TRAINING_GID)
        if self.validation_loss is not None:
            self._plot_validation(prefix, style)
        self._set_axes()
        return self

    def _plot_validation(self, prefix, style):
        curve = np.asarray(self.validation_loss, dtype=float)
        epochs = self.validation_epochs
        epochs = np.arange(1, len(curve) + 1) if epochs is None else np.asarray(epochs)
        style = {"linestyle": "--", "label": wrapped(f"{prefix}validation"), **style}
        (self.validation_line_,) = self.ax_.plot(epochs, curve, **style)
        if self.best_epoch is None:
            return
        (self.best_,) = self.ax_.plot(
            [self.best_epoch],
            curve[epochs == self.best_epoch],
            marker="*",
            markersize=15,
            linestyle="none",
            color=self.validation_line_.get_color(),
            markeredgecolor="white",
            zorder=3,
            label=f"best epoch: {self.best_epoch}",
        )

    def _set_axes(self):
        curves = [np.asarray(line.get_ydata(), float) for line in self.ax_.get_lines()]
        heights = np.concatenate(curves)
        heights = heights[np.isfinite(heights)]
        if len(heights) and 0 < 100 * heights.min() < heights.max():
            self.ax_.set_yscale("log")
        self.ax_.set(xlabel=self.step_name, ylabel="loss")
        whole_numbers(self.ax_)
        self.ax_.legend()


# Marks the training curves on an axis, so that the next one takes the next colour.
TRAINING_GID = "sklearn_backprop: training loss"


def _next_colour(ax) -> str:
    """The colour behind those of the training curves that are there."""
    n_curves = sum(line.get_gid() == TRAINING_GID for line in ax.get_lines())
    return OKABE_ITO[n_curves % len(OKABE_ITO)]


def _loss_curve(estimator) -> np.ndarray:
    """Training losses (n,) of a fitted estimator."""
    curve = np.asarray(getattr(estimator, "loss_curve_", ()), dtype=float)
    if getattr(estimator, "solver", None) == "normal" or not len(curve):
        raise ValueError(
            f"This {type(estimator).__name__} has no loss curve: it did not learn step "
            "by step. Fit a network, or GDLinearRegression with solver='gd'."
        )
    return curve


def _validation_epochs(train_loss, n_validated) -> np.ndarray:
    """Epochs (n_validated,) of the validation losses, counted from one.

    Without interruption they are all epochs, but for one that diverged: it has a
    training loss and no validation loss. Where warm starts came to watch a validation
    set later, the last epochs are meant.
    """
    n_epochs = len(train_loss)
    finished = n_epochs - (not np.isfinite(train_loss[-1]))
    first = max(0, finished - n_validated)
    return np.arange(first + 1, first + n_validated + 1)


def _counts_iterations(estimator) -> bool:
    """Whether its curve has an entry per step on all rows, not per epoch."""
    return estimator.solver == "lbfgs" or (
        estimator.solver == "gd" and estimator.batch_size is None
    )


# --------------------------------------------------------------------- descent
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
