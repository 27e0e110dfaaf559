"""Minima of an energy, and their basins of attraction."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ... import _checks
from ..._checks import checked
from ..._types import EnergyFn, Number, X, XBatch
from ...energies._batch import as_scalar, shape_of
from ..samples._pairwise import squared_distances
from ._elastic_band import box, numbers

_HALVINGS = 30
_CAP = 0.1  # longest step, in root mean square distances of the starts from their mean


@dataclasses.dataclass(frozen=True)
class Minima:
    """The result of `local_minima`, which says what the fields are."""

    x: np.ndarray
    energies: np.ndarray
    fractions: np.ndarray
    basins: np.ndarray
    gradient_norms: np.ndarray


def local_minima(
    energy: EnergyFn,
    starts: XBatch,
    *,
    bounds: tuple[float, float] | None = None,
    num_steps: int = 1000,
    tolerance: float = 1e-3,
    max_step: float | None = None,
    merge_distance: float | None = None,
) -> Minima:
    """Descend from many starts, and merge the ends into minima.

    The descent is the spectral projected gradient method: gradient steps of the length of Barzilai
    and Borwein, shortened until the energy decreases enough. The basins are those of this descent;
    the shorter `max_step`, the closer they are to those of the gradient flow. An end may be a
    saddle point if a start lies on its ridge: see `hessian_eigenvalues`.

    Birgin, Martínez and Raydan (2000), "Nonmonotone spectral projected gradient methods on convex
    sets".

    Args:
        energy: an energy, or any callable from one example to a scalar.
        starts: `(starts, *shape)`, such as data, samples or noise.
        bounds: `(low, high)` of each coordinate, for an energy that is defined in a box.
        num_steps: largest number of steps.
        tolerance: a descent has converged when no coordinate of the gradient is larger, in nats per
            unit of `x`.
        max_step: the longest step; by default a tenth of the root mean square distance of the
            starts from their mean.
        merge_distance: ends at a smaller distance are one minimum; by default a fiftieth of the
            root mean square distance of the starts from their mean.

    Returns:
        An object with the minima `x` `(minima, *shape)`, their `energies` `(minima,)` in nats, in
        ascending order, the `fractions` `(minima,)` of all starts that ended in each, the index
        `basins` `(starts,)` of the minimum of each start, -1 without convergence, and
        `gradient_norms` `(starts,)`, the largest coordinate of the gradient at each end, without
        components that point out of the bounds.

    Raises:
        ValueError: if `starts` or a number does not fit, or no descent converged.
    """
    starts = _checks.batch(starts, "starts", shape_of(energy))
    _checks.finite(starts, "starts")
    _checks.at_least("num_steps", num_steps, 1)
    _checks.positive("tolerance", tolerance)
    rows = np.asarray(starts, np.float64).reshape(len(starts), -1)
    spread = float(np.sqrt(np.mean(np.sum((rows - rows.mean(0)) ** 2, 1)))) or 1.0
    max_step = _CAP * spread if max_step is None else max_step
    merge_distance = 0.02 * spread if merge_distance is None else merge_distance
    _checks.positive("max_step", max_step)
    _checks.positive("merge_distance", merge_distance)
    low, high, least, longest = numbers(starts.dtype, *box(bounds), tolerance, max_step)
    walkers = _descend(energy, starts, low, high, num_steps, least, longest)
    norms = np.asarray(walkers.norm, np.float64)
    ended = np.flatnonzero(norms <= float(least))
    fix = (
        f"none of {len(starts)} descents converged: take more steps or a larger tolerance, or "
        "set bounds if the energy is not bounded below"
    )
    _checks.require(ended.size > 0, "num_steps", num_steps, fix)
    ends, energies = np.asarray(walkers.x)[ended], np.asarray(walkers.value)[ended]
    first, member = _merge(ends.reshape(len(ended), -1), energies, merge_distance)
    basins = np.full(len(starts), -1)
    basins[ended] = member
    fractions = np.bincount(member, minlength=len(first)) / len(starts)
    return Minima(ends[first], energies[first], fractions, basins, norms)


class Walker(NamedTuple):
    """The state of a descent."""

    x: jax.Array
    value: jax.Array
    gradient: jax.Array
    length: jax.Array  # of the next step, per unit of the gradient
    norm: jax.Array
    count: jax.Array
    stuck: jax.Array


@eqx.filter_jit
@checked
def _descend(
    energy: EnergyFn,
    starts: XBatch,
    low: Number,
    high: Number,
    num_steps: int,
    tolerance: Number,
    max_step: Number,
) -> Walker:
    look = jax.value_and_grad(lambda x: as_scalar(energy(x)))
    tiny = jnp.finfo(starts.dtype).tiny

    def left(x: X, gradient: X) -> jax.Array:
        return jnp.max(jnp.abs(jnp.clip(x - gradient, low, high) - x))

    def step(walker: Walker) -> Walker:
        way = jnp.clip(walker.x - walker.length * walker.gradient, low, high) - walker.x
        way = way * jnp.minimum(1.0, max_step / jnp.maximum(jnp.linalg.norm(way), tiny))
        x, value, found = _shorten(energy, walker, way)
        gradient = look(x)[1]
        move, change = x - walker.x, gradient - walker.gradient
        curved = jnp.sum(move * change)
        # the inverse curvature along the last move, by which Barzilai and Borwein do without a
        # search along the line; a longer step where the energy is not convex
        length = jnp.where(curved > 0, jnp.sum(move**2) / curved, 2 * walker.length)
        norm = left(x, gradient)
        return Walker(x, value, gradient, length, norm, walker.count + 1, ~found)

    def going(walker: Walker) -> jax.Array:
        finite = jnp.isfinite(walker.value) & jnp.all(jnp.isfinite(walker.gradient))
        wanted = (walker.norm > tolerance) & (walker.count < num_steps)
        return wanted & finite & ~walker.stuck

    def descend(x: X) -> Walker:
        x = jnp.clip(x, low, high)
        value, gradient = look(x)
        length = 0.1 * jnp.asarray(max_step) / jnp.maximum(jnp.linalg.norm(gradient), tiny)
        begin = jnp.zeros((), jnp.int32), jnp.zeros((), bool)
        walker = Walker(x, value, gradient, length, left(x, gradient), *begin)
        return jax.lax.while_loop(going, step, walker)

    return jax.vmap(descend)(starts)


def _shorten(energy: EnergyFn, walker: Walker, way: X) -> tuple[X, jax.Array, jax.Array]:
    """The first halving of the step at which the energy is low enough, and whether there is one."""
    slope = jnp.sum(walker.gradient * way)
    # near a minimum the decrease is below the rounding errors of the energy
    noise = 4 * jnp.finfo(walker.value.dtype).eps * jnp.abs(walker.value)

    def at(t: jax.Array) -> jax.Array:
        return as_scalar(energy(walker.x + t * way))

    def enough(t: jax.Array, value: jax.Array) -> jax.Array:
        # the energy may be of higher precision than the positions
        decrease = (1e-4 * t * slope).astype(value.dtype)
        return value <= walker.value + decrease + noise

    def halve(carry: Any) -> Any:
        t, _, count = carry
        return t / 2, at(t / 2), count + 1

    one = jnp.ones((), way.dtype)
    begin = one, at(one), jnp.zeros((), jnp.int32)
    going = lambda carry: ~enough(*carry[:2]) & (carry[2] < _HALVINGS)  # noqa: E731
    t, value, _ = jax.lax.while_loop(going, halve, begin)
    found = enough(t, value)
    x = jnp.where(found, walker.x + t * way, walker.x)
    return x, jnp.where(found, value, walker.value), found


def _merge(
    ends: np.ndarray, energies: np.ndarray, distance: float
) -> tuple[np.ndarray, np.ndarray]:
    """The lowest end of each minimum, in ascending order of energy, and the minimum of each end."""
    rows = ends.astype(np.float64)
    member, first = np.full(len(ends), -1), []
    for i in np.argsort(energies, kind="stable"):
        if member[i] < 0:
            near = squared_distances(rows[[i]], rows)[0] <= distance**2
            member[near & (member < 0)] = len(first)
            first.append(i)
    return np.array(first), member
