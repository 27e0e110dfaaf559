"""The loop: compiled once, no hidden transfers, and the same in two parts as in one."""

import contextlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ebmx.energies import MLP, Gaussian
from ebmx.samplers import Langevin
from ebmx.training import (
    CD,
    PCD,
    AbstractProgress,
    TqdmProgress,
    Trainer,
    contrastive_loss,
    fit,
)

OPTIM = optax.adam(0.01)
TRAINER = Trainer(OPTIM, PCD(Langevin(0.1), 2, capacity=32, reinit_prob=0.3), data_noise=0.1)


def start(getkey, trainer=TRAINER):
    return trainer.init(MLP((2,), (4,), key=getkey()), key=getkey())


def data(count, size=8, seed=0):
    x = np.random.default_rng(seed).normal(size=(count, size, 2))
    return list(x.astype(np.float32))


def arrays(tree):
    return jax.tree.leaves(eqx.filter(tree, eqx.is_array))


def assert_same(one, two):
    for a, b in zip(arrays(one), arrays(two), strict=True):
        np.testing.assert_array_equal(a, b)


class Meter(AbstractProgress):
    """Writes down how it is called."""

    def __init__(self):
        self.calls = []

    def start(self, num_steps):
        self.calls.append(("start", num_steps))

    def update(self, num_steps, metrics):
        self.calls.append(("update", num_steps))

    def close(self):
        self.calls.append(("close",))


@pytest.mark.medium
def test_one_compilation_for_all_updates(getkey):
    traces = []

    def loss(energy, positives, negatives):
        traces.append(1)
        return contrastive_loss(energy, positives, negatives)

    trainer = Trainer(OPTIM, CD(Langevin(0.1), 2), loss)
    state = trainer.init(Gaussian(jnp.zeros(2)), key=getkey())
    state, history = fit(trainer, state, data(300), num_steps=300, key=getkey())
    assert len(history["loss"]) == 300
    assert len(traces) == 1
    # nor for another value of a number, nor for going on
    other = Trainer(OPTIM, CD(Langevin(0.2), 2), loss, ema_decay=0.5, data_noise=0.3)
    fit(other, state, data(3), num_steps=3, key=getkey())
    assert len(traces) == 1
    # while another size is another program
    fit(trainer, state, data(2, size=4), num_steps=2, key=getkey())
    assert len(traces) == 2


@pytest.mark.medium
def test_no_transfer_but_the_batches_and_the_metrics(getkey):
    with contextlib.ExitStack() as stack:

        def batches():
            for number, batch in enumerate(data(12)):
                if number == 2:
                    stack.enter_context(jax.transfer_guard("disallow"))
                yield batch

        state, key = start(getkey), getkey()
        seen = []
        state, history = fit(
            TRAINER,
            state,
            batches(),
            num_steps=12,
            key=key,
            log_every=3,
            callbacks=(lambda step, state, metrics: seen.append(step),),
        )
        # the guard is still up here, and does its work
        with pytest.raises(Exception, match="Disallowed host-to-device"):
            jnp.sin(np.ones(3, np.float32))
    assert seen == [3, 6, 9, 12]
    assert len(history["loss"]) == 12


def test_two_parts_are_one(getkey):
    state, key, batches = start(getkey), getkey(), data(10)
    whole, history = fit(TRAINER, state, batches, num_steps=10, key=key)
    middle, first = fit(TRAINER, state, batches[:4], num_steps=4, key=key, log_every=3)
    end, second = fit(TRAINER, middle, batches[4:], num_steps=6, key=key)
    assert_same(whole, end)
    assert int(end.step) == 10
    for name, column in history.items():
        np.testing.assert_array_equal(column, np.concatenate([first[name], second[name]]))
    other, _ = fit(TRAINER, state, batches, num_steps=10, key=getkey())
    assert not np.array_equal(other.energy.layers[0].weight, whole.energy.layers[0].weight)


