"""What a run says about its chains when it ends, and with which steps it moves them."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Bernoulli, Function, Ising
from ebmx.evaluation._diagnostics import ConvergenceWarning
from ebmx.runs import _chain_checks
from ebmx.runs._chain_checks import warn_of_chains
from ebmx.runs._kept_chains import adapted
from ebmx.runs._sample import Drawn
from ebmx.samplers import DMALA, Gibbs
from ebmx.training import PCD, BernoulliNoise, ReplayBuffer, StepSizeAdaptation

KEY = jax.random.key(0)
BITS = 12
X = np.repeat(np.float32([[0.0], [1.0]]), 32, 0) * np.ones(BITS, np.float32)


def buffer(scales):
    ages = jnp.asarray([0, 3, 3, 3], jnp.int32)
    return ReplayBuffer(jnp.zeros((4, BITS)), ages, scales)


def run_of(sampler, adaptation=None):
    negatives = PCD(sampler, 1, 64, 0.0, BernoulliNoise(), adaptation=adaptation)
    trainer = SimpleNamespace(negatives=negatives)
    return SimpleNamespace(
        sampler=sampler, trainer=trainer, bounds=None, dataset=None, num_chain_steps=1
    )


def told(energy, run, scales, monkeypatch):
    monkeypatch.setattr(_chain_checks, "averaged", lambda state: energy)
    state = SimpleNamespace(negatives_state=buffer(scales))
    warn_of_chains(run, state, Drawn(X, None, ""), KEY)


COLD = Ising((BITS,), 50.0)


def deceptive(x):
    """A gradient of 0 where all spins are the same, from where each other step is rejected."""
    return jax.lax.stop_gradient(COLD(x)) + 0.0 * jnp.sum(x)


@pytest.mark.parametrize("adaptation", [None, StepSizeAdaptation()])
def test_chains_that_stand_still_are_reported_with_what_to_change(adaptation, monkeypatch):
    run = run_of(DMALA(50.0), adaptation)
    energy = Function(deceptive, (BITS,))
    with pytest.warns(ConvergenceWarning, match="chains stand still: of 400 steps") as found:
        told(energy, run, None, monkeypatch)
    text = str(found[0].message)
    assert "a lower learning rate" in text
    assert ("--negatives.adaptation StepSizeAdaptation" in text) == (adaptation is None)


@pytest.mark.medium
def test_frozen_chains_of_a_sampler_that_does_not_reject_are_told_what_is_the_matter(monkeypatch):
    with pytest.warns(ConvergenceWarning, match=r"R-hat is inf .*Use a sampler that crosses"):
        told(COLD, run_of(Gibbs()), None, monkeypatch)


@pytest.mark.medium
def test_chains_that_mix_are_not_reported(monkeypatch, recwarn):
    for sampler in (DMALA(2.0), Gibbs(sweep=True)):
        told(Bernoulli(jnp.zeros(BITS)), run_of(sampler), None, monkeypatch)
    assert not [str(one.message) for one in recwarn]


def test_chains_move_on_by_the_step_size_that_they_have_found():
    sampler = DMALA(0.2)
    assert adapted(sampler, buffer(None)) is sampler
    assert adapted(Gibbs(), buffer(jnp.ones(4))) == Gibbs()
    found = adapted(sampler, buffer(jnp.asarray([9.0, 1.0, 2.0, 3.0])))  # the first never moved
    np.testing.assert_allclose(found.step_size, 0.2 * np.exp(2.0), rtol=1e-6)
