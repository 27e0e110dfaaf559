"""What is kept of a chain."""

import jax
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
    save_position_and_energy,
)

X = np.array([[1.0, -1.0], [0.5, 2.0], [3.0, 3.0]], np.float32)


def square(x):
    return 0.5 * jnp.sum(x**2)


def draw(save, key, num_samples=7, x=X, thin=2):
    options = {"num_warmup": 3, "thin": thin, "num_samples": num_samples}
    return sample(square, Langevin(0.5), x, save=save, key=key, **options)


class Together(AbstractSave):
    """What several policies keep of the same chain."""

    policies: tuple

    def init(self, x):
        return [policy.init(x) for policy in self.policies]

    def update(self, carry, x, info):
        pairs = zip(self.policies, carry, strict=True)
        new, stacked = zip(*(policy.update(one, x, info) for policy, one in pairs), strict=True)
        return list(new), list(stacked)

    def final(self, carry, stacked):
        parts = zip(self.policies, carry, stacked, strict=True)
        return [policy.final(one, kept) for policy, one, kept in parts]


def test_policies_agree_on_one_chain(getkey):
    """The moments are those of the trace, the last is its end, and a function is a trace."""
    policies = Trace(), Moments(), Last(), Trace(save_position_and_energy), _Highest()
    got = draw(Together(policies), getkey())
    trace, moments, last, pairs, own = got.values
    np.testing.assert_array_equal(moments.count, [7, 7, 7])
    np.testing.assert_allclose(moments.mean, np.mean(trace, 1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(moments.variance, np.var(trace, 1, ddof=1), rtol=1e-4)
    np.testing.assert_array_equal(last, got.x)
    np.testing.assert_array_equal(last, np.asarray(trace)[:, -1])
    np.testing.assert_array_equal(pairs["x"], trace)
    assert pairs["energy"].shape == (3, 7)
    np.testing.assert_allclose(own["highest"], np.max(pairs["energy"], 1), rtol=1e-6)
    np.testing.assert_array_equal(own["first"], np.asarray(trace)[..., 0])


@pytest.mark.parametrize("save", [Last(), save_position_and_energy])
def test_each_policy_is_taken_alone(save, getkey):
    got = draw(save, getkey())
    last = got.values if isinstance(save, Last) else np.asarray(got.values["x"])[:, -1]
    np.testing.assert_array_equal(last, got.x)


@jax.jit
def folded(x):
    """The moments of rows, without a sampler."""
    moments = Moments()
    step = lambda carry, one: moments.update(carry, one, None)  # noqa: E731
    return jax.lax.scan(step, moments.init(x[0]), x)[0]


def test_moments_of_a_far_mean_keep_their_digits():
    x = 1_000 + np.random.default_rng(0).normal(size=(50, 2))
    got = folded(x.astype(np.float32))
    np.testing.assert_allclose(got.mean, x.mean(0), rtol=1e-6)
    np.testing.assert_allclose(got.variance, x.var(0, ddof=1), rtol=1e-3)


def test_the_variance_of_one_sample_is_not_known():
    got = folded(np.ones((1, 2), np.float32))
    np.testing.assert_array_equal(got.mean, 1.0)
    assert np.all(np.isnan(got.variance))


def test_the_energy_is_that_of_the_position(getkey):
    got = draw(save_position_and_energy, getkey(), thin=1).values
    energy = 0.5 * np.sum(np.asarray(got["x"]) ** 2, -1)
    np.testing.assert_allclose(got["energy"], energy, rtol=1e-5)


class _Highest(AbstractSave):
    """The highest energy, and every position's first coordinate."""

    def init(self, x):
        return jnp.full((), -jnp.inf)

    def update(self, carry, x, info):
        return jnp.maximum(carry, info.energy), x[0]

    def final(self, carry, stacked):
        return {"highest": carry, "first": stacked}
