"""Kernels of BlackJAX or of one's own in its form: parameters, keys, and what they do not tell."""

from typing import NamedTuple

import blackjax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_mean

from ebmx.energies import Gaussian
from ebmx.samplers import HMC, MALA, MCLMC, NUTS, Barker, BlackJAX, run
from ebmx.training import PCD, Examples

GAUSSIAN = Gaussian(np.array([1.0, -0.5]), np.array([[0.8, 0.3], [0.3, 1.5]]))
ONES, MASSES = np.ones(4), np.arange(1.0, 5.0)
PARAMETERS = {
    # the step size of BlackJAX is that of the Langevin equation without the factor of a half
    "mala": (MALA(0.3), {"step_size": 0.15}),
    "barker": (Barker(0.3), {"step_size": 0.3}),
    "hmc": (
        HMC(0.3, 7),
        {"step_size": 0.3, "num_integration_steps": 7, "inverse_mass_matrix": ONES},
    ),
    "hmc-masses": (
        HMC(0.3, 7, jnp.asarray(MASSES)),
        {"step_size": 0.3, "num_integration_steps": 7, "inverse_mass_matrix": MASSES},
    ),
    "nuts": (
        NUTS(0.3, max_num_doublings=5),
        {"step_size": 0.3, "max_num_doublings": 5, "inverse_mass_matrix": ONES},
    ),
    "nuts-masses": (
        NUTS(0.3, jnp.asarray(MASSES), max_num_doublings=5),
        {"step_size": 0.3, "max_num_doublings": 5, "inverse_mass_matrix": MASSES},
    ),
    "mclmc": (MCLMC(0.3, 2.0), {"step_size": 0.3, "L": 2.0, "inverse_mass_matrix": ONES}),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_kernels_are_given_their_parameters(name):
    sampler, want = PARAMETERS[name]
    kernel = sampler.kernel(jnp.zeros((2, 2)))
    assert kernel.parameters.keys() == want.keys()
    for parameter, value in want.items():
        np.testing.assert_allclose(kernel.parameters[parameter], value, rtol=1e-6)
    algorithm = getattr(blackjax, name.split("-")[0])
    assert kernel.init_fn is algorithm.init
    assert sampler.kernel(jnp.zeros((2, 2))).kernel is kernel.kernel


def test_a_new_number_does_not_retrace(getkey):
    traces = []

    def energy(x):
        traces.append(None)
        return jnp.sum(x**2)

    def move(sampler):
        return run(energy, sampler, jnp.ones((2, 3)), num_steps=2, key=getkey())

    made = {
        "hmc": lambda v: HMC(v, 2, v * jnp.ones(3)),
        "any": lambda v: BlackJAX(blackjax.mala.init, KERNEL, step_size=v),
    }
    for make in made.values():
        move(make(0.1))
        count = len(traces)
        move(make(0.2))
        assert len(traces) == count


KERNEL = blackjax.mala.build_kernel()


class Place(NamedTuple):
    """A state that knows no log density."""

    position: jax.Array


def wander(rng_key, state, logdensity_fn, *, scale):
    return Place(state.position + scale * jax.random.normal(rng_key, state.position.shape)), None


WANDER = BlackJAX(lambda position, logdensity_fn: Place(position), wander, scale=0.1)


def test_the_energy_is_known_where_a_kernel_does_not_tell(getkey):
    x, info = run(GAUSSIAN, WANDER, jnp.ones((4, 2)), num_steps=3, key=getkey())
    np.testing.assert_allclose(info.energy, jax.vmap(GAUSSIAN)(x), rtol=1e-6)
    assert info.grad_norm is None
    np.testing.assert_array_equal(info.acceptance, 1.0)
    assert not np.any(info.divergent)


class Flight(NamedTuple):
    """A position and a speed that stays."""

    position: jax.Array
    speed: jax.Array


def take_off(position, logdensity_fn, rng_key):
    return Flight(position, jax.random.normal(rng_key, position.shape))


def fly(rng_key, state, logdensity_fn):
    return state._replace(position=state.position + state.speed), None


def test_an_init_that_takes_a_key_is_given_one_for_each_chain(getkey):
    x = np.zeros((500, 1), np.float32)
    energy = lambda x: jnp.where(x[0] > 0, jnp.inf, 0.0)  # noqa: E731
    new, info = run(energy, BlackJAX(take_off, fly), x, num_steps=3, key=getkey())
    speed = np.asarray(new) / 3
    assert_mean(speed, [0.0])
    assert_mean(speed**2, [1.0])
    # a kernel that does not tell is divergent where the energy is infinite
    np.testing.assert_array_equal(info.divergent, speed[:, 0] > 0)


def test_persistent_chains_of_such_a_kernel_live(getkey):
    @eqx.filter_jit
    def begin_and_step(init_key, step_key):
        negatives = PCD(WANDER, 2, 8, 0.0)
        state = negatives.init((2,), key=init_key)
        return state, negatives.step(GAUSSIAN, Examples(jnp.zeros((8, 2))), state, key=step_key)

    state, (drawn, after, info) = begin_and_step(getkey(), getkey())
    assert not np.any(info.dead)
    assert float(np.abs(np.sort(drawn.x, 0) - np.sort(state.positions, 0)).max()) < 1
    np.testing.assert_array_equal(after.ages, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BlackJAX(blackjax.mala.init, lambda key: key), "kernel=.*rng_key, state"),
        (lambda: BlackJAX(blackjax.mala.init, KERNEL), r"parameters=.*missing \['step_size'\]"),
        (
            lambda: BlackJAX(blackjax.mala.init, KERNEL, step_size=0.1, friction=1.0),
            r"unknown \['friction'\]",
        ),
        (lambda: MALA(0.0), r"step_size=0\.0"),
        (lambda: HMC(0.1, 0), "num_integration_steps=0"),
        (lambda: NUTS(0.1, max_num_doublings=0), "max_num_doublings=0"),
        (lambda: Barker(-1.0), r"step_size=-1\.0"),
        (lambda: MCLMC(0.1, 0.0), r"decoherence_length=0\.0"),
    ],
)
def test_what_does_not_fit_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "masses",
    [
        np.array([1.0, -1.0]),
        np.array([1.0, 0.0]),
        np.array([1.0, np.nan]),
        np.array([[1.0, 2.0], [2.0, 1.0]]),
        np.array([[1.0, 0.5], [0.0, 1.0]]),
        np.array([[1.0, np.inf], [np.inf, 1.0]]),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda masses: HMC(0.1, 2, masses),
        lambda masses: NUTS(0.1, masses),
        lambda masses: BlackJAX(
            blackjax.hmc.init, blackjax.hmc.build_kernel(), step_size=0.1,
            inverse_mass_matrix=masses, num_integration_steps=2,
        ),
    ],
    ids=["hmc", "nuts", "blackjax"],
)  # fmt: skip
def test_masses_that_are_not_positive_are_refused(make, masses):
    with pytest.raises(ValueError, match=r"inverse_mass_matrix=.*(positive|above 0|finite)"):
        make(masses)
    assert make(np.array([[1.0, 0.5], [0.5, 1.0]])) is not None


