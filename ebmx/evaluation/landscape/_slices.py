"""Energies on lines and planes through the space of the data."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ... import _checks
from ..._arguments import guarded
from ..._checks import checked
from ..._types import EnergyFn, Vector, X, XBatch
from ...energies import as_scalar, shape_of
from ...energies import energy as energies_of

_BATCH = 256  # points at once, so that a fine grid of large images fits in memory


@dataclasses.dataclass(frozen=True)
class EnergySlice:
    """Energies on a plane, at the points `origin + a · first + b · second`."""

    a: np.ndarray
    """The coordinates along the first direction, `(num,)`."""
    b: np.ndarray
    """Those along the second one, `(num,)`."""
    energies: np.ndarray
    """`(num, num)`, in nats: row `i` at `b[i]`, column `j` at `a[j]`."""
    field: np.ndarray
    """`(-∂E/∂a, -∂E/∂b)` there, `(num, num, 2)`: the score, as far as it lies in the plane."""
    origin: np.ndarray
    """`(*shape)`."""
    directions: np.ndarray
    """`(2, *shape)`."""

    def coordinates(self, x: ArrayLike) -> np.ndarray:
        """`(a, b)` of the points of the plane that lie nearest to examples, `(num, 2)`."""
        rows = (np.asarray(x, np.float64) - self.origin).reshape(-1, self.origin.size)
        plane = self.directions.reshape(2, -1)
        return np.linalg.lstsq(plane.T, rows.T, rcond=None)[0].T


@guarded
def energy_slice(
    energy: EnergyFn,
    origin: ArrayLike,
    directions: Sequence[ArrayLike],
    *,
    limits: Sequence[Sequence[float]] = ((-1.0, 1.0), (-1.0, 1.0)),
    num: int = 41,
) -> EnergySlice:
    """The energies on a grid in a plane through the space of the data.

    For the plane through three examples take one as the origin, and the ways to the other two as
    directions.

    Li et al. (2018), "Visualizing the loss landscape of neural nets", for planes in high dimension.

    Args:
        energy: an energy, or any callable from one example to a scalar.
        origin: one example.
        directions: two arrays of its shape that are not parallel; their lengths are the units of
            the coordinates.
        limits: the first and the last coordinate along each direction.
        num: how many points along each.

    Returns:
        An `EnergySlice`.

    Raises:
        ValueError: if a shape does not fit, the directions are parallel, or limits are not in
            order.
    """
    start = example_of(energy, origin, "origin")
    fix = "give two arrays of the shape of `origin`"
    _checks.require(len(directions) == 2, "len(directions)", len(directions), fix)
    first, second = (example_of(start, d, "directions") for d in directions)
    plane = np.stack([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    singular = np.linalg.svd(plane.reshape(2, -1), compute_uv=False)
    fix = "they are parallel, or one is zero: give two that span a plane"
    ok = singular.size == 2 and bool(singular[1] > 1e-6 * singular[0])
    _checks.require(ok, "directions", singular, fix)
    ok = np.shape(limits) == (2, 2) and all(low < high for low, high in limits)
    _checks.require(ok, "limits", limits, "give ((low, high), (low, high)) with low < high")
    _checks.at_least("num", num, 2)
    a, b = (np.linspace(low, high, num) for low, high in limits)
    points = np.stack(np.meshgrid(a, b), -1).reshape(-1, 2)
    energies, gradients = _plane(energy, start, first, second, jnp.asarray(points, start.dtype))
    grid, field = np.asarray(energies).reshape(num, num), -np.asarray(gradients)
    return EnergySlice(a, b, grid, field.reshape(num, num, 2), np.asarray(start), plane)


@dataclasses.dataclass(frozen=True)
class EnergyPath:
    """Energies along a path."""

    x: jax.Array
    """The points, `(num, *shape)`."""
    energies: np.ndarray
    """`(num,)`, in nats."""
    distances: np.ndarray
    """How long the path is up to each point, `(num,)`, in units of `x`, from 0."""
    residual: float
    """The largest force that is left across the path, in nats per unit of `x`: zero for a path of
    least energy, NaN for one that was not relaxed."""

    def __str__(self) -> str:
        """The barrier in one line."""
        there, back = barrier_height(self), float(self.energies.max() - self.energies[-1])
        return f"a barrier of {there:.4g} nats there, of {back:.4g} back"


@guarded
def straight_path(energy: EnergyFn, a: ArrayLike, b: ArrayLike, *, num: int = 33) -> EnergyPath:
    """The energies along the straight line from `a` to `b`.

    Args:
        energy: an energy, or any callable from one example to a scalar.
        a: two examples.
        b: two examples.
        num: how many points, both ends among them.

    Returns:
        An `EnergyPath`.

    Raises:
        ValueError: if a shape does not fit.
    """
    _checks.at_least("num", num, 3)
    first = example_of(energy, a, "a")
    return path_through(energy, between(first, example_of(first, b, "b"), num))


@guarded
def barrier_height(path: EnergyPath) -> float:
    """How far the energy rises on a path above its start, in nats; 0 if it only falls.

    On a path of least energy this is the least rise on any way from its start to its end.

    Args:
        path: from `straight_path` or `minimum_energy_path`.

    Returns:
        A height in nats, at least 0.
    """
    return float(np.max(path.energies) - path.energies[0])


def path_through(energy: EnergyFn, x: XBatch, residual: float = float("nan")) -> EnergyPath:
    """The `EnergyPath` of these points."""
    steps = np.diff(np.asarray(x, np.float64).reshape(x.shape[0], -1), axis=0)
    distances = np.concatenate([[0.0], np.cumsum(np.linalg.norm(steps, axis=1))])
    return EnergyPath(x, np.asarray(energies_of(energy, x), np.float64), distances, residual)


def between(a: X, b: X, num: int) -> XBatch:
    """Points at equal distances from `a` to `b`."""
    share = jnp.linspace(0.0, 1.0, num, dtype=a.dtype).reshape(num, *(1,) * a.ndim)
    return (1 - share) * a[None] + share * b[None]


def example_of(like: Any, x: ArrayLike, name: str) -> X:
    """One floating-point example of the shape of an energy, if that is known, or of another one."""
    x = jnp.asarray(x)
    shape = shape_of(like)
    if not jnp.issubdtype(x.dtype, jnp.floating) or shape not in (None, x.shape):
        wanted = "one floating-point example" + ("" if shape is None else f" of shape {shape}")
        _checks.invalid(name, f"{x.dtype}{list(x.shape)}", f"give {wanted}")
    _checks.finite(x, name)
    return x


@eqx.filter_jit
@checked
def _plane(
    energy: EnergyFn, origin: X, first: X, second: X, points: Float[Array, "batch 2"]
) -> tuple[Vector, Float[Array, "batch 2"]]:
    def at(point: jax.Array) -> jax.Array:
        return as_scalar(energy(origin + point[0] * first + point[1] * second))

    return jax.lax.map(jax.value_and_grad(at), points, batch_size=_BATCH)
