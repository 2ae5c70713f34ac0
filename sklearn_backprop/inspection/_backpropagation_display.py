"""A pass of backpropagation as a picture of the network."""

from dataclasses import dataclass

import numpy as np

from ._backpropagation import Backpropagation
from ._canvas import name_of, require_axes, wrapped
from ._derivatives import backpropagate
from ._layer_pass import LayerPass
from ._pipeline import last_step

__all__ = ["BackpropagationDisplay"]

BLUE, PALE, VERMILION = "#0072B2", "#DDDDDD", "#D55E00"
MOST_DISCS = 12  # a wider layer is a strip of cells
MOST_CELLS = 64  # of which each stands for several units, if there are more
MOST_NUMBERED = 6  # units of a layer whose numbers do not crowd
MOST_EDGES = 150  # of a matrix; of more the strongest
MOST_CAPTIONS = 7  # columns whose captions do not meet
STRIP = 0.07  # half the width of a strip, where columns stand 1 apart


class BackpropagationDisplay:
    """A pass forward and back as a picture of the network.

    Columns are layers, from the inputs on the left to the output on the right. A unit
    is a disc, coloured by its activation (mean over the rows) with a ring coloured by
    dJ/db. A line is a weight, coloured by dJ/dW; the wider, the larger. Where layers
    are few and narrow, the numbers stand beside them, in units of one power of ten that
    the colour bar names. A layer of more than 12 units is a strip of cells, from its
    first unit at the top to its last, and of a matrix with more than 150 weights the
    strongest gradients are drawn. Arcs are the skips of residual blocks. Below each
    layer stands its number of units, below each matrix the norm of its gradient.

    Parameters
    ----------
    passed : Backpropagation
        What :func:`backpropagate` returns.
    input_names, output_names : sequence of str or None, default=None
        Names of the features and of the outputs; they are written where they are few.
    estimator_name : str or None, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure containing them.
    units_ : list of matplotlib Collection
        Units of each column, from the inputs to the output: discs, or cells of a strip.
    edges_ : list of matplotlib LineCollection
        Lines that lead to each layer, the weakest gradient first.
    colorbars_ : list of matplotlib Colorbar
        Of the activations, and of the gradients.

    See Also
    --------
    backpropagate : All the numbers.
    GradientFlowDisplay : Gradients of each layer over the whole training.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_backprop import BackpropMLPClassifier
    >>> from sklearn_backprop.inspection import BackpropagationDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = BackpropMLPClassifier((4,), learning_rate_init=0.05, tol=1e-3,
    ...                             random_state=0).fit(X, y)
    >>> display = BackpropagationDisplay.from_estimator(net, X, y)
    >>> [len(units.get_offsets()) for units in display.units_]
    [4, 4, 3]
    """

    def __init__(
        self, *, passed, input_names=None, output_names=None, estimator_name=None
    ):
        self.passed = passed
        self.input_names = input_names
        self.output_names = output_names
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(cls, estimator, X, y, sample_weight=None, *, name=None, ax=None):
        """Pass rows through a fitted estimator, and draw.

        Parameters
        ----------
        estimator : estimator or Pipeline
            As in :func:`backpropagate`.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their labels or targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.
        name : str or None, default=None
            Title; None takes the name of the class.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        display : BackpropagationDisplay
            The picture and what it is made of.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it has no layers, or if rows and targets do not fit it.
        """
        passed = backpropagate(estimator, X, y, sample_weight)
        display = cls(
            passed=passed,
            input_names=_feature_names(estimator),
            output_names=_output_names(last_step(estimator), passed),
            estimator_name=name_of(last_step(estimator), name),
        )
        return display.plot(ax=ax)

    def plot(self, ax=None, *, name=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        name : str or None, default=None
            Title; None takes `estimator_name`.

        Returns
        -------
        display : BackpropagationDisplay
            The display itself.
        """
        self.ax_ = require_axes(ax, "BackpropagationDisplay")
        self.figure_ = self.ax_.figure
        picture = _Picture(self.ax_, self.passed)
        self.edges_ = [picture.draw_edges(k) for k in range(len(self.passed.layers))]
        self.units_ = [picture.draw_units(column) for column in picture.columns]
        picture.draw_skips()
        picture.write_captions()
        picture.write_names(self.input_names, self.output_names)
        self.colorbars_ = picture.draw_colorbars()
        picture.frame()
        title = self.estimator_name if name is None else name
        if title:
            self.ax_.set_title(wrapped(title, 50))
        return self


@dataclass
class _Column:
    """Units of one layer, and where they stand."""

    x: float
    caption: str
    values: np.ndarray  # (n_units,) activations, mean over rows
    gradients: np.ndarray | None  # (n_units,) of the biases

    @property
    def n_units(self) -> int:
        return len(self.values)

    @property
    def is_strip(self) -> bool:
        return self.n_units > MOST_DISCS

    @property
    def heights(self) -> np.ndarray:
        """Height (n_units,) of every unit, the first at the top."""
        return 1 - (np.arange(self.n_units) + 0.5) / self.n_units

    def binned(self, n_cells: int) -> np.ndarray:
        """Means of neighbours (n_cells,)."""
        return np.array([part.mean() for part in np.array_split(self.values, n_cells)])


class _Picture:
    """The network on its axes: columns 1 apart, from 0 to 1 high."""

    def __init__(self, ax, passed: Backpropagation):
        from matplotlib import colormaps, colors

        self.ax = ax
        self.passed = passed
        self.layers = passed.layers
        self.columns = _columns(passed)
        self.norm = _norm_of_values([column.values for column in self.columns])
        self.cmap = colormaps["viridis"]
        largest = max(self._strongest(layer) for layer in self.layers) or 1.0
        self.power = int(np.floor(np.log10(largest)))
        self.gradient_norm = colors.SymLogNorm(
            largest / 100, vmin=-largest, vmax=largest, base=10
        )
        self.gradient_cmap = colors.LinearSegmentedColormap.from_list(
            "gradient", [BLUE, PALE, VERMILION]
        )
        widths = [column.n_units for column in self.columns]
        self.has_numbers = max(widths) <= MOST_NUMBERED and len(widths) <= 4

    @staticmethod
    def _strongest(layer: LayerPass) -> float:
        return max(np.abs(g).max() for r, g in layer.gradients.items() if r in "Wb")

    # --- lines
    def draw_edges(self, k: int):
        """Draw the weights that lead to layer k, the weakest gradient first."""
        from matplotlib.collections import LineCollection

        before, behind = self.columns[k], self.columns[k + 1]
        # Of what a dense block joins, the last is what the layer before gave.
        gradient = self.layers[k].dJ_dW[-before.n_units :]
        strength = np.abs(gradient).ravel()
        order = np.argsort(strength)[-MOST_EDGES:]
        i, j = np.unravel_index(order, gradient.shape)
        lines = np.stack(
            [
                np.column_stack([np.full(len(i), before.x), before.heights[i]]),
                np.column_stack([np.full(len(j), behind.x), behind.heights[j]]),
            ],
            axis=1,
        )
        share = strength[order] / (self.gradient_norm.vmax or 1.0)
        edges = LineCollection(
            lines,
            array=gradient[i, j],
            cmap=self.gradient_cmap,
            norm=self.gradient_norm,
            linewidths=0.6 + 2.4 * np.sqrt(share),
            zorder=1,
        )
        self.ax.add_collection(edges)
        if self.has_numbers:
            self._number_edges(before, behind, gradient)
        return edges

    def _number_edges(self, before, behind, gradient) -> None:
        """Write dJ/dW on the lines: those from one unit above each other."""
        places = (
            np.linspace(0.25, 0.75, before.n_units) if before.n_units > 1 else [0.5]
        )
        for i, t in enumerate(places):
            for j in range(behind.n_units):
                self.ax.text(
                    before.x + t * (behind.x - before.x),
                    before.heights[i] + t * (behind.heights[j] - before.heights[i]),
                    f"{gradient[i, j] / 10.0**self.power:.2f}",
                    fontsize=7,
                    ha="center",
                    va="center",
                    bbox={
                        "facecolor": "white",
                        "edgecolor": "none",
                        "alpha": 0.85,
                        "pad": 0.6,
                    },
                    zorder=2,
                )

    def draw_skips(self) -> None:
        """Draw an arc over the layers that each residual block holds."""
        from matplotlib.patches import FancyArrowPatch

        for k, layer in enumerate(self.layers):
            if layer.skip_from is None:
                continue
            start, end = self.columns[layer.skip_from].x, self.columns[k + 1].x
            self.ax.add_patch(
                FancyArrowPatch(
                    (start, 1.01),
                    (end, 1.01),
                    connectionstyle=f"arc3,rad={-0.25 / (end - start)}",
                    arrowstyle="->",
                    mutation_scale=8,
                    color="#777777",
                    linestyle="--",
                    linewidth=0.8,
                )
            )

    # --- units
    def draw_units(self, column: _Column):
        """Draw a column as discs, or as a strip of cells."""
        return self._strip(column) if column.is_strip else self._discs(column)

    def _discs(self, column):
        size = self._disc_size()
        is_input = column.gradients is None
        rings = (
            "#777777"
            if is_input
            else self.gradient_cmap(self.gradient_norm(column.gradients))
        )
        discs = self.ax.scatter(
            np.full(column.n_units, column.x),
            column.heights,
            s=size**2,
            c=column.values,
            cmap=self.cmap,
            norm=self.norm,
            edgecolors=rings,
            linewidths=1.0 if is_input else 2.0,
            zorder=3,
        )
        if self.has_numbers:
            for height, value in zip(column.heights, column.values, strict=True):
                self.ax.text(
                    column.x,
                    height,
                    _short(value),
                    fontsize=7.5,
                    ha="center",
                    va="center",
                    zorder=4,
                    color="black" if self.norm(value) > 0.6 else "white",
                )
        return discs

    def _disc_size(self) -> float:
        """Diameter in points: no discs meet."""
        discs = [c.n_units for c in self.columns if not c.is_strip]
        width, height = 72 * self.figure_size()
        return min(30.0, 0.6 * height / max(discs), 0.4 * width / len(self.columns))

    def figure_size(self):
        box = self.ax.get_position()
        return self.ax.figure.get_size_inches() * [0.8 * box.width, 0.8 * box.height]

    def _strip(self, column):
        from matplotlib.collections import PolyCollection

        n_cells = min(column.n_units, MOST_CELLS)
        edges = np.linspace(1, 0, n_cells + 1)
        left, right = column.x - STRIP, column.x + STRIP
        cells = PolyCollection(
            [
                [(left, top), (right, top), (right, bottom), (left, bottom)]
                for top, bottom in zip(edges[:-1], edges[1:], strict=True)
            ],
            array=column.binned(n_cells),
            cmap=self.cmap,
            norm=self.norm,
            edgecolors="face",
            linewidths=0.2,
            zorder=3,
        )
        self.ax.add_collection(cells)
        return cells

    # --- words
    def write_captions(self) -> None:
        """Write under columns what they are, and under matrices their norms."""
        n = len(self.columns)
        step = -(-n // MOST_CAPTIONS)
        shown = range(0, n, step) if step > 1 else range(n)
        for k in shown:
            column = self.columns[k]
            self.ax.text(
                column.x, -0.04, column.caption, fontsize=8, ha="center", va="top"
            )
        if step > 1:
            return
        for k, layer in enumerate(self.layers):
            self.ax.text(
                k + 0.5,
                -0.04,
                f"|dJ/dW|\n{np.linalg.norm(layer.dJ_dW):.2g}",
                fontsize=7,
                ha="center",
                va="top",
                color="#555555",
            )

    def write_names(self, input_names, output_names) -> None:
        """Write names beside the first and the last column, where they are few."""
        offset = 0.18
        for column, names, side in (
            (self.columns[0], input_names, -1),
            (self.columns[-1], output_names, 1),
        ):
            if names is None or column.is_strip:
                continue
            for height, name in zip(column.heights, names, strict=True):
                self.ax.text(
                    column.x + side * offset,
                    height,
                    wrapped(str(name), 14),
                    fontsize=8,
                    va="center",
                    ha="right" if side < 0 else "left",
                )

    def draw_colorbars(self) -> list:
        """Explain both kinds of colours."""
        from matplotlib import cm

        figure = self.ax.figure
        lower, upper = (
            self.ax.inset_axes([1.03, 0, 0.025, 0.42]),
            self.ax.inset_axes([1.03, 0.55, 0.025, 0.42]),
        )
        values = figure.colorbar(
            cm.ScalarMappable(self.norm, self.cmap), cax=upper, label="activation"
        )
        gradients = figure.colorbar(
            cm.ScalarMappable(self.gradient_norm, self.gradient_cmap),
            cax=lower,
            label="dJ/dW, dJ/db",
        )
        for bar in (values, gradients):
            bar.ax.tick_params(labelsize=7)
        return [values, gradients]

    def frame(self) -> None:
        """Leave room around the columns, and no axes."""
        self.ax.set_xlim(-0.35, len(self.layers) + 0.35)
        self.ax.set_ylim(-0.02, 1.05)
        self.ax.set_axis_off()


def _columns(passed: Backpropagation) -> list[_Column]:
    inputs = passed.layers[0].inputs
    first = _Column(
        0.0, f"inputs\n{inputs.shape[1]}", np.asarray(inputs.mean(axis=0)).ravel(), None
    )
    return [first] + [
        _Column(
            float(k),
            f"{layer.name}\n{layer.a.shape[1]} {layer.activation}",
            layer.a.mean(axis=0),
            layer.gradients.get("b", np.zeros(layer.a.shape[1])),
        )
        for k, layer in enumerate(passed.layers, start=1)
    ]


def _norm_of_values(columns: list[np.ndarray]):
    """Colours of activations; inputs far out take the end of the scale."""
    from matplotlib import colors

    values = np.concatenate(columns[1:])
    low, high = values.min(), values.max()
    room = high - low
    inputs = columns[0]
    if room == 0 or (inputs.max() - inputs.min()) <= 3 * room:
        low, high = min(low, inputs.min()), max(high, inputs.max())
    return colors.Normalize(low, high, clip=True)


def _short(value: float) -> str:
    """Write a number in up to four characters and a sign."""
    if value == 0 or 0.01 <= abs(value) < 100:
        return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")


def _feature_names(estimator):
    """Names of what the first layer reads, where there are."""
    if hasattr(estimator, "steps") and len(estimator) > 1:
        try:
            return estimator[:-1].get_feature_names_out()
        except (AttributeError, ValueError):
            return None
    return getattr(last_step(estimator), "feature_names_in_", None)


def _output_names(estimator, passed):
    """Classes, or of two classes the one whose probability is drawn."""
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        return None
    return classes[1:] if passed.predictions.shape[1] == 1 else classes
