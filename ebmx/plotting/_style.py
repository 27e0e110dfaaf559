"""Colours, line styles and labels of all plots."""

import itertools
from collections.abc import Iterator
from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The colour-blind safe palette of Okabe and Ito."""

STYLES = ("-", "--", ":", "-.")
MAP = "cividis"
"""Colour map of energies: colour-blind safe, and uniform in grey."""


def new_figure(**options: Any) -> Any:
    """An empty matplotlib figure."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plotting needs matplotlib: pip install 'ebmx[cli]'") from error
    return Figure(layout="constrained", dpi=120, **options)


def new_axis(width: float, height: float, title: str, x: str, y: str) -> tuple[Any, Any]:
    """A matplotlib figure of this size in inches, with one axis."""
    figure = new_figure(figsize=(width, height))
    axis = figure.subplots()
    label(axis, title, x, y)
    return figure, axis


def looks() -> Iterator[dict[str, Any]]:
    """Colours in an endless cycle, with another line style in each round."""
    for style in itertools.cycle(STYLES):
        for colour in COLOURS:
            yield {"color": colour, "linestyle": style}


def label(axis: Any, title: str, x: str, y: str) -> None:
    """Set title and labels of an axis, and remove the frame on the right and at the top."""
    axis.set_title(title)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.spines[["top", "right"]].set_visible(False)
