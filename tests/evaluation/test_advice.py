"""Whether the advice names the cause of failures that were staged."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from staged_chains import CHAINS, DIM, DRAWS, staged, walk

import ebmx
from ebmx.energies import Gaussian, GaussianMixture, Ising
from ebmx.evaluation import diagnose
from ebmx.evaluation._advice import _directions, advise
from ebmx.samplers import DMALA, HMC, MALA, Langevin, save_position_and_energy, warmup

SHOULD = {
    "step too large": "smaller step_size",
    "step too small": "larger step_size",
    "scales": "masses",
    "modes": "crosses between modes",
    "start": "more warm-up",
    "few draws": "more samples",
    "one chain": "at least four chains",
    "good": "Nothing to change",
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("failure", SHOULD)
def test_the_advice_names_the_cause_that_was_staged(failure, seed):
    words = advise(staged(failure, seed))
    assert [cause for cause, want in SHOULD.items() if want in words] == [failure]


def test_chains_that_failed_diverged_or_stuck_are_advised_a_smaller_step():
    good = staged("good", 0)
    for change in ({"failed": True}, {"divergent": True}, {"stuck": 0.5}):
        assert "smaller step_size" in advise(good._replace(**change))
    assert "warm-up" in advise(good._replace(drift=5.0, draws=staged("start", 0).draws))


def test_draws_that_are_not_finite_are_advised_a_smaller_step():
    draws = walk(0.3, 0).astype(np.float32)
    draws[0, 100:] = np.nan
    for broken in (draws, np.full_like(draws, np.nan)):
        assert "smaller step_size" in diagnose(broken, warn=False).advice
    still = np.ones_like(draws)
    assert "smaller step_size" in diagnose(still, warn=False).advice


@pytest.mark.medium
def test_discrete_chains_that_stay_without_rejections_are_not_advised_another_step(getkey):
    bits = (jax.random.uniform(getkey(), (8, 4, 4)) < 0.5).astype(float)
    samples = ebmx.sample(Ising((4, 4), 2.0), DMALA(0.1), bits, num_samples=50, key=getkey())
    samples = eqx.tree_at(lambda s: s.values, samples, jnp.repeat(samples.values[:, -1:], 50, 1))
    found = diagnose(samples, warn=False)
    assert np.all(found.acceptance > 0.5)
    assert "crosses between modes" in found.advice
    assert not any("rejected every proposal" in words for words in found.warnings)


def test_slow_chains_without_an_acceptance_are_advised_longer_steps():
    slow = staged("step too small", 0)
    for unknown in (None, 1.0):
        assert "larger step_size" in advise(slow._replace(acceptance=unknown))


@pytest.mark.parametrize("failure", SHOULD)
def test_coordinates_that_never_change_leave_the_advice_as_it_is(failure):
    symptoms = staged(failure, 0)
    fixed = np.full((*symptoms.draws.shape[:2], 3), 2.5)
    more = symptoms._replace(draws=np.concatenate([symptoms.draws, fixed], 2))
    assert advise(more) == advise(symptoms)


@pytest.mark.parametrize("persistence", [-0.5, 0.0, 0.5, 0.9])
def test_the_effective_size_of_a_chain_is_that_of_its_correlation(persistence):
    found = _directions(walk(persistence, 0, draws=4000))
    want = 4000 * (1 - persistence) / (1 + persistence)
    np.testing.assert_allclose(found.own, want, rtol=0.25)
    np.testing.assert_allclose(found.width, 1, rtol=0.05)
    assert np.all(np.abs(found.trend) < 0.05)


def test_directions_are_those_within_chains_wherever_these_are():
    scales, offset = np.array([1.0, 2.0, 3.0, 4.0, 30.0]), np.array([1e3, 0, 0, 0, 1e3])
    x = walk(0.0, 0, draws=4000) * scales + np.arange(CHAINS)[:, None, None] * offset
    np.testing.assert_allclose(_directions(x).width, scales, rtol=0.05)


GAUSSIAN = Gaussian(jnp.zeros(DIM))
WIDE = Gaussian(jnp.zeros(DIM), jnp.array([1.0, 1.0, 100.0, 1e4, 1e4]))
MODES = GaussianMixture(jnp.array([[-8.0, 0, 0, 0, 0], [8.0, 0, 0, 0, 0]]), 1.0)
START = jax.random.normal(jax.random.key(9), (CHAINS, DIM))
SPLIT = START.at[:3, 0].add(-8).at[3:, 0].add(8)
CHAINS_THAT_FAIL = {
    "step too large": [(GAUSSIAN, MALA(30.0), START, 0), (GAUSSIAN, HMC(2.5), START, 0)],
    "step too small": [(GAUSSIAN, MALA(1e-3), START, 0), (GAUSSIAN, HMC(1e-3), START, 0)],
    "scales": [(WIDE, MALA(1.0), 30 * START, 200), (WIDE, HMC(1.0), 30 * START, 0)],
    "modes": [(MODES, MALA(1.0), SPLIT, 200), (MODES, HMC(0.7), SPLIT, 200)],
    "start": [(GAUSSIAN, Langevin(0.02), START + 20, 0)],
    "good": [(GAUSSIAN, HMC(0.9, 2), START, 0)],
}


@pytest.mark.slow
@pytest.mark.parametrize("failure", CHAINS_THAT_FAIL)
def test_the_advice_is_right_about_chains_of_samplers(failure, getkey):
    for energy, sampler, x, tuning in CHAINS_THAT_FAIL[failure]:
        if tuning:
            sampler, x = warmup(energy, sampler, x, num_steps=tuning, key=getkey())
        options = {"num_samples": DRAWS, "save": save_position_and_energy}
        words = diagnose(ebmx.sample(energy, sampler, x, key=getkey(), **options), warn=False)
        assert SHOULD[failure] in words.advice
        assert words.advice in str(words)
