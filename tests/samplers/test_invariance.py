"""Each adjusted sampler, alone and in each other one, leaves a density invariant.

Chains start as exact samples of `exp(-E)`, so that any step keeps their moments; a constant added
to the energy changes nothing.
"""

import blackjax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_mean, points

from ebmx.energies import AbstractEnergy, Gaussian
from ebmx.samplers import (
    HMC,
    MALA,
    NUTS,
    AbstractSampler,
    Annealed,
    Barker,
    BlackJAX,
    Cycle,
    Independence,
    Langevin,
    Mixture,
    Moments,
    Reflected,
    ReplicaExchange,
    StepInfo,
    run,
    sample,
)
from ebmx.samplers._run import PerChain

NUM = 20_000
VARIANCE = np.array([1.0, 0.25])


class Bowl(AbstractEnergy):
    """A Gaussian and a constant, which is an array: another one does not compile again."""

    shape: tuple[int, ...] = eqx.field(static=True, default=(2,))
    constant: jax.Array = eqx.field(converter=jnp.asarray, default=0.0)

    def __call__(self, x):
        return 0.5 * jnp.sum(x**2 / VARIANCE.astype(x.dtype)) + self.constant


class Walk(AbstractSampler[jax.Array]):
    """A random walk that caches the energy and says nothing of itself."""

    scale: float = 0.5

    def init(self, energy, x, *, key):
        return energy(x)

    def step(self, energy, x, state, *, key):
        step_key, accept_key = jax.random.split(key)
        y = x + self.scale * jax.random.normal(step_key, x.shape, x.dtype)
        value = energy(y)
        acceptance = jnp.exp(jnp.minimum(state - value, 0.0))
        accepted = jax.random.uniform(accept_key) < acceptance
        x, state = jnp.where(accepted, y, x), jnp.where(accepted, value, state)
        return x, state, StepInfo(state, None, acceptance, jnp.zeros((), bool))


WIDE = Independence(Gaussian(jnp.zeros(2), 2.0))
STEPS = optax.linear_schedule(0.5, 1.0, 5)
KERNEL = blackjax.rmh.build_kernel(), blackjax.rmh.init


def jump(key, position):
    return position + 0.5 * jax.random.normal(key, position.shape)


RESTARTABLE = {
    "mala": MALA(0.5),
    "hmc": HMC(0.4, 3),
    "nuts": NUTS(0.4, max_num_doublings=2),
    "barker": Barker(0.6),
    "independence": WIDE,
    "walk": Walk(),
    "blackjax": BlackJAX(KERNEL[1], KERNEL[0], transition_generator=jump),
    "cycle": Cycle((MALA(0.5), WIDE, Walk())),
    "mixture": Mixture((MALA(0.5), WIDE, HMC(0.4, 2))),
    "annealed": Annealed(MALA(0.1), step_size=STEPS),
    "annealed-in-a-cycle": Cycle((Annealed(MALA(0.1), step_size=STEPS), WIDE)),
    "reflected": Reflected(HMC(0.4, 3), bounds=(np.array([-np.inf, -9.0]), None)),
}
TEMPERATURES = np.array([1.0, 4.0], np.float32)
LADDERS = {
    "exchange": ReplicaExchange(MALA(0.5), TEMPERATURES),
    "exchange-with-base": ReplicaExchange(
        MALA(0.5), np.array([1.0, 3.0, np.inf], np.float32), base=WIDE.proposal
    ),
    "exchange-of-annealed": ReplicaExchange(Annealed(MALA(0.1), step_size=STEPS), TEMPERATURES),
    "exchange-of-jumps": ReplicaExchange(WIDE, TEMPERATURES),
    "exchange-of-walks": ReplicaExchange(Walk(), TEMPERATURES),
    "exchange-of-cycles": ReplicaExchange(Cycle((MALA(0.5), WIDE)), TEMPERATURES),
    "exchange-of-mixtures": ReplicaExchange(Mixture((HMC(0.4, 2), Walk())), TEMPERATURES),
    "exchange-of-reflected": ReplicaExchange(Reflected(MALA(0.5), (-9.0, 9.0)), TEMPERATURES),
    "cycle-of-exchange": Cycle((ReplicaExchange(MALA(0.5), TEMPERATURES), Walk())),
    "reflected-exchange": Reflected(ReplicaExchange(MALA(0.5), TEMPERATURES), (-9.0, 9.0)),
}


def exact():
    return points(NUM, (2,)) * np.sqrt(VARIANCE).astype(np.float32)[None]


@eqx.filter_jit
def repeated(sampler, constant, x, key):
    """Four calls of `run` of one step each, and one of `sample`."""
    energy, (sample_key, run_key) = Bowl(constant=constant), jax.random.split(key)

    def once(x, key):
        return run(energy, sampler, x, num_steps=1, key=key)

    x, info = jax.lax.scan(once, x, jax.random.split(run_key, 4))
    return x, info, sample(energy, sampler, x, num_samples=2, throw=False, key=sample_key)


