"""A sampler that is a map of the position; the step of negatives, compiled once for all tests."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ebmx.samplers import AbstractSampler, StepInfo


class Affine(AbstractSampler[None]):
    """`x ← scale · x + shift + noise · ξ`, not finite where `x[0] > edge`.

    It reports the energy of the new position, and its step size as the acceptance.
    """

    scale: jax.Array
    shift: jax.Array
    noise: jax.Array
    edge: jax.Array
    step_size: jax.Array

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        moved = self.scale * x + self.shift + self.noise * jax.random.normal(key, x.shape)
        moved = jnp.where(x.reshape(-1)[0] > self.edge, jnp.nan, moved)
        zero = jnp.zeros(())
        return moved, state, StepInfo(energy(moved), zero, jnp.asarray(self.step_size), zero > 0)


def affine(scale=1.0, shift=0.0, noise=0.0, edge=np.inf, step_size=0.5):
    numbers = (scale, shift, noise, edge, step_size)
    return Affine(*(jnp.asarray(number, jnp.float32) for number in numbers))


@eqx.filter_jit
def step(negatives, energy, x, state, key):
    return negatives.step(energy, x, state, key=key)


@eqx.filter_jit
def init(negatives, shape, key):
    return negatives.init(shape, key=key)
