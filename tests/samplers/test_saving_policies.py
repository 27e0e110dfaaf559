"""What is kept of a chain."""

import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.samplers import (
    AbstractSave,
    Langevin,
    Last,
    Moments,
    Trace,
    sample,
    save_position,
    save_position_and_energy,
)

X = jnp.array([[1.0, -1.0], [0.5, 2.0], [3.0, 3.0]])


def square(x):
    return 0.5 * jnp.sum(x**2)


def draw(save, key, num_samples=7, x=X, thin=2):
    options = {"num_warmup": 3, "thin": thin, "num_samples": num_samples}
    return sample(square, Langevin(0.5), x, save=save, key=key, **options)


def test_moments_are_those_of_the_trace(getkey):
    key = getkey()
    trace, moments = draw(Trace(), key).values, draw(Moments(), key).values
    np.testing.assert_array_equal(moments.count, [7, 7, 7])
    np.testing.assert_allclose(moments.mean, np.mean(trace, 1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(moments.variance, np.var(trace, 1, ddof=1), rtol=1e-4)


def test_moments_of_a_far_mean_keep_their_digits(getkey):
    flat = jnp.full((1, 1), 1_000.0)
    key = getkey()
    options = {"num_samples": 50, "key": key}
    energy, sampler = lambda x: 0.5 * jnp.sum((x - 1_000.0) ** 2), Langevin(0.5)
    trace = sample(energy, sampler, flat, **options).values
    moments = sample(energy, sampler, flat, save=Moments(), **options).values
    np.testing.assert_allclose(moments.variance, np.var(trace, 1, ddof=1), rtol=1e-2)


def test_the_variance_of_one_sample_is_not_known(getkey):
    assert np.all(np.isnan(draw(Moments(), getkey(), num_samples=1).values.variance))


def test_the_last_is_the_position(getkey):
    key = getkey()
    got = draw(Last(), key)
    np.testing.assert_array_equal(got.values, got.x)
    np.testing.assert_array_equal(got.values, draw(save_position, key).values[:, -1])


@pytest.mark.slow
@pytest.mark.parametrize("save", [Last(), Moments()])
def test_their_memory_does_not_grow(save, getkey):
    shapes = [
        [leaf.shape for leaf in _leaves(draw(save, getkey(), num_samples=n).values)]
        for n in (2, 40)
    ]
    assert shapes[0] == shapes[1]


def _leaves(values):
    return [values] if hasattr(values, "shape") else list(values)


def test_a_function_is_a_trace(getkey):
    key = getkey()
    plain = draw(save_position_and_energy, key).values
    traced = draw(Trace(save_position_and_energy), key).values
    np.testing.assert_array_equal(plain["x"], traced["x"])
    assert plain["energy"].shape == (3, 7)


def test_the_energy_is_that_of_the_gradient_before_the_position(getkey):
    got = draw(save_position_and_energy, getkey(), thin=1).values
    before = 0.5 * np.sum(np.asarray(got["x"])[:, :-1] ** 2, -1)
    np.testing.assert_allclose(got["energy"][:, 1:], before, rtol=1e-5)


class _Highest(AbstractSave):
    """The highest energy, and every position's first coordinate."""

    def init(self, x):
        return jnp.full((), -jnp.inf)

    def update(self, carry, x, info):
        return jnp.maximum(carry, info.energy), x[0]

    def final(self, carry, stacked):
        return {"highest": carry, "first": stacked}


def test_a_policy_of_ones_own(getkey):
    key = getkey()
    got, want = draw(_Highest(), key).values, draw(save_position_and_energy, key).values
    np.testing.assert_allclose(got["highest"], np.max(want["energy"], 1), rtol=1e-6)
    np.testing.assert_array_equal(got["first"], want["x"][..., 0])
