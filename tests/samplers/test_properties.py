"""What holds for every sampler, whatever the energy and the chains."""

import inspect
import re

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import MAY_STAY, SAMPLERS, points
from hypothesis import given

from ebmx.energies import AbstractEnergy
from ebmx.samplers import AbstractSampler, Langevin, StepInfo, run, sample

every_sampler = pytest.mark.parametrize("name", SAMPLERS)
seeds = st.integers(0, 2**31 - 1)
NUM_CHAINS, NUM_STEPS = 512, 3


class Polynomial(AbstractEnergy):
    """A double well or a parabola in each coordinate, coupled. All its numbers are arrays."""

    shape: tuple[int, ...] = eqx.field(static=True, default=(2,))
    constant: jax.Array = eqx.field(converter=jnp.asarray, default=0.0)
    coupling: jax.Array = eqx.field(converter=jnp.asarray, default=0.3)
    quartic: jax.Array = eqx.field(converter=jnp.asarray, default=1.0)
    precision: jax.Array = eqx.field(converter=jnp.asarray, default_factory=lambda: np.zeros(2))

    def __call__(self, x):
        _, constant = jnp.broadcast_arrays(x[0], self.constant)
        wells = self.quartic * jnp.sum((x**2 - 1) ** 2) + self.coupling * x[0] * x[1]
        bowl = 0.5 * jnp.sum(self.precision.astype(x.dtype) * (x - CENTRE.astype(x.dtype)) ** 2)
        return (wells + bowl + constant).astype(x.dtype)


CENTRE = np.array([0.5, -0.5])
WELLS = Polynomial()


def start(seed):
    return points(NUM_CHAINS, (2,), seed)


def chain_keys(seed):
    words = np.random.default_rng(seed).integers(0, 2**32, (NUM_CHAINS, 2), np.uint32)
    return jax.random.wrap_key_data(words)


@eqx.filter_jit
def moved(energy, sampler, x, keys, num_steps):
    return run(energy, sampler, x, num_steps=num_steps, key=keys)


def share_of_equal(one, other):
    """The fraction of chains that are equal but for rounding, which may turn an acceptance."""
    close = np.isclose(one, other, rtol=1e-4, atol=1e-4, equal_nan=True)
    return np.mean(close.reshape(NUM_CHAINS, -1).all(1))


def move(name, energy, x, keys, num_steps=NUM_STEPS):
    """Compiled once for each sampler: the number of steps is an array, as all of the energy is."""
    return moved(energy, SAMPLERS[name], jnp.asarray(x), keys, jnp.asarray(num_steps))


@every_sampler
@given(seed=seeds, constant=st.floats(-50, 50, width=32))
def test_a_constant_in_the_energy_changes_nothing(name, seed, constant):
    x, keys = start(seed), chain_keys(seed)
    plain, info = move(name, WELLS, x, keys)
    new, shifted = move(name, Polynomial(constant=constant), x, keys)
    assert share_of_equal(new, plain) > 0.99
    assert share_of_equal(np.asarray(shifted.energy) - constant, info.energy) > 0.9


@every_sampler
@given(seed=seeds)
def test_a_chain_depends_on_its_own_start_and_key_alone(name, seed):
    x, keys = start(seed), chain_keys(seed)
    order = np.random.default_rng(seed).permutation(NUM_CHAINS)
    one, info = move(name, WELLS, x, keys)
    other, permuted = move(name, WELLS, x[order], keys[order])
    pairs = zip(jax.tree.leaves((one, info)), jax.tree.leaves((other, permuted)), strict=True)
    assert all(share_of_equal(np.asarray(ours)[order], theirs) > 0.99 for ours, theirs in pairs)
    # two chains may be in the same corner of the bounds
    assert len(np.unique(one, axis=0)) > 0.98 * NUM_CHAINS
    half = np.arange(NUM_CHAINS) < NUM_CHAINS // 2
    mixed, _ = move(name, WELLS, np.where(half[:, None], x, np.float32(0.5)), keys)
    assert share_of_equal(one, np.where(half[:, None], mixed, one)) > 0.99


@every_sampler
@given(seed=seeds)
def test_keys_determine_the_chains(name, seed):
    x, keys = start(seed), chain_keys(seed)
    one, _ = move(name, WELLS, x, keys)
    again, _ = move(name, WELLS, x, keys)
    other, _ = move(name, WELLS, x, chain_keys(seed + 1))
    np.testing.assert_array_equal(one, again)
    same = np.all(np.asarray(one) == np.asarray(other), axis=1)
    assert same.mean() < 0.2


