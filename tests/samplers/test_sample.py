"""The loops: starts, warm-up, thinning, what is saved, and how failures are told."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import GRADIENTS, SAMPLERS

from ebmx.energies import Gaussian
from ebmx.samplers import RESULTS, AbstractSampler, Langevin, StepInfo, run, sample


def runaway(x):
    return -jnp.sum(x**4)


def square(x):
    return 0.5 * jnp.sum(x**2)


def descent(step_size=0.5):
    """Without noise `square` shrinks a position by 0.75 a step, which counts the steps."""
    return Langevin(step_size, temperature=0.0)


def test_samples_start_where_they_are_told(getkey):
    x = jnp.array([[4.0, -8.0], [1.0, 2.0]])
    got = sample(square, descent(), x, num_samples=2, key=getkey())
    np.testing.assert_allclose(got.values[:, 0], 0.75 * x, rtol=1e-6)
    np.testing.assert_allclose(got.values[:, 1], 0.75**2 * x, rtol=1e-6)
    np.testing.assert_allclose(got.x, 0.75**2 * x, rtol=1e-6)
    np.testing.assert_array_equal(got.result, [RESULTS.successful] * 2)


@pytest.mark.parametrize(("num_warmup", "thin"), [(0, 3), (4, 2)])
def test_warm_up_and_thinning_take_their_steps(num_warmup, thin, getkey):
    x = jnp.array([[4.0, -8.0], [1.0, 2.0]])
    got = sample(
        square, descent(), x, num_samples=3, num_warmup=num_warmup, thin=thin, key=getkey()
    )
    assert got.values.shape == (2, 3, 2)
    for i in range(3):
        steps = num_warmup + (i + 1) * thin
        np.testing.assert_allclose(got.values[:, i], 0.75**steps * x, rtol=1e-5)


def test_run_and_sample_go_equally_far(getkey):
    x = jnp.array([[4.0, -8.0], [1.0, 2.0]])
    ran, info = run(square, descent(), x, num_steps=5, key=getkey())
    got = sample(square, descent(), x, num_samples=1, thin=5, key=getkey())
    np.testing.assert_allclose(got.x, ran, rtol=1e-6)
    np.testing.assert_allclose(got.values[:, 0], ran, rtol=1e-6)
    np.testing.assert_allclose(got.info.energy, info.energy, rtol=1e-6)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_step_costs_what_it_must(name, getkey):
    calls = []

    @jax.custom_vjp
    def energy(x):
        return square(x)

    def forward(x):
        jax.debug.callback(lambda _: calls.append("value"), x)
        return square(x), x

    def backward(x, cotangent):
        jax.debug.callback(lambda _: calls.append("gradient"), x)
        return (cotangent * x,)

    energy.defvjp(forward, backward)
    sampler, x = SAMPLERS[name], jnp.ones((1, 2))
    sample(energy, sampler, x, num_samples=4, num_warmup=5, thin=3, key=getkey())
    jax.effects_barrier()
    first, each = GRADIENTS.get(name, (0, 1))
    assert calls.count("gradient") == first + each * (5 + 4 * 3)
    assert calls.count("value") == first + each * (5 + 4 * 3)


def test_save_chooses_what_is_kept(getkey):
    x = jnp.ones((3, 2))

    def save(x, info):
        return {"energy": info.energy, "mean": jnp.mean(x)}

    got = sample(square, descent(), x, num_samples=2, save=save, key=getkey())
    assert got.values.keys() == {"energy", "mean"}
    np.testing.assert_allclose(got.values["mean"], np.tile([0.75, 0.5625], (3, 1)), rtol=1e-6)
    np.testing.assert_allclose(got.values["energy"], np.tile([1.0, 0.5625], (3, 1)), rtol=1e-6)


def test_sampling_can_go_on_where_it_ended(getkey):
    x = jnp.ones((3, 2))
    half = sample(square, descent(), x, num_samples=2, key=getkey())
    rest = sample(square, descent(), half.x, num_samples=2, key=getkey())
    full = sample(square, descent(), x, num_samples=4, key=getkey())
    np.testing.assert_allclose(
        jnp.concatenate([half.values, rest.values], 1), full.values, rtol=1e-6
    )


def test_sample_works_under_jit(getkey):
    x, key = jnp.ones((3, 2)), getkey()
    energy = Gaussian(jnp.zeros(2), 1.0)

    def draw(x, key):
        return sample(energy, Langevin(0.1), x, num_samples=2, key=key).values

    np.testing.assert_allclose(jax.jit(draw)(x, key), draw(x, key), rtol=1e-5)


def test_a_start_that_is_not_finite_is_told(getkey):
    x = jnp.ones((4, 2)).at[jnp.array([1, 3]), 0].set(jnp.nan)
    key = getkey()
    with pytest.raises(FloatingPointError, match=r"2 of 4 chains failed, \[1, 3\]: .*start"):
        sample(square, descent(), x, num_samples=2, key=key)
    got = sample(square, descent(), x, num_samples=2, throw=False, key=key)
    bad, good = RESULTS.nonfinite_start, RESULTS.successful
    np.testing.assert_array_equal(got.result, [good, bad, good, bad])
    np.testing.assert_array_equal(got.info.divergent, [False, True, False, True])
    assert bool(jnp.all(jnp.isfinite(got.x[jnp.array([0, 2])])))


def test_a_chain_that_runs_away_is_told(getkey):
    x = jnp.array([[0.0, 0.0], [3.0, 3.0], [0.0, 0.1]])
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
    x = jnp.full((1, 2), 3.0)
    with pytest.raises(FloatingPointError, match="step_size"):
        sample(runaway, descent(), x, num_samples=1, num_warmup=10, key=getkey())


def test_divergence_in_the_last_step_is_told(getkey):
    # sqrt is finite at 0 and its slope is not: the energy alone would not show it
    x = jnp.array([[0.0], [1.0]])
    new, info = run(lambda x: jnp.sqrt(x[0]), descent(), x, num_steps=1, key=getkey())
    np.testing.assert_array_equal(jnp.isfinite(new[:, 0]), [False, True])
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
    x, key = jnp.array([[0.0], [2.0]]), getkey()
    _, info = run(square, _FailsOnce(), x, num_steps=num_steps, key=key)
    np.testing.assert_array_equal(info.divergent, [True, False])
    got = sample(square, _FailsOnce(), x, num_samples=num_steps, key=key)
    np.testing.assert_array_equal(got.info.divergent, [True, False])
    kept = sample(square, _FailsOnce(), x, num_samples=2, thin=num_steps, key=key)
    np.testing.assert_array_equal(kept.info.divergent, [True, False])


class _Counts(AbstractSampler[None]):
    """Counts up, and reports numbers that grow."""

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        return x + 1, state, StepInfo(x[0], 2 * x[0], 3 * x[0], x[0] < 0)


def _all(x, info):
    return {"x": x[0], "info": info}


def test_infos_sum_up_the_steps(getkey):
    x = jnp.array([[0.0], [10.0]])
    _, info = run(square, _Counts(), x, num_steps=4, key=getkey())
    np.testing.assert_allclose(info.energy, [3, 13])
    np.testing.assert_allclose(info.grad_norm, [6, 26])
    np.testing.assert_allclose(info.acceptance, [3 * 1.5, 3 * 11.5])
    got = sample(square, _Counts(), x, num_samples=2, num_warmup=2, thin=3, save=_all, key=getkey())
    # steps 2, 3, 4 and 5, 6, 7
    np.testing.assert_allclose(got.values["x"], [[5, 8], [15, 18]])
    np.testing.assert_allclose(got.values["info"].energy, [[4, 7], [14, 17]])
    np.testing.assert_allclose(got.values["info"].grad_norm, [[8, 14], [28, 34]])
    np.testing.assert_allclose(got.values["info"].acceptance, [[9, 18], [39, 48]])
    np.testing.assert_allclose(got.info.energy, [7, 17])
    np.testing.assert_allclose(got.info.grad_norm, [14, 34])
    np.testing.assert_allclose(got.info.acceptance, [13.5, 43.5])


@pytest.mark.parametrize("thin", [1, 2])
def test_each_sample_has_noise_of_its_own(thin, getkey):
    x = jnp.zeros((400, 1))
    got = sample(lambda x: 0 * jnp.sum(x), Langevin(1.0), x, num_samples=4, thin=thin, key=getkey())
    moves = np.diff(np.asarray(got.values)[:, :, 0], axis=1, prepend=0.0)
    correlation = np.corrcoef(moves.T)
    np.testing.assert_allclose(correlation, np.eye(4), atol=5 / np.sqrt(400))


def test_every_result_has_a_message():
    assert [code.value for code in RESULTS] == [0, 1, 2]
    messages = [code.message for code in RESULTS]
    assert len(set(messages)) == len(RESULTS)
    assert all("chain" in message for message in messages)
    assert "step_size" in RESULTS.nonfinite_chain.message
    assert "start" in RESULTS.nonfinite_start.message
