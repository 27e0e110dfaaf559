"""What estimates of log Z say, and log likelihoods and bits per dimension."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from ebmx.energies import Gaussian
from ebmx.evaluation import ConvergenceWarning, bits_per_dimension, log_likelihood
from ebmx.evaluation.log_z._estimate import estimate, warn_of_islands, warn_of_weights

BASE = jnp.float32(2.0)


def test_the_summary_of_weights():
    log = np.array([0.0, 1.0, -2.0, 1000.5, 1001.0])
    found = estimate(BASE, log, None, [0.5], [0.0, 1.0], sign=1)
    assert found.log_z == pytest.approx(2 + scipy.special.logsumexp(log) - np.log(5), abs=1e-9)
    w = np.exp(log - 1001)
    assert found.effective_sample_size == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert found.standard_error == pytest.approx(w.std(ddof=1) / w.mean() / np.sqrt(5))
    np.testing.assert_array_equal(found.log_weights, log)
    np.testing.assert_array_equal(found.acceptance, [0.5])
    np.testing.assert_array_equal(found.schedule, [0, 1])
    back = estimate(BASE, log, None, [], [], sign=-1)
    assert back.log_z == pytest.approx(4 - found.log_z, abs=1e-9)
    assert back.standard_error == found.standard_error
    assert str(found) == f"log Z = {found.log_z:.4f} ± {found.standard_error:.4f}"


def test_weights_are_summed_in_double_precision():
    log = np.log(np.arange(1, 6, dtype=np.float32)) - np.float32(700)
    found = estimate(BASE, jnp.asarray(log), "x", jnp.ones(2), [0.0], sign=1)
    assert found.log_weights.dtype == np.float64
    assert found.log_z == pytest.approx(2 - 700 + np.log(3), abs=1e-4)
    assert found.x == "x"
    assert isinstance(found.acceptance, np.ndarray)


@pytest.mark.parametrize("sign", [1, -1])
def test_weights_that_are_all_zero_estimate_zero(sign):
    found = estimate(BASE, np.full(3, -np.inf), None, [], [], sign=sign)
    assert found.log_z == -sign * np.inf
    assert found.standard_error == np.inf
    assert found.effective_sample_size == 0.0
    some = estimate(BASE, [-np.inf, 0.0], None, [], [], sign=1)
    assert some.log_z == pytest.approx(2 - np.log(2))
    assert some.effective_sample_size == pytest.approx(1)


def equal(count, num):
    """An estimate of which so many weights of all are equal, the others zero."""
    return estimate(BASE, np.where(np.arange(num) < count, 3.0, -np.inf), None, [], [], sign=1)


def words(call, *arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*arguments)
    assert all(issubclass(one.category, ConvergenceWarning) for one in caught)
    return [str(one.message) for one in caught]


@pytest.mark.parametrize(("count", "num", "few"), [(5, 20, 0), (4, 20, 1), (3, 6, 0), (2, 6, 1)])
def test_few_chains_with_all_the_weight_are_reported(count, num, few):
    found = words(warn_of_weights, equal(count, num), True)
    assert len(found) == few
    assert all(f"{count}.0 of {num} chains have all the weight" in text for text in found)
    *rest, last = words(warn_of_weights, equal(count, num), False)
    assert len(rest) == few
    assert "where the base has no density" in last


@pytest.mark.parametrize(("count", "num", "few"), [(2, 4, 0), (1, 4, 1), (3, 6, 0), (2, 5, 1)])
def test_islands_that_disagree_or_stop_are_reported(count, num, few):
    found = words(warn_of_islands, equal(count, num), np.ones(num, bool), True)
    assert len(found) == few
    assert all(
        f"islands disagree: their effective number is {count}.0 of {num}" in text for text in found
    )
    found, last = words(warn_of_islands, equal(count, num), np.arange(num) > 0, False)
    assert f"1 of {num} islands stopped before β = 1" in found
    assert "where the base has no density" in last


def test_log_likelihood_and_bits_per_dimension():
    energy = Gaussian(jnp.array([1.0, -1.0]), jnp.array([0.5, 2.0]))
    x = np.random.default_rng(2).normal(size=(5, 2)).astype(np.float32)
    want = scipy.stats.multivariate_normal([1, -1], [0.5, 2.0]).logpdf(x)
    log_z = float(energy.log_z)
    np.testing.assert_allclose(log_likelihood(energy, x, log_z), want, rtol=1e-5)
    bits = bits_per_dimension(energy, x, log_z, bin_width=2 / 255)
    np.testing.assert_allclose(bits, -want / 2 / np.log(2) - np.log2(2 / 255), rtol=1e-5)


def test_uniform_levels_take_their_bits():
    # 256 levels that are equally probable cost 8 bits a dimension
    x = np.zeros((1, 3, 1), np.float32)
    log_z = 3 * np.log(2 + 2 / 255)
    bits = bits_per_dimension(lambda x: 0.0 * x.sum(), x, log_z, bin_width=2 / 255)
    np.testing.assert_allclose(bits, 8.0, rtol=1e-5)


@pytest.mark.parametrize("log_z", [np.inf, np.nan, np.ones(2, np.float32)])
def test_log_z_is_one_finite_number(log_z):
    with pytest.raises(ValueError, match=r"log_z=.*: give"):
        log_likelihood(lambda x: 0.0 * x.sum(), np.zeros((1, 3), np.float32), log_z)


def test_bins_have_a_width():
    with pytest.raises(ValueError, match=r"bin_width=0\.0"):
        bits_per_dimension(lambda x: 0.0 * x.sum(), np.zeros((1, 3)), 0.0, bin_width=0.0)
