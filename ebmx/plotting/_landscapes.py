"""Plots of energy landscapes: planes, paths, and the disconnectivity graph of minima."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import ArrayLike

from .. import _checks
from ._style import COLOURS, MAP, looks, new_axis

_ARROWS = 16  # along each side
_MARKERS = "osD^vP*"


def energy_landscape(
    a: ArrayLike,
    b: ArrayLike,
    energies: ArrayLike,
    *,
    points: Mapping[str, ArrayLike] | None = None,
    field: ArrayLike | None = None,
    ceiling: float | None = None,
    names: tuple[str, str] = ("a", "b"),
    title: str = "Energy landscape",
) -> Any:
    """Energies on a plane, with points and arrows on it.

    Args:
        a: the coordinates of the columns, `(columns,)`.
        b: the coordinates of the rows, `(rows,)`.
        energies: `(rows, columns)`, in nats; white where they are not finite.
        points: for each name, points `(num, 2)` to mark, such as data or samples; points outside of
            the plane are not visible.
        field: vectors at the points of the grid, `(rows, columns, 2)`, such as scores, plotted as
            arrows of equal lengths.
        ceiling: energies are clipped at this value, which gives more contrast to lower ones; by
            default the highest energy.
        names: labels of the two coordinates.
        title: title of the figure.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: if a shape does not fit, no energy is finite, or a coordinate is not finite.
    """
    a, b, grid = np.asarray(a), np.asarray(b), np.asarray(energies, np.float64)
    for name, axis in (("a", a), ("b", b)):
        _checks.require(axis.ndim == 1, f"{name}.shape", axis.shape, "give one axis of coordinates")
        _checks.finite_value(name, axis)
    _checks.finite_value("ceiling", ceiling)
    fix = "give (rows, columns), as many as `b` and `a` have coordinates"
    _checks.require(grid.shape == (b.size, a.size), "energies.shape", grid.shape, fix)
    finite = np.isfinite(grid)
    _checks.require(bool(finite.any()), "energies", "none is finite", "look at the model")
    low = float(grid[finite].min())
    high = float(grid[finite].max()) if ceiling is None else float(ceiling)
    high = max(high, low + 1e-6 * max(1.0, abs(low)))
    shown = np.ma.masked_where(~finite, np.clip(grid, low, high))
    figure, axis = new_axis(6.0, 4.8, title, *names)
    levels = np.linspace(low, high, 31)
    filled = axis.contourf(a, b, shown, levels, cmap=MAP)
    axis.contour(a, b, shown, levels[::3], colors="white", linewidths=0.4, alpha=0.6)
    clipped = "" if ceiling is None else f" (clipped at {ceiling:.4g})"
    bar = figure.colorbar(filled, ax=axis, label=f"energy, nats{clipped}")
    from matplotlib.ticker import MaxNLocator

    bar.locator = MaxNLocator(7)
    bar.update_ticks()
    if field is not None:
        _arrows(axis, a, b, np.asarray(field, np.float64))
    _points(axis, points or {})
    axis.set_xlim(a[0], a[-1])
    axis.set_ylim(b[0], b[-1])
    return figure


def energy_profile(
    paths: Mapping[str, tuple[ArrayLike, ArrayLike]], *, title: str = "Energies along paths"
) -> Any:
    """Energies along paths, with the highest point of each marked.

    Args:
        paths: for each name, distances `(points,)` and energies `(points,)` in nats. The distances
            of each path are scaled to [0, 1].
        title: title of the figure.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: if a path is not a pair of distances and energies of equal lengths.
    """
    figure, axis = new_axis(6.4, 3.8, title, "fraction of the path length", "energy, nats")
    for (name, path), look in zip(paths.items(), looks(), strict=False):
        ok = isinstance(path, tuple | list | np.ndarray) and len(path) == 2
        ok = ok and np.ndim(path[0]) == 1 and np.size(path[0]) > 0
        ok = ok and np.shape(path[0]) == np.shape(path[1])
        fix = "give (distances, energies), both (points,)"
        _checks.require(ok, f"paths[{name!r}]", type(path).__name__, fix)
        distances, energies = np.asarray(path[0], float), np.asarray(path[1], float)
        fraction = distances / max(float(distances[-1]), 1e-30)
        barrier = float(energies.max() - energies[0])
        text = f"{name}: length {distances[-1]:.3g}, barrier {barrier:.3g}"
        axis.plot(fraction, energies, label=text, marker=".", **look)
        top = int(energies.argmax())
        axis.plot(fraction[top], energies[top], "o", color=look["color"], fillstyle="none", ms=11)
    axis.legend(framealpha=0.9)
    return figure


def disconnectivity_graph(
    energies: ArrayLike,
    merges: ArrayLike,
    *,
    fractions: Sequence[float] | np.ndarray | None = None,
    title: str = "Disconnectivity graph",
) -> Any:
    """The tree in which minima merge as the energy rises.

    Each branch ends at the energy of a minimum; two branches join at the energy of the lowest pass
    between them.

    Args:
        energies: the energies of the minima, `(minima,)`, in nats.
        merges: `(minima - 1, 3)`, as returned by `ebmx.evaluation.disconnectivity`: two groups and
            the energy at which they merge.
        fractions: the fraction of the starts that ended in each minimum, `(minima,)`, written below
            it.
        title: title of the figure.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: if the number of merges or fractions does not fit that of the minima, or a merge
            is of a group that does not exist or has been merged before.
    """
    energies, merges = np.asarray(energies, float), np.asarray(merges, float)
    ok = energies.ndim == 1 and energies.size > 0
    _checks.require(ok, "energies.shape", energies.shape, "give (minima,)")
    fix = f"give ({len(energies) - 1}, 3) for {len(energies)} minima"
    _checks.require(merges.shape == (len(energies) - 1, 3), "merges.shape", merges.shape, fix)
    groups, known = merges[:, :2], np.arange(len(energies), 2 * len(energies) - 1)[:, None]
    ok = bool(np.all((groups >= 0) & (groups < known))) and np.unique(groups).size == groups.size
    fix = "give minima, or groups of earlier rows, each of them once"
    _checks.require(ok, "merges", merges, fix)
    fix = "give one fraction for each minimum"
    shape = energies.shape if fractions is None else np.shape(fractions)
    _checks.require(shape == energies.shape, "fractions.shape", shape, fix)
    text = "minimum" if fractions is None else "minimum, and fraction of starts that end in it"
    width = max(4.5, 0.5 * len(energies) + 2)
    figure, axis = new_axis(width, 4.2, title, text, "energy, nats")
    order = _leaves(groups)
    places = {int(leaf): float(i) for i, leaf in enumerate(order)}
    ends = {i: float(energy) for i, energy in enumerate(energies)}
    line: dict[str, Any] = {"color": COLOURS[0], "linewidth": 1.4}
    for number, (first, second, height) in enumerate(merges, start=len(energies)):
        for group in (int(first), int(second)):
            axis.plot([places[group]] * 2, [ends[group], height], **line)
        axis.plot([places[int(first)], places[int(second)]], [height, height], **line)
        places[number] = 0.5 * (places[int(first)] + places[int(second)])
        ends[number] = height
    axis.plot(np.arange(len(order)), energies[order], "o", color=COLOURS[1], ms=4)
    names = [str(leaf) for leaf in order]
    if fractions is not None:
        names = [f"{leaf}\n{100 * fractions[leaf]:.0f} %" for leaf in order]
    axis.set_xticks(np.arange(len(order)), names)
    axis.margins(x=0.5 / len(order) + 0.05)
    return figure


def _leaves(groups: np.ndarray) -> np.ndarray:
    """The minima in an order in which no branches cross."""
    # late: `import ebmx` stays faster without SciPy
    from scipy.cluster.hierarchy import leaves_list

    num = len(groups)
    if num == 0:
        return np.zeros(1, int)
    # the order does not depend on heights and sizes, which may be any numbers
    return leaves_list(np.column_stack([groups, np.arange(num), np.ones(num)]))


def _arrows(axis: Any, a: np.ndarray, b: np.ndarray, field: np.ndarray) -> None:
    fix = "give (rows, columns, 2)"
    _checks.require(field.shape == (b.size, a.size, 2), "field.shape", field.shape, fix)
    rows, columns = (slice(None, None, max(1, c.size // _ARROWS)) for c in (b, a))
    way = field[rows, columns]
    # directions in the figure, since the sides of the plane may have different lengths
    way = way / np.array([np.ptp(a), np.ptp(b)])
    length = np.linalg.norm(way, axis=-1, keepdims=True)
    way = np.where(np.isfinite(length) & (length > 0), way / np.maximum(length, 1e-30), 0.0)
    look = {"color": "white", "alpha": 0.8, "pivot": "mid", "scale": 28, "width": 0.003}
    axis.quiver(a[columns], b[rows], way[..., 0], way[..., 1], angles="uv", **look)


def _points(axis: Any, points: Mapping[str, ArrayLike]) -> None:
    marks = zip(points.items(), COLOURS[1:], _MARKERS, strict=False)
    edge = {"edgecolors": "white", "linewidths": 0.5}
    for (name, group), colour, marker in marks:
        group = np.asarray(group, float)
        _checks.require(group.ndim == 2, f"points[{name!r}].shape", group.shape, "give (num, 2)")
        size = 60 if len(group) < 10 else 8
        axis.scatter(*group.T, s=size, c=colour, marker=marker, label=name, **edge)
    if points:
        axis.legend(loc="upper right", framealpha=0.9)
