"""Particles that act on each other in pairs, in a Gaussian that holds their centre."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ... import _checks
from ..._types import Number, Scalar, X
from .._base import AbstractEnergy
from .._constants import as_number, constant
from .._precision import as_dtype_of

_CLOSEST = 0.1  # of the radius, the distance below which the wall is continued


class _AbstractParticles(AbstractEnergy):
    """Particles `(num_particles, dim)` with a Gaussian of scale `s` on their centre."""

    centre_scale: eqx.AbstractVar[jax.Array]

    @property
    def centre_log_z(self) -> Scalar:
        """The part of `log Z` that the Gaussian on the centre has, `(dim/2) log(2π n s²)`.

        The rest is the integral over the `dim (n − 1)` orthonormal coordinates of the space in
        which the centre is zero, where papers have the density.
        """
        num, dim = self.shape
        return 0.5 * dim * jnp.log(2 * math.pi * num * self.centre_scale**2)

    def _centre_energy(self, x: X) -> Scalar:
        (scale,) = as_dtype_of(x, self.centre_scale)
        return 0.5 * jnp.sum((jnp.mean(x, 0) / scale) ** 2)


class DoubleWellParticles(_AbstractParticles):
    """`E(x) = Σ_{i<j} a(d−d₀) + b(d−d₀)² + c(d−d₀)⁴ + |x̄|² / 2s²`: each distance `d` has two wells.

    With the default values this is DW4: 4 particles on the plane. The energy does not change with
    rotations, reflections and permutations. It depends on the centre `x̄` by its Gaussian alone,
    which makes the density proper and leaves relative positions as they are. Where two particles
    are at one place, the force between them is zero.

    Köhler, Klein and Noé (2020), "Equivariant flows: exact likelihood generative learning for
    symmetric densities".

    Args:
        num_particles: how many, at least 2.
        dim: the dimension of space.
        linear: `a`.
        quadratic: `b`.
        quartic: `c`, above 0.
        offset: `d₀`, the distance between the wells.
        centre_scale: `s`, the standard deviation of each coordinate of the centre.

    Raises:
        ValueError: if a number is out of its range.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    linear: jax.Array = constant()
    quadratic: jax.Array = constant()
    quartic: jax.Array = constant()
    offset: jax.Array = constant()
    centre_scale: jax.Array = constant()

    def __init__(
        self,
        num_particles: int = 4,
        dim: int = 2,
        linear: Number = 0.0,
        quadratic: Number = -4.0,
        quartic: Number = 0.9,
        offset: Number = 4.0,
        centre_scale: Number = 1.0,
    ):
        self.shape = _shape(num_particles, dim)
        self.linear, self.quadratic = as_number(linear), as_number(quadratic)
        self.quartic, self.offset = as_number(quartic), as_number(offset)
        self.centre_scale = as_number(centre_scale)
        _checks.finite_value("linear", self.linear)
        _checks.finite_value("quadratic", self.quadratic)
        _checks.positive("quartic", self.quartic)
        _checks.finite_value("offset", self.offset)
        _checks.positive("centre_scale", self.centre_scale)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        a, b, c = as_dtype_of(x, self.linear, self.quadratic, self.quartic)
        (offset,) = as_dtype_of(x, self.offset)

        def potential(square):
            # the root has no derivative at 0
            apart = square > 0
            t = jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), 0.0) - offset
            return a * t + b * t**2 + c * t**4

        return _sum_of_pairs(potential, x) + self._centre_energy(x)


