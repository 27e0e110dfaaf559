"""Six densities on the plane that are often used as targets, within [-4.6, 4.6]²."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ... import _checks
from ..._types import Key, Scalar, X
from .._base import AbstractCentred, AbstractExactEnergy
from .._constants import number
from .._precision import together
from ._gaussian_mixture import GaussianMixture


class _AbstractNormalised(AbstractCentred, AbstractExactEnergy):
    """A density on the plane with mean zero and `log Z = 0`."""

    shape: tuple[int, ...] = eqx.field(static=True, default=(2,), init=False)

    @property
    def log_z(self) -> Scalar:
        return jnp.zeros(())


class _Rings(_AbstractNormalised):
    """Circles convolved with a normal distribution, whose density has a Bessel function in it."""

    radii: Any = number()
    scale: Any = number()

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        x, radii, scale = together(x, self.radii, self.scale)
        # The integral of the noise over a circle is `2π I₀(|x| r / s²)`; `i0e` is scaled by an
        # exponential, which makes the exponent that of `(|x| - r)²`, so that nothing overflows.
        # The radius is hypot, but with a gradient at the origin.
        radius = jnp.sqrt(jnp.sum(x**2) + 1e-12)
        bessel = jnp.log(jax.scipy.special.i0e(radius * radii / scale**2))
        square = ((radius - radii) / scale) ** 2
        norm = jnp.log(2 * math.pi * scale**2 * len(radii))
        return norm - jax.nn.logsumexp(bessel - 0.5 * square)

    def sample(self, *, key: Key) -> X:
        ring_key, angle_key, noise_key = jax.random.split(key, 3)
        dtype = self.radii.dtype
        radius = self.radii[jax.random.randint(ring_key, (), 0, len(self.radii))]
        angle = jax.random.uniform(angle_key, (), dtype, maxval=2 * math.pi)
        circle = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        return radius * circle + self.scale * jax.random.normal(noise_key, (2,), dtype)

    @property
    def variance(self) -> X:
        return jnp.full(2, 0.5 * jnp.mean(self.radii**2) + self.scale**2)


class _Checkerboard(_AbstractNormalised):
    """Uniform on every other of 4×4 fields of side 2; the energy is infinite elsewhere."""

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        inside = jnp.all(jnp.abs(x) < 4) & (jnp.sum(jnp.floor(x / 2)) % 2 == 0)
        return jnp.where(inside, math.log(32.0), jnp.inf).astype(jnp.result_type(x))

    def sample(self, *, key: Key) -> X:
        row_key, column_key, place_key = jax.random.split(key, 3)
        row = jax.random.randint(row_key, (), -2, 2)
        column = 2 * jax.random.randint(column_key, (), -1, 1) + row % 2
        return 2 * (jnp.stack([row, column]) + jax.random.uniform(place_key, (2,)))

    @property
    def variance(self) -> X:
        return jnp.full(2, 16 / 3)


class _Pinwheel(_AbstractNormalised):
    """Normal blades, twisted by an angle that grows with the radius: the twist keeps areas."""

    arms: int = eqx.field(static=True, default=5)
    size: float = eqx.field(static=True, default=2.0)
    rate: float = eqx.field(static=True, default=0.25)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        # turned back, each blade is a normal density along the first axis
        blades = jax.vmap(lambda arm: self._turn(x / self.size, arm, -1))(jnp.arange(self.arms))
        square = ((blades[:, 0] - 1) / 0.3) ** 2 + (blades[:, 1] / 0.1) ** 2
        norm = math.log(2 * math.pi * 0.3 * 0.1 * self.size**2 * self.arms)
        return norm - jax.nn.logsumexp(-0.5 * square)

    def sample(self, *, key: Key) -> X:
        arm_key, noise_key = jax.random.split(key)
        arm = jax.random.randint(arm_key, (), 0, self.arms)
        noise = jax.random.normal(noise_key, (2,)) * jnp.array([0.3, 0.1])
        return self.size * self._turn(noise + jnp.array([1.0, 0.0]), arm, 1)

    @property
    def variance(self) -> X:
        # turning keeps the radius, and blades at equal angles have a covariance of one variance
        return jnp.full(2, 0.5 * self.size**2 * (1 + 0.3**2 + 0.1**2))

    def _turn(self, x: X, arm: jax.Array, sign: int) -> X:
        radius = jnp.sqrt(jnp.sum(x**2) + 1e-12)
        arm = arm.astype(radius.dtype)
        angle = sign * (2 * math.pi * arm / self.arms + self.rate * jnp.exp(radius))
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        return jnp.stack([cos * x[0] - sin * x[1], sin * x[0] + cos * x[1]])


def plane(name: str) -> AbstractExactEnergy:
    """A density on the plane by name, as an energy with `log Z = 0`.

    Args:
        name: `"8gaussians"`, `"rings"`, `"checkerboard"`, `"2spirals"`, `"moons"` or `"pinwheel"`.
            Spirals and moons are mixtures of many narrow normal distributions along their curves.

    Returns:
        The energy, of shape `(2,)`. `exact_samples(energy, num, key=key)` draws a data set from it.

    Raises:
        ValueError: if the name is unknown.
    """
    if name not in _DENSITIES:
        _checks.invalid("name", repr(name), f"give one of {', '.join(_DENSITIES)}")
    return _DENSITIES[name]()


def _eight_gaussians() -> GaussianMixture:
    angle = np.arange(8) * np.pi / 4
    return GaussianMixture(2 * np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], -1), 0.35)


def _two_spirals() -> GaussianMixture:
    angle = 3 * np.pi * np.sqrt((np.arange(512) + 0.5) / 512)
    arm = np.stack([-np.cos(angle), np.sin(angle)], -1) * angle[:, None] / 2.5
    return GaussianMixture(np.concatenate([arm, -arm]), 0.12)


def _moons() -> GaussianMixture:
    angle = np.pi * (np.arange(256) + 0.5) / 256
    upper = np.stack([np.cos(angle), np.sin(angle)], -1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], -1)
    return GaussianMixture(2 * (np.concatenate([upper, lower]) - np.array([0.5, 0.25])), 0.2)


_DENSITIES = {
    "8gaussians": _eight_gaussians,
    "rings": lambda: _Rings(np.array([0.75, 1.5, 2.25, 3.0]), 0.08),
    "checkerboard": _Checkerboard,
    "2spirals": _two_spirals,
    "moons": _moons,
    "pinwheel": _Pinwheel,
}
