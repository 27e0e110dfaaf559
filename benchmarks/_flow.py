"""A neural energy whose log Z is known: that of a normalising flow."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp

from ebmx.energies import AbstractEnergy


class Flow(AbstractEnergy):
    """`E(x) = -log p(x)` of affine couplings with random networks, so `log Z = 0`.

    Dinh, Sohl-Dickstein and Bengio (2017), "Density estimation using Real NVP".
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    networks: tuple[eqx.nn.MLP, ...]
    stretch: float = eqx.field(static=True)

    def __init__(
        self,
        dim: int,
        *,
        num_layers: int = 4,
        width: int = 32,
        stretch: float = 0.8,
        key: jax.Array,
    ):
        """**Arguments:**

        - `dim`: an even number of coordinates.
        - `num_layers`: how many couplings.
        - `width`: of the two hidden layers of each network.
        - `stretch`: the largest logarithm by which a coupling stretches a coordinate.
        - `key`: a key for the weights.
        """
        self.shape = (dim,)
        self.stretch = stretch
        keys = jax.random.split(key, num_layers)
        half = dim // 2
        self.networks = tuple(
            eqx.nn.MLP(half, dim, width, 2, activation=jnp.tanh, key=key) for key in keys
        )

    def _coupling(self, network: eqx.nn.MLP, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The logarithms of scales, and shifts."""
        scale, shift = jnp.split(3 * network(x), 2)
        return self.stretch * jnp.tanh(scale), shift

    def __call__(self, x: jax.Array) -> jax.Array:
        log_volume = jnp.zeros(())
        for network in reversed(self.networks):
            # what one coupling left alone, the next one changes
            own, other = jnp.split(x, 2)
            scale, shift = self._coupling(network, own)
            x = jnp.concatenate([(other - shift) * jnp.exp(-scale), own])
            log_volume = log_volume + jnp.sum(scale)
        return 0.5 * jnp.sum(x**2) + 0.5 * x.size * math.log(2 * math.pi) + log_volume

    def sample(self, *, key: jax.Array) -> jax.Array:
        """One exact example."""
        x = jax.random.normal(key, self.shape)
        for network in self.networks:
            other, own = jnp.split(x, 2)
            scale, shift = self._coupling(network, own)
            x = jnp.concatenate([own, other * jnp.exp(scale) + shift])
        return x
