"""Annealed walks step by step, by chains that write down what happens to them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Function, Gaussian
from ebmx.evaluation import annealed_importance_sampling
from ebmx.evaluation.log_z import _annealed_importance
from ebmx.evaluation.log_z._annealed_importance import anneal
from ebmx.evaluation.log_z._annealing_path import AbstractPath
from ebmx.evaluation.log_z._annealing_schedule import Plan, Tuning
from ebmx.evaluation.log_z._estimate import LogZ
from ebmx.samplers import AbstractSampler, StepInfo

BETAS = np.float32([0.0, 0.1, 0.4, 1.0])
STEPS = np.float32([0.3, 0.5, 0.7, 0.9, 1.1])
ROWS = np.array([4, 2, 0, 3])
SLOTS, CHAINS = 12, 5
ROUTE = Plan(jnp.asarray(BETAS), jnp.asarray(ROWS), Tuning(jnp.log(STEPS), None))
NEITHER = -1.0


def write(x, key, beta, step_size):
    """The next free line of a chain: a number of the key, the temperature, the step size."""
    line = jnp.stack([jax.random.uniform(key, minval=0.1), beta, step_size])
    place = 1 + 3 * x[0].astype(int)
    return jax.lax.dynamic_update_slice(x, line, (place,)).at[0].add(1)


class Written(AbstractPath):
    """The log weights rise by the last number of a key."""

    log_z = jnp.zeros(())

    def sample(self, *, key):
        return write(jnp.zeros(1 + 3 * SLOTS), key, jnp.float32(NEITHER), jnp.float32(NEITHER))

    def at(self, beta):
        return Function(lambda x: beta + 0 * x[0], (1 + 3 * SLOTS,))

    def statistics(self, x):
        return x[3 * x[0].astype(int) - 2]

    def log_ratio(self, statistics, before, after):
        return (after - before) * statistics

    def enter(self, x, *, key):
        return write(x, key, jnp.float32(NEITHER), jnp.float32(NEITHER))

    leave = enter


class Writer(AbstractSampler):
    """Writes down its key, the temperature, which is the energy, and its step size."""

    step_size: jax.Array | float = 1.0
    is_invariant: bool = True

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        x = write(x, key, energy(x), jnp.asarray(self.step_size))
        info = StepInfo(energy(x), jnp.zeros(()), x[3 * x[0].astype(int) - 2], jnp.zeros((), bool))
        return x, state, info


def lines(x):
    """The lines `(chains, lines, 3)` that chains have written."""
    x = np.asarray(x, np.float64)
    assert len(set(x[:, 0])) == 1
    return x[:, 1:].reshape(len(x), SLOTS, 3)[:, : int(x[0, 0])]


@pytest.mark.parametrize("num_steps", [1, 2])
def test_chains_go_forwards_by_a_rise_of_the_weight_and_then_a_move(num_steps):
    key = jax.random.key(0)
    log_weights, x, acceptance, _ = anneal(Written(), Writer(), ROUTE, None, CHAINS, num_steps, key)
    found = lines(x)
    # a start, the moves for all but the first temperature, and the end
    assert found.shape == (CHAINS, 1 + 3 * num_steps + 1, 3)
    marks = found[..., 0]
    assert len(np.unique(marks)) == marks.size
    moves = found[:, 1:-1].reshape(CHAINS, 3, num_steps, 3)
    np.testing.assert_array_equal(
        moves[..., 1], np.broadcast_to(BETAS[1:, None], (CHAINS, 3, num_steps))
    )
    want = np.broadcast_to(STEPS[ROWS[1:], None], (CHAINS, 3, num_steps))
    np.testing.assert_allclose(moves[..., 2], want, rtol=1e-6)
    np.testing.assert_allclose(acceptance, moves[..., 0].mean((0, 2)), rtol=1e-5)
    last = np.concatenate([marks[:, :1], moves[:, :-1, -1, 0]], 1)
    np.testing.assert_allclose(log_weights, last @ np.diff(BETAS), rtol=1e-5)


def test_chains_go_backwards_by_a_move_and_then_a_rise_of_the_weight():
    start = np.zeros((CHAINS, 1 + 3 * SLOTS), np.float32)
    log_weights, x, acceptance, _ = anneal(
        Written(), Writer(), ROUTE, jnp.asarray(start), CHAINS, 2, jax.random.key(1)
    )
    found = lines(x)
    assert found.shape == (CHAINS, 1 + 6 + 1, 3)
    marks = found[..., 0]
    assert len(np.unique(marks)) == marks.size
    moves = found[:, 1:-1].reshape(CHAINS, 3, 2, 3)
    downwards = BETAS[:0:-1], STEPS[ROWS[:0:-1]]
    for place, values in zip((1, 2), downwards, strict=True):
        want = np.broadcast_to(values[:, None], (CHAINS, 3, 2))
        np.testing.assert_allclose(moves[..., place], want, rtol=1e-6)
    # by temperature from the base on
    np.testing.assert_allclose(acceptance, moves[:, ::-1, :, 0].mean((0, 2)), rtol=1e-5)
    want = moves[:, :, -1, 0] @ np.diff(BETAS[::-1])
    np.testing.assert_allclose(log_weights, want, rtol=1e-5)


@pytest.mark.parametrize("backwards", [False, True])
def test_the_keys_of_moves_are_not_those_of_starts_and_ends(backwards, monkeypatch):
    def mark(path, sampler, beta, x, num_steps, key):
        """Numbers of the key and of the keys that chains make of it."""
        keys = jax.random.split(key, len(x))
        child = jax.vmap(lambda key: jax.random.uniform(key, minval=0.1))(keys)
        last = jnp.float32(NEITHER)
        return jax.vmap(lambda x, child: write(x, key, child, last))(x, child), jnp.zeros(())

    monkeypatch.setattr(_annealed_importance, "move", mark)
    key = jax.random.key(5)
    start = jnp.zeros((CHAINS, 1 + 3 * SLOTS)) if backwards else None
    _, x, *_ = anneal(Written(), Writer(), ROUTE, start, CHAINS, 9, key)
    found = lines(x)
    marks, children = found[..., 0], found[:, 1:-1, 1].ravel()
    moves = marks[:, 1:-1]
    np.testing.assert_array_equal(moves, np.broadcast_to(moves[0], moves.shape))
    used = np.concatenate([marks[:, 0], moves[0], children, marks[:, -1]])
    assert len(np.unique(used)) == len(used) == 5 * CHAINS + 3


BASE = Gaussian(jnp.zeros(2), 4.0)
ENERGY = Gaussian(jnp.ones(2))
LOG_WEIGHTS = np.array([0.0, 1.0, -2.0])
POSITIONS = jnp.zeros((3, 2))


@pytest.fixture
def calls(monkeypatch):
    """The arguments of the pilot run and of the walk, neither of which is made."""
    met = {}

    def plan(path, sampler, num_temperatures, betas, num_steps, *, key):
        met.update(plan_key=key, num_temperatures=num_temperatures, betas=betas)
        met.update(path=path, sampler=sampler, plan_steps=num_steps)
        return ROUTE

    def walk(path, sampler, route, samples, num_chains, num_steps, key):
        met.update(walk_key=key, samples=samples, num_chains=num_chains)
        met.update(num_steps=num_steps, route=route)
        return LOG_WEIGHTS, met.get("ends", POSITIONS), np.ones(3), np.zeros(3)

    monkeypatch.setattr(_annealed_importance, "plan", plan)
    monkeypatch.setattr(_annealed_importance, "anneal", walk)
    return met


def call(backwards, **options):
    options = {"num_temperatures": 7, "num_steps": 3, "key": jax.random.key(2)} | options
    if backwards:
        return annealed_importance_sampling(ENERGY, BASE, samples=POSITIONS, **options)
    return annealed_importance_sampling(ENERGY, BASE, num_chains=3, **options)


@pytest.mark.parametrize("backwards", [False, True])
def test_the_pilot_run_and_the_walk_have_keys_of_their_own(backwards, calls):
    found = call(backwards)
    keys = [np.asarray(jax.random.key_data(k)) for k in (calls["plan_key"], calls["walk_key"])]
    given = np.asarray(jax.random.key_data(jax.random.key(2)))
    assert len({tuple(k) for k in (*keys, given)}) == 3
    assert calls["num_temperatures"] == 7
    assert calls["betas"] is None
    assert calls["plan_steps"] == calls["num_steps"] == 3
    assert calls["route"] is ROUTE
    assert calls["path"].base is BASE
    assert calls["path"].energy is ENERGY
    assert type(calls["sampler"]).__name__ == "HMC"
    assert isinstance(found, LogZ)
    np.testing.assert_array_equal(found.schedule, BETAS)
    # the mean of the weights, or of their inverses
    mean = np.log(np.mean(np.exp(LOG_WEIGHTS)))
    known = np.log(2 * np.pi * 4)
    assert found.log_z == pytest.approx(known - mean if backwards else known + mean, rel=1e-6)
    assert found.x is POSITIONS
    assert calls["num_chains"] == 3
    if backwards:
        np.testing.assert_array_equal(calls["samples"], POSITIONS)
    else:
        assert calls["samples"] is None


@pytest.mark.parametrize("backwards", [False, True])
def test_a_schedule_counts_instead_of_a_number_of_temperatures(backwards, calls):
    sampler = Writer()
    call(backwards, schedule=[0.0, 1.0], sampler=sampler)
    np.testing.assert_array_equal(calls["betas"], [0, 1])
    call(backwards, schedule=[0.0, 0.5, 1.0], sampler=sampler)
    np.testing.assert_array_equal(calls["betas"], [0, 0.5, 1])
    assert calls["betas"].dtype == np.float64
    assert calls["sampler"] is sampler


BAD_SCHEDULES = [[0.0], [0.0, 0.5], [0.1, 1.0], [0.0, 0.5, 0.5, 1.0], [0.0, 2.0, 1.0], [[0.0, 1.0]]]


@pytest.mark.parametrize("schedule", BAD_SCHEDULES)
def test_schedules_rise_from_zero_to_one(schedule, calls):
    with pytest.raises(ValueError, match=r"schedule=.*ascending .*from 0 to 1"):
        call(False, schedule=schedule)


def test_chains_that_end_outside_of_the_base_are_reported(calls):
    class Half(type(BASE)):
        def __call__(self, x):
            return jnp.where(x[0] < 5, BASE(x), jnp.inf)

    half = Half(jnp.zeros(2), 4.0)
    options = {"num_chains": 3, "num_temperatures": 3, "key": jax.random.key(3)}
    annealed_importance_sampling(ENERGY, half, **options)
    calls["ends"] = POSITIONS.at[1, 0].set(6.0)
    with pytest.warns(UserWarning, match="the base has no density"):
        annealed_importance_sampling(ENERGY, half, **options)
    backwards = {"num_temperatures": 3, "key": jax.random.key(3)}
    with pytest.raises(
        ValueError, match=r"base=Half: it has no density at samples\[\[1\]\]: .*wider"
    ):
        annealed_importance_sampling(ENERGY, half, samples=calls["ends"], **backwards)


def test_a_walk_is_compiled_once_for_all_keys_and_schedules():
    count = 0

    class Counted(Written):
        def statistics(self, x):
            nonlocal count
            count += 1
            return x[1]

    route = eqx.tree_at(lambda r: r.betas, ROUTE, ROUTE.betas.at[1].set(0.2))
    for i, one in enumerate((ROUTE, route)):
        anneal(Counted(), Writer(), one, None, CHAINS, 1, jax.random.key(i))
    assert count == 1