def test_fit_takes_the_steps_of_the_trainer(getkey):
    state, key, batches = start(getkey), getkey(), data(3)
    found, history = fit(TRAINER, state, batches, num_steps=3, key=key)
    step, losses = eqx.filter_jit(TRAINER.step), []
    for batch in batches:
        state, metrics = step(state, jnp.asarray(batch), key=key)
        losses.append(metrics["loss"])
    for a, b in zip(arrays(found), arrays(state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-4, atol=1e-5)


def test_the_state_it_was_given_stays_valid(getkey):
    state, key = start(getkey), getkey()
    before = jax.tree.map(lambda a: np.array(a) if eqx.is_array(a) else a, state)
    one, _ = fit(TRAINER, state, data(3), num_steps=3, key=key)
    assert not any(a.is_deleted() for a in arrays(state))
    for a, b in zip(arrays(state), jax.tree.leaves(before), strict=False):
        np.testing.assert_array_equal(a, b)
    two, _ = fit(TRAINER, state, data(3), num_steps=3, key=key)
    assert_same(one, two)
    assert not any(a.is_deleted() for a in arrays(one))


@pytest.mark.parametrize(("log_every", "ends"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (50, [5])])
def test_callbacks_see_means_and_sums_of_their_interval(log_every, ends, getkey):
    seen = []

    def callback(step, state, metrics):
        assert int(state.step) == step
        seen.append((step, metrics))

    batches = data(5)
    batches[2][:] = np.nan  # skipped, and its loss is no number
    _, history = fit(
        TRAINER,
        start(getkey),
        batches,
        num_steps=5,
        key=getkey(),
        log_every=log_every,
        callbacks=[callback],
    )
    assert {len(column) for column in history.values()} == {5}
    assert [step for step, _ in seen] == ends
    np.testing.assert_array_equal(history["skipped"], [0, 0, 1, 1, 1])
    assert history["restarts"].sum() > 0
    for begin, (end, metrics) in zip([0, *ends], seen, strict=False):
        assert all(isinstance(value, float) for value in metrics.values())
        assert metrics["restarts"] == history["restarts"][begin:end].sum()
        assert metrics["dead_chains"] == history["dead_chains"][begin:end].sum()
        assert metrics["skipped"] == history["skipped"][end - 1]
        for name in ("loss", "chain_grad_norm", "distinct"):
            np.testing.assert_allclose(metrics[name], history[name][begin:end].mean(), rtol=1e-5)


def test_a_callback_that_returns_true_ends_it(getkey):
    calls = []
    state, history = fit(
        TRAINER,
        start(getkey),
        data(20),
        num_steps=20,
        key=getkey(),
        log_every=4,
        callbacks=(lambda step, *_: step >= 8, lambda step, *_: calls.append(step)),
    )
    assert int(state.step) == 8
    assert len(history["loss"]) == 8
    assert calls == [4, 8]  # all callbacks of the last interval are still called


@pytest.mark.parametrize("count", [4, 5])
def test_training_ends_when_the_batches_do(count, getkey):
    meter = Meter()
    state, history = fit(
        TRAINER,
        start(getkey),
        iter(data(count)),
        num_steps=100,
        key=getkey(),
        log_every=2,
        progress=meter,
    )
    assert int(state.step) == count
    assert len(history["loss"]) == count
    assert sum(call[1] for call in meter.calls if call[0] == "update") == count


def test_no_batch_is_no_update(getkey):
    state = start(getkey)
    after, history = fit(TRAINER, state, [], num_steps=5, key=getkey())
    assert_same(state, after)
    assert all(len(column) == 0 for column in history.values())


def test_batches_beyond_the_last_update_are_not_taken(getkey):
    iterator = iter(data(5))
    fit(TRAINER, start(getkey), iterator, num_steps=3, key=getkey(), log_every=2)
    assert len(list(iterator)) == 2


def test_the_meter_is_moved_and_closed(getkey):
    meter = Meter()
    fit(TRAINER, start(getkey), data(5), num_steps=5, key=getkey(), log_every=2, progress=meter)
    updates = [("update", 2), ("update", 2), ("update", 1)]
    assert meter.calls == [("start", 5), *updates, ("close",)]


def test_the_meter_is_closed_if_training_fails(getkey):
    def fail(step, state, metrics):
        raise RuntimeError("the callback's")

    meter = Meter()
    with pytest.raises(RuntimeError, match="the callback's"):
        fit(
            TRAINER,
            start(getkey),
            data(5),
            num_steps=5,
            key=getkey(),
            log_every=1,
            callbacks=[fail],
            progress=meter,
        )
    assert meter.calls[-1] == ("close",)


def test_no_progress_shows_nothing_and_tqdm_a_bar(getkey, capsys):
    state, key = start(getkey), getkey()
    fit(TRAINER, state, data(4), num_steps=4, key=key, progress=False)
    assert capsys.readouterr() == ("", "")
    fit(TRAINER, state, data(4), num_steps=4, key=key, log_every=2, progress=TqdmProgress())
    shown = capsys.readouterr().err
    assert "4/4" in shown
    assert "E_data=" in shown
