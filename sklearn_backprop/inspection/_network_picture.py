"""A network on matplotlib axes: columns of units, and the lines between them."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ._backpropagation import Backpropagation
from ._canvas import OKABE_ITO, VERMILION, wrapped

__all__ = ["NetworkPicture"]

BLUE, PALE, GREY = OKABE_ITO[0], "#DDDDDD", "#777777"
MOST_DISCS = 12  # a wider layer is a strip of cells
MOST_CELLS = 64  # of which each stands for several units, if there are more
MOST_EDGES = 150  # of a matrix; of more the strongest
MOST_CAPTIONS = 7  # columns whose captions do not meet
# Widest layer, and most columns, whose numbers do not crowd.
MOST_NUMBERED, MOST_NUMBERED_COLUMNS = 6, 4
STRIP = 0.07  # half the width of a strip; columns stand 1 apart
MARGIN = 0.35  # left and right of the columns
POINTS = 72  # in an inch
LETTER = 4.6  # width of one in points, as names are written
LABEL = 24.0, 9.0  # width and height of a number on a line, in points


@dataclass
class _Column:
    """Units of one layer."""

    name: str
    kind: str  # what they do to what they read
    values: np.ndarray  # (n_units,) activations, mean over rows
    gradients: np.ndarray | None  # (n_units,) dJ/db; of the inputs none
    labels: list[str]  # names to write beside the units, or none

    @property
    def n_units(self) -> int:
        return len(self.values)

    @property
    def is_strip(self) -> bool:
        return self.n_units > MOST_DISCS

    @property
    def caption(self) -> str:
        return f"{self.name}\n{self.n_units} {self.kind}".rstrip()

    @property
    def heights(self) -> np.ndarray:
        """Height (n_units,) of every unit, the first at the top, in [0, 1]."""
        return 1 - (np.arange(self.n_units) + 0.5) / self.n_units

    def cells(self) -> np.ndarray:
        """Means of neighbouring units, as many as a strip shows."""
        n_cells = min(self.n_units, MOST_CELLS)
        return np.array([part.mean() for part in np.array_split(self.values, n_cells)])


class NetworkPicture:
    """The network of a pass, on axes in which columns stand 1 apart and are 1 high."""

    def __init__(self, ax, passed: Backpropagation, input_names, output_names):
        self.ax = ax
        self.layers = passed.layers
        self.columns = _columns(passed, input_names, output_names)
        self.value_colours = _ValueColours(self.columns)
        self.gradient_colours = _GradientColours(self.layers)
        self.has_numbers = (
            max(column.n_units for column in self.columns) <= MOST_NUMBERED
            and len(self.columns) <= MOST_NUMBERED_COLUMNS
        )
        self._frame()

    def _frame(self) -> None:
        """Leave room around the columns for names and skips, and no axes."""
        width, self.height = _size_in_points(self.ax)
        last = len(self.columns) - 1
        letters = max((len(label) for label in self.columns[-1].labels), default=0)
        names = min(0.4 * width, LETTER * letters)
        self.gap = (width - names) / (last + 2 * MARGIN)  # points between columns
        self.ax.set_xlim(-MARGIN, last + MARGIN + names / self.gap)
        has_skips = any(layer.skip_from is not None for layer in self.layers)
        self.ax.set_ylim(-0.02, 1.08 if has_skips else 1.0)
        self.ax.set_axis_off()

    # --- lines
    def draw_edges(self) -> list:
        """Draw the weights between columns, the weakest gradient first."""
        places = zip(self.layers, pairwise(self.columns), strict=True)
        return [
            self._draw_matrix(x, before, behind, _matrix_between(before, behind, layer))
            for x, (layer, (before, behind)) in enumerate(places)
        ]

    def _draw_matrix(self, x: int, before: _Column, behind: _Column, gradient):
        from matplotlib.collections import LineCollection

        strongest = np.argsort(np.abs(gradient), axis=None)[-MOST_EDGES:]
        i, j = np.unravel_index(strongest, gradient.shape)
        starts, ends = before.heights[i], behind.heights[j]
        columns = np.broadcast_to([x, x + 1.0], (len(i), 2))
        edges = LineCollection(
            list(np.stack([columns, np.column_stack([starts, ends])], axis=2)),
            array=gradient[i, j],
            cmap=self.gradient_colours.cmap,
            norm=self.gradient_colours.norm,
            linewidths=self.gradient_colours.widths(gradient[i, j]),
            zorder=1,
        )
        self.ax.add_collection(edges)
        if self.has_numbers:
            self._write_numbers(x, before, behind, gradient)
        return edges

    def _write_numbers(self, x: int, before: _Column, behind: _Column, gradient):
        """Write gradients on lines, those from one unit above each other."""
        taken: list[np.ndarray] = []
        unit = np.array([self.gap, self.height]) / LABEL
        t = np.linspace(0.2, 0.8, 61)
        for i, j in np.ndindex(gradient.shape):
            start, end = before.heights[i], behind.heights[j]
            wanted = 0.27 + 0.46 * (i + 0.5) / before.n_units
            candidates = np.column_stack([x + t, start + t * (end - start)])
            place = candidates[_place_apart(candidates * unit, taken, t - wanted)]
            taken.append(place * unit)
            self.ax.text(
                *place,
                self.gradient_colours.written(gradient[i, j]),
                fontsize=7,
                ha="center",
                va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                zorder=2,
            )

    def draw_skips(self) -> None:
        """Draw an arc over the layers that each residual block holds."""
        from matplotlib.patches import FancyArrowPatch

        for end, layer in enumerate(self.layers, start=1):
            if layer.skip_from is None:
                continue
            bend = -0.25 / (end - layer.skip_from)
            arc = FancyArrowPatch(
                (layer.skip_from, 1.0),
                (end, 1.0),
                connectionstyle=f"arc3,rad={bend}",
                arrowstyle="->",
                mutation_scale=8,
                color=GREY,
                linestyle="--",
                linewidth=0.8,
            )
            self.ax.add_patch(arc)

    # --- units
    def draw_units(self) -> list:
        """Draw every column as discs, or as a strip of cells."""
        return [
            self._draw_strip(x, column)
            if column.is_strip
            else self._draw_discs(x, column)
            for x, column in enumerate(self.columns)
        ]

    def _draw_strip(self, x: int, column: _Column):
        from matplotlib.collections import PolyCollection

        values = column.cells()
        left, right = x - STRIP, x + STRIP
        cells = PolyCollection(
            [
                [(left, top), (right, top), (right, bottom), (left, bottom)]
                for top, bottom in pairwise(np.linspace(1, 0, len(values) + 1))
            ],
            array=values,
            cmap=self.value_colours.cmap,
            norm=self.value_colours.norm,
            edgecolors="face",
            linewidths=0.2,
            zorder=3,
        )
        self.ax.add_collection(cells)
        return cells

    def _draw_discs(self, x: int, column: _Column):
        is_input = column.gradients is None
        diameter = self._diameter()
        discs = self.ax.scatter(
            np.full(column.n_units, float(x)),
            column.heights,
            s=diameter**2,
            c=column.values,
            cmap=self.value_colours.cmap,
            norm=self.value_colours.norm,
            edgecolors=GREY if is_input else self.gradient_colours(column.gradients),
            linewidths=1.0 if is_input else 2.0,
            zorder=3,
        )
        self._write_units(x, column, diameter)
        return discs

    def _diameter(self) -> float:
        """Width of discs in points: they do not meet."""
        most = max(column.n_units for column in self.columns if not column.is_strip)
        return min(30.0, 0.6 * self.height / most, 0.4 * self.gap)

    def _write_units(self, x: int, column: _Column, diameter: float) -> None:
        """Write numbers into discs, and names beside them."""
        if self.has_numbers:
            for height, value in zip(column.heights, column.values, strict=True):
                self.ax.text(
                    x,
                    height,
                    _short(value),
                    fontsize=7.5,
                    ha="center",
                    va="center",
                    color=self.value_colours.ink(value),
                    zorder=4,
                )
        side = -1 if column.gradients is None else 1
        for height, label in zip(column.heights, column.labels, strict=False):
            self.ax.annotate(
                label,
                (x, height),
                (side * (diameter / 2 + 4), 0),
                textcoords="offset points",
                fontsize=8,
                va="center",
                ha="right" if side < 0 else "left",
            )

    # --- words
    def write_captions(self) -> None:
        """Write under columns what they are, and under matrices their norms."""
        style = {"ha": "center", "va": "top"}
        step = -(-len(self.columns) // MOST_CAPTIONS)
        for x in range(0, len(self.columns), step):
            self.ax.text(x, -0.04, self.columns[x].caption, fontsize=8, **style)
        if step > 1:
            return
        for x, layer in enumerate(self.layers):
            norm = f"|dJ/dW|\n{np.linalg.norm(layer.gradients.get('W', 0.0)):.2g}"
            self.ax.text(x + 0.5, -0.04, norm, fontsize=7, color=GREY, **style)

    def draw_colorbars(self) -> list:
        """Explain the colours of units, and those of lines and rings."""
        label = "dJ/dW, dJ/db"
        power = self.gradient_colours.power
        if self.has_numbers and power != 0:
            label += f"\n(numbers: $\\times 10^{{{power}}}$)"
        values = self._draw_colorbar(0.55, self.value_colours, "activation")
        gradients = self._draw_colorbar(0.0, self.gradient_colours, label)
        gradients.set_ticks(self.gradient_colours.ticks(), minor=False)
        gradients.minorticks_off()
        return [values, gradients]

    def _draw_colorbar(self, bottom: float, colours, label: str):
        from matplotlib import cm

        bar = self.ax.figure.colorbar(
            cm.ScalarMappable(colours.norm, colours.cmap),
            cax=self.ax.inset_axes([1.03, bottom, 0.025, 0.42]),
        )
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=7)
        return bar


class _ValueColours:
    """Colours of activations."""

    def __init__(self, columns: list[_Column]):
        from matplotlib import colormaps, colors

        values = np.concatenate([column.values for column in columns[1:]])
        low, high = values.min(), values.max()
        inputs = columns[0].values
        # Inputs in another unit would leave the others one colour.
        if low == high or np.ptp(inputs) <= 3 * (high - low):
            low, high = min(low, inputs.min()), max(high, inputs.max())
        self.cmap = colormaps["viridis"]
        self.norm = colors.Normalize(low, high, clip=True)

    def ink(self, value: float) -> str:
        """Give the colour of a number that can be read on a unit's."""
        return "black" if self.norm(value) > 0.6 else "white"


