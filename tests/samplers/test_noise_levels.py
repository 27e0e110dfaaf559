"""Samples of energies over noise levels: masses of modes and moments against the exact ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noise_levels import LEVELS, MEANS, SCALE, WEIGHTS, data, noisy_mixture

import ebmx
from ebmx.energies import ClampedLevels, GaussianMixture, NoiseMixture
from ebmx.samplers import (
    HMC,
    MALA,
    Ancestral,
    BlackJAX,
    Langevin,
    ProbabilityFlow,
    sample_levels,
)

KEY = jax.random.key(0)
NUM = 4000
TRUTH = noisy_mixture()
METHODS = {
    "annealed Langevin": {"corrector": Langevin(0.5), "num_steps": 100},
    "annealed MALA": {"corrector": MALA(0.5), "num_steps": 30},
    "annealed HMC": {"corrector": HMC(0.5, 3), "num_steps": 10},
    "flow": {"predictor": ProbabilityFlow(), "sigma": np.geomspace(0.1, 12.0, 40)},
    "ancestral": {"predictor": Ancestral(), "sigma": np.geomspace(0.1, 12.0, 200)},
    "flow and MALA": {"predictor": ProbabilityFlow(), "corrector": MALA(0.5), "num_steps": 5},
    "ancestral and MALA": {"predictor": Ancestral(), "corrector": MALA(0.5), "num_steps": 10},
}


def masses(x, means):
    """The fraction of samples nearest to each mean."""
    apart = np.sum((np.asarray(x)[:, None] - np.asarray(means)[None]) ** 2, -1)
    return np.bincount(apart.argmin(1), minlength=len(means)) / len(x)


@pytest.mark.medium
@pytest.mark.parametrize("name", METHODS)
def test_modes_have_their_masses(name):
    found = sample_levels(TRUTH, NUM, **METHODS[name], key=KEY)
    expected = masses(data(200_000, KEY) + 0.1 * jax.random.normal(KEY, (200_000, 2)), MEANS)
    error = np.abs(masses(found.x, MEANS) - expected)
    assert np.all(error < 5 * np.sqrt(expected * (1 - expected) / NUM)), error
    mixture = GaussianMixture(MEANS, np.sqrt(SCALE**2 + 0.01), WEIGHTS)
    np.testing.assert_allclose(found.x.mean(0), mixture.mean, atol=0.12)
    np.testing.assert_allclose(found.x.var(0), mixture.variance, rtol=0.1)
    corrected = "corrector" in METHODS[name]
    assert found.acceptance.shape == ((9,) if corrected else (len(METHODS[name]["sigma"]) - 1,))
    rejects = corrected and not isinstance(METHODS[name]["corrector"], Langevin)
    assert bool(np.all(found.acceptance < 1)) == rejects


@pytest.mark.medium
def test_a_product_needs_a_corrector_that_rejects():
    """Two mixtures of three modes each whose product favours the shared one."""
    other = noisy_mixture(means=jnp.array([[1.0, 1.0], [-1.5, 0.0], [4.0, 4.0]]))
    product = TRUTH + other
    grid = np.stack(np.meshgrid(*[np.linspace(-6, 8, 281)] * 2, indexing="ij"), -1).reshape(-1, 2)
    log = -np.asarray(ebmx.energy(product.at(LEVELS.sigma[0]), grid.astype(np.float32)), float)
    weights = np.exp(log - log.max())
    mean = weights @ grid / weights.sum()
    flow = sample_levels(product, NUM, predictor=ProbabilityFlow(), key=KEY)
    right = sample_levels(product, NUM, corrector=MALA(0.5), num_steps=100, key=KEY)
    spread = np.sqrt(weights @ (grid - mean) ** 2 / weights.sum() / NUM)
    assert np.all(np.abs(right.x.mean(0) - mean) < 5 * spread)
    assert np.any(np.abs(flow.x.mean(0) - mean) > 8 * spread)


@pytest.mark.medium
def test_a_mixture_of_energies():
    far = noisy_mixture(means=MEANS + 3.0)
    found = sample_levels(
        NoiseMixture([TRUTH, far], [1.0, 3.0]), NUM, corrector=MALA(0.5), num_steps=30, key=KEY
    )
    near = np.mean(np.asarray(found.x).sum(1) < 3.0)
    assert abs(near - 0.25) < 5 * np.sqrt(0.25 * 0.75 / NUM) + 0.005


@pytest.mark.medium
def test_any_kernel_of_blackjax_corrects():
    import blackjax

    kernel = BlackJAX(
        blackjax.hmc.init, blackjax.hmc.build_kernel(),
        step_size=0.5, inverse_mass_matrix=jnp.ones(2), num_integration_steps=3,
    )  # fmt: skip
    found = sample_levels(TRUTH, 1000, corrector=kernel, num_steps=10, key=KEY)
    expected = np.array(WEIGHTS)
    error = np.abs(masses(found.x, MEANS) - expected)
    assert np.all(error < 5 * np.sqrt(expected / 1000) + 0.02)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"energy": TRUTH.at(0.5)}, r"^energy=Conditioned: give an (energy over|Abstract)"),
        ({"num_samples": 0}, r"^num_samples=0"),
        ({"sigma": [1.0, 0.1]}, r"^sigma=\[1.0, 0.1"),
        ({"sigma": [0.1, 5.0]}, r"^sigma=.*: end with 12, where"),
        ({"sigma": [0.01, 12.0]}, r"^sigma=.*: the levels of the energy go from 0.1"),
        ({"corrector": Langevin(0.1, bounds=(-1.0, 1.0))}, r"^corrector.bounds=.*without bounds"),
        ({"predictor": MALA(0.1)}, r"^predictor=MALA"),
    ],
)
def test_what_does_not_fit_is_refused(change, match):
    call = {"energy": TRUTH, "num_samples": 4, "key": KEY} | change
    with pytest.raises(ValueError, match=match):
        sample_levels(call.pop("energy"), call.pop("num_samples"), **call)


@pytest.mark.medium
def test_inpainting_has_the_conditional_density():
    """Given the first coordinate, the second is a mixture with known weights."""
    clamped = ClampedLevels(TRUTH, np.array([True, False]), jnp.array([1.0, jnp.nan]))
    found = sample_levels(clamped, NUM, corrector=MALA(0.5), num_steps=30, key=KEY)
    variance = SCALE**2 + float(LEVELS.sigma[0]) ** 2
    weights = WEIGHTS * np.exp(-0.5 * (1.0 - MEANS[:, 0]) ** 2 / variance)
    weights = weights / weights.sum()
    mean = weights @ MEANS[:, 1]
    spread = weights @ (MEANS[:, 1] - mean) ** 2 + variance
    assert abs(found.x.mean() - mean) < 5 * np.sqrt(spread / NUM) + 0.01
    np.testing.assert_allclose(found.x.var(), spread, rtol=0.1)


@pytest.mark.medium
def test_a_step_of_the_flow_is_of_second_order():
    """For data at one point with variance s², the flow is a factor of `√(s² + σ²)`."""
    energy, x = noisy_mixture(means=jnp.zeros((3, 2))), jnp.array([0.5, -1.0])

    def error(width):
        lower = 2.0 - width
        end = ProbabilityFlow().step(energy, x, jnp.array(2.0), jnp.array(lower), key=KEY)
        exact = x * np.sqrt((SCALE**2 + lower**2) / (SCALE**2 + 4.0))
        return float(jnp.linalg.norm(end - exact))

    assert error(1.0) / error(0.5) > 8  # less than 6 for a step of first order
    assert error(0.5) < 0.01


def test_an_ancestral_step_has_the_moments_of_a_point_of_data_that_is_known():
    energy, x, sigma, lower = noisy_mixture(means=jnp.zeros((3, 2))), jnp.ones(2), 2.0, 1.0
    step = lambda key: Ancestral().step(energy, x, jnp.array(sigma), jnp.array(lower), key=key)  # noqa: E731
    found = jax.vmap(step)(jax.random.split(KEY, 20_000))
    point = x * (1 - sigma**2 / (SCALE**2 + sigma**2))  # the mean of the data given x
    mean = point + (x - point) * lower**2 / sigma**2
    np.testing.assert_allclose(found.mean(0), mean, atol=0.03)
    np.testing.assert_allclose(found.var(0), lower**2 * (1 - lower**2 / sigma**2), rtol=0.05)


@pytest.mark.medium
def test_samples_of_one_level_are_brought_down_from_there():
    """Data with noise of a level between, as its exact samples."""
    x = data(NUM, jax.random.key(1)) + jax.random.normal(jax.random.key(2), (NUM, 2))
    options = {"start": x, "sigma": np.geomspace(0.1, 1.0, 60), "key": KEY}
    found = sample_levels(TRUTH, NUM, predictor=Ancestral(), **options)
    assert found.acceptance.shape == (59,)
    expected = masses(data(200_000, KEY) + 0.1 * jax.random.normal(KEY, (200_000, 2)), MEANS)
    error = np.abs(masses(found.x, MEANS) - expected)
    assert np.all(error < 5 * np.sqrt(expected * (1 - expected) / NUM)), error
    mixture = GaussianMixture(MEANS, np.sqrt(SCALE**2 + 0.01), WEIGHTS)
    np.testing.assert_allclose(found.x.var(0), mixture.variance, rtol=0.1)
    # a probability flow has no noise: it moves each sample, and keeps the order of modes near it
    flow = sample_levels(TRUTH, NUM, predictor=ProbabilityFlow(), **options).x
    assert np.corrcoef(np.asarray(flow).T[0], np.asarray(x).T[0])[0, 1] > 0.9
    for bad, message in (
        ({"start": x[:3]}, r"start.shape=\(3, 2\): give num_samples=4000"),
        ({"start": None}, "sigma=.*end with 12, where the density is known, or give start"),
        ({"sigma": np.array([0.1, 20.0])}, "levels of the energy go from 0.1 to 12"),
    ):
        with pytest.raises(ValueError, match=message):
            sample_levels(TRUTH, NUM, **(options | bad))