class LennardJones(_AbstractParticles):
    """`E(x) = Σ_{i<j} ε[(r/d)¹² − 2(r/d)⁶] + ½k Σᵢ |xᵢ − x̄|² + |x̄|² / 2s²` of distances `d`.

    With 13 or 55 particles and the default values these are the clusters LJ13 and LJ55. The energy
    does not change with rotations, reflections and permutations. It depends on the centre `x̄` by
    its Gaussian alone, which makes the density proper and leaves relative positions as they are.

    Papers differ in `ε`. The definition of Köhler et al. and Klein et al. counts each pair once, as
    here, with `ε = 1`; programs that sum over both orders of a pair have `epsilon=2`.

    Below `d = 0.1r` the wall of a pair goes on as a straight line in `d²`, with the value and the
    slope that it has there. So energies and gradients are finite everywhere, also in single
    precision, and the force between two particles at one place is zero. There the wall is `10¹² ε`
    high and the density zero. Chains should not start at normal numbers, where particles overlap:
    their first gradients are that large. Start from positions apart from each other, or clip
    gradients.

    Köhler, Klein and Noé (2020), "Equivariant flows: exact likelihood generative learning for
    symmetric densities"; Klein, Krämer and Noé (2023), "Equivariant flow matching".

    Args:
        num_particles: how many, at least 2.
        dim: the dimension of space.
        epsilon: `ε`, the depth of the well of a pair.
        radius: `r`, the distance of two particles at the lowest energy.
        spring: `k`, the strength of the harmonic force to the centre; papers have 1. With 0 the
            density is improper, since particles leave, and only the minima are of use.
        centre_scale: `s`, the standard deviation of each coordinate of the centre.

    Raises:
        ValueError: if a number is out of its range.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    epsilon: jax.Array = constant()
    radius: jax.Array = constant()
    spring: jax.Array = constant()
    centre_scale: jax.Array = constant()

    def __init__(
        self,
        num_particles: int = 13,
        dim: int = 3,
        epsilon: Number = 1.0,
        radius: Number = 1.0,
        spring: Number = 1.0,
        centre_scale: Number = 1.0,
    ):
        self.shape = _shape(num_particles, dim)
        self.epsilon, self.radius = as_number(epsilon), as_number(radius)
        self.spring, self.centre_scale = as_number(spring), as_number(centre_scale)
        _checks.positive("epsilon", self.epsilon)
        _checks.positive("radius", self.radius)
        _checks.non_negative("spring", self.spring)
        _checks.positive("centre_scale", self.centre_scale)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        epsilon, radius, spring = as_dtype_of(x, self.epsilon, self.radius, self.spring)
        # of the squared distance alone: no root, whose derivative at 0 would be infinite
        # in single precision at least: the wall is beyond the numbers of half precision
        dtype = jnp.result_type(x)
        wide = jnp.asarray(x, dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32)
        square_radius = radius.astype(wide.dtype) ** 2
        pairs = _sum_of_pairs(lambda square: _wall(square / square_radius), wide)
        pairs = (epsilon.astype(wide.dtype) * pairs).astype(dtype)
        squares = jnp.sum((x - jnp.mean(x, 0, keepdims=True)) ** 2)
        return pairs + 0.5 * spring * squares + self._centre_energy(x)


def _wall(square: jax.Array) -> jax.Array:
    """`d⁻¹² − 2d⁻⁶` of `d²`, with its tangent at `_CLOSEST` below it."""
    lowest = _CLOSEST**2
    slope = -6 * lowest**-7 + 6 * lowest**-4
    power = jnp.maximum(square, lowest) ** -3
    return power * (power - 2) + slope * jnp.minimum(square - lowest, 0.0)


def _sum_of_pairs(potential: Callable[[jax.Array], jax.Array], x: X) -> Scalar:
    """The sum over pairs of a function of the squared distance."""
    # Half of all ordered pairs: pairs by index would gather, and their gradient scatter, which
    # took three times as long for 55 particles on a CPU. With the axes of space in front, the inner
    # axes are long.
    axes = x.T
    square = jnp.sum((axes[:, :, None] - axes[:, None, :]) ** 2, 0)
    same = np.eye(len(x), dtype=bool)
    return 0.5 * jnp.sum(jnp.where(same, 0.0, potential(jnp.where(same, 1.0, square))))


def _shape(num_particles: int, dim: int) -> tuple[int, int]:
    _checks.at_least("num_particles", num_particles, 2)
    _checks.at_least("dim", dim, 1)
    return num_particles, dim
