"""Random Fourier features."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import Key, Number, X
from .._constants import constant


class FourierFeatures(eqx.Module):
    """Sines and cosines of random waves of an example, as inputs of a perceptron.

    A perceptron on these learns fine structure that it does not learn on coordinates. Tancik et al.
    (2020), "Fourier features let networks learn high frequency functions in low dimensional
    domains".

    Under noise of standard deviation `σ`, each has its mean over the noise: a wave of angular
    frequency `ω` fades by `exp(-|ω|²σ²/2)`, so that only waves that survive the noise are seen.
    Barron et al. (2021), "Mip-NeRF".

    Args:
        shape: the shape of one example.
        num_waves: how many waves.
        low: the scale of the angular frequencies of the longest waves, in radians per unit of `x`;
            the scales are a geometric series.
        high: that of the shortest.
        key: a key for the waves, which training does not change.

    Raises:
        ValueError: if a size or a number is not positive.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    frequencies: jax.Array = constant()
    """`(size of an example, num_waves)`."""

    def __init__(
        self,
        shape: Sequence[int],
        num_waves: int = 64,
        low: Number = 0.5,
        high: Number = 8.0,
        *,
        key: Key,
    ):
        self.shape = _checks.dimensions("shape", shape)
        _checks.at_least("num_waves", num_waves, 1)
        _checks.positive("low", low)
        _checks.positive("high", high)
        scales = jnp.geomspace(jnp.asarray(low, float), jnp.asarray(high, float), num_waves)
        self.frequencies = scales[None] * jax.random.normal(key, (math.prod(self.shape), num_waves))

    @property
    def size(self) -> int:
        """How many features there are."""
        return 2 * self.frequencies.shape[1]

    @property
    def joint_shape(self) -> tuple[int, ...]:
        """The shape of a flattened example and its features, the inputs of a network."""
        return (math.prod(self.shape) + self.size,)

    def __call__(self, x: X, sigma: Number = 0.0) -> jax.Array:
        x = jnp.asarray(x)
        frequencies = jax.lax.stop_gradient(self.frequencies).astype(x.dtype)
        # by default, a GPU multiplies in lower precision: short waves would be steps
        phase = jnp.matmul(x.reshape(-1), frequencies, precision=jax.lax.Precision.HIGHEST)
        fade = jnp.exp(-0.5 * jnp.sum(frequencies**2, 0) * jnp.asarray(sigma, x.dtype) ** 2)
        return jnp.concatenate([jnp.sin(phase) * fade, jnp.cos(phase) * fade])
