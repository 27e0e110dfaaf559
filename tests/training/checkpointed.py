"""A small training that is saved, for the tests of checkpoints and of saving."""

import equinox as eqx
import jax
import numpy as np
import optax

import ebmx
from ebmx.energies import MLP
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer, fit

KEY = jax.random.key(7)
TRAINER = Trainer(optax.adam(0.01), PCD(Langevin(0.1), 2, capacity=16, reinit_prob=0.3))
CONFIG = {"seed": 7, "energy": {"hidden_dims": [4]}}
X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)


def start(hidden_dims=(4,), trainer=TRAINER):
    return trainer.init(MLP((2,), hidden_dims, key=KEY), key=KEY)


def go_on(state, num_steps, checkpoints=None, **options):
    batches = ebmx.data.batches(X, 8, start=int(state.step), key=KEY)
    options = {"log_every": 2, "progress": False} | options
    return fit(
        TRAINER, state, batches, num_steps=num_steps, key=KEY, checkpoints=checkpoints, **options
    )


def assert_same(one, two):
    assert jax.tree.structure(one) == jax.tree.structure(two)
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
    for a, b in pairs:
        if eqx.is_array(b):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
