"""The contrastive loss against NumPy and against the likelihood of a Gaussian."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import MLP, Gaussian
from ebmx.training import contrastive_loss


def batches(key, num=6):
    one, two = jax.random.split(key)
    return jax.random.normal(one, (num, 2)), 0.5 + 2 * jax.random.normal(two, (num, 2))


def gradient(energy, positives, negatives, **options):
    def loss(energy):
        return contrastive_loss(energy, positives, negatives, **options)[0]

    return eqx.filter_grad(loss)(energy)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 2])
def test_agrees_with_numpy(alpha, getkey):
    positives, negatives = batches(getkey())
    mean, variance = np.array([0.5, -1.0]), np.array([0.7, 2.0])
    real, fake = (
        0.5 * np.sum((np.asarray(x, np.float64) - mean) ** 2 / variance, axis=1)
        for x in (positives, negatives)
    )
    loss, metrics = contrastive_loss(Gaussian(mean, variance), positives, negatives, alpha=alpha)
    expected = real.mean() - fake.mean() + alpha * ((real**2).mean() + (fake**2).mean())
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert loss.shape == ()
    assert set(metrics) == {
        "real_energy_mean",
        "fake_energy_mean",
        "real_energy_std",
        "fake_energy_std",
    }
    np.testing.assert_allclose(metrics["real_energy_mean"], real.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["fake_energy_mean"], fake.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["real_energy_std"], real.std(), rtol=1e-4)
    np.testing.assert_allclose(metrics["fake_energy_std"], fake.std(), rtol=1e-4)


def test_no_gradient_where_negatives_are_the_positives(getkey):
    energy, (x, other) = MLP((2,), (8,), key=getkey()), batches(getkey())
    same = jax.tree.leaves(gradient(energy, x, x))
    assert all(np.allclose(g, 0, atol=1e-6) for g in same)
    assert any(np.abs(g).max() > 1e-2 for g in jax.tree.leaves(gradient(energy, x, other)))
    pulled = jax.tree.leaves(gradient(energy, x, x, alpha=1.0))
    assert any(np.abs(g).max() > 1e-3 for g in pulled)


def test_swapping_positives_and_negatives_turns_the_sign(getkey):
    energy, (x, y) = MLP((2,), (8,), key=getkey()), batches(getkey())
    forth, back = contrastive_loss(energy, x, y)[0], contrastive_loss(energy, y, x)[0]
    np.testing.assert_allclose(forth, -back, rtol=1e-5)
    assert abs(float(forth)) > 1e-3


def test_the_gradient_is_that_of_the_likelihood_of_a_gaussian(getkey):
    mean, scale = np.array([0.4, -0.3]), np.array([0.8, 1.5])
    data, draws = (np.asarray(x, np.float64) for x in batches(getkey(), 64))
    # negatives whose first two moments are the model's, so that no sampling error is left
    exact = mean + scale * (draws - draws.mean(0)) / draws.std(0)

    def log_likelihood(mean, precision_root):
        z = precision_root * (data - mean)
        terms = -0.5 * z**2 + np.log(precision_root) - 0.5 * np.log(2 * np.pi)
        return terms.sum(axis=1).mean()

    def differences(function, at, h=1e-5):
        steps = h * np.eye(len(at))
        return np.array([(function(at + s) - function(at - s)) / (2 * h) for s in steps])

    energy = Gaussian(mean, scale**2)
    found = gradient(energy, jnp.asarray(data, float), jnp.asarray(exact, float))
    root = 1 / scale
    by_mean = differences(lambda m: log_likelihood(m, root), mean)
    by_root = differences(lambda r: log_likelihood(mean, r), root)
    np.testing.assert_allclose(found.mean, -by_mean, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.whiten, -by_root, rtol=1e-3, atol=1e-4)
    # and in closed form: the difference of the means, times the precision
    np.testing.assert_allclose(found.mean, -(data.mean(0) - mean) / scale**2, rtol=1e-4)


def test_the_batch_size_does_not_scale_it(getkey):
    energy, (x, y) = MLP((2,), (8,), key=getkey()), batches(getkey())
    twice = jnp.concatenate([x, x]), jnp.concatenate([y, y])
    small, large = (contrastive_loss(energy, *b, alpha=0.1)[0] for b in ((x, y), twice))
    np.testing.assert_allclose(small, large, rtol=1e-5)
    one, two = (jax.tree.leaves(gradient(energy, *b, alpha=0.1)) for b in ((x, y), twice))
    for g, h in zip(one, two, strict=True):
        np.testing.assert_allclose(g, h, rtol=1e-4, atol=1e-6)


def test_the_alpha_term_is_the_mean_of_squared_energies(getkey):
    x, y = batches(getkey())
    energy = lambda x: jnp.sum(x**2)  # noqa: E731
    without, with_ = (contrastive_loss(energy, x, y, alpha=a)[0] for a in (0.0, jnp.array(0.2)))
    squares = np.mean(np.sum(x**2, axis=1) ** 2) + np.mean(np.sum(y**2, axis=1) ** 2)
    np.testing.assert_allclose(with_ - without, 0.2 * squares, rtol=1e-4)


def test_batches_are_of_one_shape_and_means_of_any_size(getkey):
    x, y = batches(getkey())
    energy = lambda x: jnp.sum(x**2)  # noqa: E731
    with pytest.raises(ValueError, match=r"negatives\.shape"):
        contrastive_loss(energy, x, y[:, :1])
    doubled = jnp.concatenate([y, y])
    np.testing.assert_allclose(
        contrastive_loss(energy, x, doubled)[0], contrastive_loss(energy, x, y)[0], rtol=1e-5
    )
