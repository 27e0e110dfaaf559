"""Two-dimensional densities that are known exactly, within [-4.6, 4.6]²."""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import _checks
from ..._arguments import guarded
from ..._checks import checked
from ..._types import Key, Scalar

Point = Float[Array, "2"]


class AbstractDensity(eqx.Module):
    """A density on the plane. Its energy is `lambda x: -density.log_density(x)`: `log Z = 0`."""

    @abc.abstractmethod
    def log_density(self, x: Point) -> Scalar:
        """The log density at one point, in nats."""

    @abc.abstractmethod
    def sample(self, num: int, *, key: Key) -> Float[Array, "{num} 2"]:
        """Draw `num` independent points."""


class _Points(AbstractDensity):
    """Equally weighted normal distributions around points."""

    points: Float[Array, "points 2"]
    scale: float

    @checked
    def log_density(self, x: Point) -> Scalar:
        square = jnp.sum((x[None] - self.points) ** 2, axis=-1) / self.scale**2
        norm = math.log(2 * math.pi * self.scale**2 * len(self.points))
        return jax.nn.logsumexp(-0.5 * square) - norm

    @checked
    def sample(self, num: int, *, key: Key) -> Float[Array, "{num} 2"]:
        point_key, noise_key = jax.random.split(key)
        index = jax.random.randint(point_key, (num,), 0, len(self.points))
        return self.points[index] + self.scale * jax.random.normal(noise_key, (num, 2))


class _Rings(AbstractDensity):
    """Circles, blurred by normal noise: the density of a ring has a Bessel function in it."""

    radii: Float[Array, "rings"]
    scale: float

    @checked
    def log_density(self, x: Point) -> Scalar:
        # hypot, but with a gradient at the origin
        radius = jnp.sqrt(jnp.sum(x**2) + 1e-12)
        bessel = jnp.log(jax.scipy.special.i0e(radius * self.radii / self.scale**2))
        square = ((radius - self.radii) / self.scale) ** 2
        norm = math.log(2 * math.pi * self.scale**2 * len(self.radii))
        return jax.nn.logsumexp(bessel - 0.5 * square) - norm

    @checked
    def sample(self, num: int, *, key: Key) -> Float[Array, "{num} 2"]:
        ring_key, angle_key, noise_key = jax.random.split(key, 3)
        radius = self.radii[jax.random.randint(ring_key, (num,), 0, len(self.radii))]
        angle = jax.random.uniform(angle_key, (num,), maxval=2 * math.pi)
        circle = jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)
        return radius[:, None] * circle + self.scale * jax.random.normal(noise_key, (num, 2))


class _Checkerboard(AbstractDensity):
    """Uniform on every other of 4×4 fields of side 2."""

    @checked
    def log_density(self, x: Point) -> Scalar:
        field = jnp.floor(x / 2)
        inside = jnp.all(jnp.abs(x) < 4) & (jnp.sum(field) % 2 == 0)
        return jnp.where(inside, -math.log(32.0), -jnp.inf)

    @checked
    def sample(self, num: int, *, key: Key) -> Float[Array, "{num} 2"]:
        row_key, column_key, place_key = jax.random.split(key, 3)
        row = jax.random.randint(row_key, (num,), -2, 2)
        column = 2 * jax.random.randint(column_key, (num,), -1, 1) + row % 2
        place = jax.random.uniform(place_key, (num, 2))
        return 2 * (jnp.stack([row, column], -1) + place)


class _Pinwheel(AbstractDensity):
    """Normal blades, twisted by an angle that grows with the radius: the twist keeps areas."""

    arms: int
    size: float = 2.0
    rate: float = 0.25

    @checked
    def log_density(self, x: Point) -> Scalar:
        arms = jnp.arange(self.arms)
        blades = jax.vmap(lambda arm: self._turn(x / self.size, arm, -1))(arms)
        square = ((blades[:, 0] - 1) / 0.3) ** 2 + (blades[:, 1] / 0.1) ** 2
        norm = math.log(2 * math.pi * 0.3 * 0.1 * self.size**2 * self.arms)
        return jax.nn.logsumexp(-0.5 * square) - norm

    @checked
    def sample(self, num: int, *, key: Key) -> Float[Array, "{num} 2"]:
        arm_key, noise_key = jax.random.split(key)
        arm = jax.random.randint(arm_key, (num,), 0, self.arms)
        noise = jax.random.normal(noise_key, (num, 2)) * jnp.array([[0.3, 0.1]])
        blade = noise + jnp.array([[1.0, 0.0]])
        return self.size * jax.vmap(lambda x, k: self._turn(x, k, 1))(blade, arm)

    def _turn(self, x: Point, arm: jax.Array, sign: int) -> Point:
        radius = jnp.sqrt(jnp.sum(x**2) + 1e-12)
        angle = sign * (2 * math.pi * arm / self.arms + self.rate * jnp.exp(radius))
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        return jnp.stack([cos * x[0] - sin * x[1], sin * x[0] + cos * x[1]])


@guarded
def density(name: str) -> AbstractDensity:
    """A density on the plane by name.

    **Arguments:**

    - `name`: `"8gaussians"`, `"rings"`, `"checkerboard"`, `"2spirals"`, `"moons"` or `"pinwheel"`.
        Spirals and moons are mixtures of many narrow normal distributions along their curves.

    **Returns:**

    The density, with `log_density(x)` in nats and `sample(num, key=key)`.

    **Raises:**

    `ValueError` if there is no such density.
    """
    if name not in _DENSITIES:
        _checks.invalid("name", repr(name), f"give one of {', '.join(_DENSITIES)}")
    return _DENSITIES[name]()


def _eight_gaussians() -> _Points:
    angle = np.arange(8) * np.pi / 4
    return _points(2 * np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], -1), 0.35)


def _two_spirals() -> _Points:
    angle = 3 * np.pi * np.sqrt((np.arange(512) + 0.5) / 512)
    arm = np.stack([-np.cos(angle), np.sin(angle)], -1) * angle[:, None] / 2.5
    return _points(np.concatenate([arm, -arm]), 0.12)


def _moons() -> _Points:
    angle = np.pi * (np.arange(256) + 0.5) / 256
    upper = np.stack([np.cos(angle), np.sin(angle)], -1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], -1)
    return _points(2 * (np.concatenate([upper, lower]) - np.array([0.5, 0.25])), 0.2)


def _points(points: np.ndarray, scale: float) -> _Points:
    return _Points(jnp.asarray(points, jnp.result_type(float)), scale)


_DENSITIES = {
    "8gaussians": _eight_gaussians,
    "rings": lambda: _Rings(jnp.array([0.75, 1.5, 2.25, 3.0]), 0.08),
    "checkerboard": _Checkerboard,
    "2spirals": _two_spirals,
    "moons": _moons,
    "pinwheel": lambda: _Pinwheel(5),
}
