"""Labels: each chain keeps its own, walks under its own, and trains its own."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closed_forms import Levels, Wells, quantiles
from helpers import points
from hypothesis import given
from hypothesis import strategies as st
from moves import init

from ebmx.data import batches
from ebmx.energies import JEM, Gaussian
from ebmx.samplers import MALA, Langevin
from ebmx.training import (
    CD,
    PCD,
    Examples,
    Jarzynski,
    ReplayBuffer,
    Trainer,
    WeightedSum,
    contrastive_loss,
    cross_entropy_loss,
    fit,
)

MODES = jnp.array([[8.0, 0.0], [-8.0, 1.0], [0.0, 9.0], [3.0, -9.0]])
WELLS = Wells(MODES, jnp.ones(4))
# each step halves the distance to the mode, and there is no noise
HOME = Langevin(1.0, noise_scale=0.0)
CAPACITY, NUM, NUM_UPDATES = 22, 9, 40


def at_home(x, labels):
    return np.all(np.abs(np.asarray(x) - np.asarray(MODES)[np.asarray(labels)]) < 0.5, -1)


@jax.jit
def walk(key, reinit_prob):
    negatives = PCD(HOME, 12, CAPACITY, reinit_prob, num_labels=4, restart="energy")
    init_key, run_key = jax.random.split(key)
    first = negatives.init((2,), key=init_key)

    def update(buffer, key):
        labels = jax.random.randint(key, (NUM,), 0, 4)
        batch = Examples(jnp.zeros((NUM, 2)), labels)
        out, buffer, info = negatives.step(WELLS, batch, buffer, key=key)
        return buffer, (out, info.restarted, labels)

    last, outs = jax.lax.scan(update, first, jax.random.split(run_key, NUM_UPDATES))
    return first, last, *outs


@pytest.mark.medium
@given(seed=st.integers(0, 2**31 - 1), reinit_prob=st.sampled_from([0.0, 0.3, 0.5]))
def test_every_chain_keeps_its_label(seed, reinit_prob):
    first, last, out, restarted, labels = walk(jax.random.key(seed), reinit_prob)
    np.testing.assert_array_equal(first.labels, np.arange(CAPACITY) * 4 // CAPACITY)
    np.testing.assert_array_equal(last.labels, first.labels)
    np.testing.assert_array_equal(out.y, labels)
    assert out.y.shape == (NUM_UPDATES, NUM)
    # at home under the label that comes with it, also just after a restart, and so in the slots
    assert np.all(at_home(out.x, out.y))
    assert np.all(at_home(last.positions, last.labels)[np.asarray(last.ages) > 0])
    assert np.sum(last.ages > 0) > CAPACITY / 2
    assert np.any(restarted) == (reinit_prob > 0)
    assert set(np.unique(out.y)) == {0, 1, 2, 3}


@pytest.mark.parametrize(("capacity", "num_shards"), [(10, 1), (401, 1), (20, 2)])
@pytest.mark.parametrize("shares", [None, [0.5, 0.2, 0.3], [50, 20, 30], [1.0, 1.0, 1.0]])
def test_slots_of_each_shard_hold_labels_by_their_shares(shares, capacity, num_shards, getkey):
    negatives = PCD(HOME, 1, capacity, num_labels=3, label_weights=shares, num_shards=num_shards)
    labels = np.asarray(init(negatives, (1,), getkey()).labels)
    assert labels.dtype == np.int32
    for block in labels.reshape(num_shards, -1):
        counts = np.bincount(block, minlength=3)
        if shares is None:
            assert np.ptp(counts) <= 1
        # the labels up to each are as many as their share, rounded
        want = len(block) * np.cumsum(shares or [1, 1, 1]) / np.sum(shares or 3)
        assert np.all(np.abs(np.cumsum(counts) - want) <= 0.5 + 1e-4 + (shares is None))
        assert np.all(np.diff(block) >= 0)


@pytest.mark.medium
def test_a_rare_label_has_a_slot_if_there_is_one_for_it(getkey):
    shares = [0.999, 0.001]
    negatives = PCD(HOME, 1, 1000, num_labels=2, label_weights=shares)
    np.testing.assert_array_equal(np.bincount(init(negatives, (1,), getkey()).labels), [999, 1])
    # two rows of its label share the slot, which one of them is written to
    batch = jnp.full((4, 1), 5.0), jnp.array([1, 0, 1, 0])
    out, after, _ = move(negatives, Wells(jnp.zeros((2, 1)), jnp.ones(2)), batch, getkey())
    np.testing.assert_array_equal(out.y, batch[1])
    np.testing.assert_array_equal(np.flatnonzero(after.ages)[-1], 999)
    np.testing.assert_array_equal(np.sum(after.ages), 3)


@eqx.filter_jit
def move(negatives, energy, batch, key):
    init_key, step_key = jax.random.split(key)
    state = negatives.init((1,), key=init_key)
    return negatives.step(energy, Examples(*batch), state, key=step_key)


@pytest.mark.slow
def test_training_finds_the_density_of_each_label_as_rare_as_it_may_be(getkey):
    # one label four times as frequent as the other, both of variance 1/2
    x = np.float32(np.sqrt(0.5) * np.tile(quantiles(64), 5) + np.repeat([1, 1, 1, 1, -1], 64))
    y = np.repeat([0, 0, 0, 0, 1], 64)
    negatives = PCD(Langevin(0.05), 5, 640, 0.0, num_labels=2, label_weights=[0.8, 0.2])
    optim = optax.adam(optax.cosine_decay_schedule(0.05, 250))
    trainer = Trainer(optim, negatives, ema_decay=0.95)
    state = trainer.init(Wells(jnp.zeros((2, 1)), jnp.ones(2)), key=getkey())
    stream = batches(x[:, None], 320, labels=y, key=getkey())
    state, history = fit(trainer, state, stream, num_steps=250, key=getkey())
    np.testing.assert_allclose(state.ema.modes[:, 0], [1, -1], atol=0.15)
    # with equal shares it would be 1.25 and 5
    np.testing.assert_allclose(state.ema.precisions, 2.0, rtol=0.25)
    assert history["skipped"][-1] == 0


class Logits(eqx.Module):
    """Three blobs of any place: logits that are quadratic in the example."""

    centres: jax.Array

    def __call__(self, x):
        return -2 * jnp.sum((x[None] - self.centres) ** 2, 1)


@pytest.mark.slow
def test_a_hybrid_learns_to_classify_and_to_sample(getkey):
    y = np.arange(96) % 3
    x = np.float32(np.array([[1.5, 0], [-1, 1], [0, -1.5]])[y] + 0.5 * points(96, (2,)))
    loss = WeightedSum((contrastive_loss, cross_entropy_loss), (1.0, 1.0))
    trainer = Trainer(optax.adam(0.05), PCD(Langevin(0.1), 5, 128, 0.0), loss)
    state = trainer.init(JEM(Logits(0.1 * points(3, (2,), seed=1)), (2,)), key=getkey())
    stream = ((x, y) for _ in range(120))
    state, history = fit(trainer, state, stream, num_steps=120, key=getkey())
    assert history["accuracy"][0] < 0.7
    assert history["accuracy"][-1] > 0.93
    assert history["loss_1"][-1] < 0.3 * history["loss_1"][0]
    np.testing.assert_allclose(
        history["loss"], history["loss_0"] + history["loss_1"], rtol=1e-4, atol=1e-4
    )
    means = [x[y == label].mean(0) for label in range(3)]
    np.testing.assert_allclose(state.energy.network.centres, means, atol=0.3)


NEGATIVES, KEY = CD(HOME), jax.random.key(0)
X, Y = points(4, (2,)), np.array([0, 3, 1, 2])


def update(batch, energy=WELLS, negatives=NEGATIVES):
    trainer = Trainer(optax.sgd(0.1), negatives)
    state = trainer.init(energy, key=jax.random.key(0))
    return eqx.filter_eval_shape(trainer.step, state, batch, key=jax.random.key(0))


def train(*stream, energy=WELLS, **options):
    trainer = Trainer(optax.sgd(0.1), NEGATIVES)
    state = trainer.init(energy, key=jax.random.key(0))
    return fit(trainer, state, stream, num_steps=9, key=jax.random.key(0), log_every=1, **options)


FLAT = Gaussian(jnp.zeros(2))
HYBRID = JEM(Logits(MODES), (2,))
PLAIN = PCD(HOME, 1, capacity=8)
BAD = {
    "chains without labels": (
        lambda: update((X, Y), negatives=PLAIN),
        r"num_labels=None: the energy has 4 labels: give PCD\(\.\.\., num_labels=4\)",
    ),
    "chains of other labels": (
        lambda: update((X, Y), negatives=PCD(HOME, 1, 8, num_labels=3)),
        r"num_labels=3: the energy has 4 labels: give PCD\(\.\.\., num_labels=4\)",
    ),
    "labels for an energy without": (
        lambda: update(X, FLAT, PCD(HOME, 1, 8, num_labels=4)),
        r"num_labels=4: the energy has None labels: give PCD\(\.\.\., num_labels=None\)",
    ),
    "labels for a marginal": (
        lambda: update((X, Y), HYBRID, PCD(HOME, 1, 8, num_labels=4)),
        r"num_labels=4: the energy has None labels",
    ),
    "conditions that are no labels": (
        lambda: update((X[:, :1], X[:, :1]), Levels([0.1], [1.0]), PLAIN),
        r"energy\.num_labels=None: chains keep labels alone: .* use CD or ShortRun",
    ),
    "no label": (
        lambda: PCD(HOME, 1, num_labels=0),
        "num_labels=0: give a Python integer of at least 1",
    ),
    "shares of others": (
        lambda: PCD(HOME, 1, num_labels=2, label_weights=[0.2, 0.3, 0.5]),
        r"label_weights\.shape=\(3,\): give one for each of the num_labels=2 labels",
    ),
    "shares without labels": (
        lambda: PCD(HOME, 1, label_weights=[0.5, 0.5]),
        r"label_weights\.shape=\(2,\): give one for each of the num_labels=None labels",
    ),
    "no share": (
        lambda: PCD(HOME, 1, num_labels=2, label_weights=[1.0, 0.0]),
        r"label_weights=\[1\.0, 0\.0\]: give a finite number above 0",
    ),
    "a label without a slot": (
        lambda: PCD(HOME, 1, 500, num_labels=2, label_weights=[0.9995, 0.0005]),
        r"capacity=500: the labels \[1\] have no slot in a shard: give a larger capacity",
    ),
    "fewer slots of a shard than labels": (
        lambda: PCD(HOME, 1, 8, num_labels=3, num_shards=4),
        r"capacity=8: the labels \[2\] have no slot",
    ),
    "labels out of order": (
        lambda: ReplayBuffer(np.zeros((4, 1)), np.zeros(4, int), labels=np.array([0, 1, 0, 1])),
        r"labels=\[0, 1, 0, 1\]: give labels that rise within each shard",
    ),
    "no labels in the buffer": (
        lambda: ReplayBuffer(np.zeros((4, 1)), np.zeros(4, int)).draw_labels(
            jnp.asarray(Y), key=KEY
        ),
        "buffer.labels=None: give a buffer whose chains have labels",
    ),
    "no labels in the batch of chains": (
        lambda: update(X, negatives=PCD(HOME, 1, 8, num_labels=4)),
        "batch=x: Wells needs labels or conditions",
    ),
    "no labels in the batch": (lambda: update(X), r"batch=x: Wells needs labels or conditions"),
    "fewer labels": (
        lambda: update((X, Y[:3])),
        r"batch\[1\]\.shape=\(3,\): give an array with one label for each of the 4 examples",
    ),
    "labels as numbers": (
        lambda: update((X, Y.astype(np.float32))),
        r"y\.dtype=float32: give labels as whole numbers",
    ),
    "labels as columns": (
        lambda: update((X, Y[:, None])),
        r"y\.shape=\(4, 1\): give a condition of shape \(batch\)",
    ),
    "label too high": (
        lambda: train((X, np.array([0, 1, 4, 2]))),
        r"batches\[0\]\[1\]=\[0, 1, 4, 2\]: labels are 0 to 3",
    ),
    "label too low": (
        lambda: train((X, np.array([0, -1, 3, 2]))),
        r"batches\[0\]\[1\]=\[0, -1, 3, 2\]: labels are 0 to 3",
    ),
    "label too high for a hybrid": (
        lambda: train((X, np.array([0, 1, 4, 2])), energy=HYBRID),
        r"batches\[0\]\[1\]=\[0, 1, 4, 2\]: labels are 0 to 3",
    ),
    "conditions that are not finite": (
        lambda: train((X[:, :1], X[:, :1].at[1].set(jnp.nan)), energy=Levels([1.0], [1.0])),
        r"batches\[0\]\[1\]=1 non-finite values of 4",
    ),
    "weighted chains": (
        lambda: update((X, Y), negatives=Jarzynski(MALA(0.1), 1, 8)),
        r"batch=x: Wells needs labels or conditions: .* with negatives that keep them",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_labels_that_do_not_fit_are_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        call()


@pytest.mark.medium
def test_a_label_out_of_range_in_a_later_batch_changes_no_parameter():
    ends = []
    state, history = train(
        (X, Y),
        (X, np.array([0, 1, 4, 2])),
        (X, np.array([0, 1, -1, 2])),
        callbacks=[lambda step, state, metrics: ends.append(np.array(state.energy.modes))],
    )
    np.testing.assert_array_equal(history["skipped"], [0, 1, 2])
    assert not np.array_equal(ends[0], MODES)
    np.testing.assert_array_equal(ends[1:], [ends[0]] * 2)
    np.testing.assert_array_equal(state.energy.modes, ends[0])
