"""What is read from a source, before it is scaled and split."""

import dataclasses

import numpy as np

from ._layout import Layout

Parts = dict[str, np.ndarray]
"""Some of `train`, `train_labels`, `test`, `test_labels`; `all` and `all_labels` if not split."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Arrays in data units, and what is known of them."""

    parts: Parts
    known: tuple[float, float] | None = None  # the range of the values, if they do not say it
    layout: Layout = "auto"  # of the axes, if it is not to be found by the shape
    columns: tuple[str, ...] = ()  # names of the columns of a table
    classes: tuple[str, ...] = ()  # names of the labels
    label: str = ""  # the column of a table that holds the labels
