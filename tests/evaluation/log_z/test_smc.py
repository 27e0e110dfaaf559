"""Islands of particles step by step: where they stop, whom they keep, how they are moved."""

import blackjax.smc.resampling
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Function, Gaussian, Uniform
from ebmx.evaluation import adaptive_smc
from ebmx.evaluation.log_z import _smc
from ebmx.evaluation.log_z._annealing_path import AbstractPath
from ebmx.evaluation.log_z._annealing_schedule import Tuning
from ebmx.evaluation.log_z._smc import Island
from ebmx.samplers import HMC, MALA

NUM = 16
WIDE = Gaussian(jnp.zeros(2), 4.0)


class Line(AbstractPath):
    """Two coordinates, of which the first is the increment of the log density."""

    log_z = jnp.zeros(())

    def sample(self, *, key):
        return jax.random.uniform(key, (2,))

    def at(self, beta):
        return Function(lambda x: beta + 0 * x[0], (2,))

    def statistics(self, x):
        return x[0]

    def log_ratio(self, statistics, before, after):
        return (after - before) * statistics

    def enter(self, x, *, key):
        return x

    def leave(self, x, *, key):
        return x.at[1].set(jax.random.uniform(key))


def relative_size(weights):
    return weights.sum() ** 2 / np.sum(weights**2) / len(weights)


def island(x, beta, count=2, size=6):
    record = jnp.zeros(size)
    tuning = Tuning(jnp.log(jnp.float32(0.3)), jnp.ones(2))
    return Island(
        jnp.asarray(x), jnp.float32(beta), jnp.float32(0.5), tuning, jnp.int32(count),
        record.at[0].set(0.1), record.at[0].set(0.7),
    )  # fmt: skip


@pytest.mark.parametrize("scale", [30.0, 3.0, 1e4])
@pytest.mark.parametrize("target", [0.5, 0.9])
def test_the_next_temperature_has_the_fraction_of_effective_particles(scale, target):
    energies = np.float32(scale) * np.random.default_rng(0).normal(size=200).astype(np.float32)
    rise = lambda beta: (beta - 0.125) * energies  # noqa: E731
    beta = float(_smc._next(rise, jnp.float32(0.125), target))
    at_the_end = relative_size(np.exp(0.875 * (energies - energies.max())))
    if at_the_end >= target:
        assert beta == 1
        return
    assert 0.125 < beta < 1
    log = (beta - 0.125) * np.float64(energies)
    found = relative_size(np.exp(log - log.max()))
    assert target <= found + 1e-5
    assert found < target + 0.03


def test_a_temperature_rises_even_if_no_step_is_small_enough():
    # one particle alone has a density
    energies = jnp.where(jnp.arange(8) == 3, 0.0, -jnp.inf)
    for before in (0.0, 0.25, 1 - 1e-7):
        rise = lambda beta, before=before: jnp.where(beta > before, energies, 0.0)  # noqa: E731
        beta = _smc._next(rise, jnp.float32(before), 0.5)
        assert before < float(beta) <= 1
        assert float(beta) - before < 1e-3
    # as if there were no weights at all
    beta = _smc._next(lambda beta: jnp.full(8, -jnp.inf), jnp.float32(0.0), 0.5)
    assert 0 < float(beta) < 1e-3


@pytest.fixture
def spied(monkeypatch):
    """What resampling and moves are called with, outside of a trace."""
    met = {}

    def systematic(key, weights, num):
        met.update(choose_key=key, weights=np.asarray(weights, np.float64), num=num)
        return jnp.arange(num)[::-1] // 2

    def move(path, sampler, beta, x, num_steps, key):
        met.update(walk_key=key, before=np.asarray(x), beta=beta, sampler=sampler)
        met.update(num_steps=num_steps)
        return 2 * x, jnp.float32(0.9)

    monkeypatch.setattr(blackjax.smc.resampling, "systematic", systematic)
    monkeypatch.setattr(_smc, "move", move)
    return met


