"""Minimum energy paths between two examples, by a nudged elastic band."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from ... import _checks
from ..._checks import checked
from ..._types import EnergyFn, Number, Scalar, XBatch
from ...energies._batch import as_scalar
from ._slices import EnergyPath, between, example_of, path_through

_LONGEST = 0.2  # longest step of an image, in distances of neighbours at the start
_MEMORY = 0.995  # decay per step of the largest curvature that was met
_SPRING = 0.1  # spring constant, in units of that curvature

Images = Float[Array, "images size"]


def minimum_energy_path(
    energy: EnergyFn,
    a: ArrayLike,
    b: ArrayLike,
    *,
    num_points: int = 17,
    start: XBatch | None = None,
    bounds: tuple[float, float] | None = None,
    num_steps: int = 2000,
    tolerance: float = 1e-3,
) -> EnergyPath:
    """The minimum energy path from `a` to `b`, by a nudged elastic band with a climbing image.

    The images, which are the points of the path, move down the gradient perpendicular to the path
    and are kept apart by springs along it. The highest image moves up along the path to the saddle
    point. They move by the FIRE algorithm, with a time step that follows the curvature. `a` and `b`
    stay fixed: if they are minima, the highest point of the path is a saddle point.

    The result is a local minimum among paths. A first path without a perpendicular force, such as
    the line between the poles of a ring, does not change: give another `start`.

    Henkelman and Jónsson (2000), "Improved tangent estimate in the nudged elastic band method";
    Henkelman, Uberuaga and Jónsson (2000), "A climbing image nudged elastic band method"; Bitzek
    et al. (2006), "Structural relaxation made simple".

    Args:
        energy: an energy, or any callable from one example to a scalar.
        a: one example, the start.
        b: one example, the end.
        num_points: number of points, including both ends.
        start: the first path `(num_points, *shape)`, whose ends replace `a` and `b`; by default the
            straight line.
        bounds: `(low, high)` of each coordinate, for an energy that is defined in a box.
        num_steps: largest number of steps; 0 for the energies along the first path as it is.
        tolerance: the iteration ends when the perpendicular force is below this fraction of the
            largest gradient on the first path.

    Returns:
        An object with the points `x` `(num_points, *shape)`, their `energies` `(num_points,)` in
        nats, `distances` `(num_points,)` along the path from its start, `barrier`, the highest
        energy above that of the start, and `residual`, the largest force left perpendicular to the
        path, in nats per unit of `x`, NaN without steps.

    Raises:
        ValueError: if a shape or a number does not fit.
    """
    _checks.at_least("num_steps", num_steps, 0)
    _checks.positive("tolerance", tolerance)
    first = example_of(energy, a, "a")
    if start is None:
        _checks.at_least("num_points", num_points, 3)
        start = between(first, example_of(first, b, "b"), num_points)
    start = _checks.batch(start, "start", first.shape)
    _checks.finite(start, "start")
    _checks.require(len(start) >= 3, "start.shape", start.shape, "give at least three images")
    low, high, least = numbers(start.dtype, *box(bounds), tolerance)
    if num_steps == 0:
        return path_through(energy, start)
    x, residual = relax(energy, start, low, high, num_steps, least)
    return path_through(energy, x, float(residual))


class Band(NamedTuple):
    """The state of the iteration."""

    x: jax.Array
    velocity: jax.Array
    # at the present images
    energies: jax.Array
    gradients: jax.Array
    # FIRE
    time_step: jax.Array
    mixing: jax.Array
    downhill: jax.Array
    # the band as a whole
    curvature: jax.Array
    climbing: jax.Array
    residual: jax.Array
    count: jax.Array


@eqx.filter_jit
@checked
def relax(
    energy: EnergyFn, start: XBatch, low: Number, high: Number, num_steps: int, tolerance: Number
) -> tuple[XBatch, Scalar]:
    """The relaxed path, and the largest force left."""
    shape = start.shape[1:]
    tiny = jnp.finfo(start.dtype).tiny
    # in the precision of the images, which may differ from that of the energy
    value = lambda v: as_scalar(energy(v.reshape(shape))).astype(start.dtype)  # noqa: E731
    look = jax.vmap(jax.value_and_grad(value))
    x = start.reshape(start.shape[0], math.prod(shape))
    energies, gradients = look(x)
    scale = jnp.max(_norm(gradients))
    longest = _LONGEST * jnp.mean(_norm(jnp.diff(x, axis=0)))
    curvature = _curvature(jnp.diff(x, axis=0), jnp.diff(gradients, axis=0), tiny)

    def step(band: Band) -> Band:
        force, residual = _force(band, low, high)
        climbing = band.climbing | (residual < 30 * tolerance * scale)
        climbing = climbing | (band.count > num_steps // 3)
        velocity, time_step, mixing, downhill = _fire(band, force, tiny)
        move = time_step * velocity
        move = move * jnp.minimum(1.0, longest / jnp.maximum(_norm(move), tiny))[:, None]
        new = band.x.at[1:-1].set(jnp.clip(band.x[1:-1] + move, low, high))
        energies, gradients = look(new)
        met = _curvature(new - band.x, gradients - band.gradients, tiny)
        curvature = jnp.maximum(_MEMORY * band.curvature, met)
        return Band(
            new, velocity, energies, gradients, time_step, mixing, downhill, curvature, climbing,
            residual, band.count + 1,
        )  # fmt: skip

    def going(band: Band) -> jax.Array:
        rest = band.climbing & (band.residual <= tolerance * scale)
        return (band.count < num_steps) & ~rest

    zero, quick = jnp.zeros((), jnp.int32), 0.1 / jnp.sqrt(jnp.maximum(curvature, tiny))
    begin = Band(
        x, jnp.zeros_like(x[1:-1]), energies, gradients, quick, jnp.full((), 0.1, x.dtype), zero,
        curvature, jnp.zeros((), bool), jnp.full((), jnp.inf, energies.dtype), zero,
    )  # fmt: skip
    end = jax.lax.while_loop(going, step, begin)
    return end.x.reshape(start.shape), _force(end, low, high)[1]


def box(bounds: Sequence[float] | None) -> tuple[float, float]:
    """Bounds as two floats, infinite by default."""
    low, high = (-math.inf, math.inf) if bounds is None else bounds
    _checks.require(low < high, "bounds", bounds, "give (low, high) with low < high")
    return float(low), float(high)


def numbers(dtype: Any, *values: Number) -> list[jax.Array]:
    """Numbers as arrays of one dtype: a Python number would recompile for each value."""
    return [jnp.asarray(value, dtype) for value in values]


def _force(band: Band, low: Number, high: Number) -> tuple[jax.Array, jax.Array]:
    """The forces on the images between the ends, and the largest one without the springs."""
    # The gradient acts across the path only and the springs along it only, so that images neither
    # slide down to the minima nor cut corners. The climbing image has no spring, and the gradient
    # along the path with the other sign.
    tangent, before, after = _tangents(band.x, band.energies)
    gradient = band.gradients[1:-1]
    along = jnp.sum(gradient * tangent, 1)[:, None] * tangent
    pull = _SPRING * band.curvature * (_norm(after) - _norm(before))[:, None] * tangent
    across = along - gradient
    top = jnp.arange(gradient.shape[0]) == jnp.argmax(band.energies[1:-1])
    climbs = (top & band.climbing)[:, None]
    true = jnp.where(climbs, across + along, across)
    force = jnp.where(climbs, true, across + pull)
    # no force against the bounds
    x = band.x[1:-1]
    true, force = (
        jnp.where(((x <= low) & (f < 0)) | ((x >= high) & (f > 0)), 0.0, f) for f in (true, force)
    )
    return force, jnp.max(_norm(true))


def _tangents(x: Images, energies: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Unit tangents towards the higher neighbour, and the differences to both neighbours."""
    # A central difference makes kinks where the force along the path is large. At an extremum both
    # differences are weighted by the energies, so that the tangent does not jump.
    before, after = x[1:-1] - x[:-2], x[2:] - x[1:-1]
    low, here, high = energies[:-2], energies[1:-1], energies[2:]
    rises, falls = (low < here) & (here < high), (low > here) & (here > high)
    larger = jnp.maximum(jnp.abs(high - here), jnp.abs(low - here))
    smaller = jnp.minimum(jnp.abs(high - here), jnp.abs(low - here))
    onward = jnp.where(high > low, larger, smaller) + jnp.finfo(x.dtype).tiny
    back = jnp.where(high > low, smaller, larger) + jnp.finfo(x.dtype).tiny
    onward = jnp.where(rises, 1.0, jnp.where(falls, 0.0, onward))
    back = jnp.where(falls, 1.0, jnp.where(rises, 0.0, back))
    total = onward + back
    tangent = (onward / total)[:, None] * after + (back / total)[:, None] * before
    length = jnp.maximum(_norm(tangent), jnp.finfo(x.dtype).tiny)
    return tangent / length[:, None], before, after


