"""Generalised HMC: against NumPy, its equilibrium, and what it does after a failure."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_covariance, points

from ebmx.samplers import GHMC, HMC, run

INVERSE = np.array([0.5, 2.0])


def quartic(x):
    return jnp.sum(x**4) / 4 + jnp.sum(x**2) / 2


def by_hand(x, p, u, h, delta, num_steps):
    """Positions, momenta and acceptances of a chain that draws no momentum."""

    def total(x, p):
        return np.sum(x**4) / 4 + np.sum(x**2) / 2 + np.sum(INVERSE * p**2) / 2

    seen = []
    for _ in range(num_steps):
        u = (u + 1 + delta) % 2 - 1
        half = p - h / 2 * (x**3 + x)
        y = x + h * INVERSE * half
        q = half - h / 2 * (y**3 + y)
        fall = total(x, p) - total(y, q)
        if np.log(abs(u)) <= fall:
            x, p, u = y, q, u * np.exp(-fall)
        else:
            p = -p
        seen.append((x, p, min(1.0, np.exp(fall))))
    return map(np.array, zip(*seen, strict=True))


@pytest.mark.medium
def test_steps_are_those_by_hand():
    with jax.enable_x64(True):
        # hardly any of the momentum is drawn again
        sampler = GHMC(np.float64(1.1), INVERSE, alpha=np.float64(1e-28), delta=np.float64(0.37))
        x, key = jnp.array([0.7, -0.4]), jax.random.key(3)
        state = sampler.init(quartic, x, key=key)
        want = by_hand(x, np.asarray(state.momentum), float(state.slice), 1.1, 0.37, 12)
        step = jax.jit(lambda x, state, key: sampler.step(quartic, x, state, key=key))
        got = []
        for i in range(12):
            x, state, info = step(x, state, jax.random.fold_in(key, i))
            got.append((x, state.momentum, info.acceptance))
    got = tuple(map(np.array, zip(*got, strict=True)))
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    moved = np.any(np.diff(got[0], axis=0) != 0, axis=1)
    assert set(moved) == {True, False}


@pytest.mark.parametrize("inverse", [INVERSE, np.array([[0.8, 0.5], [0.5, 1.5]])])
def test_the_momentum_starts_in_equilibrium(inverse, getkey):
    init = lambda key: GHMC(0.1, inverse).init(quartic, jnp.zeros(2), key=key)  # noqa: E731
    state = jax.jit(jax.vmap(init))(jax.random.split(getkey(), 20_000))
    masses = np.linalg.inv(np.diag(inverse) if inverse.ndim == 1 else inverse)
    assert_covariance(state.momentum, masses)
    uniform = np.asarray(state.slice)
    assert abs(np.mean(np.abs(uniform) < 0.5) - 0.5) < 0.02
    assert abs(np.mean(uniform > 0) - 0.5) < 0.02


def test_what_persists_stays_when_something_else_moves_the_chain(getkey):
    sampler = GHMC(0.1, INVERSE)
    state = sampler.init(quartic, jnp.zeros(2), key=getkey())
    new = sampler.refresh(quartic, jnp.ones(2), state, key=getkey())
    np.testing.assert_array_equal(new.momentum, state.momentum)
    np.testing.assert_array_equal(new.slice, state.slice)
    np.testing.assert_allclose(new.logdensity, -1.5)
    np.testing.assert_allclose(new.logdensity_grad, [-2.0, -2.0])


@pytest.mark.medium
def test_a_new_momentum_at_each_step_is_hmc_of_one_leapfrog_step(getkey):
    x, key = points(20_000, (2,)), getkey()
    _, one = run(quartic, GHMC(0.5, INVERSE, alpha=1.0), x, num_steps=1, key=key)
    _, other = run(quartic, HMC(0.5, 1, INVERSE), x, num_steps=1, key=key)
    np.testing.assert_allclose(one.acceptance.mean(), other.acceptance.mean(), atol=0.01)


@pytest.mark.medium
def test_a_chain_goes_on_after_an_infinite_energy(getkey):
    def walled(x):
        return jnp.where(jnp.sum(x**2) > 4, jnp.inf, quartic(x))

    start = jnp.full((256, 2), 0.1)
    x, info = run(walled, GHMC(0.5), start, num_steps=400, key=getkey())
    other, _ = run(walled, GHMC(0.5), start, num_steps=401, key=getkey())
    # BlackJAX's uniform number becomes NaN at the first such rejection
    assert np.any(info.divergent)
    assert np.mean(info.acceptance) > 0.5
    assert np.all(np.sum(np.asarray(x) ** 2, 1) <= 4)
    assert len(np.unique(x, axis=0)) == 256
    assert not np.allclose(x, other)
    assert 0.2 < np.var(x) < 0.6


def test_the_uniform_number_moves_on_after_an_infinite_energy(getkey):
    sampler = GHMC(0.5, delta=0.3)
    state = sampler.init(quartic, jnp.zeros(2), key=getkey())
    nowhere = lambda x: jnp.where(jnp.all(x == 0), 0.0, jnp.inf)  # noqa: E731
    x, after, _ = jax.jit(lambda x, state, key: sampler.step(nowhere, x, state, key=key))(
        jnp.zeros(2), state, getkey()
    )
    np.testing.assert_array_equal(x, 0)
    want = (float(state.slice) + 1 + 0.3) % 2 - 1
    np.testing.assert_allclose(after.slice, want, atol=1e-6)
