"""Log Gaussian Cox processes: the prior by SciPy, two cells by quadrature, and fixed counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from reference import log_z_on_grid

from ebmx.energies import LogGaussianCox, log_gaussian_cox

NUMBERS = {"latent_mean": 0.7, "latent_variance": 1.3, "length_scale": 0.4}
COUNTS = np.array([[3, 0]])


def prior_of(shape):
    """The prior of the log intensity, from the formula of the covariance."""
    rows, columns = shape
    places = [(i / rows, j / columns) for i in range(rows) for j in range(columns)]
    distance = np.array([[np.hypot(a - c, b - d) for c, d in places] for a, b in places])
    mean = np.full(rows * columns, 0.7)
    return scipy.stats.multivariate_normal(mean, 1.3 * np.exp(-distance / 0.4))


def test_the_energy_is_the_prior_and_the_poisson_probabilities():
    counts = np.array([[0, 2, 1], [4, 0, 1]])
    x = np.random.default_rng(0).normal(size=(2, 3))
    log_p = prior_of((2, 3)).logpdf(x.ravel()) + np.sum(counts * x - np.exp(x) / 6)
    poisson = scipy.stats.poisson(np.exp(x) / 6).logpmf(counts).sum()
    factorials = np.sum(counts * np.log(1 / 6) - scipy.special.gammaln(counts + 1))
    with jax.enable_x64(True):
        energy = LogGaussianCox(counts, **NUMBERS)
        np.testing.assert_allclose(energy(x), -log_p, rtol=1e-12)
        truth = -prior_of((2, 3)).logpdf(x.ravel()) - poisson
        np.testing.assert_allclose(energy(x) - factorials, truth, rtol=1e-12)
        np.testing.assert_array_equal(energy.log_intensity(x), x)
        prior = energy.prior
        np.testing.assert_allclose(prior(x) + prior.log_z, -prior_of((2, 3)).logpdf(x.ravel()))


def test_whitening_is_a_change_of_variables():
    z = np.random.default_rng(0).normal(size=(2, 2))
    counts = np.array([[0, 2], [4, 1]])
    with jax.enable_x64(True):
        plain = LogGaussianCox(counts, **NUMBERS)
        white = LogGaussianCox(counts, **NUMBERS, whitened=True)
        x = white.log_intensity(z)
        factor = np.linalg.cholesky(prior_of((2, 2)).cov)
        np.testing.assert_allclose(x.ravel(), 0.7 + factor @ z.ravel(), rtol=1e-12)
        log_det = np.linalg.slogdet(factor)[1]
        np.testing.assert_allclose(white(z), plain(x) - log_det, rtol=1e-12)
        normal = scipy.stats.norm.logpdf(z).sum()
        np.testing.assert_allclose(white.prior(z) + white.prior.log_z, -normal, rtol=1e-12)


def test_two_cells_have_the_normaliser_of_quadrature():
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    z = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1).reshape(-1, 2)
    weights = np.outer(weights, weights).ravel() / weights.sum() ** 2
    x = 0.7 + z @ np.linalg.cholesky(prior_of((1, 2)).cov).T
    truth = np.log(weights @ np.exp(x @ COUNTS[0] - np.exp(x).sum(1) / 2))
    with jax.enable_x64(True):
        for whitened in (False, True):
            energy = LogGaussianCox(COUNTS, **NUMBERS, whitened=whitened)
            log_z = log_z_on_grid(energy, -12.0, 12.0, 401)
            np.testing.assert_allclose(log_z, truth, rtol=2e-7)


@pytest.mark.medium
def test_the_drawn_counts_are_fixed_and_of_the_model():
    energy = log_gaussian_cox(whitened=True)
    counts = np.asarray(energy.counts)
    assert energy.shape == counts.shape == (40, 40)
    # 126 are expected
    assert counts.sum() == 128
    assert counts.max() == 5
    np.testing.assert_allclose(energy.latent_mean, np.log(126) - 1.91 / 2, rtol=1e-6)
    assert energy.whitened
    assert not log_gaussian_cox(5).whitened
    rows = [[24, 5, 7, 37, 28]]
    np.testing.assert_array_equal(log_gaussian_cox(5).counts[:1], rows)


def test_single_precision_keeps_the_digits():
    x = np.random.default_rng(0).normal(size=(16, 16))
    single = log_gaussian_cox(16)(jnp.asarray(x, jnp.float32))
    with jax.enable_x64(True):
        truth = log_gaussian_cox(16)(jnp.asarray(x))
    np.testing.assert_allclose(single, truth, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"counts": [1, 2]}, r"counts\.shape=\(2,\): give an array \(rows, columns\)"),
        ({"counts": [[0.5]]}, "counts=.*whole numbers"),
        ({"counts": [[-1]]}, "counts=.*at least 0"),
        ({"length_scale": 1e30}, r"length_scale=1e\+30: give a smaller one"),
        ({"length_scale": 0.0}, r"length_scale=0\.0"),
        ({"latent_variance": 0.0}, r"latent_variance=0\.0"),
    ],
)
def test_what_does_not_fit_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        LogGaussianCox(**{"counts": [[1, 2]]} | options)
