"""The energies that `density2d.py` trains on the plane."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ebmx.energies import (
    MLP,
    AbstractEnergy,
    FourierFeatures,
    NoiseConditional,
    exact_samples,
    geometric_levels,
)


class FourierEnergy(AbstractEnergy):
    """A perceptron on a point and on random waves of it, long ones and short ones; and a soft wall,
    since some objectives say nothing about where no data are."""

    shape: tuple[int, ...] = eqx.field(static=True)
    frequencies: jax.Array
    network: MLP

    def __init__(self, *, key: jax.Array):
        wave_key, network_key = jax.random.split(key)
        self.shape = (2,)
        scales = jnp.geomspace(0.4, 8.0, 64)
        self.frequencies = scales[None] * jax.random.normal(wave_key, (2, 64))
        network = MLP((130,), (128, 128, 128), key=network_key)
        # nearly flat at first, so that chains which start uniform have nearly equal weights
        last = lambda n: n.layers[-1].weight  # noqa: E731
        self.network = eqx.tree_at(last, network, 0.1 * last(network))

    def __call__(self, x: jax.Array) -> jax.Array:
        phase = x @ jax.lax.stop_gradient(self.frequencies)
        wall = 10 * jnp.sum(jax.nn.relu(jnp.abs(x) - 4) ** 2)
        return wall + self.network(jnp.concatenate([x / 2, jnp.sin(phase), jnp.cos(phase)]))


def energy_over_levels(truth: Any, low: float, key: jax.Array) -> NoiseConditional:
    """The same perceptron and waves, beside the Gaussian of the data with noise from `low` on."""
    wave_key, network_key, key = jax.random.split(key, 3)
    features = FourierFeatures((2,), 64, 0.4, 8.0, key=wave_key)
    network = MLP((2 + features.size,), (128, 128, 128), condition_size=32, key=network_key)
    x = np.asarray(exact_samples(truth, 65_536, key=jax.random.key(0)))
    moments = {"mean": x.mean(0), "covariance": np.cov(x.T)}
    levels = geometric_levels(low, 12.0, 24)
    return NoiseConditional(network, levels, **moments, features=features, key=key)
