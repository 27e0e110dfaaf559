"""Negatives: where the second batch comes from, and what happens to chains that die."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_forms import Wells
from helpers import points
from moves import affine, init, step

from ebmx.energies import Gaussian
from ebmx.samplers import Langevin, UnderdampedLangevin
from ebmx.training import CD, PCD, Examples, GaussianNoise, ReplayBuffer, ShortRun, UniformNoise
from ebmx.training.negatives._noise import AbstractNoise

NUM = 16
SAMPLER = Langevin(0.1)
MOVES = affine(noise=1.0)
NOISE = UniformNoise(2.0, 3.0)
NEGATIVES = {
    "cd": CD(MOVES, 3),
    "pcd": PCD(MOVES, 3, 2 * NUM, 0.25),
    "short-run": ShortRun(MOVES, 3),
}
ENERGY = Gaussian(jnp.array([0.5, -0.5]), 0.3)
WELLS = Wells(jnp.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 1.0]]), jnp.array([1.0, 2.0, 3.0]))
X, Y = points(NUM, (2,)), np.arange(NUM) * 5 % 3


def energy_of(x, y):
    modes, precisions = np.asarray(WELLS.modes), np.asarray(WELLS.precisions)
    return 0.5 * precisions[y] * np.sum((np.asarray(x) - modes[y]) ** 2, -1)


@pytest.mark.parametrize("name", NEGATIVES)
def test_a_step_is_a_function_of_its_key_and_chains_have_noise_of_their_own(name, getkey):
    negatives, key = NEGATIVES[name], getkey()
    state = init(negatives, (2,), getkey())
    keys = (key, key, getkey())
    first, again, other = (step(negatives, ENERGY, X, state, k)[0].x for k in keys)
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(np.concatenate([first, other]))) == 4 * NUM
    if name == "cd":
        noise = np.concatenate([first - X, other - X])
        assert len(np.unique(noise.round(4))) > 3.9 * NUM
    else:
        # the data says how many there are, and nothing else
        np.testing.assert_array_equal(step(negatives, ENERGY, 5 + X, state, key)[0].x, first)


def test_cd_starts_at_the_data_and_falls_back_to_it(getkey):
    negatives = CD(affine(2.0, 1.0, edge=0.5), 3)
    out, state, info = step(negatives, WELLS, (X, jnp.asarray(Y)), None, getkey())
    # three steps of x ← 2 x + 1; the first coordinate passes the edge in between
    dies = 4 * np.asarray(X)[:, 0] + 3 > 0.5
    assert 2 < dies.sum() < NUM - 2
    np.testing.assert_array_equal(info.dead, dies)
    want = np.where(dies[:, None], X, 8 * np.asarray(X) + 7)
    np.testing.assert_allclose(out.x, want, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(out.x)[dies], np.asarray(X)[dies])
    np.testing.assert_array_equal(out.y, Y)
    np.testing.assert_allclose(
        info.chains.energy[~dies], energy_of(want, Y)[~dies], rtol=1e-4, atol=1e-4
    )
    assert state is None
    assert not np.any(info.restarted)
    assert float(info.saturated) == 0


def test_a_chain_whose_energy_is_not_finite_is_dead_too(getkey):
    energy = Wells(WELLS.modes.at[1].set(jnp.inf), WELLS.precisions)
    out, _, info = step(CD(affine(2.0, 1.0), 3), energy, (X, jnp.asarray(Y)), None, getkey())
    np.testing.assert_array_equal(info.dead, Y == 1)
    want = np.where((Y == 1)[:, None], X, 8 * np.asarray(X) + 7)
    np.testing.assert_allclose(out.x, want, rtol=1e-5, atol=1e-5)


def test_short_run_starts_at_noise_and_falls_back_to_it(getkey):
    key, data = getkey(), (7 * X, jnp.asarray(Y))
    start = step(ShortRun(affine(), 3, NOISE), WELLS, data, None, key)[0].x
    out, state, info = step(ShortRun(affine(2.0, 1.0, edge=13.0), 3, NOISE), WELLS, data, None, key)
    start = np.asarray(start)
    assert np.all((start >= 2) & (start < 3))
    assert len(np.unique(start)) == 2 * NUM
    dies = 4 * start[:, 0] + 3 > 13
    assert 2 < dies.sum() < NUM - 2
    np.testing.assert_array_equal(info.dead, dies)
    want = np.where(dies[:, None], start, 8 * start + 7)
    np.testing.assert_allclose(out.x, want, rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(out.x)[dies], start[dies])
    np.testing.assert_array_equal(out.y, Y)
    np.testing.assert_allclose(info.chains.energy[~dies], energy_of(want, Y)[~dies], rtol=1e-4)
    assert state is None
    assert np.all(info.restarted)


@pytest.mark.parametrize("kind", [CD, ShortRun])
def test_a_given_number_of_steps_replaces_that_of_the_construction(kind, getkey):
    key, few = getkey(), eqx.filter_jit(kind(affine(2.0, 1.0), 3).step)
    positives = Examples(X)
    one, two = (
        few(ENERGY, positives, None, key=key, num_steps=jnp.asarray(n))[0].x for n in (1, 2)
    )
    np.testing.assert_allclose(two, 2 * one + 1, rtol=1e-5, atol=1e-6)


def test_pcd_that_always_restarts_is_short_run(getkey):
    key, noise = getkey(), GaussianNoise(0.5, 2.0)
    pcd = PCD(MOVES, 3, 2 * NUM, 1.0, noise)
    one, buffer, info = step(pcd, ENERGY, X, init(pcd, (2,), getkey()), key)
    two, _, _ = step(ShortRun(MOVES, 3, noise), ENERGY, X, None, key)
    np.testing.assert_array_equal(one.x, two.x)
    assert np.all(info.restarted)
    np.testing.assert_array_equal(np.sort(buffer.ages), [0] * NUM + [1] * NUM)


def test_chains_at_rest_stay_and_are_all_visited(getkey):
    negatives = PCD(affine(), 1, 128, 0.0)
    first = init(negatives, (2,), getkey())

    @jax.jit
    def updates(buffer, keys):
        def update(buffer, key):
            return negatives.step(ENERGY, Examples(X), buffer, key=key)[1], None

        return jax.lax.scan(update, buffer, keys)[0]

    last = updates(first, jax.random.split(getkey(), 200))
    np.testing.assert_array_equal(last.positions, first.positions)
    assert np.sum(last.ages) == 200 * NUM
    assert np.min(last.ages) > 0


@pytest.mark.parametrize("kind", [Langevin, UnderdampedLangevin])
def test_saturated_is_the_fraction_of_values_at_the_bounds(kind, getkey):
    sampler = kind(1e-6, noise_scale=0.0) if kind is Langevin else kind(1e-6, temperature=0.0)
    sampler = eqx.tree_at(lambda s: s.bounds, sampler, (-1.0, 1.0), is_leaf=lambda b: b is None)
    x = jnp.array([[-5.0, 0.2], [1.5, 2.0], [0.0, 0.3], [0.1, 0.2]])
    _, _, info = CD(sampler, 1).step(ENERGY, Examples(x), None, key=getkey())
    assert float(info.saturated) == 3 / 8


def test_a_sampler_without_bounds_saturates_nothing(getkey):
    out = eqx.filter_eval_shape(step, CD(SAMPLER), ENERGY, X, None, getkey())
    assert out[2].saturated.shape == ()


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
    state = ReplayBuffer(jnp.zeros((8, 2)), jnp.zeros(8, jnp.int32))
    with pytest.raises(ValueError, match="capacity=8: give at least the batch size, 16"):
        PCD(SAMPLER, 1, capacity=8).step(ENERGY, Examples(X), state, key=getkey())


class Bits(AbstractNoise):
    """A noise of a user."""

    def sample(self, shape, *, key):
        return jax.random.rademacher(key, shape, float)

    def log_density(self, x):
        return -x.size * jnp.log(2.0)


@pytest.mark.parametrize("kind", [PCD, ShortRun])
def test_chains_from_noise_must_be_able_to_cross_its_range(kind):
    slow = Langevin(0.01, grad_clip=2.0)  # 0.01 in a step, and the noise is 2 wide
    with pytest.raises(
        ValueError, match=r"num_steps=199: .* = 1\.99 cannot .* 2: raise num_steps, step_size or"
    ):
        kind(slow, 199)
    assert kind(slow, 200).num_steps == 200
    for noise, width in (
        (UniformNoise(0.5, 1.0), 50),
        (UniformNoise(-1.5, -1.0), 50),
        (GaussianNoise(3.0, 1.0), 200),
        (GaussianNoise(3.0, 0.25), 50),
    ):
        assert kind(slow, width, noise=noise).num_steps == width
        with pytest.raises(ValueError, match="cannot cross the range of the noise"):
            kind(slow, width - 1, noise=noise)
    # how wide another noise is, is not known
    assert kind(slow, 1, noise=Bits()).num_steps == 1


def test_chains_from_the_data_need_not():
    assert CD(Langevin(0.01, grad_clip=0.1), 1).num_steps == 1
