"""Densities that are hard to sample by chains, with exact normalisers and moments.

Their numbers are constants: training does not change them.
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import Key, Number, Scalar, X
from .._base import AbstractCentred, AbstractExactEnergy
from .._constants import as_number, constant, number
from .._precision import as_dtype_of

_FARTHEST = 50.0  # nats above the wells, where integrals over a well end
_NODES = 401


class Banana(AbstractCentred, AbstractExactEnergy):
    """`E(x) = x₀² / 2s² + (x₁ − b (x₀² − s²))² / 2`: a Gaussian on the plane, bent.

    Haario et al. (1999), "Adaptive proposal distribution for random walk Metropolis algorithm".

    Args:
        scale: `s`, the standard deviation of `x₀`.
        bend: `b`.

    Raises:
        ValueError: if a number is out of its range.
    """

    scale: Number = number(default=2.0)
    bend: Number = number(default=0.5)
    shape: tuple[int, ...] = eqx.field(static=True, default=(2,), init=False)

    def __check_init__(self):
        _checks.positive("scale", self.scale)
        _checks.finite_value("bend", self.bend)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        scale, bend = as_dtype_of(x, self.scale, self.bend)
        ridge = bend * (x[0] ** 2 - scale**2)
        return 0.5 * (x[0] / scale) ** 2 + 0.5 * (x[1] - ridge) ** 2

    def sample(self, *, key: Key) -> X:
        # a shear of two normal numbers: it keeps areas, so that `log Z` does not depend on `b`
        z = jax.random.normal(key, (2,))
        u = self.scale * z[0]
        return jnp.stack([u, z[1] + self.bend * (u**2 - self.scale**2)])

    @property
    def variance(self) -> X:
        """`(s², 1 + 2 b² s⁴)`."""
        return jnp.stack([self.scale**2, 1 + 2 * self.bend**2 * self.scale**4])

    @property
    def log_z(self) -> Scalar:
        """`log(2πs)`, in nats."""
        return jnp.log(2 * math.pi * jnp.abs(self.scale))


class Funnel(AbstractCentred, AbstractExactEnergy):
    """`x₀ ~ N(0, s²)` and `xᵢ ~ N(0, exp x₀)`: scales that differ from place to place.

    Neal (2003), "Slice sampling".

    Args:
        dim: how many coordinates, at least 2.
        scale: `s`; Neal has 3.

    Raises:
        ValueError: if a number is out of its range.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    scale: jax.Array = constant()

    def __init__(self, dim: int = 10, scale: Number = 3.0):
        _checks.at_least("dim", dim, 2)
        self.shape = (dim,)
        self.scale = as_number(scale)
        _checks.positive("scale", self.scale)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        (scale,), rest = as_dtype_of(x, self.scale), x[1:]
        width = 0.5 * jnp.sum(rest**2) * jnp.exp(-x[0]) + 0.5 * rest.size * x[0]
        return 0.5 * (x[0] / scale) ** 2 + width

    def sample(self, *, key: Key) -> X:
        z = jax.random.normal(key, self.shape)
        first = self.scale * z[:1]
        return jnp.concatenate([first, jnp.exp(0.5 * first) * z[1:]])

    @property
    def variance(self) -> X:
        """`s²`, then `exp(s² / 2)`."""
        rest = jnp.full(self.shape[0] - 1, jnp.exp(0.5 * self.scale**2))
        return jnp.concatenate([self.scale[None] ** 2, rest])

    @property
    def log_z(self) -> Scalar:
        """`(d/2) log 2π + log s`, in nats."""
        return 0.5 * self.shape[0] * math.log(2 * math.pi) + jnp.log(jnp.abs(self.scale))


class StudentT(AbstractCentred, AbstractExactEnergy):
    """Independent coordinates with tails like `|x|^(-ν-1)`: `E = (ν+1)/2 Σ log(1 + x²/ν)`.

    Args:
        shape: of one example.
        dof: `ν`, above 2, so that there is a variance.

    Raises:
        ValueError: if a number is out of its range.
    """

    shape: tuple[int, ...] = eqx.field(static=True, converter=tuple)
    dof: Number = number(default=5.0)

    def __check_init__(self):
        _checks.dimensions("shape", self.shape)
        _checks.positive("dof - 2", self.dof - 2, "give more than 2 degrees of freedom")

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        (dof,) = as_dtype_of(x, self.dof)
        return 0.5 * (dof + 1) * jnp.sum(jnp.log1p(x**2 / dof))

    def sample(self, *, key: Key) -> X:
        return jax.random.t(key, self.dof, self.shape)

    @property
    def variance(self) -> X:
        """`ν / (ν − 2)`."""
        return jnp.full(self.shape, self.dof / (self.dof - 2))

    @property
    def log_z(self) -> Scalar:
        one = 0.5 * jnp.log(self.dof * math.pi) - _log_gamma_half_step(0.5 * jnp.asarray(self.dof))
        return math.prod(self.shape) * one


