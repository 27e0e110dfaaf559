"""Plots of energies over noise levels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._images import _show, _tile
from ._style import COLOURS, new_figure


def samples_by_level(
    sigma: Sequence[float], samples: Sequence[np.ndarray], data: Sequence[np.ndarray]
) -> Any:
    """Samples beside noisy data, from the highest noise level to the lowest.

    Images of a level are a row, scaled into [-1, 1] where the noise is larger; of vectors there is
    a panel for each level, with the first two numbers.

    Args:
        sigma: the standard deviation of the noise of each level.
        samples: for each level samples, `(num, *shape)`.
        data: for each level data with this noise, `(num, *shape)`.

    Returns:
        A matplotlib figure.
    """
    draw = _images if samples[0].ndim == 4 else _panels
    return draw(sigma, samples, data)


def _images(sigma: Any, samples: Any, data: Any) -> Any:
    num, high = len(samples[0]), samples[0].shape[1] + 1
    figure = new_figure(figsize=(1.2 * num + 0.8, 0.56 * len(sigma) + 0.5))
    axes = figure.subplots(1, 2)
    scale = np.maximum(1.0, 2 * np.asarray(sigma))
    for axis, title, rows in zip(axes, ("samples", "noisy data"), (samples, data), strict=True):
        shown = np.concatenate([x / s for x, s in zip(rows, scale, strict=True)])
        _show(axis, _tile(shown, num))
        axis.set_title(title)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    places = high * (np.arange(len(sigma)) + 0.5) - 1
    axes[0].set_yticks(places, [f"{s:.2g}" for s in sigma])
    axes[0].tick_params(length=0)
    axes[0].set_ylabel("noise level σ")
    return figure


def _panels(sigma: Any, samples: Any, data: Any) -> Any:
    figure = new_figure(figsize=(2.3 * len(sigma), 2.7))
    axes = figure.subplots(1, len(sigma), squeeze=False)[0]
    for axis, level, own, noisy in zip(axes, sigma, samples, data, strict=True):
        for x, colour, name in ((noisy, COLOURS[0], "noisy data"), (own, COLOURS[1], "samples")):
            rows = x.reshape(len(x), -1)
            # of one number, against random heights
            heights = np.linspace(-1, 1, len(rows)) if rows.shape[1] == 1 else rows[:, 1]
            axis.scatter(
                rows[:, 0], heights, s=4, alpha=0.5, linewidths=0, color=colour, label=name
            )
        axis.set_title(f"σ = {level:.2g}")
    axes[0].legend(fontsize="small")
    return figure
