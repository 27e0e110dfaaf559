"""No random key is used twice: a kind of key that writes down each of its uses."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import DISCRETE
from jax.extend.random import define_prng_impl

from ebmx.energies import Gaussian
from ebmx.samplers import (
    GHMC,
    HMC,
    AbstractSampler,
    AdjustedMCLMC,
    Cycle,
    EllipticalSlice,
    Independence,
    JitteredHMC,
    Mixture,
    Reflected,
    ReplicaExchange,
    StepInfo,
    StretchMove,
    run,
    run_replicas,
    sample,
    warmup,
)
from ebmx.samplers.tempering._tune_ladder import _round

USES = []


def note(kind, words, data=0):
    def write(words, data):
        USES.append((kind, *np.asarray(words).tolist(), int(data)))

    jax.debug.callback(write, words, data)
    return jax.random.wrap_key_data(words, impl="threefry2x32")


def split(words, shape):
    return jax.random.key_data(jax.random.split(note("draw", words), shape))


def bits(words, width, shape):
    return jax.random.bits(note("draw", words), shape, f"uint{width}")


def fold_in(words, data):
    return jax.random.key_data(jax.random.fold_in(note("fold", words, data), data))


NOTED = define_prng_impl(
    key_shape=(2,),
    seed=lambda seed: jax.random.key_data(jax.random.key(seed)),
    split=split,
    random_bits=bits,
    fold_in=fold_in,
    name="noted",
    tag="noted",
)


class Noisy(AbstractSampler[jax.Array]):
    """Draws a number in `init`, and one in each step."""

    step_size: jax.Array

    def init(self, energy, x, *, key):
        return jax.random.normal(key)

    def step(self, energy, x, state, *, key):
        one = jnp.ones(())
        return x + state + jax.random.normal(key), state, StepInfo(one, one, one, one > 2)


def flat(x):
    return 0.0 * jnp.sum(x)


def one_chain(sampler, energy, x):
    def move(key):
        init_key, *keys = jax.random.split(key, 3)
        state = sampler.init(energy, x, key=init_key)
        for step_key in keys:
            x_new, state, _ = sampler.step(energy, x, state, key=step_key)
        return x_new

    return move


NOISY, X = Noisy(jnp.ones(())), jnp.zeros((3, 2))
LADDER = ReplicaExchange(NOISY, jnp.array([1.0, 2.0, 3.0]))
BASED = ReplicaExchange(NOISY, jnp.array([1.0, 2.0, jnp.inf]), base=Gaussian(jnp.zeros(2), 1.0))
JUMP = Independence(Gaussian(jnp.zeros(2), 1.0))
JITTERED = JitteredHMC(0.1, 0.1, max_num_integration_steps=1)
SLICE = EllipticalSlice(Gaussian(jnp.zeros(2), 1.0))
CALLS = {
    "run": lambda key: run(flat, NOISY, X, num_steps=4, key=key),
    "sample": lambda key: sample(
        flat, NOISY, X, num_samples=3, num_warmup=2, thin=2, key=key, throw=False
    ),
    "warmup": lambda key: warmup(flat, NOISY, X, num_steps=20, key=key),
    "warmup-masses": lambda key: warmup(flat, HMC(0.1, 1), X, num_steps=20, key=key),
    "replicas": lambda key: run_replicas(flat, LADDER, jnp.zeros((2, 3, 2)), num_steps=3, key=key),
    "ladder": one_chain(LADDER, flat, X[0]),
    "based": one_chain(BASED, flat, X[0]),
    "tuned": lambda key: _round(
        flat, BASED, None, jnp.zeros((2, 3, 2)), jnp.int32(4), jnp.ones(()), key
    ),
    "cycle": one_chain(Cycle((NOISY, NOISY, JUMP)), flat, X[0]),
    "mixture": one_chain(Mixture((NOISY, JUMP)), flat, X[0]),
    "independence": one_chain(JUMP, flat, X[0]),
    "reflected": one_chain(Reflected(NOISY, (0.0, 1.0)), flat, X[0]),
    "warmup-lengths": lambda key: warmup(flat, JITTERED, X, num_steps=20, key=key),
    "elliptical-slice": one_chain(SLICE, flat, X[0]),
    "stretch-move": one_chain(StretchMove(4), flat, X[0]),
    "ghmc": one_chain(GHMC(0.1), flat, X[0]),
    "adjusted-mclmc": one_chain(AdjustedMCLMC(0.1, 1), flat, X[0]),
    **{name: one_chain(sampler, energy, x) for name, (energy, sampler, x) in DISCRETE.items()},
}
NUM_DRAWS = {
    "dula": 2,
    "dula-categories": 2,
    "run": 3 * 5,
    "sample": 3 * (1 + 2 + 3 * 2),
    "warmup": 3 * 21,
    "warmup-masses": 3 * 20,
}
"""How many random numbers or arrays the samplers draw, at least."""


@pytest.mark.parametrize("name", CALLS)
def test_no_key_is_used_twice(name):
    USES.clear()
    key = jax.random.wrap_key_data(jnp.array([7, 11], jnp.uint32), impl=NOTED)
    jax.block_until_ready(jax.jit(lambda key: jax.tree.leaves(CALLS[name](key)))(key))
    jax.effects_barrier()
    counts = collections.Counter(USES)
    assert max(counts.values()) == 1, f"used twice: {counts.most_common(3)}"
    # a key that others are folded from draws nothing itself
    drawn, folded = ({use[1:3] for use in USES if use[0] == kind} for kind in ("draw", "fold"))
    assert not drawn & folded
    assert len(drawn) >= NUM_DRAWS.get(name, 3)


def test_a_key_that_is_used_twice_is_found():
    USES.clear()
    key = jax.random.wrap_key_data(jnp.array([7, 11], jnp.uint32), impl=NOTED)
    jax.block_until_ready(
        jax.jit(lambda key: jax.random.normal(key) + jax.random.uniform(key))(key)
    )
    jax.effects_barrier()
    assert len(USES) == 2
    assert len(set(USES)) == 1
