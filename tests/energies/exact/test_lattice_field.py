"""Fields on lattices: by loops, by Fourier's modes, and few sites by quadrature."""

import itertools

import jax
import numpy as np
import pytest
import scipy.special
from reference import energies, log_z_on_grid

from ebmx.energies import LatticeField

RNG = np.random.default_rng(0)


def by_loops(x, mass_squared, coupling):
    total = 0.0
    for site in itertools.product(*map(range, x.shape)):
        for axis, size in enumerate(x.shape):
            other = list(site)
            other[axis] = (other[axis] + 1) % size
            total += (x[tuple(other)] - x[site]) ** 2
        total += mass_squared * x[site] ** 2 + coupling * x[site] ** 4
    return total


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 2)])
def test_the_energy_is_a_sum_over_sites_and_links(shape):
    x = RNG.normal(size=shape)
    with jax.enable_x64(True):
        values = energies(LatticeField(shape, -1.3, 0.7), np.stack([x, -x, np.roll(x, 1, 0)]))
    np.testing.assert_allclose(values, by_loops(x, -1.3, 0.7), rtol=1e-12)


def test_the_other_form_is_the_same_energy():
    psi, kappa, g = RNG.normal(size=(3, 4)), 0.3, 0.02
    hops = sum(np.sum(psi * np.roll(psi, -1, axis)) for axis in (0, 1))
    action = -2 * kappa * hops + np.sum((1 - 2 * g) * psi**2 + g * psi**4)
    with jax.enable_x64(True):
        energy = LatticeField((3, 4), (1 - 2 * g) / kappa - 4, g / kappa**2)
        np.testing.assert_allclose(energy(np.sqrt(kappa) * psi), action, rtol=1e-12)


def eigenvalues(shape, mass_squared):
    """Of the precision, for each wave."""
    waves = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n) for n in shape), indexing="ij")
    return 2 * mass_squared + 8 * sum(np.sin(k / 2) ** 2 for k in waves)


def test_without_coupling_it_is_the_gaussian_of_its_waves():
    shape, x = (4, 3), RNG.normal(size=(4, 3))
    with jax.enable_x64(True):
        energy = LatticeField(shape, 0.4, 0.0)
        precision = np.asarray(jax.hessian(energy)(x)).reshape(12, 12)
        value = float(energy(x))
    np.testing.assert_allclose(0.5 * x.ravel() @ precision @ x.ravel(), value, rtol=1e-12)
    # the covariance between sites is the transform of the inverse eigenvalues
    covariance = np.fft.ifftn(1 / eigenvalues(shape, 0.4)).real
    np.testing.assert_allclose(np.linalg.inv(precision)[0], covariance.ravel(), atol=1e-12)


@pytest.mark.parametrize("mass_squared", [0.4, 3.0])
def test_the_normaliser_of_two_sites_without_coupling(mass_squared):
    with jax.enable_x64(True):
        log_z = log_z_on_grid(LatticeField((2, 1), mass_squared, 0.0), -15.0, 15.0, 601)
    truth = 0.5 * np.sum(np.log(2 * np.pi / eigenvalues((2, 1), mass_squared)))
    np.testing.assert_allclose(log_z, truth, rtol=1e-9)


def test_the_normaliser_of_one_site_is_a_bessel_function():
    mass_squared, coupling = 0.8, 0.3
    square = mass_squared**2 / (8 * coupling)
    bessel = scipy.special.kve(0.25, square)  # times exp(square), as wanted
    with jax.enable_x64(True):
        log_z = log_z_on_grid(LatticeField((1,), mass_squared, coupling), -6.0, 6.0, 2001)
    truth = np.log(0.5 * np.sqrt(mass_squared / coupling) * bessel)
    np.testing.assert_allclose(log_z, truth, rtol=1e-10)


def test_a_field_without_a_density_is_refused():
    with pytest.raises(ValueError, match=r"mass_squared=-1\.0: .*a positive coupling"):
        LatticeField((2, 2), -1.0, 0.0)
    with pytest.raises(ValueError, match=r"coupling=-1\.0"):
        LatticeField((2, 2), 1.0, -1.0)
