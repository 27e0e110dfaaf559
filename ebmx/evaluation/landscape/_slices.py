"""Energies on planes and on straight lines in the space of the data."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ... import _checks
from ..._checks import checked
from ..._types import EnergyFn, Vector, X, XBatch
from ...energies import energy as energies_of
from ...energies._batch import as_scalar, shape_of

_BATCH = 256  # points evaluated at once, so that a fine grid of large images fits in memory


@dataclasses.dataclass(frozen=True)
class EnergySlice:
    """Energies at the points `origin + a · first + b · second`, the result of `energy_slice`."""

    a: np.ndarray
    b: np.ndarray
    energies: np.ndarray
    field: np.ndarray
    origin: np.ndarray
    directions: np.ndarray

    def coordinates(self, x: ArrayLike) -> np.ndarray:
        """The coordinates `(a, b)` of the projections of examples onto the plane, `(num, 2)`."""
        rows = (np.asarray(x, np.float64) - self.origin).reshape(-1, self.origin.size)
        plane = self.directions.reshape(2, -1)
        return np.linalg.lstsq(plane.T, rows.T, rcond=None)[0].T


def energy_slice(
    energy: EnergyFn,
    origin: ArrayLike,
    directions: Sequence[ArrayLike],
    *,
    limits: Sequence[Sequence[float]] = ((-1.0, 1.0), (-1.0, 1.0)),
    num_points: int = 41,
) -> EnergySlice:
    """The energies on a grid in a plane of the space of the data.

    For the plane through three examples take one of them as the origin, and the differences of the
    other two from it as directions.

    Li et al. (2018), "Visualizing the loss landscape of neural nets".

    Args:
        energy: an energy, or any callable from one example to a scalar.
        origin: one example.
        directions: two arrays of its shape that are not parallel; their lengths are the units of
            the coordinates.
        limits: the first and the last coordinate along each direction.
        num_points: number of grid points along each direction.

    Returns:
        An object with the coordinates `a` and `b` of the grid, `(num_points,)`; `energies`
        `(num_points, num_points)`, in nats, row `i` at `b[i]` and column `j` at `a[j]`; `field`
        `(num_points, num_points, 2)`, the score in these coordinates; `origin` `(*shape)`,
        `directions` `(2, *shape)`; and a method `coordinates(x)`, the coordinates `(num, 2)` of
        the projections of examples.

    Raises:
        ValueError: if a shape does not fit, the directions are parallel, or the limits are not
            ascending.
    """
    start = example_of(energy, origin, "origin")
    fix = "give two arrays of the shape of `origin`"
    _checks.require(len(directions) == 2, "len(directions)", len(directions), fix)
    first, second = (example_of(start, d, "directions") for d in directions)
    plane = np.stack([first, second]).astype(np.float64)
    singular = np.linalg.svd(plane.reshape(2, -1), compute_uv=False)
    fix = "they are parallel, or one is zero: give two that span a plane"
    ok = singular.size == 2 and bool(singular[1] > 1e-6 * singular[0])
    _checks.require(ok, "directions", singular, fix)
    ok = np.shape(limits) == (2, 2) and all(low < high for low, high in limits)
    _checks.require(ok, "limits", limits, "give ((low, high), (low, high)) with low < high")
    _checks.at_least("num_points", num_points, 2)
    a, b = (np.linspace(low, high, num_points) for low, high in limits)
    points = np.stack(np.meshgrid(a, b), -1).reshape(-1, 2)
    energies, gradients = _plane(energy, start, first, second, jnp.asarray(points, start.dtype))
    grid = np.asarray(energies).reshape(num_points, num_points)
    field = -np.asarray(gradients).reshape(num_points, num_points, 2)
    return EnergySlice(a, b, grid, field, np.asarray(start), plane)


@dataclasses.dataclass(frozen=True)
class EnergyPath:
    """Energies along a path: the result of `minimum_energy_path`."""

    x: jax.Array
    energies: np.ndarray
    distances: np.ndarray
    residual: float

    @property
    def barrier(self) -> float:
        """The highest energy on the path above that of its start, in nats, at least 0."""
        return float(np.max(self.energies) - self.energies[0])

    def __str__(self) -> str:
        """The barriers of both directions in one line."""
        back = float(self.energies.max() - self.energies[-1])
        return f"barrier: {self.barrier:.4g} nats forwards, {back:.4g} backwards"


def path_through(energy: EnergyFn, x: XBatch, residual: float = float("nan")) -> EnergyPath:
    """The path through these points, with their energies."""
    steps = np.diff(np.asarray(x, np.float64).reshape(x.shape[0], -1), axis=0)
    distances = np.concatenate([[0.0], np.cumsum(np.linalg.norm(steps, axis=1))])
    return EnergyPath(x, np.asarray(energies_of(energy, x), np.float64), distances, residual)


def between(a: X, b: X, num_points: int) -> XBatch:
    """Points at equal distances from `a` to `b`."""
    t = jnp.linspace(0.0, 1.0, num_points, dtype=a.dtype).reshape(num_points, *(1,) * a.ndim)
    return (1 - t) * a[None] + t * b[None]


def example_of(like: Any, x: ArrayLike, name: str) -> X:
    """One floating-point example of the shape of an energy or of another example, if it has one."""
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
