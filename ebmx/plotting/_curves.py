"""Plots against the number of steps of chains or of training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import ArrayLike

from .. import _checks
from ._style import COLOURS, label, looks, new_axis, new_figure

_MOST_CHAINS = 20
_COLUMNS = 3


def chain_traces(
    traces: Mapping[str, ArrayLike],
    *,
    steps: ArrayLike | None = None,
    title: str = "Traces of chains",
) -> Any:
    """Quantities of chains against the number of steps: some of the chains, and the mean of all.

    Args:
        traces: for each name an array `(chains, records)`, such as the energy or a coordinate; or
            `(records,)`.
        steps: the number of steps at each record, `(records,)`, on a logarithmic axis if their
            spacing increases much; by default 0, 1, 2, ...
        title: title of the figure.

    Returns:
        A matplotlib figure with a panel for each name.

    Raises:
        ValueError: if the traces and `steps` have different lengths.
    """
    arrays = {name: np.atleast_2d(np.asarray(trace, float)) for name, trace in traces.items()}
    length = next(iter(arrays.values())).shape[-1]
    times = np.arange(length) if steps is None else np.asarray(steps)
    _checks.require(times.ndim == 1, "steps.shape", times.shape, f"give ({length},)")
    figure = new_figure(figsize=(6.4, 0.7 + 2.1 * len(arrays)))
    figure.suptitle(title)
    axes = figure.subplots(len(arrays), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, trace) in zip(axes, arrays.items(), strict=True):
        fix = f"give (chains, {len(times)})"
        _checks.require(trace.shape[1:] == times.shape, f"traces[{name!r}].shape", trace.shape, fix)
        if len(trace) > 1:
            axis.plot(times, trace[:_MOST_CHAINS].T, color=COLOURS[5], lw=0.7, alpha=0.7)
        axis.plot(times, trace.mean(0), color=COLOURS[0], lw=1.8, label=f"mean of {len(trace)}")
        label(axis, "", "", name)
        if axis is axes[0] and len(trace) > 1:
            axis.legend(loc="upper right", framealpha=0.9)
    if len(times) > 2 and times[-1] > 20 * max(1, times[1]):
        gaps = np.diff(times)
        if gaps.max() > 3 * gaps.min():
            axes[-1].set_xscale("symlog", linthresh=max(1, times[1]))
    axes[-1].set_xlabel("steps")
    return figure


def training_curves(
    history: Mapping[str, ArrayLike],
    *,
    steps: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    title: str = "Training",
) -> Any:
    """The metrics of a training against the number of updates.

    Args:
        history: for each metric its values `(records,)`, as returned by `ebmx.fit` or read from the
            `metrics.jsonl` of a run.
        steps: the number of updates at each record, `(records,)`; by default 1, 2, 3, ...
        names: the metrics to plot; by default all that are not constant.
        title: title of the figure.

    Returns:
        A matplotlib figure with a panel for each metric.

    Raises:
        ValueError: if a name is not a metric, all metrics are constant, or `steps` has another
            length than the metrics.
    """
    values = {name: np.asarray(v, float) for name, v in history.items()}
    for name in names or ():
        _checks.require(name in values, "names", name, f"give some of {', '.join(values)}")
    changing = [name for name, v in values.items() if np.unique(v[np.isfinite(v)]).size > 1]
    shown = list(names) if names is not None else changing
    fix = "every metric is constant: give the names of those to plot"
    _checks.require(len(shown) > 0, "names", names, fix)
    for name in shown:
        shape, given = values[name].shape, values[name].shape if steps is None else np.shape(steps)
        _checks.require(given == shape, "steps.shape", given, f"give {shape}")
    rows, columns = -(-len(shown) // _COLUMNS), min(_COLUMNS, len(shown))
    figure = new_figure(figsize=(3.1 * columns, 2.1 * rows + 0.5))
    figure.suptitle(title)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, name in zip(axes, shown, strict=False):
        times = np.arange(1, len(values[name]) + 1) if steps is None else np.asarray(steps)
        marker = "." if len(times) < 30 else None
        axis.plot(times, values[name], color=COLOURS[0], lw=1.2, marker=marker)
        label(axis, name.replace("_", " "), "updates", "")
        # an offset beside the axis is easy to overlook
        axis.ticklabel_format(axis="y", useOffset=False)
    for axis in axes[len(shown) :]:
        axis.axis("off")
    return figure


def temperature_ladder(
    temperatures: ArrayLike,
    swap_rates: ArrayLike,
    *,
    round_trips: ArrayLike | None = None,
    title: str = "Replica exchange",
) -> Any:
    """The swap rates between neighbouring temperatures of replica exchange.

    Args:
        temperatures: ascending temperatures `(rungs,)`.
        swap_rates: the rate of each pair of neighbours, `(rungs - 1,)`, or `(chains, rungs - 1)`
            for a line per chain and the mean.
        round_trips: the number of round trips, written into the title.
        title: title of the figure.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: if the number of rates differs from that of pairs, or a number is out of range.
    """
    temperatures = np.asarray(temperatures, float)
    rates = np.atleast_2d(np.asarray(swap_rates, float))
    ok = temperatures.ndim == 1 and temperatures.size > 1
    _checks.require(ok, "temperatures.shape", temperatures.shape, "give at least two temperatures")
    _checks.positive("temperatures", temperatures)
    _checks.finite_value("round_trips", round_trips)
    num = len(temperatures) - 1
    fix = f"give one rate for each of the {num} pairs of neighbours"
    _checks.require(rates.shape[1:] == (num,), "swap_rates.shape", rates.shape, fix)
    if round_trips is not None:
        title = f"{title}: {int(np.sum(round_trips))} round trips"
    figure, axis = new_axis(6.4, 3.6, title, "temperature", "swap acceptance rate")
    middles = np.sqrt(temperatures[1:] * temperatures[:-1])
    if len(rates) > 1:
        axis.plot(middles, rates.T, color=COLOURS[5], lw=0.7, alpha=0.7)
    axis.plot(middles, rates.mean(0), marker="o", label="between neighbours", **next(looks()))
    axis.set_xscale("log")
    axis.minorticks_off()
    axis.set_xticks(temperatures, [f"{t:.3g}" for t in temperatures])
    axis.vlines(temperatures, 0, 1, color="0.85", lw=0.8, zorder=0)
    axis.set_ylim(0, 1)
    axis.legend(frameon=False)
    return figure
