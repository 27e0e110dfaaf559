"""Densities with exact normalisers and moments, against SciPy and quadrature in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from reference import answers, assert_independent_normals, exact_samples

from ebmx.energies import Banana, DoubleWell, Funnel, Ring, StudentT

RNG = np.random.default_rng(0)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
norm = scipy.stats.norm


def assert_answers(energy, x, energies, log_z, variance):
    """Check energies, normaliser and variance in float64; the mean is zero."""
    got = answers(energy, x)
    assert all(a.dtype == jnp.float64 for a in got)
    np.testing.assert_allclose(got[0], energies, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(got[1], log_z, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(got[2], np.zeros(energy.shape))
    np.testing.assert_allclose(got[3], np.broadcast_to(variance, energy.shape), rtol=1e-8)


def test_the_banana_is_a_bent_gaussian():
    x = RNG.normal(size=(7, 2))
    with jax.enable_x64(True):
        for s, b in ((1.5, 0.7), (0.5, -2.0), (2.0, 0.0)):
            energy, ridge = Banana(s, b), b * (x[:, 0] ** 2 - s**2)
            log_p = norm(0, s).logpdf(x[:, 0]) + norm(ridge, 1).logpdf(x[:, 1])
            log_z = np.log(2 * np.pi * s)
            values = 0.5 * (x[:, 0] / s) ** 2 + 0.5 * (x[:, 1] - ridge) ** 2
            np.testing.assert_allclose(values, -log_p - log_z, rtol=1e-12, atol=1e-12)
            spread = 1 + WEIGHTS @ (b * ((s * NODES) ** 2 - s**2)) ** 2
            assert_answers(energy, x, values, log_z, [s**2, spread])
        s, b = 1.5, 0.7
        draws = np.asarray(exact_samples(Banana(s, b), jax.random.split(jax.random.key(1), 5_000)))
    straight = draws[:, 1] - b * (draws[:, 0] ** 2 - s**2)
    assert_independent_normals(np.stack([draws[:, 0] / s, straight], 1))


def test_the_funnel_has_the_scale_of_its_first_coordinate():
    x = RNG.normal(size=(7, 4))
    with jax.enable_x64(True):
        for s in (1.5, 0.4):
            log_p = norm(0, s).logpdf(x[:, 0])
            log_p += norm(0, np.exp(0.5 * x[:, :1])).logpdf(x[:, 1:]).sum(1)
            log_z = 2 * np.log(2 * np.pi) + np.log(s)
            rest = WEIGHTS @ np.exp(s * NODES)
            assert_answers(Funnel(4, s), x, -log_p - log_z, log_z, [s**2, rest, rest, rest])
        draws = np.asarray(
            exact_samples(Funnel(4, 1.5), jax.random.split(jax.random.key(2), 5_000))
        )
    assert_independent_normals(
        np.concatenate([draws[:, :1] / 1.5, draws[:, 1:] * np.exp(-0.5 * draws[:, :1])], 1)
    )


def test_student_is_that_of_scipy():
    x = 2 * RNG.normal(size=(7, 2, 3))
    with jax.enable_x64(True):
        for dof in (2.5, 5.0, 19.9, 20.1, 30.0, 1e4):
            truth = scipy.stats.t(dof)
            log_z = -6 * truth.logpdf(0.0)
            values = -truth.logpdf(x).sum((1, 2)) - log_z
            assert_answers(StudentT((2, 3), dof), x, values, log_z, truth.var())
        energy = StudentT((2, 3), 3.0)
        draws = np.asarray(exact_samples(energy, jax.random.split(jax.random.key(3), 5_000)))
    assert draws.shape == (5_000, 2, 3)
    assert_independent_normals(norm.ppf(scipy.stats.t(3.0).cdf(draws)))


def radial_moment(power, r, s):
    def density(t):
        return t**power * np.exp(-0.5 * ((t - r) / s) ** 2)

    return scipy.integrate.quad(density, 0, r + 12 * s, points=[r], epsrel=1e-12)[0]


def test_the_ring_is_an_integral_over_its_radius():
    x = RNG.normal(size=(7, 2))
    radii = np.linalg.norm(x, axis=1)
    with jax.enable_x64(True):
        for r, s in ((3.0, 0.3), (0.6, 0.9), (0.0, 1.3)):
            first, third = (radial_moment(power, r, s) for power in (1, 3))
            values = 0.5 * ((radii - r) / s) ** 2
            assert_answers(Ring(r, s), x, values, np.log(2 * np.pi * first), 0.5 * third / first)


def test_the_gradient_of_the_ring_is_finite_at_its_centre():
    value, slope = jax.jit(jax.value_and_grad(Ring(3.0, 0.3)))(jnp.zeros(2))
    np.testing.assert_allclose(value, 50.0, rtol=1e-4)
    np.testing.assert_array_equal(slope, np.zeros(2))


@pytest.mark.parametrize("height", [1e-4, 0.02, 0.5, 2.0, 60.0])
def test_wells_are_integrals_over_one_coordinate(height):
    x = RNG.normal(size=(7, 3, 2))
    edge = np.sqrt(1 + np.sqrt(700 / height))  # where the density is exp(-700)

    def moment(power):
        def density(t):
            return t**power * np.exp(-height * (t**2 - 1) ** 2)

        pieces = (-edge, -1.0), (-1.0, 1.0), (1.0, edge)
        return sum(scipy.integrate.quad(density, *p, epsabs=0, epsrel=1e-12)[0] for p in pieces)

    values = height * np.sum((x**2 - 1) ** 2, axis=(1, 2))
    with jax.enable_x64(True):
        energy = DoubleWell((3, 2), height)
        assert_answers(energy, x, values, 6 * np.log(moment(0)), moment(2) / moment(0))


HEIGHTS = np.array([1e-8, 1e-4, 0.3, 2.0, 49.9, 50.1, 1e3, 1e6])


def log_z_by_bessel(height):
    """`∫ exp(-h (x² - 1)²) dx = π/2 exp(-h/2) (I_¼(h/2) + I_-¼(h/2))`."""
    scaled = scipy.special.ive(0.25, height / 2) + scipy.special.ive(-0.25, height / 2)
    return np.log(np.pi / 2 * scaled)


@pytest.mark.parametrize(("x64", "tolerance"), [(True, 1e-13), (False, 3e-7)])
def test_the_normaliser_of_wells_is_a_sum_of_bessel_functions(x64, tolerance):
    with jax.enable_x64(x64):

        @jax.jit
        @jax.vmap
        def both(height):
            return jax.value_and_grad(lambda h: DoubleWell((1,), h).log_z)(height)

        log_z, slope = map(np.asarray, both(jnp.asarray(HEIGHTS, float)))
    truth, up, down = map(log_z_by_bessel, (HEIGHTS, HEIGHTS * 1.0001, HEIGHTS * 0.9999))
    np.testing.assert_allclose(log_z, truth, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(HEIGHTS * slope, (up - down) / 2e-4, rtol=1e-4)


@pytest.mark.parametrize(("dof", "tolerance"), [(5.0, 1e-6), (100.0, 1e-6), (1e6, 1e-6)])
def test_the_normaliser_of_student_keeps_its_digits_in_single_precision(dof, tolerance):
    log_z = jax.jit(lambda dof: StudentT((1,), dof).log_z)(jnp.float32(dof))
    np.testing.assert_allclose(log_z, -scipy.stats.t(dof).logpdf(0.0), rtol=tolerance)