@pytest.mark.medium
def test_one_temperature_weighs_resamples_and_moves(spied):
    x = np.random.default_rng(1).normal(size=(NUM, 2)).astype(np.float32) * np.float32([20, 1])
    start, key = island(x, 0.25), jax.random.key(1)
    found = _smc._temper(Line(), HMC(0.5, 2), start, 0.8, 3, key)
    beta = float(found.beta)
    log = (beta - 0.25) * np.float64(x[:, 0])
    assert 0.25 < beta < 1
    assert relative_size(np.exp(log)) == pytest.approx(0.8, abs=0.03)
    # resampled by the weights, with a key of its own
    assert spied["num"] == NUM
    np.testing.assert_allclose(spied["weights"], np.exp(log) / np.exp(log).sum(), rtol=1e-4)
    keys = [np.asarray(jax.random.key_data(spied[k])) for k in ("choose_key", "walk_key")]
    assert len({tuple(k) for k in (*keys, np.asarray(jax.random.key_data(key)))}) == 3
    # moved from where the chosen ones are, at the new temperature, by the step size found before
    np.testing.assert_array_equal(spied["before"], x[np.arange(NUM)[::-1] // 2])
    assert float(spied["beta"]) == beta
    assert spied["num_steps"] == 3
    assert float(spied["sampler"].step_size) == pytest.approx(0.3)
    np.testing.assert_array_equal(found.x, 2 * spied["before"])
    assert float(found.log_weight) == pytest.approx(0.5 + np.log(np.mean(np.exp(log))), rel=1e-5)
    # what is learnt from the move
    assert float(found.tuning.log_step) == pytest.approx(np.log(0.3) + 0.9 - 0.7, rel=1e-5)
    variance = 0.5 + 0.5 * np.asarray(found.x).var(0)
    np.testing.assert_allclose(found.tuning.variance, variance, rtol=1e-5)
    # the record goes on
    assert int(found.count) == 3
    np.testing.assert_allclose(found.betas, [0.1, 0, beta, 0, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(found.acceptance, [0.7, 0, 0.9, 0, 0, 0], rtol=1e-6)


def test_particles_without_a_density_have_no_weight(spied):
    x = np.ones((NUM, 2), np.float32)
    x[:4, 0] = np.nan
    found = _smc._temper(Line(), HMC(0.5), island(x, 0.25), 0.5, 1, jax.random.key(1))
    assert float(found.beta) == 1
    np.testing.assert_allclose(spied["weights"], [0] * 4 + [1 / 12] * 12, rtol=1e-5)
    want = 0.5 + 0.75 + np.log(12 / 16)
    assert float(found.log_weight) == pytest.approx(want, rel=1e-5)


def test_the_search_at_the_base_adapts_the_step_size_and_the_masses(monkeypatch):
    places, met = jnp.stack([jnp.arange(float(NUM)), jnp.ones(NUM)], 1), []

    def mark(path, sampler, beta, x, num_steps, key):
        met.append((key, float(beta), num_steps, float(sampler.step_size)))
        return (1 + jax.random.uniform(key)) * places, jnp.float32(0.8)

    monkeypatch.setattr(_smc, "move", mark)
    monkeypatch.setattr(_smc, "_SEARCH", 3)
    key = jax.random.key(2)
    with jax.disable_jit():
        found = _smc._search(Line(), HMC(0.1, 5), places, 9, 3, key)
    # three moves at the base, with keys of their own
    assert [one[1:3] for one in met] == [(0.0, 3)] * 3
    keys = [one[0] for one in met]
    assert len({tuple(np.asarray(jax.random.key_data(k))) for k in (*keys, key)}) == 4
    scales = np.array([1 + float(jax.random.uniform(k)) for k in keys])
    np.testing.assert_allclose(found.x, scales[-1] * places, rtol=1e-6)
    # a tenth above the target at each, with a gain that falls
    want = np.log(0.1) + 0.1 * np.cumsum(2 / np.arange(1, 4) ** 0.6)
    assert float(found.tuning.log_step) == pytest.approx(want[-1], rel=1e-5)
    np.testing.assert_allclose([one[3] for one in met], [0.1, *np.exp(want[:-1])], rtol=1e-5)
    # half of the variances are forgotten each time
    variance = 1.0
    for scale in scales:
        variance = 0.5 * variance + 0.5 * scale**2
    want = variance * np.var(np.arange(NUM))
    assert float(found.tuning.variance[0]) == pytest.approx(want, rel=1e-5)
    assert float(found.beta) == float(found.log_weight) == float(found.count) == 0
    for record in (found.betas, found.acceptance):
        np.testing.assert_array_equal(record, np.zeros(9))


def test_islands_have_keys_of_their_own_and_stop_at_one_or_for_good(monkeypatch):
    def search(path, sampler, x, size, num_steps, key):
        record = jnp.zeros(size)
        tuning = Tuning(jnp.zeros(()), jnp.ones(2))
        mark, zero = jax.random.uniform(key), jnp.zeros(())
        # what the first temperatures would have, were their keys made of this one
        made = [jax.random.uniform(jax.random.fold_in(key, i)) for i in range(2)]
        return Island(x, zero, mark, tuning, jnp.int32(0), record, jnp.stack(made))

    def temper(path, sampler, island, target, num_steps, key):
        mark = jax.random.uniform(key)
        beta = island.beta + target
        betas = island.betas.at[island.count].set(mark)
        return Island(
            island.x,
            beta,
            island.log_weight,
            island.tuning,
            island.count + 1,
            betas,
            island.acceptance,
        )

    monkeypatch.setattr(_smc, "_search", search)
    monkeypatch.setattr(_smc, "_temper", temper)
    for target, count, most in ((0.25, 4, 6), (0.25, 2, 2)):
        ends, x = _smc._islands(Line(), MALA(0.1), NUM, 3, target, most, 1, jax.random.key(3))
        assert ends.count.tolist() == [count] * 3
        np.testing.assert_allclose(ends.beta, target * count)
        # starts, the search, each temperature and the ends
        marks = (ends.x[..., 0], ends.log_weight, ends.betas[:, :count], x[:, 1], ends.acceptance)
        marks = np.concatenate([np.asarray(mark).ravel() for mark in marks])
        assert x.shape == (3 * NUM, 2)
        assert len(np.unique(marks)) == marks.size
        np.testing.assert_array_equal(x[:, 0], np.asarray(ends.x)[..., 0].ravel())


@pytest.mark.medium
def test_the_estimate_is_made_of_what_the_islands_found(monkeypatch):
    log_weight, met = np.array([0.0, 1.0, -0.5]), {}

    def islands(path, sampler, num_particles, num_islands, target, most, num_steps, key):
        met.update(size=(num_particles, num_islands, most, num_steps), target=target)
        met.update(sampler=sampler, path=path)
        record = jnp.arange(1.0, 7.0) / 3
        betas = jnp.stack([record, 2 * record, record])
        ends = Island(None, jnp.asarray(met.get("beta", [1.0] * 3)), log_weight, None,
                      jnp.array([3, 4, 5]), betas, 10 * betas)  # fmt: skip
        return ends, jnp.zeros((24, 2))

    monkeypatch.setattr(_smc, "_islands", islands)
    options = {"num_particles": 8, "num_islands": 3, "max_temperatures": 6, "num_steps": 2}
    options |= {"target_ess": 0.7, "key": jax.random.key(4)}
    found = adaptive_smc(Gaussian(jnp.ones(2)), WIDE, **options)
    assert met["size"] == (8, 3, 6, 2)
    assert met["target"] == 0.7
    assert met["path"].base is WIDE
    assert isinstance(met["sampler"], HMC)
    want = np.log(8 * np.pi) + np.log(np.mean(np.exp(log_weight)))
    assert found.log_z == pytest.approx(want, rel=1e-6)
    # those of the first island, as far as it went
    np.testing.assert_allclose(found.schedule, [0, 1 / 3, 2 / 3, 1], rtol=1e-6)
    np.testing.assert_allclose(found.acceptance, [10 / 3, 20 / 3, 10], rtol=1e-6)
    assert found.x.shape == (24, 2)
    with pytest.warns(UserWarning, match="where the base has no density"):
        adaptive_smc(Gaussian(jnp.ones(2)), Uniform(jnp.ones(2), 2 * jnp.ones(2)), **options)
    met["beta"] = [1.0, 0.5, 0.9]
    with pytest.warns(UserWarning, match="2 of 3 islands stopped before"):
        adaptive_smc(Gaussian(jnp.ones(2)), WIDE, **options)
