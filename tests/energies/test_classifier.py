"""A classifier as an energy, against the softmax of NumPy and SciPy."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from helpers import assert_mean, points
from reference import ACTIVATIONS, filled, numpy_dense

import ebmx
from ebmx.energies import JEM, MLP
from ebmx.samplers import MALA, run

X = points(4, (2,))


@functools.cache
def make():
    network = filled(lambda key: MLP((2,), (5,), out_size=3, key=key))
    silu = ACTIVATIONS["silu"]
    return JEM(network), np.stack([numpy_dense(network.layers, silu, x) for x in np.asarray(X)])


def test_the_energy_is_minus_the_logsumexp_of_the_logits():
    energy, logits = make()
    assert energy.shape == (2,)
    assert energy.num_labels == 3
    np.testing.assert_allclose(jax.jit(jax.vmap(energy.logits))(X), logits, rtol=1e-4, atol=1e-5)
    truth = -scipy.special.logsumexp(logits, axis=1)
    np.testing.assert_allclose(ebmx.energy(energy, X), truth, rtol=1e-4, atol=1e-5)
    big = JEM(lambda x: 1e4 * x, (2,))  # and does not overflow
    np.testing.assert_allclose(big(jnp.array([3.0, -1.0])), -3e4, rtol=1e-6)


def test_energies_of_classes_are_minus_their_logits():
    energy, logits = make()
    labels = np.array([2, 0, 1, 2])
    for y in range(3):
        values = ebmx.energy(energy.at(y), X)
        np.testing.assert_allclose(values, -logits[:, y], rtol=1e-4, atol=1e-5)
    each = ebmx.energy(energy.conditional.at_each(labels), X)
    np.testing.assert_allclose(each, -logits[np.arange(4), labels], rtol=1e-4, atol=1e-5)


def test_differences_of_energies_are_the_softmax():
    energy, logits = make()
    joint = np.stack([ebmx.energy(energy.at(y), X) for y in range(3)], axis=1)
    given = np.exp(np.asarray(ebmx.energy(energy, X))[:, None] - joint)
    np.testing.assert_allclose(given, scipy.special.softmax(logits, axis=1), rtol=1e-4)
    # and the score of the marginal is the mean of those of the classes
    scores = np.stack([ebmx.score(energy.at(y), X) for y in range(3)], axis=1)
    mean = np.sum(given[:, :, None] * scores, axis=1)
    np.testing.assert_allclose(ebmx.score(energy, X), mean, rtol=1e-4, atol=1e-5)


def test_a_traced_label_out_of_range_is_nan():
    energy, _ = make()
    values = jax.jit(jax.vmap(lambda y: energy.conditional(X[0], y)))(jnp.array([-1, 0, 2, 3]))
    np.testing.assert_array_equal(np.isnan(values), [True, False, False, True])


@pytest.mark.medium
def test_sampling_a_class_finds_its_density(getkey):
    # quadratic logits: class y is the Gaussian at its mean, with the precision of its own
    means, precisions = jnp.array([[-2.0, 0.0], [1.0, 2.0]]), np.array([1.0, 4.0])

    def network(x):
        return -0.5 * jnp.asarray(precisions) * jnp.sum((x[None] - means) ** 2, axis=1)

    energy, start = JEM(network, (2,)), jnp.zeros((1_000, 2))
    x, _ = run(energy.at(1), MALA(0.3), start, num_steps=40, key=getkey())
    assert_mean(x, means[1])
    assert_mean((x - means[1:]) ** 2, np.full(2, 0.25))


@pytest.mark.parametrize(
    ("network", "got"),
    [
        (lambda x: jnp.sum(x), r"\(\)"),
        (lambda x: jnp.outer(x, x), r"\(2, 2\)"),
        (lambda x: (x, x), "tuple"),
    ],
    ids=["scalar", "matrix", "tuple"],
)
def test_networks_without_logits_are_refused(network, got):
    with pytest.raises(ValueError, match=rf"network\(x\)\.shape={got}: .*logits \(num_labels,\)"):
        JEM(network, (2,))


def test_any_classifier_will_do():
    network = filled(lambda key: eqx.nn.MLP(2, 4, 8, 1, key=key))
    energy = JEM(network, (2,))
    np.testing.assert_allclose(energy(X[0]), -scipy.special.logsumexp(network(X[0])), rtol=1e-5)
    with pytest.raises(ValueError, match=r"shape=None: .*the shape of one example"):
        JEM(network)
