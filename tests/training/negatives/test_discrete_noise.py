"""Noise of zeros and ones and of categories: its probabilities are those of all states."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_covariance, assert_mean
from tables import Table, one_hot, states

from ebmx.energies import Bernoulli, BernoulliRBM, Normalised
from ebmx.samplers import BlockGibbs
from ebmx.training import (
    PCD,
    BernoulliNoise,
    CategoricalNoise,
    Examples,
    NoiseSamples,
    ShortRun,
    noise_contrastive_loss,
)

NUM = 20_000
P = np.array([[0.1, 0.6, 0.9], [0.3, 0.3, 0.0]], np.float32)
draw = eqx.filter_jit(
    lambda noise, shape, keys: jax.vmap(lambda key: noise.sample(shape, key=key))(keys)
)
log_density = jax.jit(lambda noise, x: jax.vmap(noise.log_density)(x))
MACHINE = BernoulliRBM(np.ones((6, 2)), np.zeros((2, 3)), np.zeros(2))


@pytest.mark.parametrize("probability", [0.2, P], ids=["one", "each"])
def test_bits_are_independent_and_of_their_probabilities(probability, getkey):
    noise = BernoulliNoise(probability)
    x = np.asarray(draw(noise, (2, 3), jax.random.split(getkey(), NUM)))
    assert x.dtype == np.float32
    assert set(np.unique(x)) == {0.0, 1.0}
    p = np.broadcast_to(probability, (2, 3)).reshape(-1)
    assert_mean(x.reshape(NUM, -1), p, 4.5)
    assert_covariance(x.reshape(NUM, -1), np.diag(p * (1 - p)), 4.5)


@pytest.mark.parametrize("probability", [0.2, P], ids=["one", "each"])
def test_the_log_densities_of_bits_are_those_of_all_states(probability):
    x = states((2,) * 6, False).reshape(-1, 2, 3)
    found = np.asarray(log_density(BernoulliNoise(probability), x))
    np.testing.assert_allclose(np.exp(found).sum(), 1.0, rtol=1e-5)
    want = np.where(np.asarray(x) == 1, probability, 1 - np.asarray(probability)).prod((1, 2))
    np.testing.assert_allclose(np.exp(found), want, rtol=1e-5)
    assert log_density(BernoulliNoise(), jnp.full((1, 2, 3), 0.5))[0] == -np.inf


def test_the_density_of_bits_is_that_of_the_energy():
    logits = np.random.default_rng(0).normal(size=(2, 3))
    energy, x = Bernoulli(logits), states((2,) * 6, False).reshape(-1, 2, 3)
    found = log_density(BernoulliNoise(energy.mean), x)
    np.testing.assert_allclose(found, -jax.vmap(energy)(x) - energy.log_z, rtol=1e-4)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 2.0, 5.0])], ids=["equal", "weighted"])
def test_categories_are_independent_and_of_their_probabilities(weights, getkey):
    noise = CategoricalNoise(weights)
    p = np.full(3, 1 / 3) if weights is None else weights / 8
    x = np.asarray(draw(noise, (2, 3), jax.random.split(getkey(), NUM)))
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x.sum(-1), 1.0)
    index = x.argmax(-1)
    counts = np.bincount(index[:, 0] * 3 + index[:, 1], minlength=9) / NUM
    joint = np.outer(p, p).reshape(-1)
    assert np.all(np.abs(counts - joint) < 4.5 * np.sqrt(joint * (1 - joint) / NUM))
    every = one_hot(np.array(list(itertools.product(range(3), repeat=2))), 3)
    found = np.exp(np.asarray(log_density(noise, every)))
    np.testing.assert_allclose(found, joint, rtol=1e-5)
    assert log_density(noise, jnp.full((1, 2, 3), 1 / 3))[0] == -np.inf
    assert log_density(noise, jnp.ones((1, 2, 3)))[0] == -np.inf


@pytest.mark.medium
def test_noise_contrast_learns_a_table_and_its_normaliser(getkey):
    """All states by their probabilities stand for the data; the noise is drawn."""
    table = 0.5 * np.random.default_rng(1).normal(size=(3, 3))
    log_p = (-table - np.log(np.exp(-table).sum())).astype(np.float32)
    data = Examples(states((3, 3), True), None, jnp.asarray(log_p.reshape(-1)))
    noise = CategoricalNoise()
    source, optim = NoiseSamples(noise, 200), optax.adam(0.02)

    @jax.jit
    def train(key):
        def loss(values, key):
            # the noise with equal weights, where those of the data are of the data
            drawn, _, _ = source.step(None, Examples(data.x), None, key=key)
            uniform = Examples(drawn.x, None, jnp.zeros(len(drawn.x)))
            return noise_contrastive_loss(Table(values, True), data, uniform, noise=noise)[0]

        def step(carry, key):
            values, state = carry
            updates, state = optim.update(jax.grad(loss)(values, key), state)
            return (optax.apply_updates(values, updates), state), None

        start = jnp.zeros((3, 3))
        return jax.lax.scan(step, (start, optim.init(start)), jax.random.split(key, 600))[0][0]

    np.testing.assert_allclose(-train(getkey()), log_p, atol=0.1)


@pytest.mark.medium
def test_chains_start_and_restart_at_zeros_and_ones(getkey):
    positives = Examples(jnp.zeros((64, 2, 3)))
    certain = BernoulliNoise(jnp.ones((2, 3)))
    still = ShortRun(BlockGibbs(), 1, certain)
    key = getkey()
    one, again = (still.step(MACHINE, positives, None, key=key)[0].x for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert set(np.unique(one)) <= {0.0, 1.0}
    negatives = PCD(BlockGibbs(), 1, 64, 0.5, certain)
    buffer = negatives.init((2, 3), key=getkey())
    np.testing.assert_array_equal(buffer.positions, 1.0)
    step = eqx.filter_jit(negatives.step)
    (out, after, info), (same, _, _) = (step(MACHINE, positives, buffer, key=key) for _ in range(2))
    np.testing.assert_array_equal(out.x, same.x)
    assert 16 < int(np.sum(info.restarted)) < 48
    np.testing.assert_array_equal(np.sort(after.ages), np.ones(64))
    other = step(MACHINE, positives, buffer, key=getkey())[0]
    assert not np.array_equal(out.x, other.x)


@pytest.mark.medium
def test_noise_is_made_in_a_normalised_energy(getkey):
    """A step with noise of bits of the pixels' means is finite."""
    noise, x = BernoulliNoise(0.5), states((2,) * 6, False).reshape(-1, 2, 3)
    drawn, _, _ = NoiseSamples(noise, 2).step(None, Examples(x), None, key=getkey())
    value, metrics = noise_contrastive_loss(Normalised(MACHINE), Examples(x), drawn, noise=noise)
    assert np.isfinite(value)
    assert 0 <= metrics["accuracy"] <= 1


BAD = {
    "probability": (lambda: BernoulliNoise(1.5), r"probability=1\.5: give probabilities, in"),
    "nan": (lambda: BernoulliNoise(np.array([0.5, np.nan])), r"probability=\[0\.5, nan\]"),
    "shape": (
        lambda: BernoulliNoise(np.full(3, 0.5)).sample((2, 3), key=jax.random.key(0)),
        r"probability\.shape=\(3,\): give a number, or an array of the shape of one example",
    ),
    "weights": (lambda: CategoricalNoise(np.array([1.0, 0.0])), r"weights=\[1\.0, 0\.0\]: give"),
    "one": (lambda: CategoricalNoise(np.ones(1)), r"weights\.shape=\(1,\): give one for each"),
    "number": (
        lambda: CategoricalNoise(np.ones(2)).sample((2, 3), key=jax.random.key(0)),
        r"shape=\(2, 3\): give examples \(\*sites, num_categories\) with 2 categories",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        call()
