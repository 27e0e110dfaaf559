"""Samplers made of samplers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import assert_mean

from ebmx.energies import DoubleWell, Gaussian, GaussianMixture
from ebmx.samplers import (
    MALA,
    AbstractSampler,
    Cycle,
    Independence,
    Langevin,
    Mixture,
    Moments,
    StepInfo,
    run,
    sample,
)

MODES = GaussianMixture(jnp.array([[-4.0], [4.0]]), 0.5, jnp.array([0.3, 0.7]))
WIDE = Gaussian(jnp.zeros(1), 16.0)


class _Shift(AbstractSampler[None]):
    """Goes up by a number, and reports a number as its acceptance."""

    by: float
    acceptance: float = 1.0

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        one = jnp.asarray(self.acceptance)
        return x + self.by, state, StepInfo(jnp.sum(x), one, one, one > 10)


COMBINED = {
    "cycle": Cycle((MALA(0.25), Independence(WIDE))),
    "mixture": Mixture((MALA(0.25), Independence(WIDE)), jnp.array([1.0, 2.0])),
    "independence": Independence(WIDE),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMBINED)
def test_jumps_make_the_weights_of_modes_right(name, getkey):
    x = jnp.full((500, 1), 4.0)
    options = {"num_warmup": 100, "num_samples": 200, "save": Moments()}
    got = sample(MODES, COMBINED[name], x, key=getkey(), **options).values
    mean, second = np.asarray(got.mean), np.asarray(got.square) / 200
    assert_mean(mean, MODES.mean)
    assert_mean(second + (mean - np.asarray(MODES.mean)) ** 2, MODES.variance)
    alone, _ = run(MODES, MALA(0.25), x, num_steps=300, key=getkey())
    assert float(alone.min()) > 0


def test_a_local_cycle_is_exact(getkey):
    energy = DoubleWell((1,), 1.0)
    x = jax.random.rademacher(getkey(), (2_000, 1), jnp.float32)
    x, info = run(energy, Cycle((MALA(0.2), MALA(0.6))), x, num_steps=60, key=getkey())
    assert_mean(x, energy.mean)
    assert_mean(x**2, energy.variance)
    assert not np.any(info.divergent)


def test_a_cycle_takes_each_in_turn(getkey):
    cycle = Cycle((_Shift(1.0, 0.5), _Shift(10.0, 0.25)))
    x, info = run(lambda x: jnp.sum(x), cycle, jnp.zeros((2, 1)), num_steps=3, key=getkey())
    np.testing.assert_allclose(x, np.full((2, 1), 33.0))
    np.testing.assert_allclose(info.acceptance, 0.375)
    np.testing.assert_allclose(info.energy, 23.0)


def test_a_cycle_tells_a_divergence_of_any(getkey):
    cycle = Cycle((_Shift(0.0, 11.0), _Shift(0.0)))
    _, info = run(lambda x: jnp.sum(x), cycle, jnp.zeros((1, 1)), num_steps=1, key=getkey())
    assert bool(info.divergent[0])


def test_samplers_of_a_cycle_have_keys_of_their_own(getkey):
    twice = Cycle((Langevin(1.0), Langevin(1.0)))
    x, _ = run(lambda x: 0 * jnp.sum(x), twice, jnp.zeros((5_000, 1)), num_steps=1, key=getkey())
    assert_mean(x**2, [2.0])


@pytest.mark.parametrize(("weights", "share"), [(None, 0.5), (jnp.array([3.0, 1.0]), 0.75)])
def test_a_mixture_takes_each_by_its_weight(weights, share, getkey):
    mixture = Mixture((_Shift(1.0), _Shift(0.0)), weights)
    x, _ = run(lambda x: jnp.sum(x), mixture, jnp.zeros((4_000, 1)), num_steps=1, key=getkey())
    assert_mean(x, [share])


def test_the_acceptance_of_a_jump_is_the_documented_one(getkey):
    sampler = Independence(WIDE)
    x, key = jnp.array([0.8]), getkey()
    state = sampler.init(MODES, x, key=key)
    np.testing.assert_allclose(state, MODES(x))

    def log_p(z):
        parts = 0.3 * scipy.stats.norm(-4, 0.5).pdf(z) + 0.7 * scipy.stats.norm(4, 0.5).pdf(z)
        return np.log(parts)

    log_q = scipy.stats.norm(0, 4.0).logpdf
    below, outcomes = 0, set()
    for i in range(30):
        step_key = jax.random.fold_in(key, i)
        y = float(WIDE.sample(key=jax.random.split(step_key)[0])[0])
        x0 = float(x[0])
        want = np.exp(min(0.0, log_p(y) + log_q(x0) - log_p(x0) - log_q(y)))
        x, state, info = sampler.step(MODES, x, state, key=step_key)
        np.testing.assert_allclose(info.acceptance, want, rtol=2e-3, atol=1e-6)
        assert float(x[0]) in (x0, pytest.approx(y))
        np.testing.assert_allclose(state, MODES(x), rtol=1e-5)
        np.testing.assert_array_equal(info.energy, state)
        below += 0.01 < want < 0.99
        outcomes.add(float(x[0]) != x0)
    assert below > 0
    assert outcomes == {True, False}


@pytest.mark.parametrize("beyond", [np.nan, np.inf])
def test_a_jump_to_where_the_energy_is_not_finite_is_rejected(beyond, getkey):
    def energy(x):
        return jnp.where(x[0] > 0, beyond, 0.5 * jnp.sum(x**2))

    x, info = run(energy, Independence(WIDE), jnp.full((500, 1), -1.0), num_steps=1, key=getkey())
    assert float(x.max()) < 0
    # half of the jumps are to there
    assert_mean(np.asarray(info.acceptance) == 0, 0.5)
    assert 0.1 < float(np.mean(np.asarray(x) != -1.0)) < 0.5
    np.testing.assert_allclose(info.energy, 0.5 * x[:, 0] ** 2, rtol=1e-6)
    assert not np.any(info.divergent)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cycle(()), "samplers="),
        (lambda: Cycle((MALA,)), "samplers="),
        (lambda: Mixture((MALA(0.1),), jnp.ones(2)), r"weights\.shape=\(2,\).*\(1,\)"),
        (lambda: Mixture((MALA(0.1),), jnp.zeros(1)), "weights="),
        (lambda: Independence(DoubleWell((1,))), "proposal=DoubleWell"),
    ],
)
def test_what_does_not_fit_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()
