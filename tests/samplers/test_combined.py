"""Samplers made of samplers."""

import equinox as eqx
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


@pytest.mark.medium
def test_a_local_cycle_is_exact(getkey):
    energy = DoubleWell((1,), 1.0)
    x = np.random.default_rng(0).choice(np.array([-1.0, 1.0], np.float32), (2_000, 1))
    x, info = run(energy, Cycle((MALA(0.2), MALA(0.6))), x, num_steps=60, key=getkey())
    assert_mean(x, energy.mean)
    assert_mean(np.asarray(x) ** 2, energy.variance)
    assert not np.any(info.divergent)


def test_a_cycle_takes_each_in_turn(getkey):
    cycle = Cycle((_Shift(1.0, 0.5), _Shift(10.0, 0.25)))
    x, info = run(
        lambda x: jnp.sum(x), cycle, np.zeros((2, 1), np.float32), num_steps=3, key=getkey()
    )
    np.testing.assert_allclose(x, np.full((2, 1), 33.0))
    np.testing.assert_allclose(info.acceptance, 0.375)
    np.testing.assert_allclose(info.energy, 23.0)
    np.testing.assert_allclose(info.grad_norm, 0.25)


def test_a_cycle_tells_a_divergence_of_any(getkey):
    cycle = Cycle((_Shift(0.0, 11.0), _Shift(0.0)))
    _, info = run(
        lambda x: jnp.sum(x), cycle, np.zeros((1, 1), np.float32), num_steps=1, key=getkey()
    )
    assert bool(info.divergent[0])


@pytest.mark.parametrize(("weights", "share"), [(None, 0.5), (jnp.array([3.0, 1.0]), 0.75)])
def test_a_mixture_takes_each_by_its_weight(weights, share, getkey):
    mixture = Mixture((_Shift(1.0), _Shift(0.0)), weights)
    x, _ = run(
        lambda x: jnp.sum(x), mixture, np.zeros((4_000, 1), np.float32), num_steps=1, key=getkey()
    )
    assert_mean(x, [share])


@jax.jit
def jumps(x, key):
    """Thirty steps of an independence sampler, and where it would have gone."""
    sampler = Independence(WIDE)

    def step(carry, key):
        x, state, info = sampler.step(MODES, *carry, key=key)
        y = WIDE.sample(key=jax.random.split(key)[0])
        return (x, state), (carry[0], y, x, carry[1], info)

    begin = x, sampler.init(MODES, x, key=key)
    return jax.lax.scan(step, begin, jax.random.split(key, 30))[1]


def test_the_acceptance_of_a_jump_is_the_documented_one(getkey):
    old, y, new, state, info = jax.tree.map(
        np.asarray, jumps(np.array([0.8], np.float32), getkey())
    )

    def log_p(z):
        parts = 0.3 * scipy.stats.norm(-4, 0.5).pdf(z) + 0.7 * scipy.stats.norm(4, 0.5).pdf(z)
        return np.log(parts)

    log_q = scipy.stats.norm(0, 4.0).logpdf
    want = np.exp(np.minimum(0.0, log_p(y) + log_q(old) - log_p(old) - log_q(y)))[:, 0]
    np.testing.assert_allclose(info.acceptance, want, rtol=2e-3, atol=1e-6)
    stayed, jumped = (new == old)[:, 0], np.isclose(new, y, atol=1e-6)[:, 0]
    assert np.all(stayed != jumped)
    # the energy is that of the position, before and after
    np.testing.assert_allclose(state, -log_p(old)[:, 0], rtol=1e-4)
    np.testing.assert_allclose(info.energy, -log_p(new)[:, 0], rtol=1e-4)
    assert np.any((want > 0.01) & (want < 0.99))
    assert stayed.any()
    assert jumped.any()


@eqx.filter_jit
def jump_beyond(beyond, x, key):
    def energy(x):
        return jnp.where(x[0] > 0, beyond, 0.5 * jnp.sum(x**2))

    return run(energy, Independence(WIDE), x, num_steps=1, key=key)


@pytest.mark.parametrize("beyond", [np.nan, np.inf])
def test_a_jump_to_where_the_energy_is_not_finite_is_rejected(beyond, getkey):
    start = np.repeat(np.array([[-1.0], [1.0]], np.float32), 500, axis=0)
    x, info = jax.tree.map(np.asarray, jump_beyond(jnp.asarray(beyond), start, getkey()))
    well, ill = x[:500, 0], x[500:, 0]
    assert well.max() < 0
    # half of the jumps are to there
    assert_mean(info.acceptance[:500] == 0, 0.5)
    assert 0.1 < np.mean(well != -1.0) < 0.5
    np.testing.assert_allclose(info.energy[:500], 0.5 * well**2, rtol=1e-6)
    assert not np.any(info.divergent[:500])
    assert info.grad_norm is None
    # a chain that starts there leaves with each jump to a finite energy
    assert_mean(ill < 0, 0.5)
    np.testing.assert_array_equal(info.divergent[500:], ill > 0)
    np.testing.assert_array_equal(ill[ill > 0], 1.0)


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


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_temperature_of_a_cycle_of_one(temperature):
    assert Cycle((Langevin(0.1, temperature=temperature),)).effective_temperature == temperature


@pytest.mark.medium
def test_a_mixture_reports_a_gradient_norm_if_each_of_its_samplers_does(getkey):
    energy, x = lambda x: jnp.sum(x), np.zeros((2, 1), np.float32)
    both = Mixture((_Shift(1.0, 0.5), _Shift(10.0, 0.25)))
    _, info = run(energy, both, x, num_steps=1, key=getkey())
    assert set(np.asarray(info.grad_norm).tolist()) <= {0.5, 0.25}
    one = Mixture((MALA(0.1), Independence(WIDE)))
    assert run(WIDE, one, x, num_steps=1, key=getkey())[1].grad_norm is None
