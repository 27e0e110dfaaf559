"""Single training steps whose results are known: values, gradients, averages, norm state, skips."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import points
from steps import all_finite, same, step, trained

from ebmx.energies import AbstractStatefulEnergy
from ebmx.samplers import Langevin
from ebmx.training import CD, AbstractNegatives, Examples, Trainer

KEY, BATCH = jax.random.key(1), np.asarray(points(8, (2,)))


class Follower(AbstractStatefulEnergy):
    """`E(x) = ½ |x - c - m|²`; a batch moves `m` half of the way to its mean."""

    shape: tuple[int, ...] = eqx.field(static=True)
    centre: jax.Array
    mean: eqx.nn.StateIndex
    inference: bool

    def __init__(self, centre):
        self.shape, self.centre, self.inference = (2,), jnp.asarray(centre, float), False
        self.mean = eqx.nn.StateIndex(jnp.zeros(2))

    def __call__(self, x, state):
        mean = state.get(self.mean)
        if not self.inference:
            mean = (mean + jax.lax.pmean(x, "batch")) / 2
            state = state.set(self.mean, mean)
        return jnp.sum((x - self.centre - mean) ** 2) / 2, state


class Recorder(AbstractNegatives):
    """Returns what it is given; its state is that, the energies of it, and a draw of its own."""

    def init(self, shape, *, key):
        return jnp.zeros(shape)

    def step(self, energy, positives, state, *, key):
        draw = jax.random.normal(key, positives.x.shape)
        return positives, (positives, jax.vmap(energy)(positives.x), draw), None


def recording_loss(energy, positives, negatives):
    """The mean energy of the positives; the metrics are all that it is given."""
    values = jax.vmap(energy)(positives.x)
    return jnp.mean(values), {"real": positives, "fake": negatives, "energies": values}


class Bowl(eqx.Module):
    """A plain callable that says nothing of its shape."""

    centre: jax.Array

    def __call__(self, x):
        return jnp.sum((x - self.centre) ** 2)


NUM, RATE, DECAY = 1000, 0.25, 0.15
LABELS, LOG_WEIGHTS = np.arange(NUM), np.linspace(-1, 1, NUM, dtype=np.float32)


def follow(num_steps, data_noise=0.0):
    """The states and metrics of some steps of a `Follower`, and the data of each."""
    trainer = Trainer(optax.sgd(RATE), Recorder(), recording_loss, DECAY, data_noise)
    energy, norm_state = eqx.nn.make_with_state(Follower)([1.0, -2.0])
    states, metrics, data = [trainer.init(energy, norm_state, key=KEY)], [], []
    for number in range(num_steps):
        data.append(np.asarray(points(NUM, (2,), seed=number)) + number)
        batch = Examples(jnp.asarray(data[-1]), jnp.asarray(LABELS), jnp.asarray(LOG_WEIGHTS))
        state, more = step(trainer, states[-1], batch, KEY)
        states.append(state)
        metrics.append(more)
    return states, metrics, data


def test_steps_of_a_quadratic_energy_that_follows_its_batches_are_exact():
    states, metrics, data = follow(3)
    assert same(states[0].ema, states[0].energy)
    centre, mean, average = np.array([1.0, -2.0]), np.zeros(2), np.array([1.0, -2.0])
    for number, (x, state, found) in enumerate(zip(data, states[1:], metrics, strict=True)):
        # the norm state moves first, and negatives and loss see the energy before the update
        mean = (mean + x.mean(0)) / 2
        want = 0.5 * np.sum((x - centre - mean) ** 2, 1)
        np.testing.assert_allclose(state.negatives_state[1], want, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found["energies"], want, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found["loss"], want.mean(), rtol=1e-5)
        slope = centre + mean - x.mean(0)
        np.testing.assert_allclose(found["grad_norm"], np.linalg.norm(slope), rtol=1e-4)
        centre = centre - RATE * slope
        decay = min(DECAY, (1 + number) / (10 + number))
        average = decay * average + (1 - decay) * centre
        np.testing.assert_allclose(state.energy.centre, centre, rtol=1e-4)
        np.testing.assert_allclose(state.ema.centre, average, rtol=1e-4)
        np.testing.assert_allclose(state.norm_state.get(state.energy.mean), mean, rtol=1e-4)
        assert int(state.step) == number + 1
        assert int(found["skipped"]) == int(state.skipped) == 0
        # without chains there is nothing to say of them
        assert set(found) == {"real", "fake", "energies", "loss", "grad_norm", "skipped"}


def test_data_noise_has_its_scale_and_all_see_the_same_noisy_data():
    states, metrics, data = follow(2, data_noise=0.25)
    noise, draws, mean = [], [], np.zeros(2)
    for x, state, found in zip(data, states[1:], metrics, strict=True):
        given, _, draw = state.negatives_state
        for one in (given, found["real"], found["fake"]):
            np.testing.assert_array_equal(one.x, given.x)
            np.testing.assert_array_equal(one.y, LABELS)
            np.testing.assert_array_equal(one.log_weights, LOG_WEIGHTS)
        mean = (mean + np.asarray(given.x).mean(0)) / 2
        np.testing.assert_allclose(state.norm_state.get(state.energy.mean), mean, rtol=1e-4)
        noise.append(np.asarray(given.x - x).reshape(-1))
        draws.append(np.asarray(draw).reshape(-1))
    # five standard errors of 2,000 values each
    np.testing.assert_allclose(np.std(noise, 1), 0.25, rtol=5 / np.sqrt(2 * 2 * NUM))
    np.testing.assert_array_less(np.abs(np.mean(noise, 1)), 5 * 0.25 / np.sqrt(2 * NUM))
    # that of each step, and what the negatives draw, is independent of the others
    correlations = np.corrcoef([*noise, *draws]) - np.eye(4)
    np.testing.assert_array_less(np.abs(correlations), 5 / np.sqrt(2 * NUM))


@pytest.mark.medium
def test_a_step_without_jit_is_the_same():
    trainer = Trainer(optax.sgd(RATE), Recorder(), recording_loss, DECAY, 0.1)
    state = trainer.init(*eqx.nn.make_with_state(Follower)([1.0, -2.0]), key=KEY)
    batch = jnp.asarray(BATCH)
    eager, jitted = trainer.step(state, batch, key=KEY), step(trainer, state, batch, KEY)
    assert jax.tree.structure(eager) == jax.tree.structure(jitted)
    leaves = (jax.tree.leaves(eqx.filter(tree, eqx.is_array)) for tree in (eager, jitted))
    for a, b in zip(*leaves, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def hurt(energy, positives, negatives):
    """A loss of the parameters alone that the first label spoils in one of three ways."""
    centre, how = energy.energy.centre, positives.y[0]
    loss = jnp.sum((centre - 1) ** 2) + jnp.where(how == 1, jnp.inf, 0.0)
    loss += jax.lax.cond(how == 2, lambda c: jnp.sqrt(0 * c[0]), lambda c: 0 * c[0], centre)
    return loss + jnp.where(how == 3, 1e12, 0.0) * (
        centre[0] - jax.lax.stop_gradient(centre[0])
    ), {}


def overflow(gradient, parameters):
    return jax.tree.map(lambda g: jnp.where(g > 1e10, jnp.inf, g), gradient)


# it sets what is not a number in a gradient to zero
HURT = Trainer(
    optax.chain(optax.zero_nans(), optax.stateless(overflow), optax.sgd(0.25, momentum=0.9)),
    Recorder(),
    hurt,
)


@pytest.mark.parametrize("what", ["loss", "gradient", "parameters", "norm state"])
def test_an_update_with_something_not_finite_in_it_is_skipped_and_counted(what):
    energy, norm_state = eqx.nn.make_with_state(Follower)([2.0, -2.0])
    key = jax.random.key(3)
    how = {"loss": 1, "gradient": 2, "parameters": 3, "norm state": 0}[what]
    good, bad = BATCH, BATCH.copy()
    bad[3, 1] = np.inf if what == "norm state" else 1.0
    labels = np.zeros(8, np.int32)
    state, _ = step(HURT, HURT.init(energy, norm_state, key=KEY), (good, labels), key)
    assert not same(state.energy, energy)
    after, metrics = step(HURT, state, (bad, labels + how), key)
    assert np.isfinite(metrics["loss"]) == (what != "loss")
    assert np.isfinite(metrics["grad_norm"]) == (what != "gradient")
    assert same(trained(after), trained(state))
    np.testing.assert_array_equal(after.negatives_state[0].x, bad)
    assert int(after.step) == 2
    assert int(after.skipped) == int(metrics["skipped"]) == 1
    # and it goes on from there
    later, metrics = step(HURT, after, (good, labels), key)
    assert not same(later.energy, after.energy)
    assert int(later.skipped) == int(metrics["skipped"]) == 1
    assert all_finite(trained(later))


def test_a_plain_callable_trains_if_its_shape_is_given():
    trainer = Trainer(optax.sgd(0.1), Recorder(), recording_loss)
    bowl = Bowl(jnp.zeros(2, jnp.bfloat16))
    with pytest.raises(ValueError, match="shape=None: give that of one example"):
        trainer.init(bowl, key=KEY)
    state = trainer.init(bowl, shape=(2,), key=KEY)
    assert state.negatives_state.shape == (2,)
    state, _ = step(trainer, state, BATCH + 3, KEY)
    assert np.all(state.energy.centre > 0.1)
    assert state.energy.centre.dtype == state.ema.centre.dtype == jnp.bfloat16


@pytest.mark.parametrize("energy", [lambda x: jnp.sum(x**2), Bowl(jnp.arange(2)), Bowl(None)])
def test_an_energy_without_parameters_cannot_be_trained(energy):
    trainer = Trainer(optax.sgd(0.1), CD(Langevin(0.1), 1))
    with pytest.raises(ValueError, match=r"energy=.*holds floating-point arrays"):
        trainer.init(energy, shape=(2,), key=KEY)
