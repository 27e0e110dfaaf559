"""An outlier is skipped, a lasting change is not, and without the rule nothing differs."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from checkpointed import KEY, TRAINER, X, assert_same, start
from steps import same, step, trained

import ebmx
from ebmx.energies import MLP
from ebmx.samplers import Langevin
from ebmx.training import (
    PCD,
    Checkpoints,
    DataOnly,
    Objective,
    SkipOutliers,
    Trainer,
    Watchdog,
    fit,
    restore,
)
from ebmx.training._outliers import Recent

WINDOW = 8


class Point(eqx.Module):
    """One parameter, whose loss is its squared distance from the mean of the data."""

    shape: tuple[int, ...] = eqx.field(static=True)
    at: jax.Array

    def __call__(self, x):
        return jnp.sum((x - self.at) ** 2)


def distance_loss(energy, positives, negatives):
    return (energy.at - jnp.mean(positives.x)) ** 2, {}


POINT = Point((1,), jnp.zeros(()))
SKIP = SkipOutliers(window=WINDOW, factor=6.0)
WITH = Trainer(optax.sgd(0.0), DataOnly(), distance_loss, skip=SKIP)


@eqx.filter_jit
def judged(rule, recent, loss, grad_norm, restart=False):
    return rule.step(recent, jnp.float32(loss), jnp.float32(grad_norm), restart=jnp.array(restart))


def after(rule, losses, grad_norms, recent=None):
    """Which updates are outliers, and the state after the last."""
    recent, found = rule.init() if recent is None else recent, []
    for loss, norm in zip(losses, grad_norms, strict=True):
        outlier, recent = judged(rule, recent, loss, norm)
        found.append(bool(outlier))
    return found, recent


def limit_of(values, factor, smallest):
    """The rule again, in NumPy."""
    median = np.median(values)
    deviation = 1.4826 * np.median(np.abs(values - median))
    return median + factor * max(deviation, smallest(median))


@pytest.mark.parametrize("factor", [3.0, 6.0])
def test_the_limit_is_that_of_the_median_and_its_deviation(factor):
    rng = np.random.default_rng(0)
    rule = SkipOutliers(window=WINDOW, factor=factor)
    losses, norms = rng.normal(size=11), np.exp(rng.normal(size=11))
    _, recent = after(rule, losses, norms)
    limit = limit_of(losses[-WINDOW:], factor, lambda m: 0.01 * abs(m))
    for value, expected in ((limit - 1e-3, False), (limit + 1e-3, True), (-1e9, False)):
        assert bool(judged(rule, recent, value, 1.0)[0]) is expected
    limit = np.exp(limit_of(np.log(norms[-WINDOW:]), factor, lambda m: 0.01))
    for value, expected in ((0.999 * limit, False), (1.001 * limit, True), (0.0, False)):
        assert bool(judged(rule, recent, 0.0, value)[0]) is expected


@pytest.mark.parametrize("level", [200.0, -200.0])
def test_values_that_do_not_differ_have_a_deviation_of_one_percent(level):
    found, recent = after(SKIP, [level] * WINDOW, [4.0] * WINDOW)
    assert not any(found)
    above = level + 0.01 * 6 * abs(level)
    assert [bool(judged(SKIP, recent, above + d, 4.0)[0]) for d in (-0.1, 0.1)] == [False, True]
    norms = [4 * np.exp(0.06 + d) for d in (-1e-3, 1e-3)]
    assert [bool(judged(SKIP, recent, level, n)[0]) for n in norms] == [False, True]


def test_nothing_is_skipped_before_the_window_is_full_or_for_what_is_not_finite():
    values = [1.0] * (WINDOW - 1) + [1e6, 1e6]
    assert after(SKIP, values, [1.0] * len(values))[0] == [False] * WINDOW + [True]
    _, full = after(SKIP, [1.0] * WINDOW, [1.0] * WINDOW)
    for bad in ((np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (1.0, np.inf)):
        outlier, unchanged = judged(SKIP, full, *bad)
        assert not outlier
        assert same(unchanged, full)


def test_a_new_beginning_forgets_the_window_and_not_the_count():
    _, recent = after(SKIP, [1.0] * WINDOW + [1e6], [1.0] * (WINDOW + 1))
    outlier, recent = judged(SKIP, recent, 1e6, 1.0, restart=True)
    assert (bool(outlier), int(recent.count), int(recent.outliers)) == (False, 1, 1)


def test_after_a_lasting_change_half_of_the_window_is_skipped_and_no_more():
    rng = np.random.default_rng(1)
    for level in (1e3, 1e12):
        low, high = rng.normal(size=WINDOW), level * (1 + 0.01 * rng.normal(size=30))
        found, recent = after(SKIP, [*low, *high], np.ones(WINDOW + 30))
        assert found == [False] * WINDOW + [True] * (WINDOW // 2) + [False] * (30 - WINDOW // 2)
        assert int(recent.outliers) == WINDOW // 2


def test_values_of_half_precision_are_entered_in_single():
    loss, norm = jnp.asarray(3.0, jnp.bfloat16), jnp.asarray(5.0, jnp.bfloat16)
    with jax.numpy_dtype_promotion("strict"):
        _, recent = SKIP.step(SKIP.init(), loss, norm, restart=jnp.array(False))
    assert {recent.losses.dtype, recent.log_grad_norms.dtype} == {jnp.dtype(jnp.float32)}
    np.testing.assert_allclose(recent.log_grad_norms[0], np.log(5.0), rtol=1e-6)
    assert recent.losses[0] == 3.0


def around(level, num):
    return level + 0.1 * np.random.default_rng(2).normal(size=num)


def batch(value):
    return np.full((4, 1), value, np.float32)


def test_a_batch_with_a_huge_example_leaves_the_parameters_as_they_were():
    trainer = Trainer(optax.adam(0.01), DataOnly(), distance_loss, skip=SKIP)
    state = trainer.init(POINT, key=KEY)
    for value in around(2, 2 * WINDOW):
        state, metrics = step(trainer, state, batch(value), KEY)
    assert (int(metrics["skipped"]), int(metrics["outliers"])) == (0, 0)
    poisoned = batch(0.0)
    poisoned[2] = 1e5
    bad, metrics = step(trainer, state, poisoned, KEY)
    assert same(trained(bad), trained(state))
    assert (int(metrics["skipped"]), int(metrics["outliers"]), int(bad.step)) == (1, 1, 17)
    good, metrics = step(trainer, bad, batch(0.1), KEY)
    assert float(good.energy.at) != float(bad.energy.at)
    # what is not finite is skipped as it was, and no outlier
    last, metrics = step(trainer, good, batch(np.nan), KEY)
    assert (int(metrics["skipped"]), int(metrics["outliers"])) == (2, 1)
    assert same(trained(last), trained(good))


def test_a_training_goes_on_after_a_lasting_change_of_scale():
    values = around(2, 60)
    values[20:] *= 1e4
    trainer = Trainer(optax.sgd(0.001), DataOnly(), distance_loss, skip=SKIP)
    state = trainer.init(POINT, key=KEY)
    options = {"num_steps": 60, "log_every": 60, "progress": False, "key": KEY}
    seen = []
    options["callbacks"] = [lambda number, state, metrics: seen.append(metrics["outliers"])]
    state, history = fit(trainer, state, map(batch, values), **options)
    # the mean over an interval would be another number
    assert seen == [history["outliers"][-1]]
    assert history["outliers"][-1] == history["skipped"][-1] == WINDOW // 2
    # the gradient is twice the distance of 2e4
    assert abs(float(state.energy.at)) > 100


def test_outliers_are_left_out_of_the_means_of_an_interval():
    values = around(2, 32)
    values[[18, 24, 25]] = 1e5
    trainer = Trainer(optax.sgd(0.001), DataOnly(), distance_loss, skip=SKIP)
    seen = []
    options = {"num_steps": 26, "log_every": 8, "progress": False, "key": KEY}
    options["callbacks"] = [lambda number, state, metrics: seen.append(metrics["loss"])]
    _, history = fit(trainer, trainer.init(POINT, key=KEY), map(batch, values), **options)
    assert history["outliers"][[17, 18, 23, 24, 25]].tolist() == [0, 1, 1, 2, 3]
    kept = np.delete(history["loss"][16:24], 2)
    np.testing.assert_allclose(seen[1:3], [history["loss"][8:16].mean(), kept.mean()], rtol=1e-6)
    # if there are no others, they are all there is
    np.testing.assert_allclose(seen[3], history["loss"][24:26].mean(), rtol=1e-6)


@pytest.mark.medium
def test_without_it_states_and_their_checkpoints_are_as_they_were(tmp_path):
    state = start()
    assert state.skip_state is None
    assert not [p for p, _ in jax.tree_util.tree_flatten_with_path(state)[0] if "skip_s" in str(p)]
    saved = Checkpoints(tmp_path / "without")
    options = {"num_steps": 2, "key": KEY, "progress": False}
    fit(TRAINER, state, [X[:8], X[8:16]], checkpoints=saved, **options)
    kept = restore(saved.folder, start())
    # a rule that has not skipped changes nothing but its own state
    with_rule = eqx.tree_at(lambda t: t.skip, TRAINER, SKIP, is_leaf=lambda leaf: leaf is None)
    other, _ = fit(with_rule, start(trainer=with_rule), [X[:8], X[8:16]], **options)
    assert isinstance(other.skip_state, Recent)
    without = eqx.tree_at(lambda s: s.skip_state, other, None)
    for one, two in zip(
        *(map(jnp.asarray, jax.tree.leaves(t)) for t in (without, kept)), strict=True
    ):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


@pytest.mark.medium
def test_its_window_is_saved_and_the_rest_is_the_rest_of_the_whole(tmp_path):
    chains = PCD(Langevin(0.1), 1, capacity=16, reinit_prob=0.3)
    trainer = Trainer(optax.adam(0.01), chains, skip=SKIP)
    x = np.random.default_rng(3).normal(size=(200, 2)).astype(np.float32)
    x[[50, 150]] *= 1e3

    def go_on(state, num_steps, checkpoints=None):
        batches = ebmx.data.batches(x, 8, start=int(state.step), key=KEY)
        options = {"num_steps": num_steps, "key": KEY, "progress": False}
        return fit(trainer, state, batches, checkpoints=checkpoints, **options)

    begin = trainer.init(MLP((2,), (4,), key=KEY), key=KEY)
    whole, history = go_on(begin, 40)
    assert history["outliers"][-1] > history["outliers"][10]
    saved = Checkpoints(tmp_path)
    go_on(begin, 11, saved)
    rest, more = go_on(restore(tmp_path, begin), 29, saved)
    assert_same(rest, whole)
    np.testing.assert_array_equal(more["outliers"], history["outliers"][11:])


def test_the_window_begins_again_where_an_objective_begins():
    late = Objective(DataOnly(), lambda e, p, n: (1e3 + 0 * e.at, {}), start=12, name="late")
    trainer = Trainer(optax.sgd(0.1), DataOnly(), distance_loss, objectives=[late], skip=SKIP)
    state = trainer.init(POINT, key=KEY)
    options = {"num_steps": 16, "key": KEY, "progress": False}
    state, history = fit(trainer, state, map(batch, around(2, 16)), **options)
    assert history["loss"][12] > 1e3
    assert history["outliers"][-1] == 0
    assert int(state.skip_state.count) == 4


def test_outliers_are_no_alarm_of_a_watchdog():
    metrics = {"skipped": 130.0, "outliers": 110.0}
    assert Watchdog(max_skipped=20).alarms(metrics) == []
    (alarm,) = Watchdog(max_skipped=19).alarms(metrics)
    assert alarm.startswith("20 updates skipped")


def test_a_state_of_a_trainer_without_it_is_refused():
    plain = Trainer(optax.sgd(0.1), DataOnly(), distance_loss)
    with pytest.raises(ValueError, match=r"state\.skip_state=None: begin with"):
        step(WITH, plain.init(POINT, key=KEY), batch(0.0), KEY)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"window": 1}, "window=1: give a Python integer of at least 2"), ({"factor": 0.0}, "factor")],
)
def test_numbers_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        SkipOutliers(**options)
