"""The pilot run: how it moves, where it puts temperatures, and what it learns at each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Gaussian
from ebmx.evaluation.log_z import _annealing_schedule
from ebmx.evaluation.log_z._annealing_path import AbstractPath, GeometricPath
from ebmx.evaluation.log_z._annealing_schedule import (
    Tuning,
    move,
    plan,
    rises,
    spread,
)
from ebmx.samplers import HMC, MALA

KEY = jax.random.key(0)
QUARTER = np.float32(np.pi / 2)


def test_the_spread_is_over_increments_that_are_finite():
    values = np.array([1.0, 4.0, -np.inf, 2.0, np.nan], np.float32)
    assert float(spread(jnp.asarray(values))) == pytest.approx(np.std([1, 4, 2]), rel=1e-6)
    assert float(spread(jnp.full(3, -jnp.inf))) == 0


class Line(AbstractPath):
    """A path on the line on which the increments of the log weights are those of `x`."""

    log_z = jnp.zeros(())

    def sample(self, *, key):
        return jax.random.uniform(key, (1,), minval=1.0, maxval=2.0)

    def at(self, beta):
        return lambda x: beta

    def statistics(self, x):
        return x[0]

    def log_ratio(self, statistics, before, after):
        return (after - before) * statistics

    def enter(self, x, *, key):
        return x

    def leave(self, x, *, key):
        return x


def test_increments_that_are_undefined_are_minus_infinity():
    x = jnp.asarray([[2.0], [jnp.nan], [-jnp.inf]])
    found = rises(Line(), x, jnp.float32(0.25), jnp.float32(0.75))
    np.testing.assert_array_equal(found, [1.0, -np.inf, -np.inf])


def test_a_move_is_made_for_the_energy_of_its_temperature():
    path = GeometricPath(Gaussian(jnp.zeros(1)), Gaussian(jnp.zeros(1), 1e-4))
    x, acceptance = move(path, MALA(1e-3), jnp.float32(1.0), jnp.zeros((64, 1)), 3, KEY)
    assert x.shape == (64, 1)
    assert len(np.unique(x)) > 20
    # a step of ten deviations is rejected, and one of a tenth of them is not
    assert float(acceptance) < 0.5
    _, acceptance = move(path, MALA(1e-3), jnp.float32(0.0), jnp.zeros((64, 1)), 3, KEY)
    assert float(acceptance) > 0.95


def test_each_temperature_is_met_once_with_a_key_of_its_own(monkeypatch):
    num, places = 32, jnp.arange(1.0, 33.0)

    def mark(path, sampler, beta, x, num_steps, key):
        """Positions and an acceptance from which the key and the temperature can be read."""
        value = jax.random.uniform(key)
        return (value * places)[:, None], 0.5 * value + 0.25 * path.at(beta)(x) + 0.01 * num_steps

    monkeypatch.setattr(_annealing_schedule, "move", mark)
    betas = np.linspace(0, 1, 8).astype(np.float32) ** 3
    sampler = HMC(0.5, 5)
    found, lengths = _annealing_schedule._walk(Line(), sampler, jnp.asarray(betas), num, 7, KEY)
    variances = np.asarray(found.variance, np.float64)[:, 0]
    log_steps = np.asarray(found.log_step, np.float64)
    assert variances.shape == log_steps.shape == (8,)
    assert lengths.shape == (7,)
    # each time the variances forget a tenth
    of_places = np.var(np.arange(1, 33))
    marks = np.sqrt(np.diff(variances, prepend=np.nan) / 0.1 + np.append(np.nan, variances[:-1]))
    marks = marks[1:] / np.sqrt(of_places)
    assert len(np.unique(marks.round(4))) == 7
    # the last of forty steps at the base has left its positions for the first distance
    first = float(lengths[0]) / betas[1] / np.sqrt(of_places)
    assert 0 < first < 1
    deviations = np.append(first, marks[:-1]) * np.sqrt(of_places)
    np.testing.assert_allclose(lengths, np.diff(betas) * deviations, rtol=2e-3)
    # the gain has fallen as a power of the number of steps
    gain = np.maximum(2 / (1 + np.arange(40, 47)) ** 0.6, 0.2)
    acceptance = 0.5 * marks + 0.25 * betas[1:] + 0.07
    before = np.minimum(log_steps[:-1], np.log(QUARTER / 5))
    np.testing.assert_allclose(log_steps[1:], before + gain * (acceptance - 0.7), atol=2e-3)


def data(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


@pytest.mark.medium
def test_the_search_at_the_base_has_keys_and_gains_of_its_own(monkeypatch):
    met = []

    def start(path, num, key):
        met.append(key)
        return jnp.ones((num, 1))

    def still(path, sampler, beta, x, num_steps, key):
        met.append(key)
        return x, jnp.float32(0.674)

    monkeypatch.setattr(_annealing_schedule, "starts", start)
    monkeypatch.setattr(_annealing_schedule, "move", still)
    monkeypatch.setattr(_annealing_schedule, "_SEARCH", 2)
    with jax.disable_jit():
        betas = jnp.linspace(0, 1, 3)
        found, _ = _annealing_schedule._walk(Line(), MALA(0.5), betas, 4, 1, KEY)
    # one start and four moves, none of whose keys is another one, or made of the one before all
    used = [data(key) for key in met]
    assert len(set(used)) == 5
    for key in (met[0], KEY):
        made = {data(jax.random.fold_in(key, i)) for i in range(9)}
        assert not made & set(used[1:])
    # a tenth above the target at each step
    assert found.variance is None
    want = np.log(0.5) + 0.1 * np.cumsum(2 / np.arange(1, 5) ** 0.6)[1:4]
    np.testing.assert_allclose(found.log_step, want, rtol=1e-4)


def planned(monkeypatch, lengths, num_temperatures, betas=None):
    """The plan for distances that are given, and what the pilot run was called with."""
    met = {}

    def walk(path, sampler, tried, num_chains, num_steps, key):
        met.update(tried=np.asarray(tried, np.float64), num_chains=num_chains, key=key)
        met.update(num_steps=num_steps)
        return Tuning(jnp.arange(tried.size, dtype=jnp.float32), None), lengths(met["tried"])

    monkeypatch.setattr(_annealing_schedule, "_walk", walk)
    return plan(Line(), MALA(0.1), num_temperatures, betas, 3, key=KEY), met


@pytest.mark.parametrize(("num_temperatures", "pilots"), [(7, 100), (600, 150), (4000, 500)])
def test_temperatures_are_at_equal_distances(monkeypatch, num_temperatures, pilots):
    # the precision of a Gaussian goes from 1 to 101: distances are those of its logarithm
    def lengths(tried):
        return jnp.asarray(np.diff(np.log1p(100 * tried)), jnp.float32)

    found, met = planned(monkeypatch, lengths, num_temperatures)
    assert met["num_chains"] == 32
    assert met["num_steps"] == 3
    np.testing.assert_allclose(met["tried"], np.linspace(0, 1, pilots + 1) ** 3, atol=1e-6)
    betas = np.asarray(found.betas, np.float64)
    assert betas.shape == (num_temperatures + 1,)
    assert betas[0] == 0
    assert betas[-1] == 1
    assert np.all(np.diff(betas) > 0)
    # a tenth of the temperatures goes where those of the pilot are
    way = 0.9 * np.log1p(100 * betas) / np.log(101) + 0.1 * np.cbrt(betas)
    np.testing.assert_allclose(way, np.linspace(0, 1, num_temperatures + 1), atol=5e-3)
    nearest = np.abs(np.cbrt(betas)[:, None] - np.cbrt(met["tried"])).argmin(1)
    assert np.abs(np.asarray(found.rows) - nearest).max() <= 1
    assert np.mean(np.asarray(found.rows) == nearest) > 0.98
    assert float(found.tuning(found.rows[-1]).log_step) == pilots


def test_a_schedule_is_kept_and_flat_paths_have_one(monkeypatch):
    schedule = np.array([0.0, 0.1, 0.2, 1.0])
    found, met = planned(monkeypatch, lambda tried: jnp.ones(100), 7, schedule)
    np.testing.assert_allclose(found.betas, schedule, rtol=1e-6)
    np.testing.assert_array_equal(found.rows, np.rint(100 * np.cbrt(schedule)))
    # paths of any length have temperatures at equal distances
    short = planned(monkeypatch, lambda tried: 1e-3 * jnp.arange(100.0) / 4950, 10)[0]
    long = planned(monkeypatch, lambda tried: jnp.arange(100.0), 10)[0]
    np.testing.assert_allclose(short.betas, long.betas, rtol=1e-4)
    late = planned(monkeypatch, lambda tried: jnp.arange(100.0) // 99, 10)[0]
    assert np.sum(np.asarray(late.betas) > 0.97) == 10
    found, met = planned(monkeypatch, lambda tried: jnp.zeros(100), 10)
    np.testing.assert_allclose(found.betas, np.linspace(0, 1, 11) ** 3, atol=1e-3)
    assert met["tried"].size == 101


@pytest.fixture(scope="module")
def gaussian():
    """The plan between two Gaussians of ten coordinates, with precisions 1 and 100."""
    path = GeometricPath(Gaussian(jnp.zeros(10)), Gaussian(jnp.zeros(10), 0.01))
    return plan(path, HMC(0.5, 3), 100, None, 2, key=KEY)


@pytest.mark.medium
def test_the_plan_between_gaussians_is_the_best_one(gaussian):
    precision = 1 + 99 * np.asarray(gaussian.betas, np.float64)
    # temperatures at equal distances of the logarithm of the precision, but for a tenth of them
    way = 0.9 * np.log(precision) / np.log(100) + 0.1 * np.cbrt(gaussian.betas)
    np.testing.assert_allclose(way, np.linspace(0, 1, 101), atol=0.04)
    # masses are the variances, which lag by ten of the pilot's temperatures at most
    lag = 1 / (1 + 99 * np.linspace(0, 1, 101) ** 3)
    for i in range(1, 101):
        lag[i] = 0.9 * lag[i - 1] + 0.1 * lag[i]
    found = np.asarray(gaussian.tunings.variance, np.float64).mean(1)
    np.testing.assert_allclose(found[20:], lag[20:], rtol=0.12)
    # with these masses one step size suits all temperatures
    assert np.ptp(np.asarray(gaussian.tunings.log_step)[:60]) < 1.5
