"""Whether advice and warnings speak of what the sampler has."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from staged_chains import staged

import ebmx
from ebmx.energies import Gaussian, Ising
from ebmx.evaluation import diagnose
from ebmx.evaluation._advice import advise, traits_of
from ebmx.samplers import (
    DMALA,
    HMC,
    MALA,
    Annealed,
    BlockGibbs,
    Cycle,
    EllipticalSlice,
    Gibbs,
    GibbsWithGradients,
    Independence,
    ReplicaExchange,
)
from ebmx.samplers._run import PerChain

LADDER = ReplicaExchange(MALA(0.1), np.array([1.0, 3.0]))
WITHOUT_STEPS = {
    "gibbs": Gibbs(),
    "blocks": BlockGibbs(),
    "informed": GibbsWithGradients(),
    "slices": EllipticalSlice(Gaussian(jnp.zeros(2))),
    "jumps": Independence(Gaussian(jnp.zeros(2))),
    "longest": DMALA(100.0),
    "tempered gibbs": ReplicaExchange(Gibbs(), np.array([1.0, 3.0])),
}
FAILURES = ["step too large", "step too small", "scales", "modes", "start", "few draws"]


def advised(failure, sampler, **changes):
    traits = traits_of(sampler)
    symptoms = staged(failure, 0)._replace(traits=traits, **changes)
    return advise(symptoms if traits.rejects else symptoms._replace(acceptance=None))


@pytest.mark.parametrize("name", WITHOUT_STEPS)
@pytest.mark.parametrize("failure", FAILURES)
def test_no_other_step_is_advised_where_there_is_none(failure, name):
    sampler = WITHOUT_STEPS[name]
    for changes in ({}, {"failed": True}, {"divergent": True}, {"kept": 0.5}):
        words = advised(failure, sampler, **changes)
        assert "step_size;" not in words.replace("step size that could be smaller", "")
        assert "smaller step_size" not in words
        assert "larger step_size" not in words
        assert "masses" not in words


def test_what_samplers_without_steps_are_advised():
    assert "such as Gibbs, which rejects nothing" in advised("step too large", GibbsWithGradients())
    jumps = advised("step too large", Independence(Gaussian(jnp.zeros(2))))
    assert "such as MALA or HMC" in jumps
    for name in ("gibbs", "informed", "slices"):
        slow = advised("step too small", WITHOUT_STEPS[name])
        assert "many more steps" in slow
        assert "ReplicaExchange" in slow
        assert "crosses between modes" in advised("modes", WITHOUT_STEPS[name])
    assert advised("failed", Gibbs(), failed=True).startswith("Start elsewhere")


@pytest.mark.parametrize(
    "sampler", [MALA(0.1), DMALA(0.2), Cycle((MALA(0.1), MALA(0.2))), HMC(0.1)]
)
def test_samplers_with_a_step_size_are_advised_to_change_it(sampler):
    assert "smaller step_size" in advised("step too large", sampler)
    assert "larger step_size" in advised("step too small", sampler)
    assert "`warmup`" in advised("step too small", sampler)


def test_a_ladder_is_advised_more_rungs_and_its_own_tuning():
    for failure in ("modes", "few draws"):
        words = advised(failure, LADDER, kept=0.5 if failure == "few draws" else 0.0)
        assert words.startswith("Take more rungs, or a hotter last one")
        assert "such as ReplicaExchange" not in words
    for failure in ("step too large", "step too small"):
        assert "`tune_ladder`" in advised(failure, LADDER)


def test_discrete_samplers_are_not_advised_masses():
    assert "masses" in advised("scales", MALA(0.1))
    assert "masses" not in advised("scales", DMALA(0.2))


def test_samplers_in_others_are_found():
    each = PerChain(eqx.filter_vmap(DMALA)(jnp.array([0.1, 0.2])))
    annealed = Annealed(MALA(0.1), step_size=lambda step: 0.1)
    for sampler, step in ((each, True), (annealed, True), (Cycle((Gibbs(), BlockGibbs())), False)):
        assert traits_of(sampler).step is step
    longest = PerChain(eqx.filter_vmap(DMALA)(jnp.array([100.0, 95.0])))
    assert not traits_of(longest).step
    assert not traits_of(LADDER).discrete
    assert traits_of(ReplicaExchange(Gibbs(), np.array([1.0, 2.0]))).tempered


@pytest.mark.medium
def test_frozen_spins_are_diagnosed_by_their_sampler(getkey):
    """At a low temperature each chain stays where it began, which no step size changes."""
    start = jnp.repeat(jnp.array([0.0, 1.0]), 4)[:, None, None] * jnp.ones((8, 4, 4))
    cold = Ising((4, 4), 20.0)
    for sampler in (Gibbs(sweep=True), BlockGibbs()):
        samples = ebmx.sample(cold, sampler, start, num_samples=50, key=getkey())
        found = diagnose(samples, sampler=sampler, warn=False)
        assert found.advice.startswith("Use a sampler that crosses between modes")
        (words,) = found.warnings
        assert words.startswith("R-hat is inf, above 1.01: the chains do not agree yet: 16 of 16 ")
        assert "step" not in words
    ladder = ReplicaExchange(Gibbs(sweep=True), np.array([1.0, 1.5]))
    samples = ebmx.sample(cold, ladder, start, num_samples=50, key=getkey())
    found = diagnose(samples, sampler=ladder, warn=False)
    assert found.advice.startswith("Take more rungs, or a hotter last one")


@pytest.mark.medium
def test_bits_that_reject_everything_are_told_so(getkey):
    """By a network whose gradients mislead, with steps that are too long for it."""

    def rugged(x):
        return 1e3 * jnp.sum(jnp.sin(1e3 * x + jnp.arange(6.0))) * jnp.sum(x) ** 2

    start = jax.random.bernoulli(getkey(), 0.5, (8, 6)).astype(float)
    for sampler, words in ((DMALA(50.0), "smaller step_size"), (GibbsWithGradients(), "Gibbs, ")):
        samples = ebmx.sample(rugged, sampler, start, num_samples=20, key=getkey())
        samples = dataclasses.replace(samples, values=jnp.repeat(samples.values[:, -1:], 20, 1))
        info = dataclasses.replace(samples.info, acceptance=jnp.zeros(8))
        samples = dataclasses.replace(samples, info=info)
        found = diagnose(samples, sampler=sampler, warn=False)
        assert words in found.advice
        assert any("8 of 8 chains rejected every proposal" in text for text in found.warnings)