def _fire(band: Band, force: jax.Array, tiny: Any) -> tuple[jax.Array, ...]:
    """Velocity, time step, mixing and number of steps downhill; one time step for all images."""
    # The velocity turns towards the force while it points downhill, and is 0 after a step uphill.
    # The bounds of the time step follow the curvature, in the place of one that the user sets.
    good = jnp.sum(force * band.velocity) > 0
    downhill = jnp.where(good, band.downhill + 1, 0)
    quicker = downhill > 5
    factors = jnp.asarray([0.5, 1.0, 1.1], band.time_step.dtype)
    time_step = factors[good.astype(jnp.int32) + quicker.astype(jnp.int32)] * band.time_step
    slowest = 0.01 / jnp.sqrt(jnp.maximum(band.curvature, tiny))
    time_step = jnp.clip(time_step, slowest, 100 * slowest)
    mixing = jnp.where(good, jnp.where(quicker, 0.99 * band.mixing, band.mixing), 0.1)
    speed, strength = jnp.linalg.norm(band.velocity), jnp.linalg.norm(force)
    towards = force * (speed / jnp.maximum(strength, tiny))
    velocity = jnp.where(good, (1 - mixing) * band.velocity + mixing * towards, 0.0)
    return velocity + time_step * force, time_step, mixing, downhill


def _curvature(way: jax.Array, change: jax.Array, tiny: Any) -> jax.Array:
    """The largest change of the gradient per unit of length."""
    length = _norm(way)
    return jnp.max(jnp.where(length > tiny, _norm(change) / jnp.maximum(length, tiny), 0.0))


def _norm(x: jax.Array) -> jax.Array:
    return jnp.linalg.norm(x, axis=-1)
