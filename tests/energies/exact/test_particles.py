"""Particles: symmetries, quadrature over the distance of two, contact, and known minima."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.special
import scipy.stats
from helpers import assert_mean
from reference import log_z_on_grid

from ebmx.energies import DoubleWellParticles, LennardJones

WELLS = {"linear": 0.3, "quadratic": -2.0, "quartic": 0.8, "offset": 2.5, "centre_scale": 0.7}
CLUSTER = {"epsilon": 1.5, "radius": 1.2, "spring": 0.6, "centre_scale": 0.7}
KINDS = {
    "wells": (lambda *shape: DoubleWellParticles(*shape, **WELLS)),
    "lennard-jones": (lambda *shape: LennardJones(*shape, **CLUSTER)),
}
each = pytest.mark.parametrize("name", KINDS)


def pair(name, d):
    """The energy of a pair, and half the harmonic force, as a function of its distance."""
    if name == "wells":
        t = d - 2.5
        return 0.3 * t - 2.0 * t**2 + 0.8 * t**4
    return 1.5 * ((1.2 / d) ** 12 - 2 * (1.2 / d) ** 6)


def by_loops(name, x):
    centre = x.mean(0)
    pairs = sum(pair(name, np.linalg.norm(a - b)) for a, b in itertools.combinations(x, 2))
    spring = 0.0 if name == "wells" else 0.3 * np.sum((x - centre) ** 2)
    return pairs + spring + np.sum(centre**2) / (2 * 0.7**2)


def apart(num, shape):
    """Particles near the points of a line, so that none are close to each other."""
    line = 1.2 * np.arange(shape[0])[:, None] * np.array([1.0, 0.4, -0.2])[: shape[1]]
    return line + 0.2 * np.random.default_rng(1).normal(size=(num, *shape))


@each
@pytest.mark.parametrize("shape", [(4, 2), (5, 3)])
def test_energies_are_sums_over_pairs_and_have_their_symmetries(name, shape):
    x = apart(4, shape)
    shift = np.arange(1.0, 1 + shape[1])
    turn = scipy.stats.special_ortho_group.rvs(shape[1], random_state=0)
    mirrored = turn * np.array([-1.0, 1.0, 1.0])[: shape[1]]
    changed = [x, x @ turn, x @ mirrored, x[:, ::-1], x + shift]
    with jax.enable_x64(True):
        energy = KINDS[name](*shape)
        values = np.asarray(jax.jit(jax.vmap(jax.vmap(energy)))(np.stack(changed)))
    np.testing.assert_allclose(values[0], [by_loops(name, one) for one in x], rtol=1e-11)
    for turned in values[1:4]:
        np.testing.assert_allclose(turned, values[0], rtol=1e-11)
    centre = x.mean(1)
    gaussian = (np.sum((centre + shift) ** 2, 1) - np.sum(centre**2, 1)) / (2 * 0.7**2)
    np.testing.assert_allclose(values[4] - values[0], gaussian, rtol=1e-6)


def test_the_default_values_are_those_of_the_papers():
    x = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0], [3.0, 4.0]], np.float32) - [1.5, 2.0]
    energy = DoubleWellParticles()
    pairs = [-4 * t**2 + 0.9 * t**4 for t in (-1, -1, 0, 0, 1, 1)]
    np.testing.assert_allclose(energy(jnp.asarray(x, jnp.float32)), sum(pairs), rtol=1e-5)
    assert LennardJones().shape == (13, 3)
    two = jnp.array([[0.5, 0.0, 0.0], [-0.5, 0.0, 0.0]])
    np.testing.assert_allclose(LennardJones(2)(two), -1 + 0.5 * 2 * 0.25, rtol=1e-6)


def of_distance(name, dim):
    """Log density of the distance of two particles, but for its constant, and the factor of it."""

    def log_density(d):
        # of `u = d/√2`, the orthonormal coordinate, with |x₁ - x̄|² + |x₂ - x̄|² = d²/2
        spring = 0.0 if name == "wells" else 0.15 * d**2
        return -pair(name, d) - spring + (dim - 1) * np.log(d)

    sphere = 2 * np.pi ** (dim / 2) / scipy.special.gamma(dim / 2)
    return log_density, sphere / np.sqrt(2) ** dim


@each
def test_the_normaliser_of_two_particles_is_an_integral_over_their_distance(name):
    log_density, factor = of_distance(name, 1)
    radial = scipy.integrate.quad(lambda d: np.exp(log_density(d)), 0.0, 15.0, limit=500)[0]
    with jax.enable_x64(True):
        energy = KINDS[name](2, 1)
        log_z = log_z_on_grid(energy, -9.0, 9.0, 1001)
        centre = float(energy.centre_log_z)
    np.testing.assert_allclose(log_z, np.log(radial * factor) + centre, rtol=1e-7)


@each
@pytest.mark.parametrize("dim", [2, 3])
def test_two_particles_at_the_distances_of_quadrature_have_the_density(name, dim):
    """`E[x · ∇E(x)]` is the number of coordinates, and so is that of relative ones alone."""
    rng = np.random.default_rng(dim)
    line = np.linspace(0.3, 15.0, 100_001)
    log_density, _ = of_distance(name, dim)
    weights = np.exp(log_density(line) - np.max(log_density(line)))
    cdf = scipy.integrate.cumulative_trapezoid(weights, line, initial=0.0)
    distance = np.interp(rng.uniform(size=20_000) * cdf[-1], cdf, line)
    way = rng.normal(size=(20_000, dim))
    half = 0.5 * distance[:, None] * way / np.linalg.norm(way, axis=1, keepdims=True)
    centre = 0.7 * rng.normal(size=(20_000, dim))
    x = np.stack([centre + half, centre - half], 1)
    with jax.enable_x64(True):
        slopes = np.asarray(jax.jit(jax.vmap(jax.grad(KINDS[name](2, dim))))(x))
    assert_mean((x * slopes).sum((1, 2)), 2 * dim)
    assert_mean((half * (slopes[:, 0] - slopes[:, 1])).sum(1), dim)
    assert_mean((centre * slopes.sum(1)).sum(1), dim)


def test_the_gaussian_on_the_centre_has_its_normaliser():
    # of three particles on a plane: the centre times √3 is an orthonormal coordinate
    with jax.enable_x64(True):
        energy = LennardJones(3, 2, centre_scale=0.4)
        gaussian = 2 * np.log(np.sqrt(2 * np.pi) * 0.4 * np.sqrt(3))
        np.testing.assert_allclose(float(energy.centre_log_z), gaussian, rtol=1e-12)


@each
def test_energies_and_gradients_are_finite_at_contact(name):
    energy = KINDS[name](3, 2)
    distances = np.concatenate([[0.0], np.logspace(-30, 0, 91)]).astype(np.float32)
    x = np.zeros((len(distances), 3, 2), np.float32)
    x[:, 1, 0], x[:, 2, 1] = distances, 1.5
    values, slopes = map(np.asarray, jax.jit(jax.vmap(jax.value_and_grad(energy)))(x))
    assert np.isfinite(values).all()
    assert np.isfinite(slopes).all()
    # nothing pulls two particles at one place apart, and closer ones are never lower
    np.testing.assert_allclose(slopes[0, 0], slopes[0, 1], rtol=1e-5, atol=1e-5)
    if name == "lennard-jones":
        assert np.all(np.diff(values[distances < 1.1]) <= 0)
        assert values[0] > 1e11


@pytest.mark.medium
def test_the_wall_is_continued_with_its_value_and_slope():
    def wall(d):
        return LennardJones(2, 1, epsilon=1.0, spring=0.0)(jnp.stack([d, -d])[:, None] / 2)

    with jax.enable_x64(True):
        below, at, above = jnp.array([0.1 - 1e-9, 0.1, 0.1 + 1e-9], jnp.float64)
        both = jax.value_and_grad(wall)
        (low, left), (high, right) = both(below), both(above)
        np.testing.assert_allclose(low, high, rtol=1e-5)
        np.testing.assert_allclose(left, right, rtol=1e-5)
        np.testing.assert_allclose(wall(at), 0.1**-12 - 2 * 0.1**-6, rtol=1e-9)
        # a straight line in d²
        squares = jnp.array([0.0, 0.005, 0.01])
        line = jax.vmap(lambda square: wall(jnp.sqrt(square)))(squares)
        np.testing.assert_allclose(line[1], 0.5 * (line[0] + line[2]), rtol=1e-9)


def icosahedron():
    """Twelve corners at distance 1."""
    golden = (1 + np.sqrt(5)) / 2
    signs = [(a, b * golden) for a, b in itertools.product((-1, 1), repeat=2)]
    corners = [np.roll([0.0, a, b], k) for a, b in signs for k in range(3)]
    return np.array(corners) / np.sqrt(1 + golden**2)


def mackay(num):
    corners = icosahedron()
    layers = [np.zeros((1, 3)), corners]
    if num == 55:
        gaps = np.linalg.norm(corners[:, None] - corners[None], axis=2)
        edges = [(i, j) for i, j in itertools.combinations(range(12), 2) if gaps[i, j] < 1.1]
        assert len(edges) == 30
        layers += [2 * corners, np.array([corners[i] + corners[j] for i, j in edges])]
    return np.concatenate(layers)


@pytest.mark.parametrize(("num", "lowest"), [(13, -44.326801), (55, -279.248470)])
def test_the_lowest_energies_are_those_of_the_icosahedra(num, lowest):
    """Northby (1987), "Structure and binding of Lennard-Jones clusters: 13 ≤ N ≤ 147"."""
    start = mackay(num)
    assert start.shape == (num, 3)
    with jax.enable_x64(True):
        energy = LennardJones(num, spring=0.0)
        both = jax.jit(jax.value_and_grad(lambda flat: energy(flat.reshape(num, 3))))

        def numpy_of_both(flat):
            value, slope = both(flat)
            return float(value), np.asarray(slope)

        found = scipy.optimize.minimize(
            numpy_of_both, start.ravel(), jac=True, method="L-BFGS-B", options={"ftol": 1e-14}
        )
    np.testing.assert_allclose(found.fun, lowest, atol=2e-5)


def test_fewer_than_two_particles_are_refused():
    with pytest.raises(ValueError, match="num_particles=1"):
        LennardJones(1)
    with pytest.raises(ValueError, match=r"quartic=0\.0"):
        DoubleWellParticles(quartic=0.0)


@pytest.mark.medium
@each
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_particles_apart_have_energies_and_gradients_in_half_precision(name, dtype):
    energy, x = KINDS[name](4, 2), jnp.asarray(apart(1, (4, 2))[0], dtype)
    value, slope = jax.value_and_grad(energy)(x)
    wide_value, wide_slope = jax.value_and_grad(energy)(x.astype(jnp.float32))
    assert value.dtype == slope.dtype == dtype
    np.testing.assert_allclose(float(value), wide_value, rtol=0.03, atol=0.1)
    np.testing.assert_allclose(slope.astype(float), wide_slope, rtol=0.1, atol=0.3)
