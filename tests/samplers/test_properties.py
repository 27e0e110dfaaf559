"""What holds for every sampler, whatever the energy and the chains."""

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import JIT_ONLY, MAY_STAY, SAMPLERS
from hypothesis import given

from ebmx.energies import AbstractEnergy, Gaussian
from ebmx.samplers import run, sample

every_sampler = pytest.mark.parametrize("name", SAMPLERS)
seeds = st.integers(0, 2**31 - 1)
NUM_STEPS = 3


class Quartic(AbstractEnergy):
    """A double well in each coordinate, with its constant and coupling as arrays: no retracing."""

    shape: tuple[int, ...] = eqx.field(static=True, default=(2,))
    constant: jax.Array = eqx.field(converter=jnp.asarray, default=0.0)
    coupling: jax.Array = eqx.field(converter=jnp.asarray, default=0.3)

    def __call__(self, x):
        wells = jnp.sum((x**2 - 1) ** 2) + self.coupling * x[0] * x[1]
        return wells + self.constant


def start(num_chains, seed, dtype=jnp.float32):
    return jax.random.normal(jax.random.key(seed), (num_chains, 2)).astype(dtype)


def move(name, energy, x, key, num_steps=NUM_STEPS):
    return run(energy, SAMPLERS[name], x, num_steps=num_steps, key=key)


@pytest.mark.slow
@every_sampler
@given(seed=seeds, kind=st.sampled_from([(1, jnp.float32), (4, jnp.bfloat16)]))
def test_shape_and_dtype_are_kept(name, seed, kind):
    num_chains, dtype = kind
    x = start(num_chains, seed, dtype)
    new, info = move(name, Quartic(), x, jax.random.key(seed))
    assert new.shape == x.shape
    assert new.dtype == dtype
    assert name in MAY_STAY or not np.array_equal(new, x)
    assert {leaf.shape for leaf in jax.tree.leaves(info)} == {(num_chains,)}
    assert info.divergent.dtype == bool


@every_sampler
@given(seed=seeds, constant=st.floats(-50, 50, width=32))
def test_a_constant_in_the_energy_changes_nothing(name, seed, constant):
    x, key = start(4, seed), jax.random.key(seed)
    plain, info = move(name, Quartic(), x, key)
    moved, shifted = move(name, Quartic(constant=constant), x, key)
    np.testing.assert_allclose(moved, plain, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(shifted.energy, info.energy + constant, rtol=1e-4, atol=1e-4)


@every_sampler
@given(seed=seeds, order=st.permutations(range(4)))
def test_chains_owe_nothing_to_each_other(name, seed, order):
    x, keys, order = start(4, seed), jax.random.split(jax.random.key(seed), 4), np.array(order)
    one, info = move(name, Quartic(), x, keys)
    other, permuted = move(name, Quartic(), x[order], keys[order])
    np.testing.assert_array_equal(one[order], other)
    np.testing.assert_array_equal(info.energy[order], permuted.energy)
    assert len(np.unique(one, axis=0)) == 4


@every_sampler
@given(seed=seeds)
def test_a_chain_with_a_key_of_its_own_is_the_chain_alone(name, seed):
    x, keys = start(4, seed), jax.random.split(jax.random.key(seed), 4)
    together, _ = move(name, Quartic(), x, keys)
    alone, _ = move(name, Quartic(), x[2:3], keys[2:3])
    np.testing.assert_allclose(together[2:3], alone, rtol=1e-5, atol=1e-6)


@every_sampler
@given(seed=seeds)
def test_one_key_determines_the_chains_and_another_does_not(name, seed):
    x, key = start(4, seed), jax.random.key(seed)
    one, _ = move(name, Quartic(), x, key)
    again, _ = move(name, Quartic(), x, key)
    other, _ = move(name, Quartic(), x, jax.random.fold_in(key, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@every_sampler
def test_chains_from_one_start_part(name, getkey):
    x, _ = move(name, Quartic(), jnp.zeros((4, 2)), getkey())
    assert len(np.unique(x, axis=0)) == 4


@every_sampler
def test_jit_and_eager_agree(name, getkey):
    x, key = start(4, 0), getkey()
    inner, _ = move(name, Quartic(), x, key)
    nested, _ = eqx.filter_jit(lambda x, key: move(name, Quartic(), x, key))(x, key)
    np.testing.assert_allclose(nested, inner, rtol=1e-5, atol=1e-6)
    if name in JIT_ONLY:
        return
    with jax.disable_jit():
        eager, _ = move(name, Quartic(), x, key)
    np.testing.assert_allclose(eager, inner, rtol=1e-5, atol=1e-6)


def by_hand(sampler, energy, x, state, num_steps, key):
    for i in range(num_steps):
        x, state, info = sampler.step(energy, x, state, key=jax.random.fold_in(key, i))
    return x, state, info


@every_sampler
def test_run_is_the_sampler_stepped_by_hand(name, getkey):
    sampler, energy, x = SAMPLERS[name], Quartic(), start(1, 1)
    key = getkey()
    init_key, steps_key = jax.random.split(key)
    state = sampler.init(energy, x[0], key=init_key)
    want, _, info = by_hand(sampler, energy, x[0], state, NUM_STEPS, steps_key)
    got, summary = move(name, energy, x, key[None])
    np.testing.assert_allclose(got[0], want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(summary.energy[0], info.energy, rtol=1e-5)
    np.testing.assert_allclose(summary.grad_norm[0], info.grad_norm, rtol=1e-5)


@every_sampler
def test_sample_is_the_sampler_stepped_by_hand(name, getkey):
    sampler, energy, x = SAMPLERS[name], Quartic(), start(1, 2)
    key = getkey()
    init_key, warmup_key, samples_key = jax.random.split(key, 3)
    state = sampler.init(energy, x[0], key=init_key)
    one, state, _ = by_hand(sampler, energy, x[0], state, 2, warmup_key)
    kept = []
    for sample_key in jax.random.split(samples_key, 2):
        one, state, _ = by_hand(sampler, energy, one, state, 2, sample_key)
        kept.append(one)
    got = sample(energy, sampler, x, num_samples=2, num_warmup=2, thin=2, key=key[None])
    np.testing.assert_allclose(got.values[0], jnp.stack(kept), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(got.x, got.values[:, -1])


@every_sampler
def test_chains_find_the_density(name, getkey):
    sampler = SAMPLERS[name]
    energy = Gaussian(jnp.array([0.5, -0.5]), jnp.array([0.5, 1.0]))
    x = jnp.full((2_000, 2), 1.5)
    x, info = run(energy, sampler, x, num_steps=150, key=getkey())
    # near the mean: exact moments are the business of each sampler's own tests
    np.testing.assert_allclose(x.mean(0), energy.mean, atol=0.15)
    assert not np.any(info.divergent)
