"""Log Z by chains and particles, against densities whose log Z is known."""

import warnings

import blackjax
import blackjax.smc.resampling
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Bernoulli, BernoulliRBM, Box, Function, Gaussian, GaussianMixture, Uniform
from ebmx.evaluation import (
    ConvergenceWarning,
    adaptive_smc,
    annealed_importance_sampling,
)
from ebmx.samplers import MALA, BlockGibbs, Langevin

MIXTURE = GaussianMixture(jnp.array([[-1.0, 0.5], [1.5, 0.0]]), 0.6, jnp.array([0.3, 0.7]))
WIDE = Gaussian(jnp.zeros(2), 4.0)


def machine(visible=6, hidden=4, scale=1.0):
    rng = np.random.default_rng(visible)
    shapes = (visible, hidden), (visible,), (hidden,)
    return BernoulliRBM(*[scale * rng.normal(size=shape) for shape in shapes])


# of each case: an energy, the base, and the truth
CASES = {
    "mixture": (MIXTURE, WIDE, 0.0),
    "box": (
        Box(Function(lambda x: 2.0 * x[0], (1,)), 0.0, 1.0), Uniform(jnp.zeros(1), jnp.ones(1)),
        np.log((1 - np.exp(-2)) / 2),
    ),
    "support within the base": (
        Box(Gaussian(jnp.zeros(1)), 0.0, 9.0), Gaussian(jnp.ones(1), 2.0),
        np.log(np.sqrt(2 * np.pi) / 2),
    ),
    "machine": (machine(), Bernoulli(jnp.zeros(6)), None),
    "machine, few visible units": (machine(4, 6), Bernoulli(jnp.ones(4)), None),
}  # fmt: skip


def truth(energy, value):
    return float(energy.log_z) if value is None else value


def draws(energy, num, key):
    return jax.vmap(lambda key: energy.sample(key=key))(jax.random.split(key, num))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_normaliser_is_unbiased_over_seeds(name, getkey):
    energy, base, value = CASES[name]
    found = [
        annealed_importance_sampling(energy, base, num_chains=32, num_temperatures=20, key=getkey())
        for _ in range(20)
    ]
    ratio = np.exp([one.log_z - truth(energy, value) for one in found])
    error = ratio.std(ddof=1) / np.sqrt(20)
    assert abs(ratio.mean() - 1) < 3 * error
    # the standard error of one is that over the seeds
    said = np.mean([one.standard_error for one in found])
    assert 0.5 < said / np.std(np.log(ratio), ddof=1) < 2
    assert error < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixture", "machine"])
def test_forwards_and_backwards_bracket_the_truth(name, getkey):
    energy, base, value = CASES[name]
    options = {"num_temperatures": 20, "key": getkey()}
    x = draws(energy, 32, getkey())
    below = annealed_importance_sampling(energy, base, num_chains=32, **options)
    above = annealed_importance_sampling(energy, base, samples=x, **options)
    for found in (below, above):
        assert found.log_weights.shape == (32,)
        assert abs(found.log_z - truth(energy, value)) < 4 * found.standard_error
        assert found.x.shape == x.shape
        assert found.schedule.shape == (21,)
        assert np.all(np.diff(found.schedule) > 0)


@pytest.mark.slow
def test_another_sampler_moves_the_chains(getkey):
    found = annealed_importance_sampling(
        MIXTURE, WIDE, num_chains=64, schedule=np.linspace(0, 1, 101), sampler=MALA(0.5),
        num_steps=2, key=getkey(),
    )  # fmt: skip
    assert abs(found.log_z) < 4 * found.standard_error
    np.testing.assert_allclose(found.schedule, np.linspace(0, 1, 101), atol=1e-6)
    # step sizes followed the path
    assert found.acceptance.mean() == pytest.approx(0.63, abs=0.15)


