"""Energies that are tables over all states of a few sites."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ebmx.energies import AbstractEnergy


class Table(AbstractEnergy):
    """`E(x)` is an entry of a table with an axis for each site."""

    shape: tuple[int, ...] = eqx.field(static=True)
    values: jax.Array
    categorical: bool = eqx.field(static=True)

    def __init__(self, values, categorical=False):
        self.values, self.categorical = values, categorical
        num = max(values.shape)
        self.shape = (values.ndim, num) if categorical else (values.ndim,)

    def __call__(self, x):
        index = jnp.argmax(x, -1) if self.categorical else x.astype(int)
        return self.values[tuple(index)]


def states(sizes, categorical):
    """All states of sites of these numbers of values, `(states, sites)` or one-hot."""
    index = np.array(list(itertools.product(*map(range, sizes))))
    return one_hot(index, sizes[0]) if categorical else jnp.asarray(index, float)


def one_hot(index, num):
    return jax.nn.one_hot(np.asarray(index).astype(int), num)
