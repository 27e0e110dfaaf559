"""What all objectives share: gradients that are right, and means over data."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_forms import Levels, Wells
from helpers import double, points

from ebmx.energies import JEM, AbstractEnergy
from ebmx.training import (
    DataOnly,
    DiscreteNeighbours,
    Examples,
    FlippedTwice,
    GaussianNoise,
    Neighbours,
    NoiseSamples,
    Perturbed,
    PerturbedTwice,
    QuadraturePoints,
    RandomProjections,
    WeightedSum,
    contrastive_loss,
    cross_entropy_loss,
    denoising_score_matching_loss,
    energy_discrepancy_loss,
    minimum_probability_flow_loss,
    negative_log_likelihood_loss,
    noise_contrastive_loss,
    pseudo_likelihood_loss,
    ratio_matching_loss,
    score_matching_loss,
    sliced_score_matching_loss,
)
from ebmx.training._batch import as_examples

SIGMA, TIME, WIDE = 0.5, 0.4, 1.5
NOISE = GaussianNoise(0.0, WIDE)


class Curved(AbstractEnergy):
    """A small energy without symmetries, whose Hessian depends on its parameters."""

    shape: tuple[int, ...] = eqx.field(static=True)
    inner: jax.Array
    outer: jax.Array
    precision: jax.Array

    def __call__(self, x):
        bent = self.outer @ jnp.tanh(self.inner @ x)
        return bent + 0.5 * jnp.sum(self.precision * x**2)


def curved():
    outer = points(3, (), seed=2)
    return Curved((2,), points(3, (2,), seed=1), outer, jnp.array([0.5, 2.0]))


class Logits(eqx.Module):
    weight: jax.Array

    def __call__(self, x):
        return self.weight @ jnp.concatenate([x, x**2])


NUM = 4
X, Y = points(NUM, (2,), seed=4), jnp.array([0, 2, 1, 2])
LEVELS = Perturbed(jnp.array([0.3, 1.0]))
PLANE = QuadraturePoints(jnp.full(2, -3.0), jnp.full(2, 3.0), 5)
WELLS = Wells(points(3, (2,), seed=5), jnp.array([1.0, 2.0, 0.5]))
HYBRID = JEM(Logits(points(3, (4,), seed=6)), (2,))
both = WeightedSum((contrastive_loss, cross_entropy_loss), (1.0, 0.5))
# of each objective: the loss, the source of negatives, the energy, the positives
OBJECTIVES = {
    "score-matching": (score_matching_loss, DataOnly(), curved(), X),
    "sliced": (sliced_score_matching_loss, RandomProjections(), curved(), X),
    "denoising": (
        eqx.Partial(denoising_score_matching_loss, sigma=SIGMA),
        Perturbed(SIGMA),
        curved(),
        X,
    ),
    "levels": (denoising_score_matching_loss, LEVELS, Levels([0.3, 1.0], [1.0, 0.5]), X[:, :1]),
    "noise-contrastive": (
        eqx.Partial(noise_contrastive_loss, noise=NOISE),
        NoiseSamples(NOISE, 3),
        curved(),
        X,
    ),
    "energy-discrepancy": (energy_discrepancy_loss, PerturbedTwice(TIME, 3), curved(), X),
    "probability-flow": (minimum_probability_flow_loss, Neighbours(0.5, 2), curved(), X),
    "pseudo-likelihood": (pseudo_likelihood_loss, DiscreteNeighbours(1), curved(), X),
    "ratio-matching": (ratio_matching_loss, DiscreteNeighbours(), curved(), X),
    "flipped-twice": (energy_discrepancy_loss, FlippedTwice(0.3, 3), curved(), X),
    "likelihood": (negative_log_likelihood_loss, PLANE, curved(), X),
    "contrastive": (
        eqx.Partial(contrastive_loss, alpha=0.1),
        Neighbours(1.0, 1),
        curved(),
        X,
    ),
    "contrastive-labels": (contrastive_loss, Neighbours(1.0, 1), WELLS, Examples(X, Y)),
    "score-matching-labels": (score_matching_loss, DataOnly(), WELLS, Examples(X, Y)),
    "hybrid": (both, Neighbours(1.0, 1), HYBRID, Examples(X, Y)),
}
each = pytest.mark.parametrize("name", OBJECTIVES)
COUNTS = np.array([2, 1, 3, 1])
H = 1e-5


def rows(batch, index):
    """These rows of a batch, or of the several negatives for each of `NUM` data."""

    def of_leaf(a):
        wide = a.reshape(-1, NUM, *a.shape[1:])
        return wide[:, index].reshape(-1, *a.shape[1:])

    return jax.tree.map(of_leaf, batch)


@functools.cache
def values_of(name):
    """The loss in double precision of a batch and of others like it, by one compiled function."""
    loss, source, energy, positives = OBJECTIVES[name]
    with jax.enable_x64(True):
        loss, batch = double(loss), as_examples(double(positives))
        parameters, static = eqx.partition(double(energy), eqx.is_inexact_array)
        flat, unravel = jax.flatten_util.ravel_pytree(parameters)
        direction = np.random.default_rng(7).normal(size=flat.shape)

        @jax.jit
        def values(flat):
            energy = eqx.combine(unravel(flat), static)
            draw = lambda batch: source.step(energy, batch, None, key=jax.random.key(3))[0]  # noqa: E731
            negatives = draw(batch)
            of_rows = (lambda negatives, _: negatives) if name == "likelihood" else rows

            def of_parameters(flat):
                return loss(eqx.combine(unravel(flat), static), batch, negatives)[0]

            steps = H * direction * np.array([[-1], [0], [1]])
            values, gradients = jax.vmap(jax.value_and_grad(of_parameters))(flat[None] + steps)
            weighted = Examples(batch.x, batch.y, jnp.log(jnp.asarray(COUNTS, float)) - 3)
            index = np.repeat(np.arange(NUM), COUNTS)
            return {
                "value": values[1],
                "slope": gradients[1] @ direction,
                "difference": (values[2] - values[0]) / (2 * H),
                "weighted": loss(energy, weighted, draw(weighted))[0],
                "repeated": loss(energy, rows(batch, index), of_rows(negatives, index))[0],
            }

        return jax.device_get(values(flat))


@each
def test_gradients_agree_with_finite_differences(name):
    values = values_of(name)
    assert abs(values["slope"]) > 1e-3
    np.testing.assert_allclose(values["difference"], values["slope"], rtol=1e-6, atol=1e-8)


@each
def test_the_loss_is_a_mean_over_data_where_one_of_twice_the_weight_counts_as_two(name):
    values = values_of(name)
    np.testing.assert_allclose(values["weighted"], values["repeated"], rtol=1e-9)
    assert abs(values["weighted"] - values["value"]) > 1e-3
    assert values["value"].shape == ()
    assert np.isfinite(values["value"])
