"""Energies on domains, against the normalisers and moments of Beta, Gamma and Dirichlet."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import assert_mean
from scipy.special import gammaln

import ebmx
from ebmx.energies import Function, Gaussian, Transformed
from ebmx.energies.bijections import Blockwise, Exp, Identity, Sigmoid, Softplus, StickBreaking
from ebmx.evaluation import log_z_by_quadrature
from ebmx.samplers import HMC

ALPHA = np.array([2.0, 3.0, 1.5])


def gamma(x):
    """Of shape 2.5 and rate 1.5, without its normaliser."""
    return jnp.sum(1.5 * x - 1.5 * jnp.log(x))


def beta(x):
    """Of 2.5 and 1.5, without its normaliser."""
    return -jnp.sum(1.5 * jnp.log(x) + 0.5 * jnp.log1p(-x))


def dirichlet(x):
    return -jnp.sum(jnp.asarray(ALPHA - 1, x.dtype) * jnp.log(x))


LOG_GAMMA = gammaln(2.5) - 2.5 * np.log(1.5)
LOG_BETA = gammaln(2.5) + gammaln(1.5) - gammaln(4.0)
LOG_DIRICHLET = gammaln(ALPHA).sum() - gammaln(ALPHA.sum())


def scaled(x):
    """Two of Beta, on (0, 2) and on (-1, 3)."""
    return beta((x - jnp.asarray([0.0, -1.0], x.dtype)) / jnp.asarray([2.0, 4.0], x.dtype))


EXACT = {
    "gamma": (gamma, (1,), Exp(), [-14.0], [4.0], LOG_GAMMA),
    "gamma-softplus": (gamma, (1,), Softplus(), [-14.0], [25.0], LOG_GAMMA),
    "beta": (beta, (1,), Sigmoid(), [-10.0], [14.0], LOG_BETA),
    "scaled-beta": (
        *(scaled, (2,), Sigmoid(np.array([0.0, -1.0]), np.array([2.0, 3.0]))),
        *([-10.0, -10.0], [14.0, 14.0], 2 * LOG_BETA + np.log(8.0)),
    ),
    "dirichlet": (dirichlet, (3,), StickBreaking(), [-10.0] * 2, [12.0] * 2, LOG_DIRICHLET),
    "gaussian": (Gaussian(np.ones(1), 4.0), (1,), Identity(), [-20.0], [22.0], None),
}


@pytest.mark.parametrize("name", EXACT)
def test_log_z_is_the_normaliser_in_closed_form(name):
    function, shape, bijection, low, high, exact = EXACT[name]
    energy = Transformed(Function(function, shape), bijection)
    exact = function.log_z if exact is None else exact
    assert energy.shape == (len(low),)
    found = log_z_by_quadrature(energy, low, high, num_points=301)
    assert abs(found - exact) < 1e-5


@pytest.fixture(scope="module")
def joint():
    """Gamma, Beta and Dirichlet side by side, and samples of them."""
    parts = Blockwise((Exp(), Sigmoid(), StickBreaking()), (1, 1, 3))
    together = lambda x: gamma(x[:1]) + beta(x[1:2]) + dirichlet(x[2:])  # noqa: E731
    energy = Transformed(Function(together, (5,)), parts)
    start = energy.unconstrain(np.full((4000, 5), 1 / 3, np.float32))
    sampler = HMC(0.5, num_integration_steps=5)
    options = {"num_samples": 2, "thin": 20, "key": jax.random.key(3)}
    return energy, energy.constrain(ebmx.sample(energy, sampler, start, **options).values)


@pytest.mark.medium
def test_samples_have_the_moments_of_gamma_beta_and_dirichlet(joint):
    energy, x = joint
    assert energy.shape == (4,)
    assert x.shape == (4000, 2, 5)
    x = np.asarray(x)[:, -1]
    laws = [scipy.stats.gamma(2.5, scale=1 / 1.5), scipy.stats.beta(2.5, 1.5)]
    laws += [scipy.stats.beta(a, ALPHA.sum() - a) for a in ALPHA]
    for law, column in zip(laws, x.T, strict=True):
        assert_mean(column, law.mean())
        assert_mean((column - law.mean()) ** 2, law.var())
        assert scipy.stats.kstest(column, law.cdf).pvalue > 1e-5
    a, total = ALPHA, ALPHA.sum()
    assert_mean(x[:, 2] * x[:, 3], a[0] * a[1] / total / (total + 1))
    np.testing.assert_allclose(x[:, 2:].sum(1), 1, rtol=1e-5)


def test_parameters_of_the_energy_are_trained_and_ends_are_not():
    energy = Transformed(Gaussian(np.zeros(2)), Sigmoid(np.zeros(2), 1.0))
    tree = ebmx.energies.trainable(energy)
    assert tree.energy.location
    assert not tree.bijection.low
    slopes = eqx.filter_grad(lambda energy: energy(jnp.ones(2)))(energy)
    assert np.all(np.asarray(slopes.energy.location) != 0)
    np.testing.assert_array_equal(slopes.bijection.low, np.zeros(2))


def test_points_outside_are_refused_and_shapes_named():
    energy = Transformed(Gaussian(np.zeros(2)), Exp())
    with pytest.raises(ValueError, match=r"x=1 of 4 outside: .*strictly inside .* Exp\(\)"):
        energy.unconstrain(np.float32([[1, 2], [0, 1]]))
    with pytest.raises(ValueError, match=r"x\.shape=\(2, 3\): give \(\.\.\., 2\)"):
        energy.unconstrain(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"z\.shape=\(\): give \(\.\.\., 2\)"):
        energy.constrain(1.0)
    with pytest.raises(ValueError, match=r"shape=\(2,\): the parts are a vector of 3"):
        Transformed(Gaussian(np.zeros(2)), Blockwise((Exp(),), (3,)))
    np.testing.assert_allclose(energy.constrain(np.zeros(2)), np.ones(2))
