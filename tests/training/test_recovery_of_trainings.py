"""A training that diverges goes back to a good state with smaller updates."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from checkpointed import KEY, assert_same, go_on, start

from ebmx.training import (
    Checkpoints,
    DataOnly,
    DivergedError,
    RecoveryWarning,
    Trainer,
    Watchdog,
    fit,
    restore,
)
from ebmx.training.checkpoints._orbax import steps_in


class Distance(eqx.Module):
    """One parameter, whose distance from 0 an update multiplies by 1 - rate."""

    shape: tuple[int, ...] = eqx.field(static=True)
    value: jax.Array

    def __call__(self, x):
        return jnp.sum(x) * self.value


def squared_loss(energy, positives, negatives):
    size = jnp.abs(energy.value)
    return 0.5 * energy.value**2, {"real_energy_mean": size, "fake_energy_mean": size}


BATCH = np.ones((4, 1), np.float32)


def begin(rate, first=1e-3):
    trainer = Trainer(optax.sgd(rate), DataOnly(), squared_loss)
    return trainer, trainer.init(Distance((1,), jnp.array(first)), key=KEY)


def train(trainer, state, num_steps, *dogs, log_every=10, checkpoints=None):
    options = {"log_every": log_every, "progress": False, "key": KEY, "num_steps": num_steps}
    batches = itertools.repeat(BATCH)
    return fit(trainer, state, batches, callbacks=dogs, checkpoints=checkpoints, **options)


def test_it_ends_finite_where_it_diverged():
    # at a rate of 2.2 the distance grows by 1.2 each time, at half of it it falls to a tenth
    trainer, state = begin(2.2)
    with pytest.raises(DivergedError, match="by step 100, the last good step was 80: energies"):
        train(trainer, state, 140, Watchdog())
    with pytest.warns(RecoveryWarning, match=r"by step 100.*from step 50 with updates times 0\.5"):
        end, history = train(trainer, state, 140, Watchdog(max_recoveries=1))
    grown = 1e-3 * 1.2 ** np.arange(100)
    np.testing.assert_allclose(history["real_energy_mean"][:100], grown, rtol=1e-3)
    fallen = 1e-3 * 1.2**50 * 0.1 ** np.arange(5)
    np.testing.assert_allclose(history["real_energy_mean"][100:105], fallen, rtol=1e-3)
    assert abs(float(end.energy.value)) < 1e-20
    assert int(end.step) == len(history["loss"]) == 140
    assert np.all(np.isnan(history["update_scale"][:100]))
    assert np.all(history["update_scale"][100:] == 0.5)


def test_it_goes_back_so_many_times_and_no_more():
    # the rates are 8.8, 4.4, 2.2 and then 1.1
    trainer, state = begin(8.8)
    dog = Watchdog(patience=1, max_recoveries=3)
    with pytest.warns(RecoveryWarning) as caught:
        end, history = train(trainer, state, 200, dog, log_every=1)
    assert len(caught) == 3
    assert float(end.update_scale) == 0.125
    assert abs(float(end.energy.value)) < 1e-20
    assert np.nanmin(history["update_scale"]) == 0.125
    with (
        pytest.warns(RecoveryWarning),
        pytest.raises(DivergedError, match="after 2 recoveries"),
    ):
        train(trainer, state, 200, Watchdog(patience=1, max_recoveries=2), log_every=1)


def test_the_states_it_keeps_are_old_enough():
    dog, (_, state) = Watchdog(patience=3, max_recoveries=5), begin(1.0)
    at = lambda step: eqx.tree_at(lambda s: s.step, state, jnp.asarray(step))  # noqa: E731
    bad = {"real_energy_mean": np.nan}
    for step in (1, 2, 3, 4, 5, 6, 7, 8):
        assert dog(step, at(step), {}) is None
    assert [dog(step, at(step), bad) for step in (9, 10)] == [None, None]
    with pytest.warns(RecoveryWarning, match="from step 4 with"):
        back = dog(11, at(11), bad)
    assert (int(back.step), float(back.update_scale), dog.count) == (11, 0.5, 0)
    # one that goes wrong at once comes back to the same
    for step in (12, 13):
        assert dog(step, back, bad) is None
    with pytest.warns(RecoveryWarning, match=r"from step 4 with updates times 0\.25"):
        back = dog(14, back, bad)
    # and later to what it keeps from there on
    for step in (15, 16, 17, 18):
        assert dog(step, eqx.tree_at(lambda s: s.step, back, jnp.asarray(step)), {}) is None
    assert [int(kept.step) for kept in dog._kept] == [15, 18]


def test_without_a_good_state_it_raises():
    _, state = begin(1.0)
    with pytest.raises(DivergedError, match="no step was good"):
        Watchdog(patience=1, max_recoveries=3)(10, state, {"real_energy_mean": 1e9})


@pytest.mark.medium
def test_all_of_the_state_goes_back_but_its_step():
    dog, early = Watchdog(patience=1, max_recoveries=1), start()
    late, _ = go_on(early, 4)
    late = eqx.tree_at(lambda s: s.skipped, late, jnp.asarray(30, jnp.int32))
    assert dog(0, early, {}) is None
    with pytest.warns(RecoveryWarning, match="30 updates skipped"):
        back = dog(4, late, {"skipped": 30.0})
    expected = eqx.tree_at(lambda s: s.step, early, late.step)
    assert_same(eqx.tree_at(lambda s: s.update_scale, back, None), expected)
    # what `fit` donates is a copy
    again = go_on(back, 2)[0]
    assert float(again.update_scale) == 0.5
    assert all(not leaf.is_deleted() for leaf in jax.tree.leaves(eqx.filter(early, eqx.is_array)))


def test_without_a_recovery_nothing_differs():
    dog = Watchdog(max_recoveries=3)
    one, history = go_on(start(), 12, callbacks=[dog])
    two, other = go_on(start(), 12)
    assert_same(one, two)
    assert one.update_scale is None
    assert set(history) == set(other)
    assert int(dog._kept[-1].step) == 10


def test_updates_are_multiplied_by_the_scale():
    trainer, state = begin(0.3, first=2.0)
    scaled = eqx.tree_at(
        lambda s: s.update_scale, state, jnp.float32(0.25), is_leaf=lambda leaf: leaf is None
    )
    end, _ = train(trainer, scaled, 3)
    np.testing.assert_allclose(end.energy.value, 2 * (1 - 0.3 / 4) ** 3, rtol=1e-5)
    assert float(end.update_scale) == 0.25


def test_a_resumed_training_keeps_the_scale_and_its_number_of_recoveries(tmp_path):
    trainer, state = begin(2.2)
    with pytest.warns(RecoveryWarning):
        whole, history = train(trainer, state, 140, Watchdog(max_recoveries=1))
    saved = Checkpoints(tmp_path, every=1000)
    stop = lambda step, state, metrics: step == 100  # noqa: E731
    with pytest.warns(RecoveryWarning):
        train(trainer, state, 140, Watchdog(max_recoveries=1), stop, checkpoints=saved)
    back = restore(tmp_path, state)
    assert (int(back.step), float(back.update_scale)) == (100, 0.5)
    rest, more = train(trainer, back, 40, Watchdog(max_recoveries=1), checkpoints=saved)
    assert_same(rest, whole)
    np.testing.assert_array_equal(more["loss"], history["loss"][100:])
    # a state with a scale to read into fits, too, and the limit of recoveries holds
    assert_same(restore(tmp_path, rest, step=140), rest)
    dog = Watchdog(patience=1, max_recoveries=1)
    assert dog(150, rest, {}) is None
    with pytest.raises(DivergedError, match="after 1 recoveries"):
        dog(160, rest, {"real_energy_mean": 1e9})


@pytest.mark.medium
def test_it_is_saved_at_once_beside_states_without_a_scale(tmp_path):
    trainer, state = begin(2.2)
    saved = Checkpoints(tmp_path, every=30, asynchronous=False, keep=9)
    with pytest.warns(RecoveryWarning):
        train(trainer, state, 110, Watchdog(max_recoveries=1), checkpoints=saved)
    assert steps_in(tmp_path) == [30, 60, 90, 100, 110]
    scaled = restore(tmp_path, state)
    for step, scale in ((90, None), (100, 0.5)):
        assert restore(tmp_path, state, step=step).update_scale == scale
        assert restore(tmp_path, scaled, step=step).update_scale == scale
    # a training from a state with a scale may go on in the folder
    train(trainer, scaled, 10, checkpoints=saved)
    assert steps_in(tmp_path)[-1] == 120


def test_a_callback_returns_the_state_of_its_step():
    trainer, state = begin(0.1)
    other = lambda step, now, metrics: eqx.tree_at(  # noqa: E731
        lambda s: s.energy.value, now, jnp.array(5.0)
    )
    end, history = train(trainer, state, 20, other)
    np.testing.assert_allclose(history["real_energy_mean"][10], 5.0, rtol=1e-6)
    assert float(end.energy.value) == 5.0
    with pytest.raises(ValueError, match=r"callbacks=states of \[0\]: of several"):
        train(trainer, state, 20, lambda step, now, metrics: state)
    with pytest.raises(ValueError, match=r"callbacks=states of \[10, 10\]: of several"):
        train(trainer, state, 20, other, other)


@pytest.mark.parametrize(
    "options", [{"recovery_factor": 1.0}, {"recovery_factor": 0.0}, {"max_recoveries": -1}]
)
def test_the_settings_are_checked(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name}="):
        Watchdog(**options)
