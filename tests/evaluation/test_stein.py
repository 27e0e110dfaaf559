"""The kernel Stein discrepancy against its definition by automatic derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import ebmx
from ebmx.energies import Gaussian, GaussianMixture
from ebmx.evaluation import kernel_stein_discrepancy

KEY = jax.random.key(0)
ENERGY = GaussianMixture(jnp.array([[-1.0, 0.0], [2.0, 1.0]]), jnp.array([0.5, 0.8]))


def by_derivatives(energy, x, c, exponent):
    """`E[h]` over all pairs, with the operator of Stein spelled out."""

    def kernel(a, b):
        return (c**2 + jnp.sum((a - b) ** 2)) ** exponent

    def h(a, b):
        s, t = -jax.grad(energy)(a), -jax.grad(energy)(b)
        mixed = jax.jacfwd(jax.grad(kernel, 0), 1)(a, b)
        slopes = s @ jax.grad(kernel, 1)(a, b) + t @ jax.grad(kernel, 0)(a, b)
        return s @ t * kernel(a, b) + slopes + jnp.trace(mixed)

    return np.asarray(jax.vmap(jax.vmap(h, (None, 0)), (0, None))(x, x))


@pytest.mark.parametrize(("c", "exponent"), [(1.0, -0.5), (0.7, -0.3)])
def test_the_statistics_are_those_of_the_definition(c, exponent):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(12, 2)), jnp.float32)
    table = by_derivatives(ENERGY, x, c, exponent)
    found = kernel_stein_discrepancy(ENERGY, x, bandwidth=c, exponent=exponent, key=KEY)
    assert found.v_statistic == pytest.approx(table.mean(), rel=1e-4)
    off = (table.sum() - np.trace(table)) / (12 * 11)
    assert found.u_statistic == pytest.approx(off, rel=1e-4, abs=1e-5)
    assert found.v_statistic > found.u_statistic


def test_the_bandwidth_is_the_median_distance():
    x = np.random.default_rng(1).normal(size=(20, 2)).astype(np.float32)
    median = np.sqrt(np.median(scipy.spatial.distance.pdist(x, "sqeuclidean")))
    found = kernel_stein_discrepancy(ENERGY, x, key=KEY)
    want = kernel_stein_discrepancy(ENERGY, x, bandwidth=float(median), key=KEY)
    assert found.v_statistic == pytest.approx(want.v_statistic, rel=1e-5)


def test_p_values_are_uniform_for_samples_of_the_energy(getkey):
    energy = Gaussian(jnp.zeros(2))
    rng = np.random.default_rng(2)
    values, statistics = [], []
    for _ in range(60):
        x = rng.normal(size=(60, 2)).astype(np.float32)
        found = kernel_stein_discrepancy(energy, x, num_bootstrap=200, key=getkey())
        values.append(found.p_value)
        statistics.append(found.u_statistic)
    assert scipy.stats.kstest(values, "uniform").pvalue > 1e-3
    assert abs(np.mean(statistics)) < 4 * np.std(statistics) / np.sqrt(60)


@pytest.mark.parametrize(("shift", "scale"), [(0.5, 1.0), (0.0, 1.4), (0.0, 0.7)])
def test_samples_of_another_density_are_told(shift, scale):
    x = shift + scale * np.random.default_rng(3).normal(size=(300, 2))
    found = kernel_stein_discrepancy(Gaussian(jnp.zeros(2)), x.astype(np.float32), key=KEY)
    assert found.p_value < 0.01
    assert found.u_statistic > 0


def test_images_are_flattened():
    x = np.random.default_rng(4).normal(size=(10, 2, 1, 2)).astype(np.float32)
    energy = Gaussian(jnp.zeros((2, 1, 2)))
    flat = kernel_stein_discrepancy(Gaussian(jnp.zeros(4)), x.reshape(10, 4), key=KEY)
    assert kernel_stein_discrepancy(energy, x, key=KEY) == pytest.approx(flat, rel=1e-5)


X = np.random.default_rng(5).normal(size=(5, 2)).astype(np.float32)
BAD = {
    "one": ({"x": X[:1]}, r"x\.shape=\(1, 2\): give at least two"),
    "shape": ({"x": X[:, :1]}, r"x\.shape=\(5, 1\)"),
    "same": ({"x": np.zeros((5, 2), np.float32)}, r"bandwidth=0\.0: .*give a bandwidth"),
    "bandwidth": ({"bandwidth": -1.0}, r"bandwidth=-1\.0"),
    "exponent": ({"exponent": 0.5}, r"exponent=0\.5: give a number in \(-1, 0\)"),
    "score": ({"energy": lambda x: jnp.sqrt(x[0])}, r"score\(x\)=.*non-finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_samples_that_cannot_be_judged_are_refused(name):
    options, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        kernel_stein_discrepancy(**{"energy": ENERGY, "x": X, "key": KEY} | options)
    assert ebmx.energy(ENERGY, X).shape == (5,)
