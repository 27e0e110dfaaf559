"""Weighted chains at eight points, and a step of theirs, for the tests of `Jarzynski`."""

import jax.numpy as jnp
import moves
import numpy as np
from closed_forms import STILL
from helpers import points
from moves import patched, values

from ebmx.training import Jarzynski
from ebmx.training.negatives._jarzynski import Populations, WeightedChains

WIDE = patched(0.5)
NARROW = patched(1 / 1.8, 0.5)
X = points(8, (2,))
NOWHERE = patched(0.5, 0.0, -np.inf, np.nan)


def weighted(log_weights, energy=WIDE, x=X, log_z_before=0.3, resamplings=2):
    numbers = log_weights, values(energy, x), log_z_before
    log_weights, last, before = (jnp.asarray(a, jnp.float32) for a in numbers)
    return WeightedChains(x, log_weights, last, before, jnp.asarray(resamplings, jnp.int32))


def population(log_weights, **options):
    return Populations(weighted(log_weights, **options), None, jnp.array(0.0))


def step(energy, state, key, sampler=STILL, **options):
    negatives = Jarzynski(sampler, 1, 8, **options)
    out, state, _ = moves.step(negatives, energy, X, state, key)
    return out, state.training
