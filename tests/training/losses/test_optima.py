"""The truth is the optimum of each objective, at values that are known."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from closed_forms import Precise, apply, products, quantiles
from helpers import double

from ebmx.training import (
    Examples,
    GaussianNoise,
    QuadraturePoints,
    denoising_score_matching_loss,
    energy_discrepancy_loss,
    minimum_probability_flow_loss,
    negative_log_likelihood_loss,
    noise_contrastive_loss,
    score_matching_loss,
    sliced_score_matching_loss,
)

VARIANCE, SIGMA, TIME, WIDE = 0.6, 0.5, 0.4, 1.5
NOISE = GaussianNoise(0.0, WIDE)


def column(values):
    return jnp.asarray(values.reshape(-1, 1))


def pairs(num, step):
    """All pairs of `num` data and `num` perturbations of standard deviation `step`."""
    x, noise = products(np.sqrt(VARIANCE) * quantiles(num), step * quantiles(num))
    return x, x + noise


def data(num=200):
    return column(np.sqrt(VARIANCE) * quantiles(num))


def twice(num=40, per_example=201):
    x, once = pairs(num, math.sqrt(TIME))
    negatives = once[None] + math.sqrt(TIME) * quantiles(per_example)[:, None]
    return column(x), column(negatives)


def grid():
    box = QuadraturePoints(jnp.array([-9.0]), jnp.array([9.0]), 400)
    step = jax.jit(lambda x: box.step(None, Examples(x), None, key=jax.random.key(0))[0])
    return step(np.zeros((1, 1)))


def two(values):
    return column(values[0]), column(values[1])


# closed forms as functions of the precision `a`


def exact_discrepancy(a):
    # E(x) of the data, and log ∫ N(x; y, t) exp(-a x²/2) dx with y the data with noise
    spread = (VARIANCE + TIME) / (1 + a * TIME)
    return 0.5 * a * VARIANCE - 0.5 * math.log(1 + a * TIME) - 0.5 * a * spread


def exact_flow(a):
    return (1 + 0.5 * a * SIGMA**2 * (1 - 0.5 * a * VARIANCE)) ** -0.5


def exact_contrast(a, ratio=3):
    p, q = scipy.stats.norm(0, math.sqrt(VARIANCE)).pdf, scipy.stats.norm(0, WIDE).pdf
    model = scipy.stats.norm(0, a**-0.5).pdf

    def integrand(x):
        share = model(x) / (model(x) + ratio * q(x))
        return -p(x) * math.log(share) - ratio * q(x) * math.log1p(-share)

    return scipy.integrate.quad(integrand, -9, 9)[0]


# of each objective: the loss, the two batches, the best precision, the value at a precision, and
# how far from it numbers in the place of samples are
GAUSSIAN = {
    "score-matching": (
        score_matching_loss,
        lambda: (data(), data()),
        1 / VARIANCE,
        lambda a: 0.5 * a**2 * VARIANCE - a,
        1e-9,
    ),
    "sliced": (
        sliced_score_matching_loss,
        lambda: (data(), -jnp.ones((200, 1))),
        1 / VARIANCE,
        lambda a: 0.5 * a**2 * VARIANCE - a,
        1e-9,
    ),
    "denoising": (
        eqx.Partial(denoising_score_matching_loss, sigma=SIGMA),
        lambda: two(pairs(60, SIGMA)),
        1 / (VARIANCE + SIGMA**2),
        lambda a: 0.5 * (SIGMA**2 * a**2 * VARIANCE + (SIGMA**2 * a - 1) ** 2),
        1e-9,
    ),
    "noise-contrastive": (
        eqx.Partial(noise_contrastive_loss, noise=NOISE),
        lambda: (data(1000), column(WIDE * quantiles(3000))),
        1 / VARIANCE,
        exact_contrast,
        2e-3,
    ),
    "energy-discrepancy": (
        eqx.Partial(energy_discrepancy_loss, stabilise=0.0),
        twice,
        1 / VARIANCE,
        exact_discrepancy,
        2e-3,
    ),
    "probability-flow": (
        minimum_probability_flow_loss,
        lambda: two(pairs(300, SIGMA)),
        1 / VARIANCE,
        exact_flow,
        1e-3,
    ),
    "likelihood": (
        negative_log_likelihood_loss,
        lambda: (data(), grid()),
        1 / VARIANCE,
        lambda a: 0.5 * a * VARIANCE + 0.5 * math.log(2 * math.pi / a),
        1e-6,
    ),
}


@pytest.mark.parametrize("name", GAUSSIAN)
def test_the_loss_of_a_gaussian_is_least_at_the_truth(name):
    loss, batches, best, exact, error = GAUSSIAN[name]
    with jax.enable_x64(True):
        positives, negatives = batches()

        @jax.jit
        @jax.value_and_grad
        def of_precision(a):
            log_z = 0.5 * jnp.log(2 * jnp.pi / a)
            return apply(double(loss), Precise((1,), a, log_z), positives, negatives)[0]

        precisions = np.array([0.6, 1.0, 1.5]) * best
        results = np.array([of_precision(jnp.asarray(a)) for a in precisions])
    np.testing.assert_allclose(
        results[:, 0], [exact(a) for a in precisions], rtol=error, atol=error
    )
    below, at, above = results[:, 1]
    assert below < 0 < above
    assert abs(at) <= 10 * error * min(-below, above) + 1e-9
