"""Many wells against quadrature by SciPy, and the published normaliser."""

import jax
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from reference import answers, assert_independent_normals, exact_samples

from ebmx.energies import ManyWell

RNG = np.random.default_rng(0)


def moment(function, low=-4.0, high=4.0):
    def density(u):
        return function(u) * np.exp(-(u**4) + 6 * u**2 + 0.5 * u)

    inside = [p for p in (-1.7, 0.0, 1.7) if low < p < high]
    options = {"points": inside, "epsabs": 0, "epsrel": 1e-12, "limit": 200}
    return scipy.integrate.quad(density, low, high, **options)[0]


Z = moment(lambda u: 1.0)
MEAN = moment(lambda u: u) / Z
VARIANCE = moment(lambda u: (u - MEAN) ** 2) / Z


def test_the_answers_are_one_dimensional_integrals():
    x = RNG.normal(size=(5, 6))
    u, v = x[:, ::2], x[:, 1::2]
    with jax.enable_x64(True):
        energy = ManyWell(3)
        values, log_z, mean, variance = answers(energy, x)
        right = float(energy.right_probability)
    np.testing.assert_allclose(values, (u**4 - 6 * u**2 - 0.5 * u + 0.5 * v**2).sum(1), rtol=1e-12)
    np.testing.assert_allclose(log_z, 3 * (np.log(Z) + 0.5 * np.log(2 * np.pi)), rtol=1e-12)
    np.testing.assert_allclose(mean, 3 * [MEAN, 0.0], rtol=1e-11)
    np.testing.assert_allclose(variance, 3 * [VARIANCE, 1.0], rtol=1e-11)
    np.testing.assert_allclose(right, moment(lambda u: 1.0, 0.0) / Z, rtol=1e-6)


def test_the_normaliser_of_32_coordinates_is_that_of_the_paper():
    energy = ManyWell()
    assert energy.shape == (32,)
    published = 16 * (np.log(11784.50927) + 0.5 * np.log(2 * np.pi))
    np.testing.assert_allclose(energy.log_z, published, rtol=1e-6)


def test_samples_have_the_distribution_of_wells():
    energy = ManyWell(2)
    draws = np.asarray(exact_samples(energy, jax.random.split(jax.random.key(0), 10_000)))
    assert draws.dtype == np.float32
    line = np.linspace(-4, 4, 20_001)
    density = np.exp(-(line**4) + 6 * line**2 + 0.5 * line)
    cdf = scipy.integrate.cumulative_simpson(density, x=line, initial=0.0) / Z
    u = scipy.stats.norm.ppf(np.interp(draws[:, ::2], line, cdf))
    assert_independent_normals(np.concatenate([u, draws[:, 1::2]], 1))
    # within a cell of the table as well: no value is drawn twice
    assert len(np.unique(draws[:, 0])) > 9_950


def test_the_mode_is_the_side_of_each_well():
    x = np.array([1.7, -3.0, -1.6, 3.0, 0.2, 0.0], np.float32)
    np.testing.assert_array_equal(ManyWell(3).mode(x), [True, False, True])


@pytest.mark.parametrize("num_wells", [0, 1.5])
def test_a_number_of_wells_is_a_positive_integer(num_wells):
    with pytest.raises(
        ValueError, match=rf"num_wells={num_wells}: give a Python integer|num_wells"
    ):
        ManyWell(num_wells)
