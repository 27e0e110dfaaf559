"""The ensemble of walkers: invariance of all, affine invariance, and refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_covariance, assert_mean, points

from ebmx.energies import Box, Gaussian
from ebmx.samplers import MALA, Cycle, StretchMove, run, sample
from ebmx.training import CD

MEAN, COVARIANCE = np.array([1.0, -0.5]), np.array([[0.8, 0.3], [0.3, 1.5]])
ENERGY = Gaussian(MEAN, COVARIANCE)
SAMPLER = StretchMove(6)


@eqx.filter_jit
def moved(energy, walkers, key, num_steps=3):
    """All walkers of ensembles `(chains, walkers, d)` that start here, and acceptances."""

    def one(walkers, key):
        x, state = walkers[0], SAMPLER.init_walkers(energy, walkers)
        for i in range(num_steps):
            x, state, info = SAMPLER.step(energy, x, state, key=jax.random.fold_in(key, i))
        return jnp.concatenate([x[None], state.others]), state.energies, info.acceptance

    return jax.vmap(one)(walkers, jax.random.split(key, len(walkers)))


def exact(num):
    return (MEAN + np.asarray(points(num * 6, (2,))) @ np.linalg.cholesky(COVARIANCE).T).reshape(
        num, 6, 2
    )


@pytest.mark.medium
def test_all_walkers_stay_exact_and_independent(getkey):
    start = jnp.asarray(exact(8_000), jnp.float32)
    new, energies, acceptance = moved(ENERGY, start, getkey())
    for walker in (0, 2, 5):
        assert_mean(new[:, walker], MEAN)
        assert_covariance(new[:, walker], COVARIANCE)
    distance = np.asarray(new, np.float64) - MEAN
    assert_mean(distance[:, 0] * distance[:, 3], np.zeros(2))
    assert_mean(distance[:, 1] * distance[:, 2], np.zeros(2))
    np.testing.assert_allclose(energies, jax.vmap(jax.vmap(ENERGY))(new), rtol=1e-4, atol=1e-5)
    assert 0.3 < float(np.mean(acceptance)) < 0.9
    assert np.mean(np.any(new != start, 2)) > 0.5


@pytest.mark.medium
def test_a_change_of_coordinates_changes_nothing(getkey):
    matrix, key = np.array([[30.0, 1.0], [2.0, 0.1]]), getkey()
    start = exact(64)
    with jax.enable_x64(True):
        energy = lambda x: jnp.sum((x**2 - 1) ** 2)  # noqa: E731
        inverse = jnp.asarray(np.linalg.inv(matrix))
        plain, *_ = moved(energy, jnp.asarray(start), key)
        other, *_ = moved(lambda y: energy(inverse @ y), jnp.asarray(start @ matrix.T), key)
    np.testing.assert_allclose(other, np.asarray(plain) @ matrix.T, rtol=1e-6, atol=1e-6)
    assert np.mean(np.any(np.asarray(plain) != start, 2)) > 0.3


@pytest.mark.medium
def test_samples_begin_at_the_walkers_scattered_about_the_start(getkey):
    wide = StretchMove(40, spread=np.array([0.1, 10.0]))
    state = wide.init(ENERGY, jnp.array([5.0, 5.0]), key=getkey())
    spread = np.std(np.asarray(state.others), 0)
    np.testing.assert_allclose(spread, [0.1, 10.0], rtol=0.5)
    np.testing.assert_allclose(np.mean(state.others[:, 0]), 5.0, atol=0.2)
    options = {"num_warmup": 150, "num_samples": 1}
    got = sample(ENERGY, SAMPLER, np.full((4_000, 2), 2.0, np.float32), key=getkey(), **options)
    assert_mean(got.x, MEAN)
    assert_covariance(got.x, COVARIANCE)
    assert_mean(got.state.others[:, 3], MEAN)


@pytest.mark.medium
def test_it_goes_on_from_where_another_sampler_left_the_first_walker(getkey):
    start, both = np.zeros((4_000, 2), np.float32), Cycle((SAMPLER, MALA(0.5)))
    got = sample(ENERGY, both, start, num_warmup=100, num_samples=1, key=getkey())
    assert_mean(got.x, MEAN)
    assert_covariance(got.x, COVARIANCE)


@pytest.mark.medium
def test_walls_are_not_crossed(getkey):
    boxed, start = Box(ENERGY, 0.0, 2.0), np.ones((500, 2), np.float32)
    got = sample(boxed, SAMPLER, start, num_warmup=50, num_samples=1, key=getkey())
    assert np.all((np.asarray(got.x) >= 0) & (np.asarray(got.x) <= 2))
    assert len(np.unique(got.x, axis=0)) > 480


def test_single_steps_and_training_are_refused(getkey):
    with pytest.raises(ValueError, match=r"num_steps=1: .*new state"):
        run(ENERGY, SAMPLER, jnp.zeros((3, 2)), num_steps=1, key=getkey())
    with pytest.raises(ValueError, match="sampler=StretchMove"):
        CD(SAMPLER, num_steps=1)


def test_walkers_must_span_the_space(getkey):
    with pytest.raises(ValueError, match=r"num_walkers=6: .*at least 2 · 4"):
        run(jnp.sum, SAMPLER, jnp.zeros((3, 2, 2)), num_steps=2, key=getkey())
    with pytest.raises(ValueError, match=r"spread\.shape=\(3,\)"):
        StretchMove(4, np.ones(3)).init(ENERGY, jnp.zeros(2), key=getkey())
    with pytest.raises(ValueError, match=r"walkers\.shape=\(4, 2\): give num_walkers=6"):
        SAMPLER.init_walkers(ENERGY, jnp.zeros((4, 2)))
