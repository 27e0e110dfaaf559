"""Pictures of samples and of energies."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _checks

_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
)  # Okabe and Ito: colour-blind safe


def sample_grid(groups: Mapping[str, np.ndarray], *, columns: int = 10, rows: int = 10) -> Any:
    """Grids of images side by side.

    **Arguments:**

    - `groups`: for each title, images `(num, height, width, channel)` in [-1, 1].
    - `columns`, `rows`: of a grid; images beyond are left out.

    **Returns:**

    A matplotlib figure.
    """
    figure = _figure(figsize=(4.2 * len(groups), 4.6))
    axes = figure.subplots(1, len(groups), squeeze=False)[0]
    for axis, (title, images) in zip(axes, groups.items(), strict=True):
        grid = _tile(np.asarray(images)[: columns * rows], columns)
        grey = grid.shape[-1] == 1
        axis.imshow(grid[..., 0] if grey else grid, cmap="gray" if grey else None, vmin=0, vmax=1)
        axis.set_title(title)
        axis.axis("off")
    return figure


def energy_histogram(energies: Mapping[str, np.ndarray], *, bins: int = 60) -> Any:
    """Histograms of energies over one axis.

    **Arguments:**

    - `energies`: for each name, energies `(num,)`, in nats.
    - `bins`: how many.

    **Returns:**

    A matplotlib figure.
    """
    figure = _figure(figsize=(6.4, 3.8))
    axis = figure.subplots()
    values = np.concatenate([np.ravel(e) for e in energies.values()])
    edges = np.linspace(values.min(), values.max() + 1e-9, bins + 1)
    for (name, group), colour in zip(energies.items(), itertools.cycle(_COLOURS), strict=False):
        axis.hist(group, edges, density=True, histtype="stepfilled", alpha=0.35, color=colour)
        axis.hist(group, edges, density=True, histtype="step", color=colour, label=name, lw=1.5)
    axis.set_xlabel("energy E(x), nats (low: likely)")
    axis.set_ylabel("density")
    axis.set_title("Energies of data, samples and noise")
    axis.legend(frameon=False)
    return figure


def _tile(images: np.ndarray, columns: int) -> np.ndarray:
    ok = images.ndim == 4 and len(images) > 0
    fix = "give images (num, height, width, channel)"
    _checks.require(ok, "images.shape", images.shape, fix)
    num, height, width, channels = images.shape
    rows = -(-num // columns)
    tiles = np.ones((rows * columns, height + 1, width + 1, channels), np.float32)
    tiles[:num, :height, :width] = np.clip((images + 1) / 2, 0, 1)
    tiles = tiles.reshape(rows, columns, height + 1, width + 1, channels)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(rows * (height + 1), -1, channels)


def _figure(**options: Any) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plotting needs matplotlib: pip install 'ebmx[cli]'") from error
    return Figure(layout="constrained", dpi=120, **options)
