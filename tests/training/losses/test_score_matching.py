"""Score matching in its three forms, against derivatives by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_forms import Levels, Wells, apply, call_loss, products, quantiles
from helpers import points

from ebmx.energies import Gaussian
from ebmx.training import (
    Examples,
    Perturbed,
    denoising_score_matching_loss,
    score_matching_loss,
    sliced_score_matching_loss,
)

B = np.float32([0.5, -1.0, 2.0])


def energy(x):
    """Quartic, with a wave and a coupling of neighbours, for examples of any shape."""
    flat = x.reshape(-1)
    wave = jnp.sum(np.resize(B, flat.shape) * jnp.sin(flat))
    return jnp.sum(flat**4) / 4 + wave + jnp.sum(flat[1:] * flat[:-1])


def by_hand(x):
    """The gradients of a batch, and the traces of its Hessians."""
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    b = np.resize(B, x.shape[1])
    gradient = x**3 + b * np.cos(x)
    gradient[:, 1:] += x[:, :-1]
    gradient[:, :-1] += x[:, 1:]
    return gradient, np.sum(3 * x**2 - b * np.sin(x), 1)


@pytest.mark.parametrize("shape", [(2,), (2, 3, 1)])
def test_exact_score_matching_agrees_with_derivatives_by_hand(shape):
    x = points(5, shape)
    gradient, trace = by_hand(x)
    want = np.mean(0.5 * np.sum(gradient**2, 1) - trace)
    np.testing.assert_allclose(call_loss(score_matching_loss, energy, x, x)[0], want, rtol=1e-5)


def test_sliced_score_matching_is_exact_in_the_mean_over_directions():
    x = points(5, (3,))
    corners = np.stack(products(*[[-1.0, 1.0]] * 3), 1)

    @jax.jit
    @jax.vmap
    def along(direction):
        directions = jnp.broadcast_to(direction, x.shape)
        return apply(sliced_score_matching_loss, energy, x, directions)[0]

    values = along(jnp.asarray(corners, jnp.float32))
    assert np.std(values) > 0.1  # the coupling makes directions differ
    np.testing.assert_allclose(
        np.mean(values), call_loss(score_matching_loss, energy, x, x)[0], rtol=1e-5
    )
    gradient, trace = by_hand(x)
    couplings = 2 * (corners[:, :-1] * corners[:, 1:]).sum(1)
    want = np.mean(0.5 * np.sum(gradient**2, 1) - trace) - couplings
    np.testing.assert_allclose(values, want, rtol=1e-4)


def test_each_example_has_its_own_direction():
    x = points(2, (2,))
    gradient, _ = by_hand(x)
    diagonal = 3 * np.asarray(x) ** 2 - B[:2] * np.sin(x)
    curvatures = np.array([4 * diagonal[0, 0], diagonal[1, 1]])
    want = np.mean(0.5 * np.sum(gradient**2, 1) - curvatures)
    got = call_loss(sliced_score_matching_loss, energy, x, jnp.array([[2.0, 0.0], [0.0, 1.0]]))[0]
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_denoising_agrees_with_numpy():
    x, noisy = points(6, (2, 2)), points(6, (2, 2), seed=1)
    gradient = by_hand(noisy)[0]
    residual = 0.7 * gradient - (np.asarray(noisy) - np.asarray(x)).reshape(6, -1) / 0.7
    want = np.mean(0.5 * np.sum(residual**2, 1))
    got = call_loss(denoising_score_matching_loss, energy, x, noisy, sigma=0.7)[0]
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_each_example_has_its_own_label():
    wells = Wells(points(3, (2,)), jnp.array([1.0, 2.0, 0.5]))
    x, y = points(4, (2,), seed=1), jnp.array([2, 0, 1, 2])
    a, m = (np.asarray(values)[np.asarray(y)] for values in (wells.precisions, wells.modes))
    want = np.mean(0.5 * a**2 * np.sum((np.asarray(x) - m) ** 2, 1) - 2 * a)
    np.testing.assert_allclose(
        call_loss(score_matching_loss, wells, (x, y), (x, y))[0], want, rtol=1e-5
    )
    # where the curvature is the same all around, all directions of ±1 are equal
    sliced = call_loss(sliced_score_matching_loss, wells, (x, y), Examples(jnp.ones_like(x), y))[0]
    np.testing.assert_allclose(sliced, want, rtol=1e-5)


LEVELS, VARIANCE = (0.2, 0.5, 1.5), 0.6


def test_with_levels_each_is_best_at_its_own_blurred_truth():
    data, noise, level = products(quantiles(40), quantiles(40), np.arange(3))
    sigma = np.array(LEVELS)[level]
    x = np.sqrt(VARIANCE) * data
    with jax.enable_x64(True):
        positives = jnp.asarray(x[:, None])
        condition = jnp.log(jnp.asarray(sigma))[:, None]
        negatives = Examples(jnp.asarray((x + sigma * noise)[:, None]), condition)

        @jax.jit
        @jax.value_and_grad
        def loss(precisions):
            levels = Levels(LEVELS, precisions)
            return apply(denoising_score_matching_loss, levels, positives, negatives)[0]

        a = 1 / (VARIANCE + np.array(LEVELS) ** 2)
        value, gradient = (np.asarray(v) for v in loss(jnp.asarray(a)))
        slopes = np.asarray(loss(jnp.asarray(a * np.array([0.5, 2.0, 1.0])))[1])
    s2 = np.array(LEVELS) ** 2
    want = np.mean(0.5 * (s2 * a**2 * VARIANCE + (s2 * a - 1) ** 2))
    np.testing.assert_allclose(value, want, rtol=1e-9)
    np.testing.assert_allclose(gradient, 0, atol=1e-9)
    # σ⁴ (s² + σ²) (a - a*) / levels, one level apart from the others
    curvature = s2 * (VARIANCE + s2) / 3
    np.testing.assert_allclose(slopes, curvature * a * np.array([-0.5, 1.0, 0.0]), atol=1e-9)


def test_drawn_levels_and_noise_have_the_value_of_the_quadrature(getkey):
    num = 20_000
    x = jnp.asarray(np.sqrt(VARIANCE) * quantiles(num), jnp.float32)[:, None]

    @jax.jit
    def loss(key):
        negatives, _, _ = Perturbed(jnp.array(LEVELS)).step(energy, Examples(x), None, key=key)
        return apply(denoising_score_matching_loss, Levels(LEVELS, jnp.ones(3)), x, negatives)[0]

    got = loss(getkey())
    s2 = np.array(LEVELS) ** 2
    want = np.mean(0.5 * (s2 * VARIANCE + (s2 - 1) ** 2))
    # the residual is normal at each level, so the square has twice its variance squared
    second = np.mean(0.75 * (s2 * VARIANCE + (s2 - 1) ** 2) ** 2)
    assert abs(float(got) - want) < 5 * np.sqrt((second - want**2) / num)


X = points(4, (2,))
FLAT = Gaussian(jnp.zeros(2))
BAD = {
    "directions": (
        lambda: apply(sliced_score_matching_loss, FLAT, X, X[:2]),
        r"negatives\.shape=\(2, 2\): give one direction for each example: use RandomProj",
    ),
    "perturbed": (
        lambda: apply(denoising_score_matching_loss, FLAT, X, X[:2], sigma=0.1),
        r"negatives\.shape=\(2, 2\): give one perturbed example for each",
    ),
    "no sigma": (
        lambda: apply(denoising_score_matching_loss, FLAT, X, X),
        r"sigma=None: give sigma, or negatives of several levels",
    ),
    "labels for levels": (
        lambda: apply(denoising_score_matching_loss, FLAT, X, Examples(X, jnp.arange(4))),
        r"sigma=None: give sigma, or negatives of several levels",
    ),
    "sigma": (
        lambda: apply(denoising_score_matching_loss, FLAT, X, X, sigma=0.0),
        r"sigma=0\.0: give a finite number above 0",
    ),
    "an energy of levels": (
        lambda: apply(
            denoising_score_matching_loss, Levels([0.1], [1.0]), X[:, :1], X[:, :1], sigma=0.1
        ),
        r"batch=x: Levels needs labels or conditions",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    mistake, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        mistake()