@pytest.fixture(scope="module")
def twice():
    """Annealing to the mixture, run twice with one key."""
    options = {"num_chains": 500, "num_temperatures": 60, "key": jax.random.key(3)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return [annealed_importance_sampling(MIXTURE, WIDE, **options) for _ in range(2)]


@pytest.mark.medium
def test_annealing_finds_the_truth_and_weighted_ends_are_samples(twice):
    found, _ = twice
    assert abs(found.log_z) < 5 * found.standard_error
    assert 0 < found.standard_error < 0.1
    # at the longest trajectory more is accepted than the target
    assert 0.7 < found.acceptance.mean() < 1
    w = np.exp(found.log_weights - found.log_weights.max())
    mean = (w @ np.asarray(found.x)) / w.sum()
    spread = np.sqrt(np.asarray(MIXTURE.variance) / found.effective_sample_size)
    assert np.all(np.abs(mean - np.asarray(MIXTURE.mean)) < 5 * spread)


def test_the_same_key_gives_the_same_numbers(twice):
    first, second = twice
    np.testing.assert_array_equal(first.log_weights, second.log_weights)
    np.testing.assert_array_equal(first.x, second.x)


@pytest.mark.slow
def test_smc_finds_the_truth_and_ends_in_samples(getkey):
    found = adaptive_smc(MIXTURE, WIDE, num_particles=256, num_islands=4, key=getkey())
    assert abs(found.log_z) < 4 * found.standard_error
    assert 0 < found.standard_error < 0.1
    assert found.log_weights.shape == (4,)
    assert found.x.shape == (1024, 2)
    assert found.schedule[0] == 0
    assert found.schedule[-1] == 1
    assert len(found.acceptance) == len(found.schedule) - 1
    error = np.sqrt(np.asarray(MIXTURE.variance) / 100)
    assert np.all(np.abs(found.x.mean(0) - MIXTURE.mean) < 4 * error)


@pytest.mark.slow
def test_smc_is_that_of_blackjax(getkey):
    steps = {"step_size": 0.4, "inverse_mass_matrix": jnp.ones(2), "num_integration_steps": 3}
    theirs = []
    for _ in range(2):
        smc = blackjax.adaptive_tempered_smc(
            lambda x: -WIDE(x), lambda x: WIDE(x) - MIXTURE(x), blackjax.hmc.build_kernel(),
            blackjax.hmc.init, blackjax.smc.base.extend_params(steps) | {"num_integration_steps":
            jnp.array([3])}, blackjax.smc.resampling.systematic, 0.8, num_mcmc_steps=5,
        )  # fmt: skip
        state, step, total = smc.init(draws(WIDE, 1000, getkey())), jax.jit(smc.step), 0.0
        with jax.numpy_rank_promotion("allow"):
            while float(state.tempering_param) < 1:
                state, info = step(getkey(), state)
                total += float(info.log_likelihood_increment)
        theirs.append(total + float(WIDE.log_z))
    ours = adaptive_smc(MIXTURE, WIDE, num_particles=256, num_islands=4, key=getkey())
    assert abs(ours.log_z - np.mean(theirs)) < 0.12


@pytest.mark.slow
def test_smc_of_a_machine(getkey):
    energy, base, _ = CASES["machine"]
    found = adaptive_smc(energy, base, num_particles=256, num_islands=4, key=getkey())
    assert abs(found.log_z - float(energy.log_z)) < max(4 * found.standard_error, 0.02)
    assert set(np.unique(found.x)) == {0.0, 1.0}


@pytest.mark.slow
def test_too_few_temperatures_are_reported(getkey):
    narrow = Gaussian(jnp.full(20, 3.0), 0.01)
    with pytest.warns(ConvergenceWarning, match="chains have all the weight.*more temperatures"):
        annealed_importance_sampling(
            narrow, Gaussian(jnp.zeros(20)), num_chains=16, num_temperatures=2, key=getkey()
        )


@pytest.mark.slow
def test_a_base_that_does_not_cover_the_energy_is_reported(getkey):
    box = Uniform(jnp.full(2, -0.5), jnp.full(2, 0.5))
    with pytest.warns(ConvergenceWarning, match="the base has no density"):
        annealed_importance_sampling(
            MIXTURE, box, num_chains=32, num_temperatures=20, num_steps=4, key=getkey()
        )
    with pytest.raises(
        ValueError, match=r"base=Uniform: it has no density at samples\[\[1\]\]: .*wider"
    ):
        annealed_importance_sampling(
            MIXTURE, box, samples=jnp.array([[0.0, 0.0], [2.0, 0.0]]), key=getkey()
        )


KEY = jax.random.key(0)
BAD = {
    "base": ({"base": lambda x: x[0]}, r"base=function: give an energy with `log_z`"),
    "shape": ({"base": Gaussian(jnp.zeros(3))}, r"base\.shape=\(3,\): .*shape \(2,\)"),
    "machine": (
        {"energy": machine(), "base": Gaussian(jnp.zeros(6))},
        r"base=Gaussian: .*Bernoulli",
    ),
    "bits": ({"base": Bernoulli(jnp.zeros(2))}, r"base=Bernoulli: .*Gaussian"),
    "sampler": ({"sampler": Langevin(0.1)}, "sampler=Langevin: it does not leave"),
    "steps": ({"num_steps": 0}, "num_steps=0"),
}
BAD_CHAINS = {
    "chains": ({"num_chains": 1}, "num_chains=1: .*at least 2"),
    "temperatures": ({"num_temperatures": 0}, "num_temperatures=0"),
    "falling": ({"schedule": [0.0, 0.5, 0.4, 1.0]}, "schedule=.*ascending"),
    "ends": ({"schedule": [0.1, 1.0]}, "schedule=.*ascending"),
}
BAD_ISLANDS = {
    "islands": ({"num_islands": 1}, "num_islands=1"),
    "particles": ({"num_particles": 2}, "num_particles=2"),
    "fraction": ({"target_ess": 1.0}, r"target_ess=1\.0: give a fraction"),
}


@pytest.mark.parametrize("name", BAD | BAD_CHAINS)
def test_annealing_that_cannot_be_is_refused(name):
    options, match = (BAD | BAD_CHAINS)[name]
    with pytest.raises(ValueError, match=match):
        annealed_importance_sampling(**{"energy": MIXTURE, "base": WIDE, "key": KEY} | options)


@pytest.mark.parametrize("name", BAD | BAD_ISLANDS)
def test_smc_that_cannot_be_is_refused(name):
    options, match = (BAD | BAD_ISLANDS)[name]
    with pytest.raises(ValueError, match=match):
        adaptive_smc(**{"energy": MIXTURE, "base": WIDE, "key": KEY} | options)


def test_gibbs_is_for_machines(getkey):
    with pytest.raises(ValueError, match="energy=Gaussian: BlockGibbs samples a BernoulliRBM, Cat"):
        BlockGibbs().init(WIDE, jnp.zeros(2), key=getkey())
