"""Losses on energies alone: their formulas in NumPy, and normalisers that are learnt."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
import scipy.stats
from closed_forms import Precise, Wells, apply, call, call_loss, quantiles
from helpers import points

from ebmx.energies import Gaussian, Normalised
from ebmx.training import (
    Examples,
    GaussianNoise,
    Neighbours,
    NoiseSamples,
    PerturbedTwice,
    QuadraturePoints,
    Trainer,
    UniformNoise,
    energy_discrepancy_loss,
    fit,
    minimum_probability_flow_loss,
    negative_log_likelihood_loss,
    noise_contrastive_loss,
)

X, OTHERS = points(3, (2,)), points(6, (2,), seed=1, scale=2.0)
MEAN, SPREAD = jnp.array([0.5, -0.2]), jnp.array([0.7, 1.5])
GAUSSIAN = Gaussian(MEAN, SPREAD)
NOISE = GaussianNoise(0.3, 1.2)


def log_density(x, mean, scale):
    return scipy.stats.norm(np.asarray(mean), np.asarray(scale)).logpdf(np.asarray(x)).sum(-1)


def gaps():
    """`E(x) - E(x')` of each of the three data and its two negatives, `(2, 3)`."""
    real, fake = (-log_density(x, MEAN, jnp.sqrt(SPREAD)) for x in (X, OTHERS))
    return real - fake.reshape(2, 3)


def test_noise_contrastive_loss_agrees_with_numpy():
    energy = Normalised(GAUSSIAN, GAUSSIAN.log_z)
    real, fake = (
        log_density(x, MEAN, jnp.sqrt(SPREAD)) - log_density(x, 0.3, 1.2) - math.log(2)
        for x in (X, OTHERS)
    )
    for counts in ([1, 1, 1], [3, 1, 2]):
        weights = jnp.log(jnp.asarray(counts, float))
        positives = Examples(X, None, weights)
        negatives = positives.with_x(OTHERS)
        loss, metrics = call_loss(noise_contrastive_loss, energy, positives, negatives, noise=NOISE)
        shares = np.array(counts) / np.sum(counts)
        missed, taken = (-scipy.special.log_expit(a) for a in (real, -fake))
        want = missed @ shares + 2 * taken @ np.tile(shares / 2, 2)
        np.testing.assert_allclose(loss, want, rtol=1e-5)
        right = 0.5 * ((real > 0) @ shares + (fake < 0) @ np.tile(shares / 2, 2))
        np.testing.assert_allclose(metrics["accuracy"], right, rtol=1e-6)


def test_noise_has_no_gradient():
    @jax.jit
    @jax.grad
    def by_scale(scale):
        return apply(noise_contrastive_loss, GAUSSIAN, X, OTHERS, noise=GaussianNoise(0.3, scale))[
            0
        ]

    assert float(by_scale(jnp.asarray(1.2))) == 0


def test_energy_discrepancy_agrees_with_numpy():
    loss = eqx.filter_value_and_grad(
        lambda e, w: apply(energy_discrepancy_loss, e, X, OTHERS, stabilise=w)[0]
    )
    for stabilise in (0.0, 1.0, 2.5):
        # a constant in the energy changes nothing
        value, gradient = call(loss, Normalised(GAUSSIAN, 3.0), np.float32(stabilise))
        want = np.mean(np.log(stabilise / 2 + np.mean(np.exp(gaps()), 0)))
        np.testing.assert_allclose(value, want, rtol=1e-5)
        assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(gradient))


def test_probability_flow_agrees_with_numpy():
    loss, _ = call_loss(minimum_probability_flow_loss, Normalised(GAUSSIAN, 3.0), X, OTHERS)
    np.testing.assert_allclose(loss, np.mean(np.exp(0.5 * gaps())), rtol=1e-5)


def test_likelihood_agrees_with_scipy_on_the_plane(getkey):
    source = QuadraturePoints(jnp.full(2, -9.0), jnp.full(2, 9.0), 120)
    grid, _, _ = call(source.step, None, Examples(X), None, key=getkey())
    loss, metrics = call_loss(negative_log_likelihood_loss, GAUSSIAN, X, grid)
    np.testing.assert_allclose(metrics["log_z"], GAUSSIAN.log_z, rtol=1e-5)
    np.testing.assert_allclose(loss, -np.mean(log_density(X, MEAN, SPREAD**0.5)), rtol=1e-5)


BOX = QuadraturePoints(jnp.array([-2.0]), jnp.array([2.0]), 400)
# two of ten are outside
LINE = np.float32([-1.5, -1, -0.5, 0, 0, 0.5, 1, 1.9, 2.5, -7])[:, None]


def well(height, x):
    """A normal density on the box, anything outside, and not finite at all far away."""
    inside = jnp.abs(x[0]) <= 2
    outside = jnp.where(x[0] > -5, height, jnp.nan)
    return jnp.where(inside, 0.5 * x[0] ** 2, outside)


@pytest.mark.parametrize("weights", [None, np.arange(10) + 1.0])
def test_the_likelihood_is_that_of_the_data_in_the_box(weights):
    grid, _, _ = call(BOX.step, None, Examples(LINE), None, key=jax.random.key(0))
    log_weights = None if weights is None else jnp.log(jnp.asarray(weights, jnp.float32))
    data = Examples(jnp.asarray(LINE), None, log_weights)

    def loss(height):
        return apply(negative_log_likelihood_loss, eqx.Partial(well, height), data, grid)

    (value, metrics), slope = jax.jit(jax.value_and_grad(loss, has_aux=True))(jnp.array(-1e3))
    log_z = scipy.stats.truncnorm(-2, 2).logpdf(0)
    counts = np.ones(10) if weights is None else weights
    shares = counts[:8] / counts[:8].sum()
    want = np.sum(shares * 0.5 * LINE[:8, 0].astype(np.float64) ** 2) - log_z
    np.testing.assert_allclose(value, want, rtol=1e-5)
    np.testing.assert_allclose(metrics["outside"], counts[8:].sum() / counts.sum(), rtol=1e-5)
    assert float(slope) == 0
    none = Examples(data.x[8:], None)
    value, metrics = call_loss(negative_log_likelihood_loss, eqx.Partial(well, 0.0), none, grid)
    assert (float(value), float(metrics["outside"])) == (0, 1)


def test_the_best_constant_for_noise_contrast_is_the_normaliser():
    data = jnp.asarray(np.sqrt(0.6) * quantiles(2000))[:, None]
    noise = jnp.asarray(1.5 * quantiles(6000))[:, None]

    @jax.jit
    @jax.grad
    def slope(constant):
        energy = Normalised(Precise((1,), jnp.array(1 / 0.6), jnp.array(0.0)), constant)
        return apply(noise_contrastive_loss, energy, data, noise, noise=GaussianNoise(0.0, 1.5))[0]

    exact = 0.5 * math.log(2 * math.pi * 0.6)
    below, at, above = (float(slope(jnp.asarray(exact + d))) for d in (-0.2, 0.0, 0.2))
    assert below < 0 < above
    assert abs(at) < 0.01 * above


@pytest.mark.medium
def test_noise_contrast_learns_the_normaliser(getkey):
    data = np.float32(0.8 * quantiles(512) + 0.5)[:, None]
    noise = GaussianNoise(0.0, 2.0)
    loss = eqx.Partial(noise_contrastive_loss, noise=noise)
    optim = optax.adam(optax.cosine_decay_schedule(0.05, 400))
    trainer = Trainer(optim, NoiseSamples(noise, 2), loss)
    state = trainer.init(Normalised(Gaussian(jnp.zeros(1), 2.0), 3.0), key=getkey())
    state, history = fit(trainer, state, (data for _ in range(400)), num_steps=400, key=getkey())
    gaussian = state.energy.energy
    np.testing.assert_allclose(gaussian.mean, 0.5, atol=0.05)
    np.testing.assert_allclose(gaussian.variance, 0.64, rtol=0.1)
    np.testing.assert_allclose(state.energy.constant, gaussian.log_z, atol=0.04)
    assert "acceptance" not in history  # there are no chains
    assert history["accuracy"][-1] > 0.5


def test_data_outside_of_the_noise_does_no_harm():
    @jax.jit
    @jax.value_and_grad
    def loss(constant):
        energy, data = Precise((1,), jnp.array(1.0), constant), jnp.array([[0.5], [3.0]])
        return apply(noise_contrastive_loss, energy, data, jnp.zeros((2, 1)), noise=UniformNoise())[
            0
        ]

    assert np.all(np.isfinite(loss(jnp.array(0.0))))


SOURCES = {
    "noise-contrastive": (
        eqx.Partial(noise_contrastive_loss, noise=NOISE),
        NoiseSamples(NOISE, 2),
    ),
    "energy-discrepancy": (energy_discrepancy_loss, PerturbedTwice(0.3, 3)),
    "probability-flow": (minimum_probability_flow_loss, Neighbours(0.4, 2)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_each_example_of_a_conditional_energy_has_its_label(name, getkey):
    loss, source = SOURCES[name]
    wells = Wells(points(2, (2,)), jnp.array([1.0, 2.0]))
    labels = np.array([1, 0, 1])

    @jax.jit
    def both(key):
        positives = Examples(X, jnp.asarray(labels))
        negatives, _, _ = source.step(wells, positives, None, key=key)
        x = negatives.x.reshape(-1, 3, 2)
        alone = [apply(loss, wells.at(y), X[i : i + 1], x[:, i])[0] for i, y in enumerate(labels)]
        return loss(wells, positives, negatives)[0], jnp.stack(alone)

    got, alone = both(getkey())
    np.testing.assert_allclose(got, np.mean(alone), rtol=1e-5)


class Odd(eqx.Module):
    """Noise that cannot say how likely it is."""

    def sample(self, shape, *, key):
        return jax.random.normal(key, shape)


SMALL, _, _ = QuadraturePoints(-jnp.ones(2), jnp.ones(2), 3).step(
    None, Examples(X), None, key=jax.random.key(0)
)
BAD = {
    "no log density": (
        lambda: apply(noise_contrastive_loss, GAUSSIAN, X, X, noise=Odd()),
        r"noise=Odd: give a noise with a log_density, such as UniformNoise",
    ),
    "noise": (
        lambda: apply(noise_contrastive_loss, GAUSSIAN, X, OTHERS[:4], noise=NOISE),
        r"negatives\.shape=\(4,\): give a multiple of the 3 positives: use NoiseSamples",
    ),
    "discrepancy": (
        lambda: apply(energy_discrepancy_loss, GAUSSIAN, X, OTHERS[:4]),
        r"negatives\.shape=\(4,\): give a multiple of the 3 positives: use PerturbedTwice",
    ),
    "flow": (
        lambda: apply(minimum_probability_flow_loss, GAUSSIAN, X, OTHERS[:5]),
        r"negatives\.shape=\(5,\): give a multiple of the 3 positives: use Neighbours",
    ),
    "stabilise": (
        lambda: apply(energy_discrepancy_loss, GAUSSIAN, X, X, stabilise=-0.1),
        r"stabilise=-0\.1: give a finite number of at least 0",
    ),
    "no weights": (
        lambda: apply(negative_log_likelihood_loss, GAUSSIAN, X, X),
        r"negatives=x: the points need the volume of their cells: use QuadraturePoints",
    ),
    "outside": (
        lambda: apply(negative_log_likelihood_loss, GAUSSIAN, 9 + X, SMALL),
        r"positives=3 of 3 outside the box: give a box .* it is \[-1\.0, -1\.0\] to \[1\.0",
    ),
    "dimension": (
        lambda: apply(negative_log_likelihood_loss, GAUSSIAN, points(3, (1,)), SMALL),
        r"negatives\.shape=\(9, 2\): give points of the dimension of the data, \(1,\)",
    ),
    "no labels": (
        lambda: apply(
            negative_log_likelihood_loss,
            Wells(points(2, (2,)), jnp.ones(2)),
            Examples(X, jnp.array([0, 1, 0])),
            OTHERS,
        ),
        r"negatives=x: the points need the volume",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    mistake, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        mistake()
