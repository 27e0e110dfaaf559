"""Energies over noise levels that are made of others: classes, sums, mixtures, fixed parts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noise_levels import LEVELS, labelled, noisy_mixture

import ebmx
from ebmx.energies import (
    MLP,
    ClampedLevels,
    Gaussian,
    NoiseConditional,
    NoiseMixture,
    geometric_levels,
    guided,
)

KEY = jax.random.key(0)
COVARIANCE = np.array([[1.5, 0.4], [0.4, 0.8]])


def perceptron(**options):
    network = MLP((2,), (8,), condition_size=6, key=KEY)
    settings = {"mean": jnp.array([0.5, -0.2]), "covariance": COVARIANCE} | options
    return NoiseConditional(network, LEVELS, **settings, key=KEY)


@pytest.mark.medium
def test_labels_beside_levels():
    energy = labelled()
    arrays, rest = eqx.partition(energy, eqx.is_inexact_array)
    energy = eqx.combine(jax.tree.map(lambda a: a + 0.1, arrays), rest)
    x = jnp.array([[0.3, 0.4]])
    values = [float(ebmx.energy(energy.at_label(k).at(0.5), x)[0]) for k in (0, 1, 2, None)]
    assert len(set(values)) == 4
    direct = ebmx.energy(energy.at(jnp.array([0.5, 1.0])), x)
    np.testing.assert_allclose(values[1], direct[0], rtol=1e-6)
    guide = guided(energy, 1, 2.0).at(0.5)
    np.testing.assert_allclose(ebmx.energy(guide, x)[0], 3 * values[1] - 2 * values[3], rtol=1e-4)
    # those of a trace are not checked
    at = lambda y: energy.at(y)(x[0])  # noqa: E731
    assert np.isnan(jax.jit(at)(jnp.array([0.5, 7.0])))
    assert energy.at_label(np.int64(1)).label == 1


def test_products_and_mixtures_at_each_level():
    one, two = noisy_mixture(), noisy_mixture((0.2, 0.1), means=jnp.ones((3, 2)))
    x = jax.random.normal(KEY, (4, 2))
    for sigma in (0.2, 3.0):
        a, b = (ebmx.energy(energy.at(sigma), x) for energy in (one, two))
        np.testing.assert_allclose(ebmx.energy((one + two).at(sigma), x), a + b, rtol=1e-5)
        np.testing.assert_allclose(
            ebmx.energy((2.0 * one - 0.5 * two).at(sigma), x), 2 * a - b / 2, rtol=1e-5, atol=1e-5
        )
        mixed = ebmx.energy(NoiseMixture([one, two], [1.0, 3.0]).at(sigma), x)
        np.testing.assert_allclose(mixed, -np.log(0.25 * np.exp(-a) + 0.75 * np.exp(-b)), rtol=1e-5)


@pytest.mark.medium
def test_the_top_of_a_product_and_of_a_mixture():
    one, two = noisy_mixture(), noisy_mixture(means=jnp.full((3, 2), 4.0))
    top = (one + two).top
    precisions = [np.linalg.inv(np.asarray(e.top.covariance)) for e in (one, two)]
    covariance = np.linalg.inv(sum(precisions))
    np.testing.assert_allclose(top.covariance, covariance, rtol=1e-4, atol=1e-3)
    means = [np.asarray(e.top.mean) for e in (one, two)]
    mean = covariance @ sum(p @ m for p, m in zip(precisions, means, strict=True))
    np.testing.assert_allclose(top.mean, mean, rtol=1e-3, atol=1e-3)
    both = NoiseMixture([one, two], [1.0, 3.0])
    # training may move the log weights away from those of parts that add up to 1
    moved = eqx.tree_at(lambda mixture: mixture.log_weights, both, replace_fn=lambda w: w + 2.0)
    point = jnp.array([1.0, 2.0])
    for part in (lambda e: e.at(0.5), lambda e: e.top):
        np.testing.assert_allclose(part(moved)(point), part(both)(point), rtol=1e-5)
    mixture = both.top
    x = ebmx.energies.exact_samples(mixture, 20_000, key=KEY)
    np.testing.assert_allclose(x.mean(0), mixture.mean, atol=0.35)
    np.testing.assert_allclose(x.var(0), mixture.variance, rtol=0.05)


@pytest.mark.medium
def test_the_top_of_a_mixture_of_sums():
    """Regression: at the highest level the parts had their weights, not those of their masses."""
    one, two = perceptron(mean=jnp.array([-2.0, 0.0])), perceptron(mean=jnp.array([3.0, 1.0]))
    mixture = NoiseMixture((one + two, one), [1.0, 2.0])
    x = 8 * jax.random.normal(KEY, (20, 2))
    apart = ebmx.energy(mixture.at(LEVELS.sigma[-1]), x) - ebmx.energy(mixture.top, x)
    np.testing.assert_allclose(apart, apart[0], atol=1e-4)


def test_levels_of_a_combination_are_those_of_all_parts():
    """Regression: they were those of the first, at which others may not be defined."""
    network = MLP((2,), (4,), condition_size=6, key=KEY)
    fine = NoiseConditional(network, geometric_levels(0.001, 12.0, 20), key=KEY)
    for both in (fine + perceptron(), perceptron() + fine, NoiseMixture((fine, perceptron()))):
        np.testing.assert_array_equal(both.levels.sigma, LEVELS.sigma)


@pytest.mark.medium
def test_clamping_at_each_level():
    """The free part given the fixed one: the energy at each level, and the known highest one."""
    energy = noisy_mixture()
    clamped = ClampedLevels(energy, np.array([True, False]), jnp.array([0.8, jnp.nan]))
    z = jnp.array([[0.3], [-1.0]])
    whole = jnp.array([[0.8, 0.3], [0.8, -1.0]])
    np.testing.assert_array_equal(clamped.fill(z), whole)
    for sigma in (0.1, 3.0):
        found = ebmx.energy(clamped.at(sigma), z)
        np.testing.assert_allclose(found, ebmx.energy(energy.at(sigma), whole), rtol=1e-6)
    top = clamped.top
    covariance, mean = np.asarray(energy.top.covariance), np.asarray(energy.top.mean)
    expected = mean[1] + covariance[1, 0] / covariance[0, 0] * (0.8 - mean[0])
    np.testing.assert_allclose(top.mean, [expected], rtol=1e-3)
    schur = covariance[1, 1] - covariance[0, 1] ** 2 / covariance[0, 0]
    np.testing.assert_allclose(top.covariance, [[schur]], rtol=1e-3)


@pytest.mark.medium
def test_a_plain_energy_does_not_add_up_with_one_over_levels():
    """It has no noise levels: at one level they do."""
    plain = Gaussian(np.zeros(2), 2.0)
    for make in (lambda: plain + noisy_mixture(), lambda: 2.0 * plain - noisy_mixture()):
        with pytest.raises(ValueError, match=r"condition_shape=\(\): .*by energy.at\(...\)"):
            make()
    x = jnp.ones((1, 2))
    whole = ebmx.energy(plain + noisy_mixture().at(0.5), x)
    parts = ebmx.energy(plain, x) + ebmx.energy(noisy_mixture().at(0.5), x)
    np.testing.assert_allclose(whole, parts, rtol=1e-6)