class Ring(AbstractCentred):
    """`E(x) = (|x| − r)² / 2s²` on the plane.

    Args:
        radius: `r`.
        scale: `s`.

    Raises:
        ValueError: if a number is out of its range.
    """

    radius: Number = number(default=3.0)
    scale: Number = number(default=0.3)
    shape: tuple[int, ...] = eqx.field(static=True, default=(2,), init=False)

    def __check_init__(self):
        _checks.non_negative("radius", self.radius)
        _checks.positive("scale", self.scale)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        # |x|, but with a gradient at the origin
        radius = jnp.sqrt(jnp.sum(x**2) + 1e-12)
        centre, scale = as_dtype_of(x, self.radius, self.scale)
        return 0.5 * ((radius - centre) / scale) ** 2

    @property
    def variance(self) -> X:
        # half the mean squared radius, for each coordinate
        _, first, _, third = self._radial_moments()
        return jnp.full(2, 0.5 * third / first)

    @property
    def log_z(self) -> Scalar:
        return jnp.log(2 * math.pi * self._radial_moments()[1])

    def _radial_moments(self) -> Sequence[jax.Array]:
        """`∫ ρⁿ exp(-(ρ - r)² / 2s²) dρ` over positive `ρ`, for `n` from 0 to 3."""
        # the first by the error function; each further one by parts from the two before
        r, s = jnp.asarray(self.radius), jnp.abs(self.scale)
        zeroth = s * math.sqrt(math.pi / 2) * (1 + jax.scipy.special.erf(r / (s * math.sqrt(2))))
        first = r * zeroth + s**2 * jnp.exp(-0.5 * (r / s) ** 2)
        second = r * first + s**2 * zeroth
        return zeroth, first, second, r * second + 2 * s**2 * first


class DoubleWell(AbstractCentred):
    """`E(x) = h Σ (xᵢ² − 1)²`: `2^d` wells at `±1`, barriers of height `h`.

    Normaliser and variance are one-dimensional integrals, by the trapezoidal rule, whose error is
    that of rounding.

    Args:
        shape: of one example.
        height: `h`, in nats.

    Raises:
        ValueError: if a number is out of its range.
    """

    shape: tuple[int, ...] = eqx.field(static=True, converter=tuple)
    height: Number = number(default=2.0)

    def __check_init__(self):
        _checks.dimensions("shape", self.shape)
        _checks.positive("height", self.height)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        (height,) = as_dtype_of(x, self.height)
        return height * jnp.sum((x**2 - 1) ** 2)

    @property
    def variance(self) -> X:
        x, mass = self._density()
        return jnp.full(self.shape, jnp.sum(mass * x**2) / jnp.sum(mass))

    @property
    def log_z(self) -> Scalar:
        _, mass = self._density()
        return math.prod(self.shape) * jnp.log(2 * jnp.sum(mass))

    def _density(self) -> tuple[jax.Array, jax.Array]:
        """Nodes of the positive half, and the mass at each, the step of the grid included."""
        # The grid ends where the energy is `_FARTHEST`, at `x² = 1 ± a`, or begins at 0. It is one
        # of `t = x - 1`, without cancellation, and fixed, since its ends add nothing.
        a = jax.lax.stop_gradient(jnp.sqrt(_FARTHEST / self.height))
        below = jnp.minimum(a, 1.0)
        low, high = -below / (1 + jnp.sqrt(1 - below)), a / (1 + jnp.sqrt(1 + a))
        fraction = jnp.linspace(0.0, 1.0, _NODES)
        t = low + fraction * (high - low)
        ends = jnp.ones(_NODES).at[jnp.array([0, -1])].set(0.5)
        step = (high - low) / (_NODES - 1)
        return 1 + t, step * ends * jnp.exp(-self.height * (t * (2 + t)) ** 2)


def _log_gamma_half_step(z: jax.Array) -> jax.Array:
    """`log Γ(z + ½) - log Γ(z)`; by its asymptotic series where the difference loses digits."""
    log_gamma = jax.scipy.special.gammaln
    small, large = jnp.minimum(z, 10.0), jnp.maximum(z, 10.0)
    terms = -1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432
    series = sum(c / large ** (2 * i + 1) for i, c in enumerate(terms))
    exact = log_gamma(small + 0.5) - log_gamma(small)
    return jnp.where(z < 10, exact, 0.5 * jnp.log(large) + series)