@every_sampler
def test_chains_from_one_start_part(name):
    x, _ = move(name, WELLS, np.zeros((NUM_CHAINS, 2), np.float32), chain_keys(0))
    # rademacher increments have few values, and chains that reject may stay
    if name == "langevin-rademacher":
        assert len(np.unique(x, axis=0)) == 4**NUM_STEPS
    else:
        assert len(np.unique(x, axis=0)) >= (0.9 if name in MAY_STAY else 1) * NUM_CHAINS


@pytest.mark.medium
def test_jit_and_eager_agree():
    sampler, x, keys = SAMPLERS["underdamped"], start(0), chain_keys(0)
    nested, _ = move("underdamped", WELLS, x, keys)
    inner, _ = run(WELLS, sampler, x, num_steps=NUM_STEPS, key=keys)
    np.testing.assert_allclose(nested, inner, rtol=1e-5, atol=1e-6)
    with jax.disable_jit():
        eager, _ = run(WELLS, sampler, x, num_steps=NUM_STEPS, key=keys)
    np.testing.assert_allclose(eager, inner, rtol=1e-5, atol=1e-6)


@eqx.filter_jit
def stepped(sampler, x, state, keys, i):
    keys = jax.vmap(lambda key: jax.random.fold_in(key, i))(keys)
    return jax.vmap(lambda x, s, key: sampler.step(WELLS, x, s, key=key))(x, state, keys)


@eqx.filter_jit
def begun(sampler, x, keys):
    return jax.vmap(lambda x, key: sampler.init(WELLS, x, key=key))(x, keys)


def by_hand(sampler, x, state, num_steps, keys):
    for i in range(num_steps):
        x, state, info = stepped(sampler, x, state, keys, jnp.asarray(i))
    return x, state, info


@jax.jit
def children(keys):
    """Keys for `init`, warm-up and samples, for two uses and for three."""
    return [jax.vmap(lambda key, n=n: jax.random.split(key, n), out_axes=1)(keys) for n in (2, 3)]


@every_sampler
def test_run_is_the_sampler_stepped_by_hand(name):
    sampler, x, keys = SAMPLERS[name], start(1), chain_keys(1)
    init_keys, step_keys = children(keys)[0]
    want, _, info = by_hand(sampler, x, begun(sampler, x, init_keys), NUM_STEPS, step_keys)
    got, summary = move(name, WELLS, x, keys)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(summary.energy, info.energy, rtol=1e-4, atol=1e-5)
    if info.grad_norm is not None:
        np.testing.assert_allclose(summary.grad_norm, info.grad_norm, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["langevin-reported", "underdamped", "annealed", "hmc"])
def test_sample_is_the_sampler_stepped_by_hand(name):
    sampler, x, keys = SAMPLERS[name], start(2), chain_keys(2)
    init_keys, warmup_keys, samples_keys = children(keys)[1]
    x_new, state, _ = by_hand(sampler, x, begun(sampler, x, init_keys), 2, warmup_keys)
    kept = []
    for i in range(2):
        folded = jax.vmap(lambda key, i=i: jax.random.fold_in(key, i))(samples_keys)
        x_new, state, _ = by_hand(sampler, x_new, state, 2, folded)
        kept.append(x_new)
    got = sample(WELLS, sampler, x, num_samples=2, num_warmup=2, thin=2, key=keys)
    np.testing.assert_allclose(got.values, np.stack(kept, 1), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(got.x, got.values[:, -1])


@pytest.mark.slow
@every_sampler
def test_chains_find_the_density(name):
    energy = Polynomial(coupling=0.0, quartic=0.0, precision=np.array([2.0, 1.0]))
    x, info = move(name, energy, np.full((NUM_CHAINS, 2), 1.5, np.float32), chain_keys(3), 150)
    # near the mean: exact moments are the business of each sampler's own tests
    np.testing.assert_allclose(x.mean(0), CENTRE, atol=0.25)
    assert not np.any(info.divergent)


@pytest.mark.medium
def test_the_sampler_of_the_docstring_is_langevin(getkey):
    code = re.search(r"```python\n(.*?)```", inspect.getdoc(AbstractSampler), re.DOTALL).group(1)
    names = {"AbstractSampler": AbstractSampler, "StepInfo": StepInfo, "jax": jax, "jnp": jnp}
    exec(code, names)
    ours, key = names["Unadjusted"](0.1), getkey()
    assert (ours.reports_acceptance, ours.is_invariant) == (False, False)
    x, info = run(WELLS, ours, start(0), num_steps=3, key=key)
    wanted, about = run(WELLS, Langevin(0.1), start(0), num_steps=3, key=key)
    np.testing.assert_allclose(x, wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(info.grad_norm, about.grad_norm, rtol=1e-3)
