"""The training step: a pure transition that survives bad batches and finds a Gaussian."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ebmx.energies import MLP, AbstractStatefulEnergy, Gaussian, advance
from ebmx.samplers import Langevin
from ebmx.training import CD, PCD, ShortRun, Trainer, UniformNoise, contrastive_loss, fit

SAMPLER = Langevin(0.1)
NEGATIVES = {
    "cd": CD(SAMPLER, 2),
    "pcd": PCD(SAMPLER, 2, capacity=16),
    "short-run": ShortRun(SAMPLER, 2),
}
each = pytest.mark.parametrize("negatives", NEGATIVES.values(), ids=NEGATIVES)


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


class Bowl(eqx.Module):
    """A plain callable that says nothing of its shape."""

    centre: jax.Array

    def __call__(self, x):
        return jnp.sum((x - self.centre) ** 2)


def same(one, two):
    one, two = (jax.tree.leaves(eqx.filter(tree, eqx.is_array)) for tree in (one, two))
    assert len(one) == len(two) > 0
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def trained(tree):
    return tree.energy, tree.opt_state, tree.norm_state, tree.ema


@each
def test_a_step_is_pure(negatives, getkey):
    trainer = Trainer(optax.adam(0.1), negatives, data_noise=0.1)
    state = trainer.init(MLP((2,), (4,), key=getkey()), key=getkey())
    copy = jax.tree.map(lambda a: jnp.array(a) if eqx.is_array(a) else a, state)
    batch, key = jax.random.normal(getkey(), (8, 2)), getkey()
    step = eqx.filter_jit(trainer.step)
    first, again = (step(state, batch, key=key) for _ in range(2))
    assert same(first, again)
    assert same(state, copy)
    assert not same(first[0].energy, state.energy)
    assert int(first[0].step) == 1
    other = step(state, batch, key=getkey())
    assert not same(first[0].energy, other[0].energy)


@each
def test_jitted_and_eager_steps_agree(negatives, getkey):
    trainer = Trainer(optax.adam(0.1), negatives)
    state = trainer.init(MLP((2,), (4,), key=getkey()), key=getkey())
    batch, key = jax.random.normal(getkey(), (8, 2)), getkey()
    eager = trainer.step(state, batch, key=key)
    jitted = eqx.filter_jit(trainer.step)(state, batch, key=key)
    assert jax.tree.structure(eager) == jax.tree.structure(jitted)
    leaves = (jax.tree.leaves(eqx.filter(tree, eqx.is_array)) for tree in (eager, jitted))
    for a, b in zip(*leaves, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_same_key_makes_another_step_at_another_step(getkey):
    trainer = Trainer(optax.sgd(0.0), PCD(SAMPLER, 2, capacity=16))
    state = trainer.init(MLP((2,), (4,), key=getkey()), key=getkey())
    later = eqx.tree_at(lambda s: s.step, state, jnp.array(7, jnp.int32))
    batch, key = jnp.zeros((8, 2)), getkey()
    one, two = (trainer.step(s, batch, key=key)[0].negatives_state for s in (state, later))
    assert not same(one, two)


def test_data_noise_has_its_scale(getkey):
    def loss(energy, positives, negatives):
        return jnp.sum(energy(positives[0])), {"spread": jnp.std(positives)}

    trainer = Trainer(optax.sgd(0.0), CD(SAMPLER, 1), loss, data_noise=0.25)
    state = trainer.init(Gaussian(jnp.zeros(2)), key=getkey())
    _, metrics = trainer.step(state, jnp.full((2000, 2), 3.0), key=getkey())
    np.testing.assert_allclose(metrics["spread"], 0.25, rtol=0.06)


@pytest.mark.parametrize(("stateful", "bad"), [(False, np.inf), (True, np.nan)])
def test_a_batch_that_is_not_finite_changes_no_parameter(stateful, bad, getkey):
    trainer = Trainer(optax.adam(0.1), PCD(SAMPLER, 2, capacity=16, reinit_prob=0.0))
    if stateful:
        energy, norm_state = eqx.nn.make_with_state(Normed)(key=getkey())
    else:
        energy, norm_state = MLP((2,), (4,), key=getkey()), None
    step, key = eqx.filter_jit(trainer.step), getkey()
    state = trainer.init(energy, norm_state, key=getkey())
    good = jax.random.normal(getkey(), (8, 2))
    state, _ = step(state, good, key=key)
    after, metrics = step(state, good.at[3, 1].set(bad), key=key)
    assert same(trained(after), trained(state))
    assert int(after.step) == 2
    assert int(after.skipped) == 1
    assert int(metrics["skipped"]) == 1
    assert np.all(np.isfinite(after.negatives_state.positions))
    # and it goes on from there
    later, metrics = step(after, good, key=key)
    assert not same(later.energy, after.energy)
    assert int(metrics["skipped"]) == 1
    assert all(np.all(np.isfinite(a)) for a in jax.tree.leaves(eqx.filter(later, eqx.is_array)))


def test_a_gradient_that_is_not_finite_changes_no_parameter(getkey):
    def loss(energy, positives, negatives):
        # a finite value with an infinite gradient
        return jnp.sum(jnp.sqrt(jnp.abs(energy.mean - energy.mean))), {}

    trainer = Trainer(optax.adam(0.1), PCD(SAMPLER, 2, capacity=16), loss)
    state = trainer.init(Gaussian(jnp.ones(2)), key=getkey())
    after, metrics = trainer.step(state, jnp.zeros((8, 2)), key=getkey())
    assert float(metrics["loss"]) == 0
    assert not np.isfinite(metrics["grad_norm"])
    assert same(trained(after), trained(state))
    assert int(after.skipped) == 1


def test_the_average_follows_its_formula(getkey):
    trainer = Trainer(optax.sgd(0.1), CD(SAMPLER, 1), ema_decay=0.15)
    state = trainer.init(Gaussian(jnp.zeros(2)), key=getkey())
    assert same(state.ema, state.energy)
    expected = np.zeros(2)
    for step, decay in enumerate([1 / 10, 0.15, 0.15]):
        state, _ = trainer.step(state, jnp.full((8, 2), 2.0), key=getkey())
        expected = decay * expected + (1 - decay) * np.asarray(state.energy.mean)
        np.testing.assert_allclose(state.ema.mean, expected, rtol=1e-5, err_msg=f"step {step}")
        assert not np.allclose(state.ema.mean, state.energy.mean)


def test_the_loss_moves_the_parameters_by_the_optimiser(getkey):
    def loss(energy, positives, negatives):
        return jnp.sum((energy.mean - jnp.mean(positives, 0)) ** 2), {"mine": jnp.array(3.0)}

    trainer = Trainer(optax.sgd(0.25), CD(SAMPLER, 1), loss)
    state = trainer.init(Gaussian(jnp.array([1.0, 1.0])), key=getkey())
    state, metrics = trainer.step(state, jnp.full((4, 2), 3.0), key=getkey())
    np.testing.assert_allclose(state.energy.mean, [2.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(metrics["loss"], 8.0, rtol=1e-6)
    np.testing.assert_allclose(metrics["grad_norm"], 4 * np.sqrt(2), rtol=1e-6)
    assert float(metrics["mine"]) == 3


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


def test_cd_finds_the_mean_of_the_data(getkey):
    data = draws(getkey(), [1.5, -2.0])
    energy = train_gaussian(CD(Langevin(0.1), 5), data, getkey)
    # a standard error of 256 chains is 0.03 and 0.06
    np.testing.assert_allclose(energy.mean, np.mean(data, 0), atol=0.1)


def test_pcd_finds_the_mean_and_the_scale_of_the_data(getkey):
    data = draws(getkey(), [1.5, -1.0])
    negatives = PCD(Langevin(0.1), 10, capacity=1024, reinit_prob=0.0, noise=UniformNoise(-3, 3))
    energy = train_gaussian(negatives, data, getkey)
    np.testing.assert_allclose(energy.mean, np.mean(data, 0), atol=0.1)
    # the precision A at which the chain, whose variance is 1 / (A (1 - εA/4)), fits the data
    chain = energy.variance / (1 - 0.1 / energy.variance / 4)
    np.testing.assert_allclose(np.sqrt(chain), np.std(data, 0), rtol=0.1)


def test_norm_state_moves_once_in_a_step_and_on_data(getkey):
    trainer = Trainer(optax.adam(0.01), PCD(SAMPLER, 3, capacity=16))
    energy, norm_state = eqx.nn.make_with_state(Normed)(key=getkey())
    state = trainer.init(energy, norm_state, key=getkey())
    step, key = eqx.filter_jit(trainer.step), getkey()
    for _ in range(2):
        batch = 2 + jax.random.normal(getkey(), (8, 2))
        expected = eqx.filter_jit(advance)(state.energy, state.norm_state, batch)
        before, (state, _) = state, step(state, batch, key=key)
        assert not same(state.norm_state, before.norm_state)
        for a, b in zip(*map(jax.tree.leaves, (state.norm_state, expected)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        assert not same(state.energy, before.energy)


def test_a_stateful_energy_learns_to_tell_data_from_noise(getkey):
    trainer = Trainer(optax.adam(0.03), ShortRun(Langevin(1e-4), 1, UniformNoise(-3, 3)))
    energy, norm_state = eqx.nn.make_with_state(Normed)(key=getkey())
    state = trainer.init(energy, norm_state, key=getkey())
    data = np.asarray(1 + 0.2 * jax.random.normal(getkey(), (64, 2)))
    state, history = fit(trainer, state, (data for _ in range(80)), num_steps=80, key=getkey())
    gap = history["fake_energy_mean"] - history["real_energy_mean"]
    assert gap[-10:].mean() > gap[:3].mean() + 0.5
    assert int(state.skipped) == 0


def test_a_plain_callable_trains_if_its_shape_is_given(getkey):
    trainer = Trainer(optax.sgd(0.1), PCD(SAMPLER, 2, capacity=16))
    with pytest.raises(ValueError, match="shape=None: give the shape of one example"):
        trainer.init(Bowl(jnp.zeros(2)), key=getkey())
    state = trainer.init(Bowl(jnp.zeros(2)), shape=(2,), key=getkey())
    assert state.negatives_state.positions.shape == (16, 2)
    state, _ = trainer.step(state, jnp.full((8, 2), 3.0), key=getkey())
    assert np.all(state.energy.centre > 0.1)


@pytest.mark.parametrize("energy", [lambda x: jnp.sum(x**2), Bowl(jnp.arange(2)), Bowl(None)])
def test_an_energy_without_parameters_cannot_be_trained(energy, getkey):
    trainer = Trainer(optax.sgd(0.1), CD(SAMPLER, 1))
    with pytest.raises(ValueError, match=r"energy=.*holds floating-point arrays"):
        trainer.init(energy, shape=(2,), key=getkey())


def test_a_stateful_energy_needs_its_state(getkey):
    energy, norm_state = eqx.nn.make_with_state(Normed)(key=getkey())
    trainer = Trainer(optax.sgd(0.1), CD(SAMPLER, 1))
    with pytest.raises(ValueError, match="make_with_state"):
        trainer.init(energy, key=getkey())
    with pytest.raises(ValueError, match="make_with_state"):
        trainer.init(MLP((2,), (4,), key=getkey()), norm_state, key=getkey())


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


def test_examples_of_another_shape_are_refused(getkey):
    trainer = Trainer(optax.sgd(0.1), CD(SAMPLER, 1), contrastive_loss)
    state = trainer.init(Gaussian(jnp.zeros(2)), key=getkey())
    with pytest.raises(ValueError, match=r"batch\.shape=\(8, 3\).*\(2,\)"):
        trainer.step(state, jnp.zeros((8, 3)), key=getkey())
