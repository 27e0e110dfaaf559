"""The kernel Stein discrepancy against its definition by automatic derivatives."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from ebmx.energies import Gaussian, GaussianMixture
from ebmx.evaluation import kernel_stein_discrepancy
from ebmx.evaluation.samples import _pairwise as features

KEY = jax.random.key(0)
NORMAL = Gaussian(jnp.zeros(2))
ENERGY = GaussianMixture(jnp.array([[-1.0, 0.0], [2.0, 1.0]]), jnp.array([0.5, 0.8]))


@jax.jit
def by_derivatives(x, c, exponent):
    """`h(x, y)` of all pairs of samples of `ENERGY`, with the operator of Stein spelled out."""

    def kernel(a, b):
        return (c**2 + jnp.sum((a - b) ** 2)) ** exponent

    def h(a, b):
        s, t = -jax.grad(ENERGY)(a), -jax.grad(ENERGY)(b)
        mixed = jax.jacfwd(jax.grad(kernel, 0), 1)(a, b)
        slopes = s @ jax.grad(kernel, 1)(a, b) + t @ jax.grad(kernel, 0)(a, b)
        return s @ t * kernel(a, b) + slopes + jnp.trace(mixed)

    return jax.vmap(jax.vmap(h, (None, 0)), (0, None))(x, x)


SAMPLES = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)


@pytest.mark.parametrize(("c", "exponent"), [(1.0, -0.5), (0.7, -0.3)])
def test_the_statistics_are_those_of_the_definition(c, exponent):
    table = np.asarray(by_derivatives(SAMPLES, c, exponent), np.float64)
    found = kernel_stein_discrepancy(ENERGY, SAMPLES, bandwidth=c, exponent=exponent, key=KEY)
    assert found.v_statistic == pytest.approx(table.mean(), rel=1e-4)
    off = (table.sum() - np.trace(table)) / (12 * 11)
    assert found.u_statistic == pytest.approx(off, rel=1e-4, abs=1e-5)
    assert found.v_statistic > found.u_statistic


def chances(h):
    """The U-statistic under the null hypothesis for all multinomial weights, and how often."""
    num = len(h)
    for counts in itertools.product(range(num + 1), repeat=num):
        if sum(counts) == num:
            weights = (np.array(counts) - 1) / num
            yield weights @ h @ weights, scipy.stats.multinomial(num, [1 / num] * num).pmf(counts)


@pytest.mark.parametrize("start", [0, 3, 5, 8])
def test_the_p_value_is_that_of_all_multinomial_weights(start):
    x = SAMPLES[start : start + 4]
    found = kernel_stein_discrepancy(ENERGY, x, bandwidth=1.0, num_bootstrap=20_000, key=KEY)
    h = np.asarray(by_derivatives(x, 1.0, -0.5), np.float64)
    np.fill_diagonal(h, 0.0)
    chance, probability = np.array(list(chances(h))).T
    assert probability.sum() == pytest.approx(1)
    want = np.sum(probability[chance >= h.sum() / 16 - 1e-6])
    assert 0 < want < 1
    assert abs(found.p_value - want) < 5 * np.sqrt(want * (1 - want) / 20_000) + 1e-4


def test_the_sample_counts_as_one_of_those_by_chance():
    x = SAMPLES + 9
    found = kernel_stein_discrepancy(ENERGY, x, num_bootstrap=7, key=KEY)
    assert found.p_value == pytest.approx(1 / 8)
    found = kernel_stein_discrepancy(ENERGY, SAMPLES, num_bootstrap=7, key=KEY)
    assert found.p_value * 8 == pytest.approx(round(found.p_value * 8))


def test_resamplings_are_those_of_the_key():
    options = {"num_bootstrap": 500}
    first, second, other = (
        kernel_stein_discrepancy(ENERGY, SAMPLES, key=jax.random.key(seed), **options).p_value
        for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other


def test_the_bandwidth_is_the_median_distance():
    for x in (SAMPLES, SAMPLES[:4]):
        median = np.sqrt(np.median(scipy.spatial.distance.pdist(x, "sqeuclidean")))
        found = kernel_stein_discrepancy(ENERGY, x, key=KEY)
        want = kernel_stein_discrepancy(ENERGY, x, bandwidth=float(median), key=KEY)
        assert found == pytest.approx(want, rel=1e-5)


def dense(x, c, exponent, key, num_bootstrap):
    """All of it for a standard normal, by matrices of all pairs in double precision."""
    x, s = x.astype(np.float64), -x.astype(np.float64)
    num, size = x.shape
    apart = x[:, None] - x[None]
    distances = np.sum(apart**2, 2)
    c = np.sqrt(np.median(distances[np.triu_indices(num, 1)])) if c is None else c
    base = c**2 + distances
    slopes = 2 * exponent * base ** (exponent - 1) * np.sum((s[None] - s[:, None]) * apart, 2)
    curvature = 4 * exponent * (exponent - 1) * distances * base ** (exponent - 2)
    trace = -2 * size * exponent * base ** (exponent - 1) - curvature
    h = (s @ s.T) * base**exponent + slopes + trace
    off = h - np.diag(np.diag(h))
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,))))
    weights = (rng.multinomial(num, np.full(num, 1 / num), num_bootstrap) - 1) / num
    chance = np.sum((weights @ off) * weights, 1)
    more = np.sum(chance >= off.sum() / num**2)
    return off.sum() / (num * (num - 1)), h.mean(), (1 + more) / (1 + num_bootstrap)


@pytest.mark.parametrize(("c", "exponent"), [(None, -0.5), (0.7, -0.3)])
@pytest.mark.parametrize("chunk", [1, 1401, 2**30])
def test_blocks_of_pairs_make_for_the_sums_over_all(monkeypatch, chunk, c, exponent):
    x = np.random.default_rng(4).normal(size=(200, 2)).astype(np.float32)
    monkeypatch.setattr(features, "_CHUNK", chunk)
    options = {"bandwidth": c, "exponent": exponent, "num_bootstrap": 50, "key": KEY}
    found = kernel_stein_discrepancy(NORMAL, x, **options)
    want = dense(x, c, exponent, KEY, 50)
    np.testing.assert_allclose(found, want, rtol=1e-10)
    assert 0.1 < found.p_value < 1


@pytest.mark.medium
def test_p_values_are_uniform_for_samples_of_the_energy():
    rng = np.random.default_rng(2)
    values, statistics = [], []
    for seed in range(100):
        x = rng.normal(size=(60, 2)).astype(np.float32)
        key = jax.random.key(seed)
        found = kernel_stein_discrepancy(NORMAL, x, num_bootstrap=200, key=key)
        values.append(found.p_value)
        statistics.append(found.u_statistic)
    assert scipy.stats.kstest(values, "uniform").pvalue > 1e-4
    assert abs(np.mean(statistics)) < 5 * np.std(statistics) / np.sqrt(100)


@pytest.mark.parametrize(("shift", "scale"), [(0.5, 1.0), (0.0, 1.4), (0.0, 0.7)])
def test_samples_of_another_density_are_rejected(shift, scale):
    x = shift + scale * np.random.default_rng(3).normal(size=(300, 2))
    found = kernel_stein_discrepancy(NORMAL, x.astype(np.float32), key=KEY)
    assert found.p_value < 0.01
    assert found.u_statistic > 0


def test_images_are_flattened():
    image = Gaussian(jnp.zeros((2, 1)))
    flat = kernel_stein_discrepancy(NORMAL, SAMPLES, key=KEY)
    x = SAMPLES.reshape(12, 2, 1)
    assert kernel_stein_discrepancy(image, x, key=KEY) == pytest.approx(flat, rel=1e-5)


X = SAMPLES[:5]
BAD = {
    "one": ({"x": X[:1]}, r"x\.shape=\(1, 2\): give at least two"),
    "shape": ({"x": X[:, :1]}, r"x\.shape=\(5, 1\)"),
    "same": ({"x": np.zeros((5, 2), np.float32)}, r"bandwidth=0\.0: .*give a bandwidth"),
    "bandwidth": ({"bandwidth": -1.0}, r"bandwidth=-1\.0"),
    "exponent": ({"exponent": 0.5}, r"exponent=0\.5: give a number in \(-1, 0\)"),
    "score": ({"energy": lambda x: jnp.sqrt(x[0])}, r"score\(x\)=.*non-finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_samples_that_do_not_fit_are_refused(name):
    options, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        kernel_stein_discrepancy(**{"energy": ENERGY, "x": X, "key": KEY} | options)
