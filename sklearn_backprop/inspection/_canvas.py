"""What all displays draw on: axes, names and colours that colour-blind eyes tell apart.

Matplotlib is imported when something is drawn, never before.
"""

import textwrap

import numpy as np

__all__ = [
    "GREY",
    "OKABE_ITO",
    "VERMILION",
    "name_of",
    "number_layers",
    "require_axes",
    "shade",
    "whole_numbers",
    "wrapped",
]

# Okabe and Ito (2008), without their yellow, which fades on white.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
VERMILION = "#D55E00"
GREY = "#BDBDBD"


def require_axes(ax, caller: str):
    """The axes given, or those of a new figure, laid out so that no labels meet."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} draws with matplotlib, which is not installed. It comes with "
            'the extra "plot": pip install "sklearn-backprop[plot]"'
        ) from error
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    return ax


def shade(position: float):
    """Colour, dark to light, of a position in [0, 1]: viridis without its yellow."""
    from matplotlib import colormaps

    return colormaps["viridis"](0.88 * position)


def wrapped(text: str, width: int = 34) -> str:
    """Break a long name into lines that fit into a legend or over a small picture."""
    lines = [textwrap.wrap(line, width) or [""] for line in text.splitlines()]
    return "\n".join(part for line in lines for part in line)


def name_of(estimator, name: str | None) -> str:
    """The name given, or the class."""
    return type(estimator).__name__ if name is None else name


def whole_numbers(ax) -> None:
    """Number a horizontal axis of epochs or iterations by whole numbers, from one."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(
        MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
    )
    # There is no epoch 0. `auto=None` lets the axis grow with later curves.
    ax.set_xlim(left=max(0.5, ax.get_xlim()[0]), auto=None)


def number_layers(axis, n_layers: int) -> None:
    """Number an axis of layers: each of a few, of many about six, first and last."""
    few = n_layers if n_layers <= 12 else 6
    axis.set_ticks(np.unique(np.linspace(1, n_layers, few).round().astype(int)))
    axis.set_ticks([], minor=True)
