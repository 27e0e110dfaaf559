"""A loss and its negatives are made for each other, and what both are told is the same."""

import functools
import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ebmx.training as t
from ebmx.samplers import MALA, Langevin
from ebmx.training._check_pair import _CHAINS, _MADE_FOR, _OTHERS, check_pair

NOISE, OTHER = t.GaussianNoise(0.0, 2.0), t.GaussianNoise(0.0, 1.0)
GRID = t.QuadraturePoints(jnp.zeros(1), jnp.ones(1))
SHORT = t.CD(Langevin(0.1))


class Own(t.AbstractNegatives):
    """Negatives of a user."""

    def init(self, shape, *, key):
        return None

    def step(self, energy, x, state, *, key):
        return x, state, None


class Scaled(eqx.Module):
    """A loss of a user that holds an array."""

    scale: jax.Array

    def __call__(self, energy, positives, negatives):
        return self.scale, {}


def dsm(sigma):
    return eqx.Partial(t.denoising_score_matching_loss, sigma=sigma)


def nce(noise):
    return eqx.Partial(t.noise_contrastive_loss, noise=noise)


def improved(step_size):
    divergence = eqx.Partial(t.sampler_divergence_loss, step_size=step_size)
    return t.WeightedSum((t.contrastive_loss, divergence), (1.0, 1.0))


GOOD = [
    (t.DataOnly(), t.score_matching_loss),
    (t.DataOnly(), Scaled(jnp.ones(2))),
    (Own(), t.negative_log_likelihood_loss),
    (SHORT, improved(0.1)),
    (SHORT, improved(jnp.float32(0.1))),
    (t.CD(MALA(0.3)), improved(0.1)),
    (t.NoiseSamples(NOISE), nce(t.GaussianNoise(jnp.array(0), np.float32(2.0)))),
    (t.NoiseSamples(NOISE), eqx.Partial(t.contrastive_loss, alpha=0.1)),
    (t.Perturbed(0.1), dsm(jnp.asarray(0.1))),
    (t.Perturbed(0.1), functools.partial(dsm(5.0), sigma=0.1)),
    (t.Perturbed(jnp.array([0.1, 0.2])), t.denoising_score_matching_loss),
    (t.RandomProjections(), t.sliced_score_matching_loss),
    (t.PerturbedTwice(), t.energy_discrepancy_loss),
    (t.Neighbours(), t.minimum_probability_flow_loss),
    (t.FlippedTwice(), t.energy_discrepancy_loss),
    (t.DiscreteNeighbours(), t.minimum_probability_flow_loss),
    (t.DiscreteNeighbours(2), t.pseudo_likelihood_loss),
    (
        t.DiscreteNeighbours(categorical=True),
        eqx.Partial(t.ratio_matching_loss, categorical=True),
    ),
    (GRID, t.negative_log_likelihood_loss),
    (t.TransportPairs(), t.transport_matching_loss),
    (t.SplitNegatives((SHORT, t.ShortRun(Langevin(0.1)))), improved(0.1)),
    (t.SplitNegatives((SHORT, t.SplitNegatives((SHORT, Own())))), t.contrastive_loss),
]
BAD = {
    "sigma": (t.Perturbed(0.1), dsm(5.0), r"loss\.sigma=5\.0: Perturbed has sigma=0\.1"),
    "sigma of levels": (t.Perturbed(jnp.array([0.1, 5.0])), dsm(5.0), r"loss\.sigma=5\.0: Pert"),
    "noise": (t.NoiseSamples(NOISE), nce(OTHER), r"loss\.noise=Gauss.*NoiseSamples has noise=Gau"),
    "kind of noise": (t.NoiseSamples(NOISE), nce(t.UniformNoise()), r"loss\.noise=Uniform"),
    "step size": (SHORT, improved(0.2), r"loss\.step_size=0\.2: Langevin has step_size=0\.1"),
    "adaptive": (
        t.NumStepsAdaptation(SHORT),
        improved(0.2),
        r"loss\.step_size=0\.2: Langevin has step_size=0\.1",
    ),
    "no negatives": (t.DataOnly(), t.contrastive_loss, "negatives=DataOnly: contrastive_"),
    "with alpha": (
        t.DataOnly(),
        eqx.Partial(t.contrastive_loss, alpha=0.1),
        "negatives=DataOnly: contrastive_loss is for CD, ShortRun, PCD",
    ),
    "a part": (
        t.SplitNegatives((SHORT, t.DataOnly())),
        t.contrastive_loss,
        "negatives=DataOnly: contrastive_loss is for CD, ShortRun, PCD",
    ),
    "the step size of a part": (
        t.SplitNegatives((SHORT, t.CD(Langevin(0.2)))),
        improved(0.1),
        r"loss\.step_size=0\.1: Langevin has step_size=0\.2",
    ),
    "in a sum": (GRID, improved(0.1), "negatives=QuadraturePoints: contrastive_loss is for CD"),
    "directions": (
        SHORT,
        t.sliced_score_matching_loss,
        "negatives=CD: .* is for RandomProjections",
    ),
    "categories": (
        t.DiscreteNeighbours(categorical=True),
        t.pseudo_likelihood_loss,
        r"loss\.categorical=False: DiscreteNeighbours has categorical=True: give the loss the",
    ),
    "bits": (
        t.DiscreteNeighbours(),
        eqx.Partial(t.ratio_matching_loss, categorical=True),
        r"loss\.categorical=True: DiscreteNeighbours has categorical=False",
    ),
    "sites": (
        t.Neighbours(),
        t.pseudo_likelihood_loss,
        "negatives=Neighbours: pseudo_likelihood_loss is for DiscreteNeighbours",
    ),
    "likelihood": (
        t.Jarzynski(MALA(0.1)),
        t.negative_log_likelihood_loss,
        "negatives=Jarzynski: negative_log_likelihood_loss is for QuadraturePoints",
    ),
}


@pytest.mark.parametrize("number", range(len(GOOD)))
def test_pairs_that_fit(number):
    negatives, loss = GOOD[number]
    assert t.Trainer(optax.sgd(0.1), negatives, loss).negatives is negatives


@pytest.mark.parametrize("name", BAD)
def test_pairs_that_do_not_fit_are_refused(name):
    negatives, loss, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        t.Trainer(optax.sgd(0.1), negatives, loss)


def test_what_is_not_known_yet_is_not_compared():
    check = eqx.filter_jit(lambda sigma: check_pair(t.Perturbed(sigma), dsm(5.0)))
    assert check(jnp.array(0.1)) is None


def test_all_losses_and_negatives_of_the_library_are_known():
    made = {one for one in vars(t).values() if inspect.isclass(one)}
    negatives = {one for one in made if issubclass(one, t.AbstractNegatives)}
    looked_through = {t.AbstractNegatives, t.SplitNegatives}
    assert negatives - looked_through == {*_CHAINS, *_OTHERS}
    words = ("positives", "negatives")
    functions = [one for one in vars(t).values() if inspect.isfunction(one)]
    losses = [one for one in functions if {*words} <= {*inspect.signature(one).parameters}]
    of_data = {t.score_matching_loss, t.cross_entropy_loss}
    assert {inspect.unwrap(one) for one in {*losses} - of_data} == {*_MADE_FOR}
