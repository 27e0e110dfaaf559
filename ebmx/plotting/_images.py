"""Plots of images and histograms of energies."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import _checks
from ._style import looks, new_axis, new_figure

_MOST_AREAS = 4


def sample_grid(
    groups: Mapping[str, np.ndarray],
    *,
    num_columns: int = 10,
    num_rows: int = 10,
    span: tuple[float, float] = (-1.0, 1.0),
) -> Any:
    """Grids of images side by side.

    Args:
        groups: for each title of a grid, images `(num, height, width, channel)` in `span`.
        num_columns: number of columns of each grid.
        num_rows: largest number of rows of each grid; further images are left out.
        span: the values of black and white, (0, 1) for images of zeros and ones.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: if a group is not an array of images, a number is below 1, or `span` does not
            rise.
    """
    _checks.at_least("num_columns", num_columns, 1)
    _checks.at_least("num_rows", num_rows, 1)
    _checks.require(len(groups) > 0, "groups", groups, "give at least one group of images")
    most = num_columns * num_rows
    grids = {t: _tile(np.atleast_1d(x)[:most], num_columns, span) for t, x in groups.items()}
    tallest = max(grid.shape[0] / grid.shape[1] for grid in grids.values())
    figure = new_figure(figsize=(4.2 * len(groups), 4.2 * tallest + 0.4))
    axes = figure.subplots(1, len(groups), squeeze=False)[0]
    for axis, (title, grid) in zip(axes, grids.items(), strict=True):
        _show(axis, grid)
        axis.set_title(title)
        axis.axis("off")
    return figure


def chain_strip(
    images: np.ndarray,
    steps: Sequence[int],
    *,
    title: str = "Chains",
    span: tuple[float, float] = (-1.0, 1.0),
) -> Any:
    """Images of chains over time: a chain in each row, a number of steps in each column.

    Args:
        images: `(times, chains, height, width, channel)` in `span`.
        steps: the number of steps at each time, `(times,)`.
        title: title of the figure.
        span: as for `sample_grid`.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: if `images` are not images, or the numbers of times differ.
    """
    images = np.asarray(images)
    fix = f"give images (times, chains, height, width, channel) at {len(steps)} times"
    ok = images.ndim == 5 and images.size > 0 and len(images) == len(steps)
    _checks.require(ok, "images.shape", images.shape, fix)
    times, chains = images.shape[:2]
    grid = _tile(images.swapaxes(0, 1).reshape(-1, *images.shape[2:]), times, span)
    width, height = 0.9 * times + 0.6, 0.9 * chains + 0.9
    figure, axis = new_axis(width, height, title, "steps", "chain")
    _show(axis, grid)
    wide, high = images.shape[3] + 1, images.shape[2] + 1
    axis.set_xticks(wide * (np.arange(times) + 0.5) - 1, [str(step) for step in steps])
    axis.set_yticks(high * (np.arange(chains) + 0.5) - 1, [str(i + 1) for i in range(chains)])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


def energy_histogram(
    energies: Mapping[str, np.ndarray],
    *,
    num_bins: int = 60,
    title: str = "Energies of data, samples and noise",
    name: str = "energy E(x), nats (low: likely)",
) -> Any:
    """Histograms of energies, or of other scores, over one axis.

    Args:
        energies: for each name of a set, energies `(num,)`, in nats.
        num_bins: number of bins.
        title: title of the figure.
        name: label of the horizontal axis.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: if there are no energies, or `num_bins` is below 1.
    """
    _checks.at_least("num_bins", num_bins, 1)
    _checks.require(len(energies) > 0, "energies", energies, "give at least one name")
    figure, axis = new_axis(6.4, 3.8, title, name, "density")
    values = np.concatenate([np.ravel(e) for e in energies.values()])
    edges = np.linspace(values.min(), values.max() + 1e-9, num_bins + 1)
    for (group, numbers), look in zip(energies.items(), looks(), strict=False):
        # more than a few filled areas on top of each other cannot be distinguished
        if len(energies) <= _MOST_AREAS:
            area = {"histtype": "stepfilled", "alpha": 0.25, "color": look["color"]}
            axis.hist(numbers, edges, density=True, **area)
        axis.hist(numbers, edges, density=True, histtype="step", label=group, lw=1.5, **look)
    axis.legend(frameon=False)
    return figure


def _show(axis: Any, grid: np.ndarray) -> None:
    grey = grid.shape[-1] == 1
    axis.imshow(grid[..., 0] if grey else grid, cmap="gray" if grey else None, vmin=0, vmax=1)


def _tile(images: np.ndarray, columns: int, span: tuple[float, float] = (-1.0, 1.0)) -> np.ndarray:
    """Images in rows of so many columns, as one image with white lines between."""
    low, high = span
    _checks.require(low < high, "span", span, "give (low, high), such as (-1, 1) or (0, 1)")
    ok, fix = images.ndim == 4 and len(images) > 0, "give images (num, height, width, channel)"
    _checks.require(ok, "images.shape", images.shape, fix)
    num, height, width, channels = images.shape
    rows = -(-num // columns)
    tiles = np.ones((rows * columns, height + 1, width + 1, channels), np.float32)
    tiles[:num, :height, :width] = np.clip((images - low) / (high - low), 0, 1)
    tiles = tiles.reshape(rows, columns, height + 1, width + 1, channels)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(rows * (height + 1), -1, channels)
