"""Negatives without chains: their shapes, their order and their moments."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_mean, points

from ebmx.training import (
    DataOnly,
    Examples,
    GaussianNoise,
    Neighbours,
    NoiseSamples,
    Perturbed,
    PerturbedTwice,
    QuadraturePoints,
    RandomProjections,
    UniformNoise,
)
from ebmx.training._batch import as_examples

SOURCES = {
    "none": (DataOnly(), 1),
    "perturbed": (Perturbed(0.3), 1),
    "directions": (RandomProjections(), 1),
    "noise": (NoiseSamples(GaussianNoise(), 2), 2),
    "twice": (PerturbedTwice(0.25, 3), 3),
    "neighbours": (Neighbours(0.3, 4), 4),
}
each = pytest.mark.parametrize("name", SOURCES)
Y = np.array([3, 1, 0, 2, 1])


def step(source, x, key):
    negatives, state, info = eqx.filter_jit(source.step)(None, as_examples(x), None, key=key)
    assert state is None
    assert info is None
    return negatives


@each
def test_labels_go_with_the_positions_and_the_key_says_what_they_are(name, getkey):
    source, num = SOURCES[name]
    x, key = points(5, (3, 2, 1)), getkey()
    assert source.init((3, 2, 1), key=key) is None
    first = step(source, (x, Y), key)
    if name == "none":
        np.testing.assert_array_equal(first.x, x)
        np.testing.assert_array_equal(first.y, Y)
        return
    assert first.x.shape == (5 * num, 3, 2, 1)
    assert np.all(np.isfinite(first.x))
    np.testing.assert_array_equal(first.y, np.tile(Y, num))
    again = step(source, (x, Y[::-1]), key)
    np.testing.assert_array_equal(again.x, first.x)
    np.testing.assert_array_equal(again.y, np.tile(Y[::-1], num))
    assert not np.array_equal(step(source, (x, Y), getkey()).x, first.x)


NUM = 40_000
FAR = jnp.array([[-100.0, 3.0], [0.0, 1e3], [50.0, -7.0]])


def test_perturbed_is_data_with_noise_of_its_scale(getkey):
    x = np.tile(np.float32([[1.0, -2.0]]), (NUM, 1))
    noise = np.asarray(step(Perturbed(0.3), x, getkey()).x) - x
    assert_mean(noise, 0.0)
    assert_mean(noise**2, 0.09)
    assert_mean(noise[:, 0] * noise[:, 1], 0.0)
    assert_mean(noise[1:, 0] * noise[:-1, 0], 0.0)


def test_of_several_levels_each_example_draws_one_and_says_which(getkey):
    levels = np.array([0.1, 0.5, 2.0], np.float32)
    x = np.zeros((NUM, 2), np.float32)
    out = step(Perturbed(levels), x, getkey())
    assert out.y.shape == (NUM, 1)
    assert out.log_weights is None
    sigma, noise = np.exp(np.asarray(out.y)), np.asarray(out.x)
    which = np.argmin(np.abs(sigma - levels), 1)
    np.testing.assert_allclose(sigma[:, 0], levels[which], rtol=1e-6)
    counts = np.bincount(which)
    assert counts.shape == (3,)
    np.testing.assert_array_less(np.abs(counts - NUM / 3), 5 * np.sqrt(NUM * 2 / 9))
    for i, level in enumerate(levels):
        assert_mean(noise[which == i] ** 2, level**2)
    # the level does not depend on the noise
    assert_mean(np.sign(noise[:, 0]) * (which - 1), 0.0)


def test_a_vector_of_one_level_is_still_a_condition(getkey):
    out = step(Perturbed(jnp.array([0.5])), points(4, (2,)), getkey())
    np.testing.assert_allclose(out.y, np.full((4, 1), np.log(0.5)), rtol=1e-6)


def test_levels_of_images_are_of_the_whole_image(getkey):
    out = step(Perturbed(jnp.array([1e-3, 10.0])), np.zeros((64, 3, 2, 1), np.float32), getkey())
    size = np.abs(np.asarray(out.x)).reshape(64, -1).max(1)
    np.testing.assert_array_equal(size > 0.1, np.asarray(out.y)[:, 0] > 0)


def test_directions_are_signs_of_equal_chance(getkey):
    v = np.asarray(step(RandomProjections(), np.zeros((NUM, 2), np.float32), getkey()).x)
    assert set(np.unique(v)) == {-1.0, 1.0}
    assert_mean(v, 0.0)
    assert_mean(v[:, 0] * v[:, 1], 0.0)
    assert_mean(v[1:, 0] * v[:-1, 0], 0.0)


def test_noise_samples_are_of_the_noise_and_not_of_the_data(getkey):
    key = getkey()
    source = NoiseSamples(UniformNoise(2.0, 5.0), 3)
    out = np.asarray(step(source, np.zeros((5000, 2), np.float32), key).x)
    assert np.min(out) >= 2
    assert np.max(out) < 5
    assert_mean(out, 3.5)
    assert_mean((out - 3.5) ** 2, 9 / 12)
    assert len(np.unique(out[:, 0])) > 14_900
    same = step(source, np.full((5000, 2), 7.0, np.float32), key).x
    np.testing.assert_array_equal(out, same)


@pytest.mark.parametrize("source", [PerturbedTwice(0.25, 4), Neighbours(0.5, 4)])
def test_those_of_an_example_are_one_batch_apart(source, getkey):
    out = np.asarray(step(source, FAR, getkey()).x)
    np.testing.assert_allclose(out, np.tile(FAR, (4, 1)), atol=5)
    assert len(np.unique(out, axis=0)) == 12


def test_perturbed_twice_share_their_first_noise_alone(getkey):
    time, num = 0.36, 3
    x = np.tile(np.float32([[1.0, -2.0]]), (NUM, 1))
    noise = np.asarray(step(PerturbedTwice(time, num), x, getkey()).x).reshape(num, NUM, 2)
    noise = noise - np.array([1.0, -2.0])
    assert_mean(noise.reshape(-1, 2), 0.0)
    for i in range(num):
        assert_mean(noise[i] ** 2, 2 * time)
        assert_mean(noise[i] * noise[(i + 1) % num], time)
    assert_mean(noise[0, 1:] * noise[1, :-1], 0.0)
    assert_mean(noise[0, :, 0] * noise[1, :, 1], 0.0)
    # the difference of two negatives is independent of their common noise
    assert_mean((noise[0] - noise[1]) * (noise[0] + noise[1]), 0.0)


def test_neighbours_share_no_noise(getkey):
    noise = np.asarray(step(Neighbours(0.3, 2), np.zeros((NUM, 2), np.float32), getkey()).x)
    assert_mean(noise, 0.0)
    assert_mean(noise**2, 0.09)
    assert_mean(noise[:NUM] * noise[NUM:], 0.0)


@pytest.mark.parametrize(
    ("low", "high", "num"), [([-1.0], [2.0], 7), ([0.0, -3.0], [0.5, 1.0], 4), ([-4], [4], 2)]
)
def test_a_grid_is_of_equal_cells_that_fill_the_box(low, high, num, getkey):
    low, high = np.array(low), np.array(high)
    out = step(QuadraturePoints(low, high, num), points(3, low.shape), getkey())
    d = len(low)
    assert out.x.shape == (num**d, d)
    assert out.y is None
    weights = np.exp(np.asarray(out.log_weights, np.float64))
    np.testing.assert_allclose(weights.sum(), np.prod(high - low), rtol=1e-5)
    assert np.ptp(weights) == 0
    width = (high - low) / num
    assert len(np.unique(out.x, axis=0)) == num**d
    np.testing.assert_allclose(np.min(out.x, 0), low + width / 2, rtol=1e-5)
    np.testing.assert_allclose(np.max(out.x, 0), high - width / 2, rtol=1e-5)
    # the midpoint rule is exact for a plane
    integral = weights @ (np.asarray(out.x, np.float64) + 1).sum(1)
    middle = ((low + high) / 2 + 1).sum()
    np.testing.assert_allclose(integral, middle * np.prod(high - low), rtol=1e-5)


def test_a_shifted_grid_integrates_right_in_the_mean(getkey):
    low, high = jnp.array([-1.0, 0.0]), jnp.array([2.0, 0.5])
    grid = QuadraturePoints(low, high, 3, shifted=True)

    @eqx.filter_jit
    def integrals(keys):
        def one(key):
            out, _, _ = grid.step(None, Examples(jnp.zeros((1, 2))), None, key=key)
            inside = jnp.all((out.x >= low[None]) & (out.x <= high[None]))
            return jnp.sum(jnp.exp(out.log_weights) * jnp.exp(out.x[:, 0] - out.x[:, 1])), inside

        return jax.vmap(one)(keys)

    values, inside = integrals(jax.random.split(getkey(), NUM))
    assert np.all(inside)
    exact = (np.exp(2) - np.exp(-1)) * (1 - np.exp(-0.5))
    assert np.std(values) > 0.01 * exact
    assert_mean(np.asarray(values), exact)


def test_a_grid_needs_no_data(getkey):
    grid = QuadraturePoints(jnp.array([0.0]), jnp.array([1.0]), 3)
    one, other = (step(grid, x, getkey()) for x in (points(5, (1,)), points(2, (1,))))
    np.testing.assert_array_equal(one.x, other.x)


def test_weights_of_the_data_go_with_the_positions(getkey):
    x, weights = points(3, (2,)), np.float32([0.0, 1.0, 2.0])
    out = step(Neighbours(0.3, 2), Examples(x, None, weights), getkey())
    np.testing.assert_array_equal(out.log_weights, np.tile(weights, 2))


BAD = {
    "sigma": (lambda: Perturbed(0.0), r"sigma=0\.0: give a finite number above 0"),
    "sigmas": (lambda: Perturbed(jnp.array([0.1, -1.0])), r"sigma=\[0\.1.*, -1\.0\]: give a fin"),
    "no sigma": (lambda: Perturbed(jnp.zeros(0)), r"sigma\.shape=\(0,\): give a number, or"),
    "matrix": (lambda: Perturbed(jnp.ones((2, 2))), r"sigma\.shape=\(2, 2\): give a number, or"),
    "ratio": (lambda: NoiseSamples(GaussianNoise(), 0), "ratio=0: give a Python integer of at"),
    "time": (lambda: PerturbedTwice(-1.0), r"time=-1\.0: give a finite number above 0"),
    "num twice": (lambda: PerturbedTwice(1.0, 0), "num_negatives=0: give a Python integer"),
    "distance": (lambda: Neighbours(float("nan")), "sigma=nan: give a finite number above 0"),
    "num": (lambda: Neighbours(0.1, 1.5), r"num_neighbours=1\.5: give a Python integer"),
    "corner": (
        lambda: QuadraturePoints(-1.0, 1.0),
        r"low\.shape=\(\): give corners \(1,\) or \(2,\)",
    ),
    "three": (
        lambda: QuadraturePoints(jnp.zeros(3), jnp.ones(3)),
        r"low\.shape=\(3,\): give corners",
    ),
    "unlike": (
        lambda: QuadraturePoints(jnp.zeros(1), jnp.ones(2)),
        r"low\.shape=\(1,\): give corners",
    ),
    "order": (
        lambda: QuadraturePoints(jnp.ones(1), jnp.zeros(1)),
        r"high - low=\[-1\.0\]: give low < high",
    ),
    "cells": (
        lambda: QuadraturePoints(jnp.zeros(1), jnp.ones(1), 1),
        "num_points=1: give .* of at least 2",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        call()
