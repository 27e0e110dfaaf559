"""What pictures share."""

import itertools
from collections.abc import Iterator
from typing import Any

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
"""Okabe and Ito's: colour-blind safe."""

STYLES = ("-", "--", ":", "-.")

MAP = "cividis"
"""Of energies: colour-blind safe, and even in grey."""


def new_figure(**options: Any) -> Any:
    """An empty matplotlib figure.

    Raises:
        ImportError: with the pip line if matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plotting needs matplotlib: pip install 'ebmx[cli]'") from error
    return Figure(layout="constrained", dpi=120, **options)


def looks() -> Iterator[dict[str, Any]]:
    """Colours without end, with another style of line each time they begin again."""
    for style in itertools.cycle(STYLES):
        for colour in COLOURS:
            yield {"color": colour, "linestyle": style}


def label(axis: Any, title: str, x: str, y: str) -> None:
    """Title and labels of an axis, and no frame where nothing is."""
    axis.set_title(title)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.spines[["top", "right"]].set_visible(False)
