"""Negatives: where the second batch comes from, and what happens to chains that die."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Gaussian
from ebmx.samplers import AbstractSampler, Langevin, StepInfo, run
from ebmx.training import CD, PCD, GaussianNoise, ReplayBuffer, ShortRun, UniformNoise

SAMPLER = Langevin(0.1)
NEGATIVES = {
    "cd": CD(SAMPLER, 3),
    "pcd": PCD(SAMPLER, 3, capacity=16, reinit_prob=0.25),
    "short-run": ShortRun(SAMPLER, 3),
}
each = pytest.mark.parametrize("negatives", NEGATIVES.values(), ids=NEGATIVES)
ENERGY = Gaussian(jnp.array([0.5, -0.5]), 0.3)


class _Map(AbstractSampler[None]):
    """A sampler that is a function of the position: what a test wants the chain to do."""

    move: callable = eqx.field(static=True)

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        zero = jnp.zeros(())
        return self.move(x), state, StepInfo(zero, zero, zero + 1, zero > 0)


STILL = _Map(lambda x: x)
BREAKS = _Map(lambda x: jnp.where(x[0] > 0, jnp.nan, x))  # each chain on the right dies


@each
def test_as_many_negatives_as_positives(negatives, getkey):
    x = jax.random.uniform(getkey(), (8, 2))
    state = negatives.init((2,), key=getkey())
    out, after, info = negatives.step(ENERGY, x, state, key=getkey())
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    assert len(np.unique(out, axis=0)) == 8
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert {a.shape for a in jax.tree.leaves((info.restarted, info.dead, info.chains))} == {(8,)}
    assert info.saturated.shape == ()


@each
def test_images_are_examples_too(negatives, getkey):
    energy = Gaussian(jnp.zeros((3, 2, 1)))
    x = jax.random.uniform(getkey(), (4, 3, 2, 1))
    out, _, _ = negatives.step(energy, x, negatives.init((3, 2, 1), key=getkey()), key=getkey())
    assert out.shape == x.shape


@each
def test_a_step_is_a_function_of_its_key(negatives, getkey):
    x, key = jax.random.uniform(getkey(), (8, 2)), getkey()
    state = negatives.init((2,), key=getkey())
    first, again, other = (negatives.step(ENERGY, x, state, key=k)[0] for k in (key, key, getkey()))
    np.testing.assert_array_equal(first, again)
    assert not np.any(np.all(np.isclose(first, other), axis=1))


@each
def test_no_gradient_passes_through_negatives(negatives, getkey):
    x, key = jax.random.uniform(getkey(), (8, 2)), getkey()
    state = negatives.init((2,), key=getkey())

    def total(arguments):
        energy, x = arguments
        return jnp.sum(negatives.step(energy, x, state, key=key)[0])

    def moved(arguments):
        energy, x = arguments
        return jnp.sum(run(energy, SAMPLER, x, num_steps=3, key=key)[0])

    assert all(np.all(g == 0) for g in jax.tree.leaves(eqx.filter_grad(total)((ENERGY, x))))
    # the chain by itself does have one
    assert all(np.any(g != 0) for g in jax.tree.leaves(eqx.filter_grad(moved)((ENERGY, x))))


def test_cd_starts_at_the_data_and_short_run_at_noise(getkey):
    x = jnp.full((8, 2), 7.0)
    cd, _, info = CD(STILL, 5).step(ENERGY, x, None, key=getkey())
    np.testing.assert_array_equal(cd, x)
    assert not np.any(info.restarted)
    short, _, info = ShortRun(STILL, 5, UniformNoise(2.0, 3.0)).step(ENERGY, x, None, key=getkey())
    assert np.all((np.asarray(short) >= 2) & (np.asarray(short) < 3))
    assert np.all(info.restarted)


def test_cd_does_not_care_for_the_order_of_the_data(getkey):
    # a deterministic sampler, so that a chain's noise does not depend on its place in the batch
    negatives, x = CD(_Map(lambda x: 0.9 * x), 3), jax.random.uniform(getkey(), (8, 2))
    order, key = jax.random.permutation(getkey(), 8), getkey()
    out = negatives.step(ENERGY, x, None, key=key)[0]
    np.testing.assert_array_equal(negatives.step(ENERGY, x[order], None, key=key)[0], out[order])
    np.testing.assert_allclose(out, 0.9**3 * x, rtol=1e-5)


def test_pcd_ignores_the_values_of_the_data(getkey):
    negatives, state = NEGATIVES["pcd"], NEGATIVES["pcd"].init((2,), key=getkey())
    key = getkey()
    outs = [negatives.step(ENERGY, jnp.full((8, 2), v), state, key=key)[0] for v in (0.0, 5.0)]
    np.testing.assert_array_equal(*outs)


@pytest.mark.parametrize("noise", [UniformNoise(-2.0, 1.0), GaussianNoise(0.5, 2.0)])
def test_pcd_that_always_restarts_is_short_run(noise, getkey):
    x, key = jnp.zeros((8, 2)), getkey()
    pcd = PCD(SAMPLER, 5, capacity=16, reinit_prob=1.0, noise=noise)
    one, buffer, info = pcd.step(ENERGY, x, pcd.init((2,), key=getkey()), key=key)
    two, _, _ = ShortRun(SAMPLER, 5, noise).step(ENERGY, x, None, key=key)
    np.testing.assert_array_equal(one, two)
    assert np.all(info.restarted)
    np.testing.assert_array_equal(np.sort(buffer.ages), [0] * 8 + [1] * 8)


def test_frozen_chains_that_never_restart_stay_512_chains(getkey):
    negatives = PCD(STILL, 1, capacity=512, reinit_prob=0.0)
    start = negatives.init((2,), key=getkey())

    @jax.jit
    def updates(buffer, keys):
        def step(buffer, key):
            _, buffer, info = negatives.step(ENERGY, jnp.zeros((64, 2)), buffer, key=key)
            return buffer, jnp.sum(info.restarted)

        return jax.lax.scan(step, buffer, keys)

    end, restarts = updates(start, jax.random.split(getkey(), 200))
    assert len(np.unique(start.positions, axis=0)) == 512
    np.testing.assert_array_equal(end.positions, start.positions)
    assert int(jnp.sum(end.ages)) == 200 * 64
    assert int(jnp.min(end.ages)) > 0
    assert int(jnp.sum(restarts)) == 0


def test_the_buffer_starts_full_of_noise_of_age_zero(getkey):
    buffer = PCD(SAMPLER, 1, capacity=4000, noise=UniformNoise(1.0, 3.0)).init((2,), key=getkey())
    assert buffer.positions.shape == (4000, 2)
    assert np.all((buffer.positions >= 1) & (buffer.positions < 3))
    np.testing.assert_allclose(jnp.mean(buffer.positions, 0), 2.0, atol=0.05)
    np.testing.assert_array_equal(buffer.ages, 0)


def test_restarts_are_counted_and_aged(getkey):
    negatives = PCD(STILL, 1, capacity=2000, reinit_prob=0.25, noise=UniformNoise(5.0, 6.0))
    buffer = ReplayBuffer(jnp.zeros((2000, 2)), jnp.full(2000, 7, jnp.int32))
    out, after, info = negatives.step(ENERGY, jnp.zeros((1000, 2)), buffer, key=getkey())
    restarts = int(jnp.sum(info.restarted))
    assert abs(restarts - 250) < 5 * np.sqrt(1000 * 0.25 * 0.75)
    ages = dict(zip(*np.unique(after.ages, return_counts=True), strict=True))
    assert ages == {1: restarts, 8: 1000 - restarts, 7: 1000}
    np.testing.assert_array_equal(np.all(out > 4, axis=1), info.restarted)
    np.testing.assert_array_equal(np.all(after.positions > 4, axis=1), after.ages == 1)


def test_each_random_choice_has_a_key_of_its_own(getkey):
    pcd = PCD(_Map(lambda x: x), num_steps=1, capacity=32, reinit_prob=0.5)
    buffer, key = pcd.init((3,), key=getkey()), getkey()
    draw_key, coin_key, noise_key, _ = jax.random.split(key, 4)
    start, _ = buffer.draw(16, key=draw_key)
    noise = jax.vmap(lambda k: pcd.noise.sample((3,), key=k))(jax.random.split(noise_key, 16))
    coin = jax.random.uniform(coin_key, (16,)) < 0.5
    x, _, info = pcd.step(Gaussian(jnp.zeros(3)), jnp.zeros((16, 3)), buffer, key=key)
    np.testing.assert_array_equal(info.restarted, coin)
    np.testing.assert_array_equal(x, jnp.where(coin[:, None], noise, start))


def test_dead_persistent_chains_restart_from_noise(getkey):
    negatives = PCD(BREAKS, 2, capacity=64, reinit_prob=0.0, noise=UniformNoise(-9.0, -8.0))
    start = jax.random.normal(getkey(), (64, 2))
    buffer = ReplayBuffer(start, jnp.full(64, 7, jnp.int32))
    out, after, info = negatives.step(ENERGY, jnp.zeros((64, 2)), buffer, key=getkey())
    dies = np.asarray(start[:, 0] > 0)
    assert 10 < dies.sum() < 54
    assert int(jnp.sum(info.dead)) == dies.sum()
    assert np.all(np.isfinite(out))
    assert np.all(np.isfinite(after.positions))
    np.testing.assert_array_equal(after.ages, np.where(dies, 0, 8))
    np.testing.assert_array_equal(np.all(after.positions < -7, axis=1), dies)
    np.testing.assert_array_equal(after.positions[~dies], start[~dies])


def test_dead_chains_of_cd_fall_back_to_the_data(getkey):
    x = jax.random.normal(getkey(), (16, 2))
    sampler = _Map(lambda x: jnp.where(x[0] > 0, jnp.inf, x - 1))
    out, _, info = CD(sampler, 1).step(ENERGY, x, None, key=getkey())
    np.testing.assert_array_equal(info.dead, x[:, 0] > 0)
    np.testing.assert_array_equal(out, jnp.where(x[:, :1] > 0, x, x - 1))


def test_dead_chains_of_short_run_are_noise(getkey):
    negatives = ShortRun(_Map(lambda x: jnp.where(x[0] > 0, jnp.nan, x - 5)), 1)
    out, _, info = negatives.step(ENERGY, jnp.zeros((32, 2)), None, key=getkey())
    assert 0 < int(jnp.sum(info.dead)) < 32
    np.testing.assert_array_equal(np.all(np.abs(out) <= 1, axis=1), info.dead)


def test_saturated_is_the_share_of_values_at_the_bounds(getkey):
    sampler = Langevin(1e-6, noise_scale=0.0, bounds=(-1.0, 1.0))
    x = jnp.array([[-5.0, 0.2], [1.5, 2.0], [0.0, 0.3], [0.1, 0.2]])
    _, _, info = CD(sampler, 1).step(ENERGY, x, None, key=getkey())
    assert float(info.saturated) == 3 / 8
    _, _, free = CD(SAMPLER, 1).step(ENERGY, x, None, key=getkey())
    assert float(free.saturated) == 0


@pytest.mark.parametrize("kind", [CD, PCD, ShortRun])
def test_a_chain_needs_steps_and_a_sampler(kind):
    for num_steps in (0, -3, 1.0, True):
        with pytest.raises(ValueError, match=rf"num_steps={num_steps}: give a Python integer"):
            kind(SAMPLER, num_steps)
    for sampler in ("langevin", None, Langevin):
        with pytest.raises(ValueError, match=r"sampler=.*give a sampler, such as"):
            kind(sampler, 1)


@pytest.mark.parametrize("prob", [-0.01, 1.01, float("nan")])
def test_a_probability_lies_between_0_and_1(prob):
    with pytest.raises(ValueError, match=r"reinit_prob=.*in \[0, 1\]"):
        PCD(SAMPLER, 1, reinit_prob=prob)


def test_capacity_is_a_positive_integer():
    with pytest.raises(ValueError, match="capacity=0: give a Python integer of at least 1"):
        PCD(SAMPLER, 1, capacity=0)


def test_a_batch_needs_as_many_chains(getkey):
    negatives = PCD(SAMPLER, 1, capacity=8)
    state = negatives.init((2,), key=getkey())
    with pytest.raises(ValueError, match="capacity=8: give at least the batch size, 9"):
        negatives.step(ENERGY, jnp.zeros((9, 2)), state, key=getkey())


@pytest.mark.parametrize("kind", [PCD, ShortRun])
def test_chains_from_noise_must_be_able_to_cross_its_range(kind):
    slow = Langevin(0.01, grad_clip=2.0)  # 0.01 in a step, and the noise is 2 wide
    with pytest.raises(
        ValueError, match=r"num_steps=199: .* = 1\.99 cannot .* 2: raise num_steps, step_size or"
    ):
        kind(slow, 199)
    assert kind(slow, 200).num_steps == 200
    assert kind(slow, 100, noise=UniformNoise(0.0, 1.0)).num_steps == 100


def test_chains_from_the_data_need_not():
    assert CD(Langevin(0.01, grad_clip=0.1), 1).num_steps == 1
