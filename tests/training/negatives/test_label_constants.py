"""What an energy adds for a label alone is not trained: labels are as frequent on both sides."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closed_forms import Constants

from ebmx.samplers import Langevin
from ebmx.training import PCD, Examples, ReplayBuffer, Trainer, contrastive_loss

KEY = jax.random.key(0)
NUM = 50


@pytest.mark.medium
@pytest.mark.parametrize(
    ("shares", "num_shards"), [(None, 1), ([0.9, 0.1], 1), (None, 2)], ids=["equal", "other", "two"]
)
def test_constants_of_labels_stay_where_they_are(shares, num_shards):
    negatives = PCD(
        Langevin(0.1), 1, 100, 0.1, num_labels=2, label_weights=shares, num_shards=num_shards
    )
    trainer = Trainer(optax.adam(1.0), negatives)
    state = trainer.init(Constants(jnp.array([0.5, -0.5])), key=KEY)

    @jax.jit
    def train(state):
        def update(state, number):
            # 52 of 100 have label 0 in the mean
            data_key, label_key = jax.random.split(jax.random.fold_in(KEY, number))
            x = jax.random.normal(data_key, (NUM, 1))
            y = (jax.random.uniform(label_key, NUM) >= 0.52).astype(jnp.int32)
            state, metrics = trainer.step(state, (x, y), key=KEY)
            return state, metrics["grad_norm"]

        return jax.lax.scan(update, state, jnp.arange(3000))

    state, grad_norms = train(state)
    np.testing.assert_array_equal(grad_norms, 0)
    np.testing.assert_array_equal(state.energy.constants, [0.5, -0.5])


LABELS = np.int32([0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 3])


@jax.jit
def draws(wanted, keys):
    buffer = ReplayBuffer(jnp.arange(12.0)[:, None], jnp.zeros(12, int), labels=jnp.asarray(LABELS))
    return jax.vmap(lambda key: buffer.draw_labels(wanted, key=key))(keys)


def test_every_slot_of_a_label_is_equally_likely_and_drawn_once():
    wanted, count = np.int32([2, 0, 1, 2, 0, 2, 2]), 4000
    chains = draws(wanted, jax.random.split(KEY, count))
    x, index, own = chains.x, chains.index, chains.own
    assert np.all(own)
    np.testing.assert_array_equal(x[..., 0], index)
    np.testing.assert_array_equal(LABELS[np.asarray(index)], np.broadcast_to(wanted, index.shape))
    ordered = np.sort(index, 1)
    assert np.all(ordered[:, 1:] != ordered[:, :-1])
    for row, label in enumerate(wanted):
        slots = np.flatnonzero(label == LABELS)
        share = np.bincount(np.asarray(index)[:, row], minlength=12)[slots] / count
        error = np.sqrt((1 - 1 / len(slots)) / len(slots) / count)
        np.testing.assert_array_less(np.abs(share - 1 / len(slots)), 5 * error)


def test_rows_without_a_slot_of_their_own_share_one_that_is_written_once():
    wanted = np.int32([1, 0, 1, 3, 1, 3, 4])
    chains = draws(wanted, jax.random.split(KEY, 200))
    x, index, own = (np.asarray(a) for a in (chains.x, chains.index, chains.own))
    np.testing.assert_array_equal(x[..., 0], index)
    # five rows of label 1 or 3 for its three slots; there is no label 4
    np.testing.assert_array_equal(LABELS[index[:, :6]], np.broadcast_to(wanted[:6], (200, 6)))
    np.testing.assert_array_equal(own.sum(1), 4)
    assert not np.any(own[:, 6])
    for slots, written in zip(index, own, strict=True):
        assert {3, 4, 11} < set(slots[written])


@pytest.mark.medium
def test_chains_of_another_label_train_nothing():
    negatives = PCD(Langevin(0.1), 1, 8, 0.0, num_labels=2)
    state = Trainer(optax.sgd(1.0), negatives).init(Constants(jnp.zeros(2)), key=KEY)
    # as a buffer would be whose labels were mixed up on the way
    state = eqx.tree_at(lambda s: s.negatives_state.labels, state, jnp.zeros(8, jnp.int32))
    batch = Examples(jnp.ones((4, 1)), jnp.array([0, 1, 0, 1]))
    step = eqx.filter_jit(
        lambda state: negatives.step(state.energy, batch, state.negatives_state, key=KEY)
    )
    out, buffer, _ = step(state)
    np.testing.assert_array_equal(np.isnan(out.x[:, 0]), [False, True, False, True])
    assert np.all(np.isfinite(buffer.positions))
    assert np.sum(buffer.ages) == 2
    loss, _ = contrastive_loss(state.energy, batch, out)
    assert np.isnan(loss)
