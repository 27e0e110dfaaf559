"""Samplers that are reflected at bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import assert_mean, points

from ebmx.energies import Gaussian
from ebmx.samplers import HMC, MALA, Cycle, Independence, Langevin, Reflected, run, sample
from ebmx.samplers._fields import reflect_at

JUMPS = Independence(Gaussian(jnp.zeros(2)))
LOW, HIGH = np.array([-0.5, 0.3, -np.inf]), np.array([1.0, np.inf, -0.2])


def bowl(x):
    return 0.5 * jnp.sum(x**2)


@pytest.mark.medium
@pytest.mark.parametrize("sampler", [HMC(0.5, 4), MALA(0.5)], ids=["hmc", "mala"])
def test_a_normal_distribution_is_truncated(sampler, getkey):
    start = np.broadcast_to(np.array([0.0, 1.0, -1.0], np.float32), (2_000, 3))
    chain = Reflected(sampler, (LOW, HIGH))
    options = {"num_warmup": 40, "num_samples": 10, "thin": 4}
    got = sample(bowl, chain, start, key=getkey(), **options)
    values = np.asarray(got.values)
    assert np.all((values >= LOW) & (values <= HIGH))
    exact = scipy.stats.truncnorm(LOW, HIGH)
    assert_mean(values.mean(1), exact.mean())
    assert_mean((values**2).mean(1), exact.var() + exact.mean() ** 2)
    np.testing.assert_allclose(got.info.energy, jax.vmap(bowl)(got.x), rtol=1e-5)


DENSE = np.array([[1.0, 0.95], [0.95, 1.0]])


@jax.jit
def repeated(x, key):
    """Four calls of `run` of one step of a sampler that a mirror changes."""
    chain = Reflected(HMC(0.8, 1, inverse_mass_matrix=DENSE), bounds=(0.0, None))
    return jax.lax.scan(lambda x, k: run(bowl, chain, x, num_steps=1, key=k), x, key)[0]


def test_dense_masses_are_reflected_exactly_in_repeated_runs(getkey):
    x = jnp.abs(points(20_000, (2,)))
    new = np.asarray(repeated(x, jax.random.split(getkey(), 4)))
    assert_mean(new**2, np.ones(2))
    assert_mean(new[:, 0] * new[:, 1], 2 / np.pi)
    assert np.mean(np.any(new != x, 1)) > 0.5


@pytest.mark.medium
def test_positions_keep_their_digits_however_long_the_chain(getkey):
    chain = Reflected(Langevin(0.5), (0.0, 1.0))
    x = jnp.full((500, 1), 0.5, jnp.bfloat16)
    got = sample(lambda x: 0 * jnp.sum(x), chain, x, num_warmup=3_000, num_samples=1, key=getkey())
    assert np.ptp(np.asarray(got.state.x, float)) < 2
    ends = np.asarray(got.x, float)
    assert len(np.unique(ends)) > 60
    assert_mean(ends, 0.5)


def test_positions_are_folded_like_a_triangle_wave():
    x = jnp.linspace(-7.0, 7.0, 57)
    folded, turned = reflect_at(x, (-1.0, 2.0))
    wave = np.arcsin(np.sin((np.asarray(x) - 0.5) * np.pi / 3)) * 3 / np.pi + 0.5
    np.testing.assert_allclose(folded, wave, atol=1e-5)
    slope = jax.vmap(jax.grad(lambda x: reflect_at(x, (-1.0, 2.0))[0]))(x + 0.01)
    np.testing.assert_array_equal(slope, np.where(reflect_at(x + 0.01, (-1.0, 2.0))[1], -1, 1))
    assert np.any(turned)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Reflected(MALA(0.1), (1.0, 0.0)), "bounds=.*low < high"),
        (lambda: Reflected(MALA(0.1), None), "bounds=None"),
        (
            lambda: Reflected(Cycle((MALA(0.1), JUMPS)), (0, 1)),
            "sampler=Cycle: its proposals do not .*Box",
        ),
        (lambda: Reflected(Langevin(0.1, bounds=(0, 1)), (0, 1)), r"sampler\.bounds=.*of its own"),
    ],
)
def test_bounds_are_checked(make, named):
    with pytest.raises(ValueError, match=named):
        make()


@pytest.mark.medium
def test_the_state_at_another_temperature_is_that_of_the_sampler_on_the_mirrored_energy(getkey):
    sampler, x = MALA(0.5), jnp.array([0.2, 0.7])
    chain = Reflected(sampler, (0.0, 1.0))
    state = chain.init(bowl, x, key=getkey())
    halved = lambda x: 0.5 * bowl(x)  # noqa: E731
    found = chain.retemper(halved, x, state, 0.5, key=getkey())
    np.testing.assert_array_equal(found.x, state.x)
    expected = chain.refresh(halved, x, state, key=getkey()).state
    assert jax.tree.structure(found.state) == jax.tree.structure(expected)
    np.testing.assert_allclose(found.state.logdensity, -0.5 * bowl(x), rtol=1e-6)
    np.testing.assert_allclose(np.abs(found.state.logdensity_grad), 0.5 * x, rtol=1e-6)