@pytest.mark.medium
@pytest.mark.parametrize("name", RESTARTABLE)
def test_runs_and_samples_leave_the_density_invariant(name, getkey):
    x, key = exact(), getkey()
    new, info, kept = repeated(RESTARTABLE[name], jnp.asarray(0.0), x, key)
    for moved in (np.asarray(new), np.asarray(kept.x)):
        assert_mean(moved**2 / VARIANCE, np.ones(2))
        assert_mean(moved**4 / VARIANCE**2, np.full(2, 3.0))
    np.testing.assert_allclose(kept.info.energy, jax.vmap(Bowl())(kept.x), rtol=1e-4, atol=1e-5)
    assert np.mean(np.any(new != x, 1)) > 0.5
    assert 0.3 < np.mean(info.acceptance) < 1
    other, shifted, _ = repeated(RESTARTABLE[name], jnp.asarray(10.0), x, key)
    assert np.mean(np.isclose(other, new, rtol=1e-4, atol=1e-4)) > 0.99
    np.testing.assert_allclose(np.mean(shifted.energy), np.mean(info.energy) + 10, rtol=1e-3)


@eqx.filter_jit
def drawn(sampler, constant, x, key):
    options = {"num_warmup": 40, "num_samples": 20, "save": Moments(), "throw": False}
    return sample(Bowl(constant=constant), sampler, x, key=key, **options)


FEW = ("exchange", "exchange-of-cycles", "cycle-of-exchange")
"""One of each kind; the others compile as long, and are slow tests."""


@pytest.mark.medium
@pytest.mark.parametrize(
    "name",
    [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in LADDERS],
)
def test_ladders_sample_the_density(name, getkey):
    x, key = exact()[:2500], getkey()
    got = drawn(LADDERS[name], jnp.asarray(0.0), x, key)
    square = np.asarray(got.values.square / 20 + got.values.mean**2)
    assert_mean(square / VARIANCE, np.ones(2))
    other = drawn(LADDERS[name], jnp.asarray(10.0), x, key)
    assert np.mean(np.isclose(other.x, got.x, rtol=1e-3, atol=1e-3)) > 0.95
    np.testing.assert_allclose(got.info.energy, jax.vmap(Bowl())(got.x), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"num_steps=1: .*new state"):
        run(Bowl(), LADDERS[name], x, num_steps=1, key=key)


def test_a_sampler_for_each_chain_leaves_the_density_invariant(getkey):
    sizes = np.linspace(0.2, 1.0, NUM).astype(np.float32)
    sampler = PerChain(jax.vmap(MALA)(sizes))
    _, _, kept = repeated(sampler, jnp.asarray(0.0), exact(), getkey())
    assert_mean(np.asarray(kept.x) ** 2 / VARIANCE, np.ones(2))
    assert sampler.is_invariant
    assert sampler.reports_acceptance


@pytest.mark.medium
def test_a_cold_sampler_keeps_its_temperature_in_a_ladder(getkey):
    sampler = ReplicaExchange(Langevin(0.02, temperature=0.25), TEMPERATURES)
    x = 0.5 * exact()[:5000]
    got = sample(Bowl(), sampler, x, num_warmup=300, num_samples=30, save=Moments(), key=getkey())
    square = np.mean(got.values.square / 30 + got.values.mean**2, 0) / VARIANCE
    # 0.25 / (1 - ε A / 4) without swaps; at other temperatures it would be 0.37
    np.testing.assert_allclose(square, 0.25, rtol=0.06)


@pytest.mark.medium
def test_properties_are_forwarded():
    cold, exchange = Langevin(0.1, temperature=0.5), LADDERS["exchange"]
    boxed = Langevin(0.1, grad_clip=2.0, bounds=(-1.0, 2.0))
    wrappers = (
        lambda s: Cycle((s, s)),
        lambda s: Mixture((s, s)),
        lambda s: Annealed(s),
        lambda s: PerChain(jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), s)),
    )
    for wrap in wrappers:
        assert wrap(MALA(0.1)).is_invariant
        assert not wrap(cold).is_invariant
        assert not wrap(cold).reports_acceptance
        assert wrap(MALA(0.1)).reports_acceptance
        assert wrap(MALA(0.1)).reports_new_energy
        assert not wrap(cold).reports_new_energy
        assert not wrap(exchange).is_restartable
        np.testing.assert_allclose(wrap(cold).effective_temperature, 0.5)
        low, high = wrap(boxed).bounds
        assert np.all(np.asarray(low) == -1)
        assert np.all(np.asarray(high) == 2)
    both = Cycle((cold, MALA(0.1)))
    assert np.isnan(both.effective_temperature)
    np.testing.assert_allclose(Cycle((boxed, boxed)).max_drift, 0.2, rtol=1e-6)
    np.testing.assert_allclose(Mixture((boxed, boxed)).max_drift, 0.1, rtol=1e-6)
    assert not Annealed(cold, temperature=STEPS).is_invariant
    assert np.isnan(Annealed(cold, temperature=STEPS).effective_temperature)
