"""The densities on the plane against quadrature and their own samples."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.datasets
from helpers import assert_mean

from ebmx.energies import exact_samples, plane

NAMES = ["8gaussians", "rings", "checkerboard", "2spirals", "moons", "pinwheel"]
EDGE = 4.6
every_density = pytest.mark.parametrize("name", NAMES)


FEW = np.array([[0.0, 0.0], [1.0, -1.0], [4.0, 4.0]], np.float32)


@functools.cache
def answers(name):
    """Log densities on a grid, by row, and of draws, and scores at a few points."""
    count = 230  # cells of 0.04: fields of the checkerboard hold a whole number of them
    axis = (np.arange(count, dtype=np.float32) + 0.5) * (2 * EDGE / count) - EDGE
    energy = plane(name)
    log_density = lambda x: -energy(x)  # noqa: E731

    @jax.jit
    def everything(x):
        row = jax.vmap(lambda a, b: log_density(jnp.stack([a, b])), (None, 0))
        grid = jax.lax.map(lambda a: row(a, axis), axis)
        return grid, jax.vmap(log_density)(x), jax.vmap(jax.grad(log_density))(FEW)

    return [np.asarray(a, np.float64) for a in everything(draws(name))]


def on_the_grid(name):
    """Log densities at the midpoints of a grid, by row, and the area of a cell."""
    grid = answers(name)[0]
    return grid, (2 * EDGE / len(grid)) ** 2


@functools.cache
def draws(name):
    return np.asarray(exact_samples(plane(name), 10_000, key=jax.random.key(1)))


@every_density
def test_density_integrates_to_one_within_the_box(name):
    log_p, area = on_the_grid(name)
    total = np.exp(log_p).sum() * area
    np.testing.assert_allclose(total, 1.0, atol=0.01 if name == "checkerboard" else 1e-3)


@every_density
def test_cross_entropy_of_samples_is_the_entropy(name):
    log_p, _ = on_the_grid(name)
    inside = log_p[log_p > -np.inf]
    p = np.exp(inside) / np.exp(inside).sum()
    entropy = -np.sum(p * inside)
    values = -answers(name)[1]
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean() - entropy) <= 4 * error + 1e-3


@every_density
def test_samples_have_the_moments(name):
    log_p, area = on_the_grid(name)
    p = np.exp(log_p) * area
    count = len(p)
    axis = (np.arange(count) + 0.5) * (2 * EDGE / count) - EDGE
    x = np.asarray(draws(name), np.float64)
    powers = {"x": (1, 0), "y": (0, 1), "xx": (2, 0), "yy": (0, 2), "xy": (1, 1), "xxy": (2, 1)}
    for i, j in powers.values():
        want = np.sum(p * axis[:, None] ** i * axis[None] ** j) / p.sum()
        got = x[:, 0] ** i * x[:, 1] ** j
        assert abs(got.mean() - want) <= 4.5 * got.std() / np.sqrt(len(x)) + 2e-3


@every_density
def test_moments_are_those_of_samples(name):
    energy, x = plane(name), np.asarray(draws(name), np.float64)
    assert float(energy.log_z) == 0
    assert_mean(x, np.asarray(energy.mean))
    assert_mean((x - np.asarray(energy.mean)) ** 2, np.asarray(energy.variance))


@every_density
def test_samples_are_where_the_density_is(name):
    x = draws(name)
    assert x.shape == (10_000, 2)
    assert np.max(np.abs(x)) < EDGE
    assert np.all(np.isfinite(answers(name)[1]))
    assert len(np.unique(x, axis=0)) > 9_950


@pytest.mark.parametrize("name", [n for n in NAMES if n != "checkerboard"])
def test_scores_are_finite_within_the_box_and_at_the_origin(name):
    scores = answers(name)[2]
    assert np.all(np.isfinite(scores))
    assert np.max(np.abs(scores[1])) > 0.1


def test_checkerboard_is_empty_on_the_other_fields():
    points = jnp.array([[0.5, 0.5], [0.5, -0.5], [4.5, 0.5]])
    filled, empty, outside = -jax.jit(jax.vmap(plane("checkerboard")))(points)
    np.testing.assert_allclose(filled, -np.log(32), rtol=1e-6)
    assert empty == outside == -np.inf


def test_moons_are_those_of_scikit_learn():
    """The centres of the normal distributions lie on its curves, centred, twice as large."""
    curves = 2 * (sklearn.datasets.make_moons(4000)[0] - [0.5, 0.25])
    centres = np.asarray(plane("moons").means)
    distances = np.linalg.norm(centres[:, None] - curves, axis=-1)
    assert distances.min(1).max() < 2e-3  # half of the distance between neighbours of the curves
    assert distances.min(0).max() < 0.02


def test_an_unknown_name_is_answered_with_the_choices():
    with pytest.raises(ValueError, match=r"name='nine'.*8gaussians, rings, checkerboard"):
        plane("nine")
