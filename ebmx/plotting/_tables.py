"""Plots of tables of numbers."""

from typing import Any

import numpy as np

from .. import _checks
from ._style import COLOURS, new_figure

_MOST = 8
_BINS = 30


def pairwise_marginals(sets: dict[str, Any], *, names: tuple[str, ...] | None = None) -> Any:
    """A histogram of each column, and a scatter plot of each pair of columns.

    Args:
        sets: for each name of a set, such as data and samples, rows `(num, columns)` with the same
            columns, at most 8.
        names: names of the columns; by default `x1`, `x2`, …

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: if there is no set, the numbers of columns differ or exceed 8, or the number of
            names differs from that of columns.
        ImportError: with the pip line, if matplotlib is missing.
    """
    rows = {name: np.asarray(x, np.float64) for name, x in sets.items()}
    _checks.require(len(rows) > 0, "sets", tuple(rows), "give at least one set of rows")
    shapes = {x.shape[1:] for x in rows.values()}
    ok = len(shapes) == 1 and all(x.ndim == 2 and 1 <= x.shape[1] <= _MOST for x in rows.values())
    fix = f"give rows (num, columns) with the same columns in each set, at most {_MOST}"
    _checks.require(ok, "sets", [x.shape for x in rows.values()], fix)
    num = next(iter(shapes))[0]
    names = tuple(f"x{i + 1}" for i in range(num)) if names is None else names
    _checks.require(len(names) == num, "names", names, f"give {num} names")
    figure = new_figure(figsize=(2.2 * num + 0.6, 2.2 * num + 0.4))
    axes = figure.subplots(num, num, squeeze=False)
    joined = np.concatenate(list(rows.values()))
    # but for a few in the tails, which would make everything else narrow
    low, high = np.quantile(joined, (0.001, 0.999), 0)
    # a column that is constant but for rounding
    constant = high - low <= 1e-12 * np.maximum(np.abs(low), np.abs(high))
    edge = 0.05 * np.where(constant, 1.0, high - low)
    low, high = low - edge, high + edge
    for (i, j), axis in np.ndenumerate(axes):
        if j > i:
            axis.set_axis_off()
            continue
        for colour, (name, x) in zip(COLOURS, rows.items(), strict=False):
            look = {"color": colour, "label": name}
            if i == j:
                bins = np.linspace(low[i], high[i], _BINS)
                axis.hist(x[:, i], bins, density=True, histtype="step", **look)
            else:
                axis.scatter(x[:, j], x[:, i], s=4, alpha=0.4, linewidths=0, **look)
        axis.set_xlim(low[j], high[j])
        if i != j:
            axis.set_ylim(low[i], high[i])
        axis.set_xlabel(names[j] if i == num - 1 else "")
        axis.set_ylabel(names[i] if j == 0 and i > 0 else "")
    axes[0, 0].legend(fontsize="small")
    return figure
