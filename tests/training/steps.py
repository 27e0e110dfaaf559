"""One compiled step of a trainer, and how states are compared."""

import equinox as eqx
import jax
import numpy as np


@eqx.filter_jit
def step(trainer, state, batch, key):
    return trainer.step(state, batch, key=key)


def same(one, two):
    one, two = (jax.tree.leaves(eqx.filter(tree, eqx.is_array)) for tree in (one, two))
    assert len(one) == len(two) > 0
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def all_finite(tree):
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    return all(np.all(np.isfinite(leaf)) for leaf in leaves)


def trained(tree):
    return tree.energy, tree.opt_state, tree.norm_state, tree.ema
