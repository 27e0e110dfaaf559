"""The training step: a pure transition that survives bad batches and finds a Gaussian."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import points
from steps import all_finite, same, step, trained

from ebmx.energies import MLP, AbstractStatefulEnergy, Gaussian, advance
from ebmx.samplers import Langevin
from ebmx.training import CD, PCD, ShortRun, Trainer, UniformNoise, contrastive_loss, fit

SAMPLER = Langevin(0.1)
NEGATIVES = {
    "cd": CD(SAMPLER, 2),
    "pcd": PCD(SAMPLER, 2, capacity=16),
    "short-run": ShortRun(SAMPLER, 2),
}
ADAM, KEY = optax.adam(0.1), jax.random.key(1)
NETWORK = MLP((2,), (4,), key=KEY)
BATCH = np.asarray(points(8, (2,)))


class Normed(AbstractStatefulEnergy):
    """A small energy with both kinds of norm layers that carry a state."""

    shape: tuple[int, ...] = eqx.field(static=True)
    first: eqx.nn.SpectralNorm
    norm: eqx.nn.BatchNorm
    last: eqx.nn.Linear

    def __init__(self, *, key):
        keys = jax.random.split(key, 3)
        self.shape = (2,)
        linear = eqx.nn.Linear(2, 4, key=keys[0])
        self.first = eqx.nn.SpectralNorm(linear, "weight", key=keys[1])
        self.norm = eqx.nn.BatchNorm(4, "batch", mode="batch")
        self.last = eqx.nn.Linear(4, 1, key=keys[2])

    def __call__(self, x, state):
        x, state = self.first(x, state)
        x, state = self.norm(x, state)
        return self.last(jax.nn.silu(x))[0] + 0.5 * jnp.sum(self.first.layer.bias**2), state


def trainer_of(name):
    return Trainer(ADAM, NEGATIVES[name], data_noise=0.1)


@pytest.mark.parametrize("name", NEGATIVES)
def test_a_step_is_pure(name):
    trainer = trainer_of(name)
    state = trainer.init(NETWORK, key=KEY)
    copy = jax.tree.map(lambda a: jnp.array(a) if eqx.is_array(a) else a, state)
    first, again = (step(trainer, state, BATCH, KEY) for _ in range(2))
    assert same(first, again)
    assert same(state, copy)
    assert not same(first[0].energy, state.energy)
    assert int(first[0].step) == 1
    other = step(trainer, state, BATCH, jax.random.key(2))
    assert not same(first[0].energy, other[0].energy)


def test_the_same_key_makes_another_step_at_another_step():
    trainer = trainer_of("pcd")
    state = trainer.init(NETWORK, key=KEY)
    later = eqx.tree_at(lambda s: s.step, state, jnp.array(7, jnp.int32))
    one, two = (step(trainer, s, BATCH, KEY)[0].negatives_state for s in (state, later))
    assert not same(one, two)


def test_a_batch_that_is_not_finite_leaves_chains_and_parameters_finite():
    trainer = trainer_of("pcd")
    state, _ = step(trainer, trainer.init(NETWORK, key=KEY), BATCH, KEY)
    bad = BATCH.copy()
    bad[3, 1] = np.inf
    after, metrics = step(trainer, state, bad, KEY)
    assert same(trained(after), trained(state))
    assert int(metrics["skipped"]) == 1
    assert all_finite((after.negatives_state, step(trainer, after, BATCH, KEY)[0]))


def draws(key, mean):
    noise = np.asarray(jax.random.normal(key, (256, 2)))
    return np.float32(mean) + np.float32([0.5, 1.0]) * noise


def train_gaussian(negatives, data, getkey):
    """Full batches: what noise is left is that of the chains."""
    optim = optax.adam(optax.cosine_decay_schedule(0.05, 600))
    trainer = Trainer(optim, negatives, ema_decay=0.98)
    state = trainer.init(Gaussian(jnp.zeros(2)), key=getkey())
    state, _ = fit(trainer, state, (data for _ in range(600)), num_steps=600, key=getkey())
    return state.ema


@pytest.mark.medium
def test_cd_finds_the_mean_of_the_data(getkey):
    data = draws(getkey(), [1.5, -2.0])
    energy = train_gaussian(CD(Langevin(0.1), 5), data, getkey)
    # a standard error of 256 chains is 0.03 and 0.06
    np.testing.assert_allclose(energy.mean, np.mean(data, 0), atol=0.1)


@pytest.mark.medium
def test_pcd_finds_the_mean_and_the_scale_of_the_data(getkey):
    data = draws(getkey(), [1.5, -1.0])
    negatives = PCD(Langevin(0.1), 10, capacity=1024, reinit_prob=0.0, noise=UniformNoise(-3, 3))
    energy = train_gaussian(negatives, data, getkey)
    np.testing.assert_allclose(energy.mean, np.mean(data, 0), atol=0.1)
    # the precision A at which the chain, whose variance is 1 / (A (1 - εA/4)), fits the data
    chain = energy.variance / (1 - 0.1 / energy.variance / 4)
    np.testing.assert_allclose(np.sqrt(chain), np.std(data, 0), rtol=0.1)


@pytest.mark.medium
def test_batch_and_spectral_norm_move_on_data_and_learn_to_tell_it_from_noise():
    trainer = Trainer(optax.adam(0.03), ShortRun(Langevin(1e-4), 1, UniformNoise(-3, 3)))
    energy, norm_state = eqx.nn.make_with_state(Normed)(key=jax.random.key(4))
    state = trainer.init(energy, norm_state, key=KEY)
    data, gaps = 1 + 0.2 * np.asarray(points(64, (2,))), []
    for number in range(80):
        before, (state, metrics) = state, step(trainer, state, data, KEY)
        gaps.append(float(metrics["fake_energy_mean"] - metrics["real_energy_mean"]))
        if number < 2:
            expected = eqx.filter_jit(advance)(before.energy, before.norm_state, jnp.asarray(data))
            assert not same(state.norm_state, before.norm_state)
            for a, b in zip(*map(jax.tree.leaves, (state.norm_state, expected)), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert np.mean(gaps[-10:]) > np.mean(gaps[:3]) + 0.5
    after, _ = step(trainer, state, np.where(data == data[5], np.nan, data), KEY)
    assert same(trained(after), trained(state))
    assert (int(state.skipped), int(after.skipped)) == (0, 1)


def test_a_stateful_energy_needs_its_state():
    energy, norm_state = eqx.nn.make_with_state(Normed)(key=KEY)
    trainer = Trainer(optax.sgd(0.1), CD(SAMPLER, 1))
    with pytest.raises(ValueError, match="make_with_state"):
        trainer.init(energy, key=KEY)
    with pytest.raises(ValueError, match="make_with_state"):
        trainer.init(NETWORK, norm_state, key=KEY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ema_decay": 1.5}, r"ema_decay=1\.5: give a probability"),
        ({"ema_decay": -0.1}, r"ema_decay=-0\.1.*: give a probability"),
        ({"data_noise": -1.0}, r"data_noise=-1\.0: give a finite number of at least 0"),
        ({"negatives": SAMPLER}, "negatives=.*give negatives, such as"),
    ],
)
def test_a_trainer_that_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Trainer(**{"optim": optax.sgd(0.1), "negatives": CD(SAMPLER, 1)} | options)


def test_examples_of_another_shape_are_refused():
    trainer = Trainer(optax.sgd(0.1), CD(SAMPLER, 1), contrastive_loss)
    state = trainer.init(NETWORK, key=KEY)
    with pytest.raises(ValueError, match=r"batch\.shape=\(8, 3\).*\(2,\)"):
        trainer.step(state, jnp.zeros((8, 3)), key=KEY)
