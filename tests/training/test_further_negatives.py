"""Recovery, transport and the terms of improved contrastive divergence, on closed forms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from ebmx.energies import Gaussian
from ebmx.samplers import MALA
from ebmx.training import (
    Examples,
    Recovery,
    TransportPairs,
    nearest_neighbour_entropy,
    sampler_divergence,
    transport_matching,
)


class Parabola(eqx.Module):
    """`E(x) = ½ a |x − m|²`."""

    a: jax.Array
    m: jax.Array

    def __call__(self, x):
        return 0.5 * self.a * jnp.sum((x - self.m) ** 2)


def test_recovery_samples_what_a_noisy_datum_was(getkey):
    # prior N(1, 1/2) and noise 0.5 make the posterior a Gaussian
    energy, sigma = Parabola(jnp.array(2.0), jnp.array(1.0)), 0.5
    x = jnp.zeros((4000, 1))
    recovery = Recovery(MALA(0.3), sigma, num_steps=60)
    negatives, _, _ = recovery.step(energy, x, None, key=jax.random.key(3))
    # x̃ ~ N(0, σ²); x | x̃ ~ N((2·1 + x̃/σ²)/(2 + 1/σ²), 1/(2 + 1/σ²))
    precision = 2 + 1 / sigma**2
    mean, variance = 2.0 / precision, 1 / precision + sigma**2 / sigma**4 / precision**2
    error = np.sqrt(variance / len(x))
    assert abs(float(jnp.mean(negatives)) - mean) < 5 * error
    assert abs(float(jnp.var(negatives)) - variance) < 5 * variance * np.sqrt(2 / len(x))


def test_transport_pairs_are_nearly_those_of_the_assignment(getkey):
    x = 2 * jax.random.normal(getkey(), (32, 2))
    pairs = TransportPairs(num_iterations=200, temperature=0.005)
    negatives, _, info = pairs.step(None, x, None, key=getkey())
    assert info is None
    assert negatives.y.shape == (32,)
    assert float(jnp.min(negatives.y)) >= 0
    assert float(jnp.max(negatives.y)) <= 1

    def cost(a, b):
        return float(np.mean(np.sum((np.asarray(a) - np.asarray(b)) ** 2, -1)))

    z = np.asarray(negatives.x)
    square = np.sum((np.asarray(x)[:, None] - z[None]) ** 2, -1)
    rows, columns = scipy.optimize.linear_sum_assignment(square)
    # partners may repeat, so the pairs can be a little nearer than an assignment of the same noise
    assert cost(x, z) < 1.1 * cost(np.asarray(x)[rows], z[columns]) + 1e-6
    shuffled = np.random.default_rng(0).permutation(z)
    assert cost(x, z) < 0.5 * cost(x, shuffled)


def test_the_slope_of_a_translation_is_its_length():
    # z = x − 2 everywhere: the transport is a shift by 2, so ∇E = −2 is the minimum, 0
    x = jnp.linspace(-1, 1, 6)[:, None]
    negatives = Examples(x - 2, jnp.linspace(0, 1, 6))
    for slope, loss in ((-2.0, 0.0), (-1.0, 1.0), (2.0, 16.0)):
        value, _ = transport_matching(lambda x, s=slope: s * jnp.sum(x), x, negatives)
        np.testing.assert_allclose(value, loss, atol=1e-5)
    with pytest.raises(ValueError, match="TransportPairs"):
        transport_matching(lambda x: jnp.sum(x), x, x)


def test_the_divergence_of_the_sampler_has_the_gradient_of_its_last_step():
    # x' = x − (ε/2) a (x − m); the judge is ½ ā (x' − m̄)² with ā, m̄ fixed
    x, step = jnp.array([[0.5], [2.0], [-1.0]]), 0.4
    energy = Parabola(jnp.array(1.5), jnp.array(0.3))

    def loss(energy):
        return sampler_divergence(energy, x, x, step_size=step, entropy_weight=0.0)[0]

    gradient = jax.grad(loss)(energy)
    moved = x - 0.5 * step * energy.a * (x - energy.m)
    by_position = energy.a * (moved - energy.m)
    by_a = np.mean(by_position * (-0.5 * step * (x - energy.m)))
    by_m = np.mean(by_position * 0.5 * step * energy.a)
    np.testing.assert_allclose([gradient.a, gradient.m], [by_a, by_m], rtol=1e-5)


def test_the_entropy_of_neighbours_follows_the_scale(getkey):
    x = jax.random.normal(getkey(), (200, 3))
    difference = nearest_neighbour_entropy(2 * x) - nearest_neighbour_entropy(x)
    np.testing.assert_allclose(difference, np.log(2.0), rtol=1e-4)
    tree = np.sort(np.linalg.norm(np.asarray(x)[:, None] - np.asarray(x)[None], axis=-1), 1)[:, 1]
    np.testing.assert_allclose(nearest_neighbour_entropy(x), np.mean(np.log(tree)), rtol=1e-3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Recovery(MALA(0.1), 0.0), "sigma=0"),
        (lambda: Recovery(MALA(0.1), 0.5, num_steps=0), "num_steps=0"),
        (lambda: TransportPairs(num_iterations=0), "num_iterations=0"),
        (lambda: TransportPairs(temperature=-1.0), "temperature=-1"),
        (
            lambda: sampler_divergence(
                Gaussian(jnp.zeros(2)), jnp.zeros((2, 2)), jnp.zeros((1, 2)), step_size=0.1
            ),
            r"negatives\.shape",
        ),
    ],
)
def test_errors_name_the_argument(make, words):
    with pytest.raises(ValueError, match=words):
        make()
