"""BlackJAX's kernels: exact densities, and states that live in a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from blackjax.mcmc import random_walk
from helpers import assert_covariance, assert_mean, points

from ebmx.energies import Banana, DoubleWell, Gaussian
from ebmx.samplers import HMC, MALA, MCLMC, NUTS, Barker, BlackJAX, Moments, run, sample

COVARIANCE = np.array([[0.8, 0.3], [0.3, 1.5]])
MEAN = np.array([1.0, -0.5])
GAUSSIAN = Gaussian(MEAN, COVARIANCE)
ADJUSTED = {
    "mala": MALA(0.8),
    "hmc": HMC(0.5, 3),
    "hmc-masses": HMC(0.5, 3, jnp.asarray(COVARIANCE)),
    "nuts": NUTS(0.7, max_num_doublings=2),
    "barker": Barker(0.9),
}
CURVED = {
    "banana-mala": (Banana(1.0, 0.5), MALA(0.8)),
    "banana-hmc": (Banana(1.0, 0.5), HMC(0.4, 3)),
    "banana-barker": (Banana(1.0, 0.5), Barker(0.9)),
    "double-well-mala": (DoubleWell((2,), 1.0), MALA(0.15)),
    "double-well-barker": (DoubleWell((2,), 1.0), Barker(0.6)),
}
every_kernel = pytest.mark.parametrize(
    "sampler",
    [
        pytest.param(sampler, marks=[pytest.mark.slow] * (name == "nuts"), id=name)
        for name, sampler in ADJUSTED.items()
    ],
)


def start(energy, num, key):
    if isinstance(energy, DoubleWell):
        return jax.random.rademacher(key, (num, 2), jnp.float32)
    return jax.vmap(lambda k: energy.sample(key=k))(jax.random.split(key, num))


def from_one_point(sampler, key, x=3.0):
    """Run 6,000 chains on the Gaussian; compiled once for each kind of sampler."""
    x = jnp.asarray(np.broadcast_to(np.asarray(x, np.float32), (6_000, 2)))
    return run(GAUSSIAN, sampler, x, num_steps=60, key=key)


def check_moments(energy, sampler, x, key, num_warmup=60, num_samples=120):
    """Check mean and variance, by errors from the spread of the chains."""
    got = sample(
        energy, sampler, x, num_samples=num_samples, num_warmup=num_warmup, save=Moments(), key=key
    )
    mean, square = np.asarray(got.values.mean), np.asarray(got.values.square)
    assert_mean(mean, energy.mean)
    assert_mean(square / num_samples + (mean - np.asarray(energy.mean)) ** 2, energy.variance)
    return got


@pytest.mark.slow
@pytest.mark.parametrize("name", CURVED)
def test_curved_densities_are_exact(name, getkey):
    energy, sampler = CURVED[name]
    got = check_moments(energy, sampler, start(energy, 500, getkey()), getkey())
    assert 0.3 < float(got.info.acceptance.mean()) < 0.999


@every_kernel
def test_the_full_covariance_is_reached_from_one_point(sampler, getkey):
    x, info = from_one_point(sampler, getkey())
    assert_mean(x, MEAN)
    assert_covariance(x, COVARIANCE)
    assert 0.3 < float(np.mean(info.acceptance)) < 0.999
    assert not np.any(info.divergent)


def test_trajectories_whose_energy_explodes_are_divergent(getkey):
    _, info = from_one_point(HMC(50.0, 3), getkey())
    assert np.all(info.divergent)


def test_a_chain_that_hardly_moves_would_be_found(getkey):
    # it starts at the mean, so the variance alone shows that it is stuck
    x, _ = from_one_point(MALA(1e-6), getkey(), MEAN)
    with pytest.raises(AssertionError, match="standard errors"):
        assert_covariance(x, COVARIANCE)


def test_the_acceptance_falls_with_the_step(getkey):
    x, key = MEAN + np.asarray(points(6_000, (2,))) @ np.linalg.cholesky(COVARIANCE).T, getkey()
    means = [
        float(np.mean(from_one_point(MALA(step_size), key, x)[1].acceptance))
        for step_size in (1e-3, 0.1, 0.5, 1.5, 4.0)
    ]
    assert means[0] > 0.999
    assert np.all(np.diff(means) < 0)
    assert means[-1] < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mala", "hmc"])
def test_a_state_of_another_energy_is_stale_and_a_run_has_none(name, getkey):
    sampler, key = ADJUSTED[name], getkey()
    before, after = GAUSSIAN, Gaussian(MEAN + 2, 0.2)
    x = start(after, 200, getkey())

    def first(energy):
        def one(x, key):
            state = sampler.init(energy, x, key=key)
            x, _, info = sampler.step(after, x, state, key=jax.random.fold_in(key, 1))
            return x, info.acceptance

        return jax.jit(jax.vmap(one))(x, jax.random.split(key, 200))

    stale, fresh = first(before)[1], first(after)[1]
    assert float(jnp.abs(stale - fresh).mean()) > 0.1
    x_before, _ = run(before, sampler, x, num_steps=2, key=key)
    x_after, info = run(after, sampler, x, num_steps=2, key=key)
    assert not np.allclose(x_before, x_after)
    keys = jax.random.split(key, 200)
    init_key, steps_key = jax.random.split(keys[0])
    state, one = sampler.init(after, x[0], key=init_key), x[0]
    for i in range(2):
        one, state, _ = jax.jit(lambda x, s, k: sampler.step(after, x, s, key=k))(
            one, state, jax.random.fold_in(steps_key, i)
        )
    np.testing.assert_allclose(x_after[0], one, rtol=1e-5, atol=1e-6)
    assert info.acceptance.shape == (200,)


def test_the_info_is_that_of_the_new_position(getkey):
    x, info = from_one_point(MALA(0.5), getkey())
    distance = np.asarray(x, float) - MEAN
    slope = distance @ np.linalg.inv(COVARIANCE)
    log_density = scipy.stats.multivariate_normal(MEAN, COVARIANCE).logpdf(x)
    offset = np.asarray(info.energy) + log_density
    np.testing.assert_allclose(offset, offset[0], atol=1e-4)
    np.testing.assert_allclose(info.grad_norm, np.linalg.norm(slope, axis=1), rtol=1e-3, atol=1e-5)


def test_any_kernel_will_do(getkey):
    walk = BlackJAX(
        random_walk.init, random_walk.build_additive_step(), random_step=random_walk.normal(1.2)
    )
    x, info = from_one_point(walk, getkey())
    assert_mean(x, MEAN)
    assert_covariance(x, COVARIANCE)
    assert 0.2 < float(np.mean(info.acceptance)) < 0.8


@pytest.mark.slow
def test_mclmc_is_near(getkey):
    x, _ = run(GAUSSIAN, MCLMC(0.3, 1.5), jnp.full((4_000, 2), 2.0), num_steps=150, key=getkey())
    np.testing.assert_allclose(x.mean(0), MEAN, atol=0.08)
    np.testing.assert_allclose(np.cov(x.T), COVARIANCE, atol=0.12)


FAR = jnp.array([[0.0, 0.0], [0.1, 0.0]])
DIVERGENT = {
    "gaussian-hmc": (GAUSSIAN, HMC(5.0, 20), HMC(0.3, 3), FAR),
    "banana-hmc": (Banana(1.0, 0.5), HMC(3.0, 10), HMC(0.1, 10), FAR + 1),
    "double-well-hmc": (DoubleWell((2,), 2.0), HMC(1.5, 10), HMC(0.05, 10), FAR + 1),
    "banana-nuts": (Banana(1.0, 0.5), NUTS(5.0), NUTS(0.1, max_num_doublings=3), FAR + 1),
    "double-well-nuts": (DoubleWell((2,), 2.0), NUTS(3.0), NUTS(0.05, max_num_doublings=3), FAR),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DIVERGENT)
def test_a_divergent_trajectory_is_told(name, getkey):
    energy, wild, tame, x = DIVERGENT[name]
    new, info = run(energy, wild, x, num_steps=3, key=getkey())
    np.testing.assert_array_equal(info.divergent, [True, True])
    # the trajectory is, and the chain is not
    assert np.all(np.isfinite(new))
    _, info = run(energy, tame, x, num_steps=3, key=getkey())
    np.testing.assert_array_equal(info.divergent, [False, False])