class _GradientColours:
    """Colours of gradients: blue below zero, pale where small, vermilion above."""

    def __init__(self, layers):
        from matplotlib import colors

        found = [
            _of_all_members(layer, role, np.zeros((0,) * n_axes))
            for layer in layers
            for role, n_axes in (("W", 2), ("b", 1))
            if role in layer.gradients
        ]
        largest = float(max(np.abs(gradient).max() for gradient in found)) or 1.0
        self.power = int(np.floor(np.log10(largest)))
        self.norm = colors.SymLogNorm(largest / 100, vmin=-largest, vmax=largest)
        self.cmap = colors.LinearSegmentedColormap.from_list(
            "gradient", [BLUE, PALE, VERMILION]
        )

    def __call__(self, gradients):
        return self.cmap(self.norm(gradients))

    def widths(self, gradients) -> np.ndarray:
        """Widths of lines in points."""
        return 0.6 + 2.4 * np.sqrt(np.abs(gradients) / self.norm.vmax)

    def written(self, gradient: float) -> str:
        """Write a gradient in units of the power."""
        return f"{round(gradient / 10.0**self.power, 2) + 0.0:.2f}"

    def ticks(self) -> list[float]:
        """Zero, and the largest two powers of ten on each side."""
        powers = [10.0**self.power, 10.0 ** (self.power - 1)]
        return [*(-power for power in powers), 0.0, *powers[::-1]]


