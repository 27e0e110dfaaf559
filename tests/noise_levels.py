"""An energy over noise levels that is known exactly: a mixture of Gaussians with noise."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ebmx.energies import (
    MLP,
    AbstractNoiseConditionalEnergy,
    Gaussian,
    GaussianMixture,
    NoiseConditional,
    geometric_levels,
)

LEVELS = geometric_levels(0.1, 12.0, 10, tilt=1.5)
MEANS = jnp.array([[-1.5, 0.0], [1.0, 1.0], [1.0, -1.0]])
WEIGHTS = jnp.array([0.5, 0.3, 0.2])
SCALE = 0.4


class NoisyMixture(AbstractNoiseConditionalEnergy):
    """`-log Σₖ wₖ N(x; μₖ, s² + σ²)`, with a constant for each level that is zero at the truth."""

    shape: tuple[int, ...] = eqx.field(static=True)
    condition_shape: tuple[int, ...] = eqx.field(static=True, default=())
    num_labels: None = eqx.field(static=True, default=None)
    num_classes: None = eqx.field(static=True, default=None)
    levels = LEVELS
    means: jax.Array = None
    offsets: jax.Array = None
    factor: jax.Array = None
    is_normalised = True

    def __call__(self, x, y):
        spread = jnp.sqrt(SCALE**2 + y**2)
        z = (x[None] - self.means) / spread
        size = self.means.shape[1]
        log = -0.5 * jnp.sum(z**2, 1) - size * jnp.log(spread) - size / 2 * jnp.log(2 * jnp.pi)
        value = -jax.nn.logsumexp(log + jnp.log(WEIGHTS))
        place = jnp.log(y / LEVELS.sigma[0]) / jnp.log(LEVELS.sigma[-1] / LEVELS.sigma[0])
        return self.factor * value + jnp.polyval(self.offsets, place)

    @property
    def top(self):
        mean = WEIGHTS @ self.means
        between = (self.means - mean[None]).T @ jnp.diag(WEIGHTS) @ (self.means - mean[None])
        size = len(mean)
        return Gaussian(mean, between + (SCALE**2 + LEVELS.sigma[-1] ** 2) * jnp.eye(size))


def noisy_mixture(offsets=(0.0, 0.0), factor=1.0, means=MEANS):
    return NoisyMixture(
        (means.shape[1],), means=means, offsets=jnp.asarray(offsets), factor=jnp.asarray(factor)
    )


def data(num, key):
    return jax.vmap(lambda k: GaussianMixture(MEANS, SCALE, WEIGHTS).sample(key=k))(
        jax.random.split(key, num)
    )


def labelled():
    """An energy over noise levels with three classes."""
    key = jax.random.key(0)
    network = MLP((2,), (8,), condition_size=6, key=key)
    return NoiseConditional(network, LEVELS, num_classes=3, key=key)
