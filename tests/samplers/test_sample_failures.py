"""Chains that fail are told: at their start, in the warm-up, in the middle and at their end."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import descent, square

from ebmx.samplers import RESULTS, AbstractSampler, StepInfo, run, sample
from ebmx.samplers._sample import _throw


def runaway(x):
    return -jnp.sum(x**4)


def test_a_start_that_is_not_finite_is_told(getkey):
    x, key = np.ones((4, 2), np.float32), getkey()
    x[[1, 3], 0] = np.nan
    with pytest.raises(FloatingPointError, match=r"2 of 4 chains failed, \[1, 3\]: .*start"):
        sample(square, descent(), x, num_samples=2, key=key)
    got = sample(square, descent(), x, num_samples=2, throw=False, key=key)
    bad, good = RESULTS.nonfinite_start, RESULTS.successful
    np.testing.assert_array_equal(got.result, [good, bad, good, bad])
    np.testing.assert_array_equal(got.info.divergent, [False, True, False, True])
    np.testing.assert_array_equal(np.isfinite(got.x).all(1), [True, False, True, False])


def test_a_chain_that_runs_away_is_told(getkey):
    x = np.array([[0.0, 0.0], [3.0, 3.0], [0.0, 0.1]], np.float32)
    key, sampler = getkey(), descent()
    with pytest.raises(FloatingPointError, match=r"1 of 3 chains failed, \[1\]: .*step_size"):
        sample(runaway, sampler, x, num_samples=10, key=key)
    got = sample(runaway, sampler, x, num_samples=10, throw=False, key=key)
    bad, good = RESULTS.nonfinite_chain, RESULTS.successful
    np.testing.assert_array_equal(got.result, [good, bad, good])
    np.testing.assert_array_equal(got.info.divergent, [False, True, False])
    _, info = run(runaway, sampler, x, num_steps=10, key=key)
    np.testing.assert_array_equal(info.divergent, [False, True, False])


def test_divergence_in_the_warm_up_is_told(getkey):
    x = np.full((1, 2), 3.0, np.float32)
    with pytest.raises(FloatingPointError, match="step_size"):
        sample(runaway, descent(), x, num_samples=1, num_warmup=10, key=getkey())


def test_divergence_in_the_last_step_is_told(getkey):
    # sqrt is finite at 0 and its slope is not: the energy alone would not show it
    x = np.array([[0.0], [1.0]], np.float32)
    new, info = run(lambda x: jnp.sqrt(x[0]), descent(), x, num_steps=1, key=getkey())
    np.testing.assert_array_equal(np.isfinite(new)[:, 0], [False, True])
    np.testing.assert_array_equal(info.divergent, [True, False])


class _FailsOnce(AbstractSampler[None]):
    """Counts up, and fails in the step that starts at 1."""

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        one = jnp.ones(())
        return x + 1, state, StepInfo(one, one, one, x[0] == 1)


@pytest.mark.parametrize("num_steps", [2, 3, 6])
def test_a_failure_in_the_middle_is_told(num_steps, getkey):
    # the second step fails, the chain that starts later never does, and later steps are well again
    x, key = np.array([[0.0], [2.0]], np.float32), getkey()
    _, info = run(square, _FailsOnce(), x, num_steps=num_steps, key=key)
    np.testing.assert_array_equal(info.divergent, [True, False])
    got = sample(square, _FailsOnce(), x, num_samples=num_steps, key=key)
    np.testing.assert_array_equal(got.info.divergent, [True, False])
    kept = sample(square, _FailsOnce(), x, num_samples=2, thin=num_steps, key=key)
    np.testing.assert_array_equal(kept.info.divergent, [True, False])


@pytest.mark.parametrize(("num", "named"), [(8, "0, 1, 2, 3, 4, 5, 6, 7]: "), (9, "6, 7] …: ")])
def test_of_many_failures_the_first_are_named(num, named):
    with pytest.raises(FloatingPointError, match=f"{num} of {num} chains failed, .*{named}"):
        _throw(np.full(num, RESULTS.nonfinite_chain))


def test_every_result_has_a_message():
    assert [code.value for code in RESULTS] == [0, 1, 2, 3, 4, 5]
    messages = [code.message for code in RESULTS]
    assert len(set(messages)) == len(RESULTS)
    assert all("chain" in message for message in messages[1:])
    assert "step_size" in RESULTS.nonfinite_chain.message
    assert "start" in RESULTS.nonfinite_start.message
