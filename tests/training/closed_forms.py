"""Energies whose best parameters are known, numbers in the place of samples, a sampler at rest."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

from ebmx.energies import AbstractConditionalEnergy, AbstractEnergy
from ebmx.samplers import AbstractSampler, StepInfo
from ebmx.training._batch import as_examples


class Precise(AbstractEnergy):
    """`E(x) = ½ a |x|² + c`, a Gaussian of precision `a`."""

    shape: tuple[int, ...] = eqx.field(static=True)
    precision: jax.Array
    constant: jax.Array

    def __call__(self, x):
        return 0.5 * self.precision * jnp.sum(x**2) + self.constant


class Wells(AbstractConditionalEnergy):
    """`E(x, y) = ½ a_y |x - m_y|²`: each label has a mode of its own."""

    shape: tuple[int, ...] = eqx.field(static=True)
    condition_shape: tuple[int, ...] = eqx.field(static=True)
    num_labels: int | None = eqx.field(static=True)
    modes: jax.Array
    precisions: jax.Array

    def __init__(self, modes, precisions):
        self.modes, self.precisions = jnp.asarray(modes), jnp.asarray(precisions)
        self.shape, self.condition_shape = self.modes.shape[1:], ()
        self.num_labels = len(self.modes)

    def __call__(self, x, y):
        known = (y >= 0) & (y < self.num_labels)
        value = 0.5 * self.precisions[y] * jnp.sum((x - self.modes[y]) ** 2)
        return jnp.where(known, value, jnp.nan)


class Levels(AbstractConditionalEnergy):
    """`E(x, log σ) = ½ a_k |x|²` with a precision for each level `σ_k`."""

    shape: tuple[int, ...] = eqx.field(static=True)
    condition_shape: tuple[int, ...] = eqx.field(static=True)
    num_labels: int | None = eqx.field(static=True)
    sigma: tuple[float, ...] = eqx.field(static=True)
    precisions: jax.Array

    def __init__(self, sigma, precisions):
        self.shape, self.condition_shape, self.num_labels = (1,), (1,), None
        self.sigma, self.precisions = tuple(sigma), jnp.asarray(precisions)

    def __call__(self, x, y):
        level = jnp.argmin(jnp.abs(jnp.log(jnp.asarray(self.sigma, x.dtype)) - y))
        return 0.5 * self.precisions[level] * jnp.sum(x**2)


class Constants(AbstractConditionalEnergy):
    """`E(x, y) = c_y + ½ x²`: the density of `x` given `y` is the same for all constants."""

    constants: jax.Array
    shape: tuple[int, ...] = eqx.field(static=True, default=(1,))
    condition_shape: tuple[int, ...] = eqx.field(static=True, default=())
    num_labels: int | None = eqx.field(static=True, default=2)

    def __call__(self, x, y):
        return self.constants[y] + 0.5 * jnp.sum(x**2)


class Still(AbstractSampler[None]):
    """A sampler that stays, which leaves any density as it is; its step size is its acceptance."""

    step_size: jax.Array

    is_invariant = True

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        zero = jnp.zeros(())
        return x, state, StepInfo(zero, zero, self.step_size, zero > 0)


STILL = Still(jnp.array(0.5))


def quantiles(num):
    """`num` numbers that stand for a normal variable: its first two moments are exact."""
    z = scipy.special.ndtri((np.arange(num) + 0.5) / num)
    return z / z.std()


def products(*axes):
    """All combinations of numbers on these axes, one array `(combinations,)` for each."""
    return [a.reshape(-1) for a in np.meshgrid(*axes, indexing="ij")]


def apply(loss, energy, positives, negatives, **options):
    """A loss of batches as users give them."""
    batches = (None if batch is None else as_examples(batch) for batch in (positives, negatives))
    return loss(energy, *batches, **options)


def call_loss(loss, *args, **options):
    """As `apply`, compiled as a whole."""
    return call(apply, loss, *args, **options)


@eqx.filter_jit
def call(function, *args, **options):
    """The function, compiled as a whole: one by one its operations are each compiled alone."""
    return function(*args, **options)
