"""What happened to the gradient of every layer, as lines or as a heat map."""

import numpy as np

from .._diagnosis import NetworkRecord
from ._canvas import (
    GREY,
    VERMILION,
    name_of,
    number_layers,
    require_axes,
    shade,
    whole_numbers,
    wrapped,
)
from ._pipeline import fitted_last_step, record_of

__all__ = ["GradientFlowDisplay"]


IN_TIME = "time_gradient_norm"
# Records per layer: what the axis says, and whether they span decades.
LAYER_RECORDS = {
    "gradient_norm": ("norm of gradient", True),
    "gradient_norm_max": ("largest norm of gradient", True),
    "update_ratio": ("norm of update / norm of weights", True),
    "dead_fraction": ("share of dead units", False),
    "saturated_fraction": ("share of saturated activations", False),
    IN_TIME: ("norm of dJ/dh", True),
}
MOST_LEGEND_ENTRIES = 6  # more layers are told apart by a colour bar
LAYER_AXIS = "layer, from input to output"


class GradientFlowDisplay:
    """What happened to every layer's gradient during training.

    Built by :meth:`from_estimator` from the ``gradient_history_`` of a network: one
    line per recorded array over the epochs, or a heat map of arrays by epochs. As a
    rule these are the weights of each layer. Of a recurrent network also the norm of
    dJ/dh against the time step, in one record: the farther from the end of sequences,
    the smaller where the gradient vanishes, the larger where it explodes. Zeros and
    infinities, which a logarithmic scale has no place for, are drawn a decade below and
    above all other values and marked as what they are; NaN leaves a gap.

    Parameters
    ----------
    values : array-like of shape (n_records, n_arrays)
        The records, one column per recorded array from input to output; for
        "time_gradient_norm" (n_steps, n_recurrent), a column per recurrent layer.
    quantity : str, default="gradient_norm"
        What they are: "gradient_norm", "gradient_norm_max", "update_ratio",
        "dead_fraction", "saturated_fraction" or "time_gradient_norm".
    array_names : sequence of str or None, default=None
        Names of the columns; None calls them layers and numbers them.
    record_name : str, default="epoch"
        What a row of `values` is: "epoch", "mini-batch", "iteration" (of L-BFGS), or
        "time step".
    estimator_name : str or None, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure containing them.
    lines_ : list of matplotlib Line2D or None
        A line per array, from input to output; None for ``kind="heatmap"``.
    image_ : matplotlib AxesImage or None
        The heat map; None for ``kind="lines"``.
    colorbar_ : matplotlib Colorbar or None
        Which colour is which array, or which value.

    See Also
    --------
    LossCurveDisplay : What happened to the loss.

    References
    ----------
    Glorot, X. and Bengio, Y. (2010). Understanding the difficulty of training deep
    feedforward neural networks. AISTATS.

    Bengio, Y., Simard, P. and Frasconi, P. (1994). Learning long-term dependencies with
    gradient descent is difficult. IEEE Transactions on Neural Networks, 5(2).

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
        array_names=None,
        record_name="epoch",
        estimator_name=None,
    ):
        self.values = values
        self.quantity = quantity
        self.array_names = array_names
        self.record_name = record_name
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        quantity="gradient_norm",
        kind="lines",
        record=-1,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Draw the history of a fitted network.

        Parameters
        ----------
        estimator : network or Pipeline
            Fitted network (BackpropMLP..., BackpropRNN...), or a pipeline that ends in
            one. Also one whose training diverged: its history reaches to the end.
        quantity : str, default="gradient_norm"
            "gradient_norm" (L2 norm, before clipping), "gradient_norm_max" (largest
            mini-batch of the record), "update_ratio", "dead_fraction",
            "saturated_fraction", or "time_gradient_norm" (of dJ/dh in each step;
            recurrent networks alone have it).
        kind : {"lines", "heatmap"}, default="lines"
            A line per layer, or layers by epochs in colour.
        record : int, default=-1
            Which record of "time_gradient_norm" is drawn; 0 is the first epoch's.
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
        training = _record_with_history(estimator)
        read = _in_time if quantity == IN_TIME else _by_record
        values, names, row_name = read(training, quantity, record)
        display = cls(
            values=values,
            quantity=quantity,
            array_names=names,
            record_name=row_name,
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
                    "label": self._name(layer, n_layers) if is_known else None,
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

    def _name(self, column, n_columns) -> str:
        """Name a column of the records."""
        if self.array_names is not None:
            return self.array_names[column]
        return _layer_name(column, n_columns)

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
        if self.array_names is not None and n_layers <= MOST_LEGEND_ENTRIES:
            self.ax_.set_yticks(range(1, n_layers + 1), self.array_names)
        else:
            self.ax_.set_ylabel(LAYER_AXIS)
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


def _record_with_history(estimator) -> NetworkRecord:
    """The record of a fitted network that kept a history."""
    record = record_of(estimator)
    if not isinstance(record, NetworkRecord):
        raise ValueError(
            f"{type(estimator).__name__} keeps no gradient_history_: only networks, "
            "BackpropMLP... and BackpropRNN..., have layers to look into."
        )
    if not record.history:
        raise ValueError(
            "gradient_history_ is empty: it was fitted with track_gradients="
            f"{record.params['track_gradients']!r}. Fit with track_gradients='epoch' "
            "or 'batch'."
        )
    return record


def _by_record(training: NetworkRecord, quantity, record):
    """Values (n_records, n_arrays), names of the columns, and what a row is."""
    values = np.asarray(training.history[quantity])
    return values, training.names, training.record_name


def _in_time(training: NetworkRecord, quantity, record):
    """Values (n_steps, n_recurrent) of one record, names, and what a row is."""
    if not training.recurrent_names:
        raise ValueError(
            f"quantity={quantity!r} is recorded for recurrent layers, and this network "
            "has none. BackpropRNNClassifier and BackpropRNNRegressor have."
        )
    values = np.asarray(training.history[quantity])
    if not -len(values) <= record < len(values):
        raise ValueError(
            f"record={record} is not among the {len(values)} records of this training."
        )
    return values[record].T, training.recurrent_names, "time step"


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
    bar = ax.figure.colorbar(cm.ScalarMappable(norm, cmap), ax=ax, label=LAYER_AXIS)
    number_layers(bar.ax.yaxis, n_layers)
    return bar
