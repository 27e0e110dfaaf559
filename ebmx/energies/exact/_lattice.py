"""Nearest neighbours on lattices of any dimension."""

import jax
import jax.numpy as jnp
import numpy as np

from ... import _checks


def pair_sum(values: jax.Array, num_axes: int, periodic: bool) -> jax.Array:
    """`Σ v_i · v_j` over the pairs of neighbours along the first axes; further axes are summed."""
    parts = [
        jnp.sum(values * _shifted(values, axis, -1, periodic)) for axis in _long(values, num_axes)
    ]
    return sum(parts, jnp.zeros((), values.dtype))


def neighbour_sum(values: jax.Array, num_axes: int, periodic: bool) -> jax.Array:
    """The sum of the neighbours of each site, of the shape of `values`."""
    axes, steps = _long(values, num_axes), (-1, 1)
    parts = [_shifted(values, axis, step, periodic) for axis in axes for step in steps]
    return sum(parts, jnp.zeros_like(values))


def even_sites(sides: tuple[int, ...], periodic: bool) -> np.ndarray:
    """The sites of one colour of a checkerboard, booleans: none is a neighbour of another."""
    odd = [side for side in sides if side > 1 and side % 2 == 1]
    fix = "two colours need even sides where the lattice is periodic: give another shape, "
    fix += "periodic=False, or the sampler Gibbs"
    _checks.require(not (periodic and odd), "shape", sides, fix)
    return np.indices(sides).sum(0) % 2 == 0


def _long(values: jax.Array, num_axes: int) -> list[int]:
    """The axes along which a site has neighbours other than itself."""
    return [axis for axis in range(num_axes) if values.shape[axis] > 1]


def _shifted(values: jax.Array, axis: int, step: int, periodic: bool) -> jax.Array:
    """The neighbour of each site along an axis; zero beyond an open end."""
    rolled = jnp.roll(values, step, axis)
    if periodic:
        return rolled
    beyond = [slice(None)] * values.ndim
    beyond[axis] = slice(0, 1) if step == 1 else slice(-1, None)
    return rolled.at[tuple(beyond)].set(0)
