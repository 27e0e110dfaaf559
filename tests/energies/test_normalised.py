"""Exact answers are exact for any values of the parameters, such as training leaves behind."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from discrete import all_bits, all_one_hot
from helpers import assert_covariance, assert_mean, double, points
from reference import answers, exact_samples
from steps import step

from ebmx.energies import (
    Banana,
    Bernoulli,
    BernoulliRBM,
    Categorical,
    CategoricalRBM,
    DoubleWell,
    Funnel,
    Gaussian,
    GaussianMixture,
    ManyWell,
    Mixture,
    Ring,
    StudentT,
    Uniform,
    plane,
    trainable,
)
from ebmx.energies._base import AbstractAnalyticEnergy
from ebmx.energies._noise_composition import _ExactMixture
from ebmx.training import DataOnly, Trainer

ENERGIES = {
    "gaussian": Gaussian(np.array([0.5, -1.0]), np.array([0.5, 2.0])),
    "gaussian-full": Gaussian(np.array([0.5, -1.0]), np.array([[0.8, 0.3], [0.3, 1.5]])),
    "gaussian-mixture": GaussianMixture(np.array([[-1.0, 0.0], [2.0, 1.0]]), 1.5, np.array([1, 3])),
    "bernoulli": Bernoulli(np.array([0.3, -1.0, 2.0])),
    "rbm": BernoulliRBM(points(3, (2,)), points(1, (3,))[0], points(1, (2,))[0]),
    "categorical": Categorical(points(2, (3,))),
    "categorical-rbm": CategoricalRBM(points(2, (3, 2)), points(2, (3,)), points(1, (2,))[0]),
    "banana": Banana(),
    "funnel": Funnel(2),
    "student": StudentT((2,)),
    "ring": Ring(),
    "wells": DoubleWell((2,)),
    "many-well": ManyWell(1),
    **{name: plane(name) for name in ("rings", "checkerboard", "pinwheel")},
    "uniform": Uniform(np.zeros(2), np.ones(2)),
}
TRAINED = [n for n, energy in ENERGIES.items() if any(jax.tree.leaves(trainable(energy)))]
BINARY, ONE_HOT = (Bernoulli, BernoulliRBM), (Categorical, CategoricalRBM)
TRAINER = Trainer(
    optax.adam(0.1),
    DataOnly(),
    lambda energy, p, _: (jnp.mean(jax.vmap(energy)(p.x)) - energy(p.x[0]), {}),
)
KEY = jax.random.key(0)


def test_each_exact_energy_is_tested_here():
    def below(kind):
        return {kind}.union(*map(below, kind.__subclasses__()))

    ours = {k for k in below(AbstractAnalyticEnergy) if k.__module__.startswith("ebmx.")}
    # the highest level of a mixture over noise levels is made of the tops of energies, as they are
    final = {k for k in ours if not inspect.isabstract(k)} - {_ExactMixture}
    assert final == {*map(type, ENERGIES.values())}


@pytest.mark.parametrize("name", sorted(ENERGIES.keys() - set(TRAINED)))
def test_densities_of_fixed_numbers_have_nothing_to_train(name):
    with pytest.raises(ValueError, match=r"energy=\w+: .*at least one is not constant"):
        TRAINER.init(ENERGIES[name], key=KEY)


def after_training(energy):
    x = points(8, energy.shape, seed=1, scale=2.0)
    if isinstance(energy, BINARY):
        x = (x > 0).astype(float)
    if isinstance(energy, ONE_HOT):
        x = jax.nn.one_hot(jnp.argmax(x, -1), x.shape[-1])
    state = TRAINER.init(energy, key=KEY)
    for _ in range(10):
        state, _ = step(TRAINER, state, x, KEY)
    assert int(state.skipped) == 0
    return state.energy


def at_random(energy):
    """Numbers of any sign and size, also those above the diagonal of a triangle."""
    rng = np.random.default_rng(3)

    def one(leaf):
        size = rng.uniform(0.4, 2.0, size=leaf.shape) * rng.choice([-1, 1], size=leaf.shape)
        return jnp.asarray(size, leaf.dtype)

    return jax.tree.map(one, energy)


def support(energy):
    """All states, or a grid that is wide and fine, and the volume of each point."""
    if isinstance(energy, BINARY):
        return all_bits(*energy.shape).astype(float), 1.0
    if isinstance(energy, ONE_HOT):
        return all_one_hot(*energy.shape).astype(float), 1.0
    line = np.linspace(-30.0, 30.0, 601)
    return np.stack(np.meshgrid(line, line), -1).reshape(-1, 2), (line[1] - line[0]) ** 2


CHANGES = {"trained": after_training, "at-random": at_random}


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("change", CHANGES)
def test_answers_are_exact_for_any_parameters(name, change):
    energy = CHANGES[change](ENERGIES[name])
    with jax.enable_x64(True):
        energy = double(energy)
        x, volume = support(energy)
        values, log_z, mean, variance = answers(energy, x)
        density = np.exp(-np.asarray(values))
        total = density.sum()
        expected = np.tensordot(density, x, 1) / total
        np.testing.assert_allclose(log_z, np.log(total * volume), atol=1e-9)
        np.testing.assert_allclose(mean, expected, atol=1e-9)
        np.testing.assert_allclose(
            variance, np.tensordot(density, (x - expected) ** 2, 1) / total, rtol=1e-8
        )
        draws = np.asarray(exact_samples(energy, jax.random.split(jax.random.key(1), 5_000)))
    x, draws, expected = x.reshape(len(x), -1), draws.reshape(len(draws), -1), expected.reshape(-1)
    centred = (x - expected)[:, :, None] * (x - expected)[:, None, :]
    assert_mean(draws, expected)
    assert_covariance(draws, np.tensordot(density, centred, 1) / total)


@pytest.mark.parametrize("change", CHANGES)
def test_a_mixture_of_normalised_densities_stays_normalised(change):
    one = ENERGIES["gaussian-mixture"]
    energy = CHANGES[change](Mixture((one, one), np.array([0.2, 0.8])))
    with jax.enable_x64(True):
        x, volume = support(one)
        values = eqx.filter_jit(lambda energy: jax.vmap(energy)(x))(double(energy))
    np.testing.assert_allclose(np.exp(-np.asarray(values)).sum() * volume, 1.0, rtol=1e-9)