def _matrix_between(before: _Column, behind: _Column, layer) -> np.ndarray:
    """Gradients (n_before, n_behind) of the weights between units of two columns.

    Of what a dense block joins, the last is what the layer before gave. Where weights
    are no matrix from unit to unit, there are none to draw.
    """
    gradient = _of_all_members(layer, "W", np.zeros((0, 0)))[-before.n_units :]
    if gradient.shape == (before.n_units, behind.n_units):
        return gradient
    return np.zeros((0, behind.n_units))


def _of_all_members(layer, role: str, default: np.ndarray) -> np.ndarray:
    """Gradient of an array, or the sum over members where each has one of its own."""
    gradient = layer.gradients.get(role, default)
    return gradient.sum(axis=0) if gradient.ndim > default.ndim else gradient


def _columns(passed: Backpropagation, input_names, output_names) -> list[_Column]:
    inputs = passed.layers[0].inputs
    means = np.asarray(inputs.mean(axis=0)).ravel()
    columns = [_Column("inputs", "", means, None, [])]
    for layer in passed.layers:
        of_biases = _of_all_members(layer, "b", np.zeros(layer.a.shape[1]))
        means = layer.a.mean(axis=0)
        columns.append(_Column(layer.name, layer.activation, means, of_biases, []))
    for column, names in ((columns[0], input_names), (columns[-1], output_names)):
        if names is not None and not column.is_strip:
            column.labels = [wrapped(str(name), 14) for name in names]
    return columns


def _size_in_points(ax) -> np.ndarray:
    """Width and height of axes, less what captions and colour bars take."""
    box = ax.get_position()
    inches = ax.figure.get_size_inches() * [box.width, box.height]
    return POINTS * inches * [0.9, 0.95]


def _place_apart(candidates, taken: list, aside) -> int:
    """Say which candidate (n, 2) is near its wanted place and meets nothing taken.

    In units of the boxes that stand there: what is 1 apart in one direction is free.
    """
    apart = np.full(len(candidates), 1.1)
    if taken:
        distances = np.abs(candidates[:, None] - np.array(taken)[None]).max(axis=2)
        apart = np.minimum(apart, distances.min(axis=1))
    return int(np.argmax(apart - 0.1 * np.abs(aside)))


def _short(value: float) -> str:
    """Write a number in a few characters."""
    size = abs(value)
    if size == 0 or 0.01 <= size < 10:
        return f"{value:.2f}"
    if 10 <= size < 1000:
        return f"{value:.3g}"
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
