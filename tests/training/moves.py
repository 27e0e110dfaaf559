"""A sampler and an energy of numbers alone; the step of negatives, compiled once for all tests."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ebmx.samplers import AbstractSampler, StepInfo
from ebmx.training import ReplayBuffer
from ebmx.training._batch import as_examples


class Affine(AbstractSampler[None]):
    """`x ← scale · x + shift + noise · ξ`, not finite where `x[0] > edge`.

    It reports the energy of the new position, and its step size as the acceptance.
    """

    scale: jax.Array
    shift: jax.Array
    noise: jax.Array
    edge: jax.Array
    step_size: jax.Array

    is_invariant = True

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


class Patched(eqx.Module):
    """`E(x) = ½ a |x − m|²` on the left of an edge, and another value on the right."""

    precision: jax.Array
    mean: jax.Array
    edge: jax.Array
    value: jax.Array

    def __call__(self, x):
        distance = jnp.sum((x - self.mean) ** 2)
        return jnp.where(x[0] < self.edge, 0.5 * self.precision * distance, self.value)


def patched(precision, mean=0.0, edge=np.inf, value=0.0):
    numbers = precision, np.array([mean, 0.0]), edge, value
    return Patched(*(jnp.asarray(number, jnp.float32) for number in numbers))


def values(energy, x):
    """The energies of rows, by NumPy."""
    x, mean = np.asarray(x, np.float64), np.asarray(energy.mean, np.float64)
    inside = 0.5 * float(energy.precision) * np.sum((x - mean) ** 2, 1)
    return np.where(x[:, 0] < float(energy.edge), inside, float(energy.value))


@eqx.filter_jit
def step(negatives, energy, x, state, key):
    return negatives.step(energy, as_examples(x), state, key=key)


@eqx.filter_jit
def init(negatives, shape, key):
    return negatives.init(shape, key=key)


@eqx.filter_jit
def draw(buffer, num, key):
    return buffer.draw(num, key=key)


def empty(storage, capacity):
    """A buffer of chains in the plane that are nowhere yet."""
    x = jnp.zeros((capacity, 2))
    code = x if storage is None else jnp.zeros_like(storage.encode(x, key=jax.random.key(0)))
    return ReplayBuffer(code, jnp.zeros(capacity, jnp.int32), storage=storage)
