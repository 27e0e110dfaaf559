"""A stateful energy, negatives that write down what they are given, and a loss that does, too."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ebmx.energies import AbstractStatefulEnergy
from ebmx.training import AbstractNegatives
from ebmx.training._examples import as_examples


class Follower(AbstractStatefulEnergy):
    """`E(x) = ½ |x - c - m|²`; a batch moves `m` half of the way to its mean."""

    shape: tuple[int, ...] = eqx.field(static=True)
    centre: jax.Array
    mean: eqx.nn.StateIndex
    inference: bool

    def __init__(self, centre):
        self.shape, self.centre, self.inference = (2,), jnp.asarray(centre, float), False
        self.mean = eqx.nn.StateIndex(jnp.zeros(2))

    def __call__(self, x, state):
        mean = state.get(self.mean)
        if not self.inference:
            mean = (mean + jax.lax.pmean(x, "batch")) / 2
            state = state.set(self.mean, mean)
        return jnp.sum((x - self.centre - mean) ** 2) / 2, state


class Recorder(AbstractNegatives):
    """Returns what it is given; its state is that, the energies of it, and a draw of its own."""

    def init(self, shape, *, key):
        return jnp.zeros(shape)

    def step(self, energy, x, state, *, key):
        given = as_examples(x)
        draw = jax.random.normal(key, given.x.shape)
        return x, (given, jax.vmap(energy)(given.x), draw), None


def recording_loss(energy, positives, negatives):
    """The mean energy of the positives; the metrics are all that it is given."""
    real, fake = as_examples(positives), as_examples(negatives)
    values = jax.vmap(energy)(real.x)
    return jnp.mean(values), {"real": real, "fake": fake, "energies": values}
