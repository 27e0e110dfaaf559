"""Maps from all real numbers onto positive numbers, intervals and simplices."""

import abc
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Scalar, X
from .._base import check_order
from .._constants import constant


class AbstractBijection(eqx.Module):
    """A smooth map `x = f(z)` of all real `z` onto a domain, with an inverse, on one example.

    At each finite `z`, values and gradients are finite and `x` is inside of its domain. In float32,
    numbers next to 1 are 6·10⁻⁸ apart: further in the tail of `z` the map stays where it is.
    """

    @abc.abstractmethod
    def forward(self, z: X) -> X:
        """`x = f(z)`, in the domain."""

    @abc.abstractmethod
    def inverse(self, x: X) -> X:
        """`z` with `f(z) = x`; not finite for an `x` outside of the domain or on its edge."""

    @abc.abstractmethod
    def log_det(self, z: X) -> Scalar:
        """`log |det ∂f/∂z|`, in nats."""

    @abc.abstractmethod
    def unconstrained_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of `z` for an `x` of this shape.

        Raises:
            ValueError: if there is no `x` of this shape.
        """


class AbstractElementwise(AbstractBijection):
    """A map of each coordinate by itself, of any shape."""

    def unconstrained_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape


class Identity(AbstractElementwise):
    """`f(z) = z`: no constraint."""

    def forward(self, z: X) -> X:
        return z

    def inverse(self, x: X) -> X:
        return x

    def log_det(self, z: X) -> Scalar:
        return jnp.zeros((), jnp.result_type(z))


class Exp(AbstractElementwise):
    """`f(z) = exp(z)`: positive numbers, each coordinate by itself."""

    def forward(self, z: X) -> X:
        return jnp.exp(_within(z))

    def inverse(self, x: X) -> X:
        return jnp.log(x)

    def log_det(self, z: X) -> Scalar:
        return jnp.sum(z)


class Softplus(AbstractElementwise):
    """`f(z) = log(1 + exp(z))`: positive numbers, near `z` where these are large."""

    def forward(self, z: X) -> X:
        return jax.nn.softplus(jnp.maximum(z, -_furthest(z)))

    def inverse(self, x: X) -> X:
        """`log(exp(x) - 1)`."""
        return x + jnp.log(-jnp.expm1(-x))

    def log_det(self, z: X) -> Scalar:
        return jnp.sum(jax.nn.log_sigmoid(z))


class Sigmoid(AbstractBijection):
    """`f(z) = low + (high - low) σ(z)`: numbers between two ends, each coordinate by itself.

    Args:
        low: the lower end, a finite number or an array of the shape of one example. Training does
            not change it.
        high: the upper end, likewise.

    Raises:
        ValueError: if shapes do not fit, or `low < high` does not hold everywhere.
    """

    low: jax.Array = constant()
    high: jax.Array = constant()

    def __init__(self, low: ArrayLike = 0.0, high: ArrayLike = 1.0):
        self.low, self.high = jnp.asarray(low, float), jnp.asarray(high, float)
        _checks.finite_value("low", self.low)
        _checks.finite_value("high", self.high)
        shapes = {self.low.shape, self.high.shape} - {()}
        fix = f"low has the shape {self.low.shape}: give the same, or a number"
        _checks.require(len(shapes) <= 1, "high.shape", self.high.shape, fix)
        check_order(self.low, self.high)

    def forward(self, z: X) -> X:
        low, high = self._ends(z)
        x = low + (high - low) * jax.nn.sigmoid(_within(z))
        # rounding must not give an end, whose inverse is infinite
        return jnp.clip(x, jnp.nextafter(low, high), jnp.nextafter(high, low))

    def inverse(self, x: X) -> X:
        low, high = self._ends(x)
        return jnp.log(x - low) - jnp.log(high - x)

    def log_det(self, z: X) -> Scalar:
        low, high = self._ends(z)
        slope = jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z)
        return jnp.sum(jnp.log(high - low) + slope)

    def unconstrained_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        for name, end in (("low", self.low), ("high", self.high)):
            fix = f"give a number or an array of shape {shape}"
            _checks.require(end.shape in ((), shape), f"{name}.shape", end.shape, fix)
        return shape

    def _ends(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        dtype = jnp.result_type(x)
        low, high = (jax.lax.stop_gradient(end).astype(dtype) for end in (self.low, self.high))
        return low, high


class StickBreaking(AbstractBijection):
    """Positive numbers that add up to 1, along the last axis: `n - 1` numbers become `n`.

    `xₖ = σ(tₖ) (1 - Σⱼ﹤ₖ xⱼ)` with `tₖ = zₖ - log(n - k)`, `k` from 1: each part is a fraction of
    what is left. The determinant is that of the first `n - 1` parts, as in the usual density of
    Dirichlet; it is the product of all parts. `z = 0` is the centre.

    Carpenter et al. (2017), "Stan: a probabilistic programming language".
    """

    def forward(self, z: X) -> X:
        return jnp.exp(_within(_log_parts(z)))

    def inverse(self, x: X) -> X:
        """`tₖ = log xₖ - log Σⱼ﹥ₖ xⱼ`; NaN where the parts do not add up to 1."""
        left = jnp.flip(jnp.cumsum(jnp.flip(x, -1), -1), -1)
        z = jnp.log(x[..., :-1]) - jnp.log(left[..., 1:])
        z = z + _offsets(z)
        return jnp.where(jnp.abs(left[..., :1] - 1) < 1e-3, z, jnp.nan)

    def log_det(self, z: X) -> Scalar:
        """`Σ log xₖ` over all `n` parts."""
        return jnp.sum(_log_parts(z))

    def unconstrained_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        num = shape[-1] if shape else 0
        fix = "parts that add up to 1 are along the last axis: give at least two"
        _checks.require(num > 1, "shape", shape, fix)
        return (*shape[:-1], num - 1)


class Blockwise(AbstractBijection):
    """Another map for each part of a vector: the parts are side by side.

    Args:
        bijections: one for each part, at least one.
        sizes: how many coordinates of `x` each part has, at least 1.

    Raises:
        ValueError: if there are not as many sizes, or one does not fit its map.
    """

    bijections: tuple[AbstractBijection, ...]
    sizes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, bijections: Sequence[AbstractBijection], sizes: Sequence[int]):
        self.bijections = tuple(bijections)
        self.sizes = _checks.dimensions("sizes", sizes)
        num = len(self.bijections)
        _checks.require(num > 0, "bijections", self.bijections, "give at least one")
        fix = f"give one size for each of the {num} bijections"
        _checks.require(len(self.sizes) == num, "sizes", self.sizes, fix)
        self._shapes()

    def forward(self, z: X) -> X:
        pairs = zip(self.bijections, self._parts(z), strict=True)
        return jnp.concatenate([bijection.forward(part) for bijection, part in pairs])

    def inverse(self, x: X) -> X:
        pairs = zip(self.bijections, split(x, self.sizes), strict=True)
        return jnp.concatenate([bijection.inverse(part) for bijection, part in pairs])

    def log_det(self, z: X) -> Scalar:
        pairs = zip(self.bijections, self._parts(z), strict=True)
        return jnp.sum(jnp.stack([bijection.log_det(part) for bijection, part in pairs]))

    def unconstrained_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        fix = f"the parts are a vector of {sum(self.sizes)} coordinates"
        _checks.require(shape == (sum(self.sizes),), "shape", shape, fix)
        return (sum(part[0] for part in self._shapes()),)

    def _shapes(self) -> list[tuple[int, ...]]:
        pairs = zip(self.bijections, self.sizes, strict=True)
        return [bijection.unconstrained_shape((size,)) for bijection, size in pairs]

    def _parts(self, z: X) -> list[jax.Array]:
        return split(z, [shape[0] for shape in self._shapes()])


def _furthest(log: jax.Array) -> float:
    """How far from 0 a logarithm may be: 79 in float32, where `exp` is neither 0 nor infinite."""
    return 0.9 * float(-np.log(float(jnp.finfo(jnp.result_type(log)).tiny)))


def _within(log: jax.Array) -> jax.Array:
    # before `exp`, since the gradient of what is cut off after it is 0 times infinity
    return jnp.clip(log, -_furthest(log), _furthest(log))


def _log_parts(z: jax.Array) -> jax.Array:
    """The logarithms of the parts of a broken stick, `(..., n)`."""
    # sums of logarithms: the products of many fractions would underflow
    t = z - _offsets(z)
    left = jnp.cumsum(jax.nn.log_sigmoid(-t), -1)
    lead = [(0, 0)] * (z.ndim - 1)
    return jnp.pad(jax.nn.log_sigmoid(t), [*lead, (0, 1)]) + jnp.pad(left, [*lead, (1, 0)])


def _offsets(z: jax.Array) -> jax.Array:
    """`log(n - k)`, with which `z = 0` gives equal parts."""
    logs = jnp.asarray(np.log(np.arange(z.shape[-1], 0, -1)), jnp.result_type(z))
    return jnp.broadcast_to(logs, z.shape)


def split(x: jax.Array, sizes: Sequence[int]) -> list[jax.Array]:
    return jnp.split(x, np.cumsum(sizes)[:-1].tolist())