@pytest.mark.parametrize("shape", [(3,), (2, 3), ()])
def test_masses_of_another_size_are_told(shape, getkey):
    with pytest.raises(ValueError, match=r"inverse_mass_matrix\.shape=.*\(2,\) or \(2, 2\)"):
        run(GAUSSIAN, HMC(0.1, 2, jnp.ones(shape)), jnp.ones((4, 2)), num_steps=1, key=getkey())


def test_promises_of_kernels_of_blackjax():
    ghmc = BlackJAX(blackjax.ghmc.init, blackjax.ghmc.build_kernel(), step_size=0.1,
                    momentum_inverse_scale=3.0, alpha=0.2, delta=0.1)  # fmt: skip
    assert ghmc.is_invariant
    assert not ghmc.is_restartable
    hmc = HMC(0.1).kernel(jnp.zeros(2))
    assert hmc.is_invariant
    assert hmc.is_restartable
    assert hmc.reports_acceptance
    assert not WANDER.is_invariant
    mclmc = MCLMC(0.1, 1.0).kernel(jnp.zeros(2))
    assert not mclmc.is_invariant
    assert not mclmc.reports_acceptance
    with pytest.raises(ValueError, match=r"x\.shape=\(1,\): .*two coordinates"):
        MCLMC(0.1, 1.0).kernel(jnp.zeros(1))
    with pytest.raises(ValueError, match=r"step_size=-0\.1"):
        BlackJAX(blackjax.mala.init, blackjax.mala.build_kernel(), step_size=-0.1)


def test_masses_that_are_symmetric_but_for_rounding_are_taken():
    masses = np.array([[1.0, 0.5], [0.5 + 1e-6, 1.0]])
    np.testing.assert_allclose(HMC(0.1, 2, masses).inverse_mass_matrix, masses, rtol=1e-6)
