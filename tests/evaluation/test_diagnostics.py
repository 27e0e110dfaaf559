"""Whether chains that are wrong are told to be wrong, and only these."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Gaussian, GaussianMixture
from ebmx.evaluation import ConvergenceWarning, diagnose, to_arviz
from ebmx.samplers import (
    HMC,
    MALA,
    Langevin,
    Moments,
    Samples,
    StepInfo,
    sample,
    save_position_and_energy,
)

ENERGY = Gaussian(jnp.zeros(2), jnp.array([1.0, 2.0]))


def draw(energy=ENERGY, sampler=None, x=None, num_samples=400, key=None, **options):
    sampler = HMC(0.9, 2) if sampler is None else sampler
    x = jnp.zeros((8, 2)) if x is None else x
    options = {"save": save_position_and_energy, "num_warmup": 50, **options}
    return sample(energy, sampler, x, num_samples=num_samples, key=key, **options)


def made(values, energy=None):
    """Samples of given values `(chains, num_samples, *shape)`."""
    chains = len(values)
    one = jnp.ones(chains)
    info = StepInfo(one, one, one, jnp.zeros(chains, bool))
    kept = values if energy is None else {"x": values, "energy": energy}
    return Samples(kept, values[:, -1], None, info, jnp.zeros(chains, int))


@pytest.mark.slow
def test_good_chains_are_not_warned_of(getkey):
    samples = draw(key=getkey())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = diagnose(samples)
    assert found.warnings == ()
    assert found.rhat.shape == found.ess_bulk.shape == found.ess_tail.shape == (2,)
    assert found.rhat.max() < 1.01
    assert found.ess_bulk.min() > 400
    assert found.acceptance.shape == (8,)
    assert found.num_divergent == 0
    assert abs(found.energy_drift) < 3
    assert "R-hat" in str(found)
    assert "not saved" not in str(found)


def test_stuck_chains_are_told(getkey):
    samples = draw(sampler=MALA(1e6), num_warmup=0, x=jnp.ones((8, 2)), key=getkey())
    with pytest.warns(ConvergenceWarning, match="8 of 8 chains rejected every proposal"):
        found = diagnose(samples)
    assert any("smaller step_size" in words for words in found.warnings)


def test_separated_chains_are_told(getkey):
    modes = GaussianMixture(jnp.array([[-5.0, 0.0], [5.0, 0.0]]), 0.5)
    x = jnp.array([[-5.0, 0.0], [5.0, 0.0]] * 4)
    samples = draw(modes, HMC(0.4, 3), x, key=getkey())
    with pytest.warns(ConvergenceWarning, match=r"R-hat is .*above 1\.01"):
        found = diagnose(samples)
    assert found.rhat[0] > 1.5 > found.rhat[1]


def test_chains_on_their_way_are_told(getkey):
    x = jnp.full((8, 2), 50.0)
    samples = draw(sampler=Langevin(0.003), x=x, num_warmup=0, key=getkey())
    found = diagnose(samples, warn=False)
    assert found.energy_drift < -3
    assert any("the mean energy moved by" in words for words in found.warnings)


def test_divergent_steps_are_told(getkey):
    samples = draw(sampler=HMC(5.0, 20), num_warmup=0, key=getkey())
    found = diagnose(samples, warn=False)
    assert found.num_divergent == 8
    assert any("8 chains had divergent steps" in words for words in found.warnings)


def test_the_drift_is_in_standard_errors_of_the_chains():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(8, 400, 2)).astype(np.float32)
    shift = rng.normal(size=(8, 400)) + np.where(np.arange(400) < 200, 0.0, 1.0)
    found = diagnose(made(values, shift), warn=False)
    change = shift[:, 200:].mean(1) - shift[:, :200].mean(1)
    want = change.mean() / (change.std(ddof=1) / np.sqrt(8))
    np.testing.assert_allclose(found.energy_drift, want, rtol=1e-6)
    assert want > 3
    assert diagnose(made(values), warn=False).energy_drift is None


@pytest.mark.slow
def test_the_effective_sample_size_of_an_autoregression():
    rng = np.random.default_rng(1)
    chains, num, coefficient = 16, 2_000, np.array([0.0, 0.6])
    x = np.zeros((chains, num, 2), np.float32)
    x[:, 0] = rng.normal(size=(chains, 2))
    for i in range(1, num):
        noise = rng.normal(size=(chains, 2)) * np.sqrt(1 - coefficient**2)
        x[:, i] = coefficient * x[:, i - 1] + noise
    found = diagnose(made(x), warn=False)
    want = chains * num * (1 - coefficient) / (1 + coefficient)
    np.testing.assert_allclose(found.ess_bulk, want, rtol=0.15)


def test_images_keep_their_shape(getkey):
    values = np.asarray(jax.random.normal(getkey(), (8, 400, 1, 2, 1)))
    found = diagnose(made(values), warn=False)
    assert found.rhat.shape == found.ess_tail.shape == (1, 2, 1)


def test_the_export_to_arviz(getkey):
    samples = draw(num_samples=10, key=getkey())
    tree = to_arviz(samples)
    np.testing.assert_array_equal(tree["posterior"]["x"].values, samples.values["x"])
    np.testing.assert_array_equal(tree["sample_stats"]["energy"].values, samples.values["energy"])
    assert "sample_stats" not in to_arviz(made(np.zeros((2, 5, 1)))).children


@pytest.mark.slow
def test_what_cannot_be_judged_is_told(getkey):
    with pytest.raises(ValueError, match=r"samples\.values=RunningMoments: save positions"):
        diagnose(draw(save=Moments(), num_samples=5, key=getkey()))
    with pytest.raises(ValueError, match=r"samples\.values\.shape=\(8, 3, 2\): give at least 4"):
        diagnose(draw(num_samples=3, key=getkey()))
