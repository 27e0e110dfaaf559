"""The joint test: transitions of `x` given data in turn with fresh data given `x`.

Chains start at exact pairs `(x, y)`, and an exact transition leaves their joint law as it is, while
one that is wrong moves it, whatever its energy is wrong by.

Geweke (2004), "Getting it right: joint distribution tests of posterior simulators".
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Gaussian
from ebmx.samplers import (
    HMC,
    MALA,
    NUTS,
    Barker,
    Cycle,
    Independence,
    Langevin,
    Mixture,
    ReplicaExchange,
)

NUM_CHAINS, NUM_ROUNDS, SPREAD = 20_000, 12, 0.5
LADDER = jnp.array([1.0, 2.0, 4.0])
JUMP = Independence(Gaussian(jnp.zeros(1), 1.0))
ADJUSTED = {
    "mala": MALA(0.3),
    "hmc": HMC(0.4, 3),
    "hmc-masses": HMC(1.2, 2, jnp.array([0.2])),
    "nuts": NUTS(0.5, max_num_doublings=3),
    "barker": Barker(0.6),
    "independence": JUMP,
    "cycle": Cycle((MALA(0.3), JUMP)),
    "mixture": Mixture((HMC(0.4, 2), JUMP)),
}


def curve(x):
    return x + jnp.sin(2 * x)


def draw_data(x, key):
    """`y | x`: normal about a curve."""
    return curve(x) + SPREAD * jax.random.normal(key, x.shape)


def energy_given(y):
    """The energy of `x | y`, for a standard normal `x`."""
    return lambda x: 0.5 * jnp.sum(x**2 + ((y - curve(x)) / SPREAD) ** 2)


def pairs(key):
    x_key, y_key = jax.random.split(key)
    x = jax.random.normal(x_key, (NUM_CHAINS, 1))
    return x, draw_data(x, y_key)


def transition(sampler, x, y, key):
    init_key, step_key = jax.random.split(key)
    state = sampler.init(energy_given(y), x, key=init_key)
    x, _, info = sampler.step(energy_given(y), x, state, key=step_key)
    return x, info.acceptance


def alternate(move, x, y, key):
    """Pairs after rounds of a transition and fresh data, and the mean acceptance."""

    def one(x, y, key):
        def step(carry, key):
            x, y = carry
            move_key, data_key = jax.random.split(key)
            x, acceptance = move(x, y, move_key)
            return (x, draw_data(x, data_key)), acceptance

        return jax.lax.scan(step, (x, y), jax.random.split(key, NUM_ROUNDS))

    (x, y), acceptance = jax.jit(jax.vmap(one))(x, y, jax.random.split(key, NUM_CHAINS))
    return x, y, float(acceptance.mean())


def deviations(moved, direct):
    """How far the moments of moved pairs are from those of drawn ones, in standard errors."""

    def moments(x, y):
        x, y = np.asarray(x, np.float64)[:, 0], np.asarray(y, np.float64)[:, 0]
        return np.stack([x, x**2, x**4, y, x * y, x**2 * y**2])

    one, other = moments(*moved), moments(*direct)
    error = np.sqrt((one.var(1) + other.var(1)) / NUM_CHAINS)
    return np.abs(one.mean(1) - other.mean(1)) / error


@pytest.mark.slow
@pytest.mark.parametrize("name", ADJUSTED)
def test_an_exact_transition_keeps_the_joint_law(name, getkey):
    x, y = pairs(getkey())

    def move(x, y, key):
        return transition(ADJUSTED[name], x, y, key)

    new, data, acceptance = alternate(move, x, y, getkey())
    assert np.all(deviations((new, data), pairs(getkey())) < 5)
    # no chain of a sampler that stays would tell anything
    assert 0.2 < acceptance < 0.99
    assert np.mean(np.asarray(new != x)) > 0.8


def hot_replicas(y, key):
    """Exact samples of `x | y` at the upper temperatures, by the inverse of the distribution."""
    grid = jnp.linspace(-10.0, 10.0, 401)
    energies = jax.vmap(energy_given(y))(grid[:, None])

    def draw(temperature, key):
        below = jnp.cumsum(jnp.exp((jnp.min(energies) - energies) / temperature))
        return jnp.interp(jax.random.uniform(key) * below[-1], below, grid)[None]

    return jax.vmap(draw)(LADDER[1:], jax.random.split(key, len(LADDER) - 1))


@pytest.mark.slow
def test_replica_exchange_keeps_the_joint_law(getkey):
    # what moves the replicas remembers nothing, so the hot ones can be put where they belong
    sampler, (x, y) = (
        ReplicaExchange(Cycle((MALA(0.3),)), LADDER, scale_step=False),
        pairs(getkey()),
    )

    def move(x, y, key):
        hot_key, init_key, step_key = jax.random.split(key, 3)
        ladder = sampler.init(energy_given(y), x, key=init_key)
        ladder = eqx.tree_at(lambda state: state.upper, ladder, hot_replicas(y, hot_key))
        x, ladder, _ = sampler.step(energy_given(y), x, ladder, key=step_key)
        return x, ladder.swap_rates[0]

    new, data, rate = alternate(move, x, y, getkey())
    assert np.all(deviations((new, data), pairs(getkey())) < 5)
    assert 0.2 < rate < 0.99


@pytest.mark.medium
def test_a_transition_that_ignores_the_acceptance_is_found(getkey):
    def move(x, y, key):
        return transition(Langevin(0.3), x, y, key)

    x, y = pairs(getkey())
    new, data, _ = alternate(move, x, y, getkey())
    assert np.max(deviations((new, data), pairs(getkey()))) > 20
