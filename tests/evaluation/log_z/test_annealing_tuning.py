"""The pilot run tunes step sizes and variances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.evaluation.log_z._annealing_schedule import Tuning, first_tuning, retune, tuned
from ebmx.samplers import HMC, MALA, NUTS, AbstractSampler, BlockGibbs

X = np.random.default_rng(0).normal(size=(50, 2, 2)).astype(np.float32) * np.float32([1, 3])
VARIANCE = X.reshape(50, 4).var(0)
QUARTER = np.float32(np.pi / 2)


def tuning(step, variance=None):
    return Tuning(jnp.log(jnp.float32(step)), None if variance is None else jnp.asarray(variance))


def test_the_first_tuning_is_the_step_size_and_the_variances_of_the_start():
    for sampler in (HMC(0.2, 5), NUTS(0.2)):
        found = first_tuning(sampler, jnp.asarray(X))
        assert float(found.log_step) == pytest.approx(np.log(0.2))
        np.testing.assert_allclose(found.variance, VARIANCE, rtol=1e-5)
    for sampler in (MALA(0.2), HMC(0.2, 5, np.ones(4)), NUTS(0.2, np.ones(4))):
        found = first_tuning(sampler, jnp.asarray(X))
        assert float(found.log_step) == pytest.approx(np.log(0.2))
        assert found.variance is None
    found = first_tuning(BlockGibbs(), jnp.asarray(X))
    assert found.variance is None
    assert float(found.log_step) == 0


def test_a_coordinate_that_does_not_vary_has_a_small_positive_variance():
    still = X.reshape(50, 4) * np.float32([1, 0, 1, 1])
    found = np.asarray(first_tuning(HMC(0.2), jnp.asarray(still)).variance)
    moving = still.var(0)
    np.testing.assert_allclose(found[[0, 2, 3]], moving[[0, 2, 3]], rtol=1e-5)
    assert found[1] == pytest.approx(1e-6 * moving.mean(), rel=1e-4)
    none = first_tuning(HMC(0.2), jnp.zeros((50, 4))).variance
    assert np.all(np.asarray(none) > 0)


def test_a_tuned_sampler_takes_what_was_found():
    assert isinstance(tuned(BlockGibbs(), tuning(0.3)), BlockGibbs)
    assert float(tuned(MALA(9.0), tuning(0.3)).step_size) == pytest.approx(0.3)
    found = tuned(HMC(9.0, 4), tuning(0.3, VARIANCE))
    assert float(found.step_size) == pytest.approx(0.3)
    assert found.num_integration_steps == 4
    np.testing.assert_array_equal(found.inverse_mass_matrix, VARIANCE)
    masses = HMC(9.0, 4, np.ones(4))
    found = tuned(masses, tuning(3.0))
    assert float(found.step_size) == pytest.approx(3.0)
    np.testing.assert_array_equal(found.inverse_mass_matrix, 1)


class Slices(AbstractSampler):
    """Its step size is the width of a first slice, which does not depend on an acceptance."""

    step_size: float = 0.4
    reports_acceptance: bool = False

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        raise AssertionError("no step is to be taken here")


def test_a_step_size_without_an_acceptance_is_left_alone():
    found = first_tuning(Slices(), jnp.asarray(X))
    assert float(found.log_step) == 0
    assert tuned(Slices(), tuning(9.0)) == Slices()
    found = first_tuning(Slices(reports_acceptance=True), jnp.asarray(X))
    assert float(tuned(Slices(reports_acceptance=True), found).step_size) == pytest.approx(0.4)


@pytest.mark.parametrize("acceptance", [0.0, 1.0])
def test_a_step_size_stays_a_positive_number_whatever_is_accepted(acceptance):
    found, sampler = tuning(0.1), MALA(0.1)
    for _ in range(30):
        found = retune(found, sampler, jnp.asarray(X), jnp.float32(acceptance), 9.0, 0.9)
    sampler = tuned(sampler, found)
    assert abs(float(found.log_step)) == 80
    assert 0 < float(sampler.step_size) < np.inf
    # and comes back at the next step with another acceptance
    found = retune(found, sampler, jnp.asarray(X), jnp.float32(1 - acceptance), 9.0, 0.9)
    assert abs(float(found.log_step)) < 78


@pytest.mark.parametrize("num", [1, 4])
def test_a_trajectory_with_masses_is_a_quarter_of_a_period_at_most(num):
    found = tuned(HMC(0.1, num), tuning(3.0, VARIANCE))
    assert float(found.step_size) * num == pytest.approx(QUARTER, rel=1e-6)
    # NUTS ends its trajectories by itself
    assert float(tuned(NUTS(0.1), tuning(3.0, VARIANCE)).step_size) == pytest.approx(3.0)


def test_step_sizes_follow_the_acceptance_and_variances_the_chains():
    flat = jnp.asarray(X)
    for sampler, target in ((HMC(0.1, 5), 0.7), (NUTS(0.1), 0.7), (MALA(0.1), 0.574)):
        variance = None if target < 0.6 else 2 * VARIANCE
        found = retune(tuning(0.2, variance), sampler, flat, jnp.float32(0.9), 0.5, 0.75)
        assert float(found.log_step) == pytest.approx(np.log(0.2) + 0.5 * (0.9 - target), rel=1e-5)
        assert found.log_step.dtype == jnp.float32
        if variance is not None:
            np.testing.assert_allclose(found.variance, 1.75 * VARIANCE, rtol=1e-5)
        else:
            assert found.variance is None
    # what is not finite is as good as a rejection
    found = retune(tuning(0.2), MALA(0.1), flat, jnp.float32(np.nan), 1.0, 0.9)
    assert float(found.log_step) == pytest.approx(np.log(0.2) - 0.574, rel=1e-5)
    # it goes on from the step that was made, not from the one that was too long
    found = retune(tuning(99.0, VARIANCE), HMC(0.1, 5), flat, jnp.float32(0.7), 1.0, 0.9)
    assert float(found.log_step) == pytest.approx(np.log(QUARTER / 5), rel=1e-5)
    assert (
        float(retune(tuning(1.0), BlockGibbs(), flat, jnp.float32(0.574), 1.0, 0.9).log_step) == 0
    )


def test_a_step_size_keeps_its_precision_when_double_precision_is_on():
    with jax.enable_x64():
        gain = jnp.asarray(0.5, jnp.float64)
        acceptance = jnp.float32(0.9)
        found = retune(tuning(0.2), MALA(0.1), jnp.asarray(X), acceptance, gain, 0.9)
        assert found.log_step.dtype == jnp.float32
