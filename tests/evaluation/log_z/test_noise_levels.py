"""Log Z and log densities of energies over noise levels, against the exact ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from noise_levels import LEVELS, MEANS, SCALE, WEIGHTS, data, noisy_mixture

import ebmx
from ebmx.energies import MLP, Gaussian, GaussianMixture, log_density
from ebmx.evaluation import (
    adaptive_smc,
    annealed_importance_sampling,
    calibrate_levels,
    probability_flow_log_density,
)

KEY = jax.random.key(0)
OFFSETS = (0.7, -0.7)
SHIFTED = noisy_mixture(OFFSETS)
"""The constant at the lowest level is -0.7, so that log Z is 0.7; that of the highest is 0."""
SETTINGS = {"num_chains": 200, "num_temperatures": 60, "key": KEY}
LOWEST = GaussianMixture(MEANS, np.sqrt(SCALE**2 + LEVELS.sigma[0] ** 2), WEIGHTS)


@pytest.mark.medium
def test_annealing_down_the_levels():
    found = annealed_importance_sampling(SHIFTED, **SETTINGS)
    assert abs(found.log_z - 0.7) < 5 * found.standard_error
    assert found.standard_error < 0.04


@pytest.mark.medium
def test_annealing_up_the_levels():
    x = data(200, KEY) + LEVELS.sigma[0] * jax.random.normal(KEY, (200, 2))
    settings = {name: value for name, value in SETTINGS.items() if name != "num_chains"}
    found = annealed_importance_sampling(SHIFTED, samples=x, **settings)
    assert abs(found.log_z - 0.7) < 5 * found.standard_error
    assert found.standard_error < 0.04


@pytest.mark.medium
def test_constants_of_levels_are_found_and_added():
    """`log Z` of a level is minus the constant that was added to the exact energy there."""
    found = calibrate_levels(SHIFTED, **SETTINGS)
    place = np.log(np.asarray(LEVELS.sigma) / 0.1) / np.log(120.0)
    expected = -np.polyval(OFFSETS, place)
    np.testing.assert_allclose(found.log_z[-1], 0.0, atol=1e-4)
    np.testing.assert_allclose(found.log_z, expected, atol=0.1)
    assert np.ptp(expected) > 0.6
    x = jnp.asarray([[-1.5, 0.1], [1.2, 0.8]])
    np.testing.assert_allclose(log_density(found, x), log_density(LOWEST, x), atol=0.1)
    again = annealed_importance_sampling(found, **(SETTINGS | {"key": jax.random.key(1)}))
    assert abs(again.log_z) < 0.1
    between = ebmx.energy(found.at(1.0), x) - ebmx.energy(SHIFTED.at(1.0), x)
    expected = np.interp(0.0, np.log(LEVELS.sigma), found.log_z)
    np.testing.assert_allclose(between, expected, rtol=1e-4)
    np.testing.assert_allclose(
        ebmx.score(found.at(0.3), x), ebmx.score(SHIFTED.at(0.3), x), rtol=1e-6
    )


@pytest.mark.medium
def test_a_product_becomes_normalised():
    product = noisy_mixture() + noisy_mixture()
    found = calibrate_levels(product, **(SETTINGS | {"num_temperatures": 300}))
    assert found.is_normalised
    grid = np.stack(np.meshgrid(*[np.linspace(-7, 7, 281)] * 2, indexing="ij"), -1).reshape(-1, 2)
    for level in (0, 4):
        values = -np.asarray(ebmx.energy(found.at(LEVELS.sigma[level]), grid.astype(np.float32)))
        log_z = scipy.special.logsumexp(values) + 2 * np.log(0.05)
        assert abs(log_z) < 0.1
    # at the highest level it is the Gaussian, whose log Z is exact
    top = ebmx.energy(found.at(LEVELS.sigma[-1]), grid[:5].astype(np.float32))
    exact = -log_density(product.top, grid[:5].astype(np.float32))
    np.testing.assert_allclose(top, exact, rtol=1e-3)


@pytest.mark.medium
def test_particles_down_the_levels():
    found = adaptive_smc(SHIFTED, num_particles=200, num_islands=4, num_steps=2, key=KEY)
    assert abs(found.log_z - 0.7) < 0.05
    left = np.mean(np.asarray(found.x)[:, 0] < -0.3)
    assert abs(left - 0.5) < 5 * np.sqrt(0.25 / 800)


@pytest.mark.parametrize("num_probes", [None, 2])
def test_the_flow_has_the_density_of_the_lowest_level(num_probes):
    x = jnp.asarray([[-1.5, 0.1], [1.2, 0.8], [0.0, 0.0], [3.0, -2.0]])
    found = probability_flow_log_density(
        noisy_mixture(), x, num_steps=40, num_probes=num_probes, key=KEY
    )
    if num_probes is not None:  # the mean over directions is the exact one
        each = [
            probability_flow_log_density(
                noisy_mixture(), x, num_steps=40, num_probes=2, key=jax.random.key(i)
            )
            for i in range(40)
        ]
        error = np.std(each, 0) / np.sqrt(40)
        expected = log_density(LOWEST, x)
        assert np.all(np.abs(np.mean(each, 0) - expected) < 5 * error + 2e-3)
        return
    np.testing.assert_allclose(found, log_density(LOWEST, x), atol=2e-3)


def test_log_densities():
    x = jax.random.normal(KEY, (5, 2))
    expected = -ebmx.energy(LOWEST, x)
    np.testing.assert_allclose(log_density(noisy_mixture(), x), expected, rtol=1e-4)
    np.testing.assert_allclose(
        log_density(noisy_mixture().at(LEVELS.sigma[0]), x), expected, rtol=1e-4
    )
    gaussian = Gaussian(jnp.zeros(2), 2.0)
    np.testing.assert_allclose(
        log_density(gaussian, x), -ebmx.energy(gaussian, x) - gaussian.log_z, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: log_density(MLP((2,), key=KEY), jnp.zeros((1, 2))), r"^energy=MLP: log Z of"),
        (lambda: log_density(SHIFTED + SHIFTED, jnp.zeros((1, 2))), r"^energy=NoiseProduct: log Z"),
        (lambda: annealed_importance_sampling(SHIFTED, LOWEST, key=KEY), r"^base=Gaussian"),
        (lambda: annealed_importance_sampling(LOWEST, key=KEY), r"^base=NoneType: give"),
        (
            lambda: probability_flow_log_density(LOWEST, jnp.zeros((1, 2))),
            r"^energy=GaussianMixture: ",
        ),
        (
            lambda: probability_flow_log_density(SHIFTED, jnp.zeros((1, 2)), num_probes=1),
            r"^key=None: ",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()
