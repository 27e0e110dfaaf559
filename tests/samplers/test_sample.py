"""The loops: warm-up, thinning, what is saved, what a step costs, and states handed on."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import GRADIENTS, SAMPLERS, descent, square
from jax.sharding import NamedSharding, PartitionSpec

from ebmx.samplers import (
    MALA,
    RESULTS,
    AbstractSampler,
    Cycle,
    Langevin,
    StepInfo,
    UnderdampedLangevin,
    run,
    sample,
    warmup,
)
from ebmx.samplers._run import PerChain

X = np.array([[4.0, -8.0], [1.0, 2.0]], np.float32)


@pytest.mark.parametrize(("num_warmup", "thin"), [(0, 1), (0, 3), (4, 2)])
def test_warm_up_and_thinning_take_their_steps(num_warmup, thin, getkey):
    options = {"num_samples": 3, "num_warmup": num_warmup, "thin": thin}
    got = sample(square, descent(), X, key=getkey(), **options)
    assert got.values.shape == (2, 3, 2)
    for i in range(3):
        steps = num_warmup + (i + 1) * thin
        np.testing.assert_allclose(np.asarray(got.values)[:, i], 0.75**steps * X, rtol=1e-5)
    np.testing.assert_array_equal(got.x, np.asarray(got.values)[:, -1])
    np.testing.assert_array_equal(got.result, [RESULTS.successful] * 2)


CALLS = []


@jax.custom_vjp
def counted(x):
    """`square`, which counts how often it and its gradient are computed."""
    return square(x)


def forward(x):
    jax.debug.callback(lambda _: CALLS.append("value"), x)
    return square(x), x


def backward(x, cotangent):
    jax.debug.callback(lambda _: CALLS.append("gradient"), x)
    return (cotangent * x,)


counted.defvjp(forward, backward)


@pytest.mark.medium
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_step_costs_what_it_must(name, getkey):
    CALLS.clear()
    run(counted, SAMPLERS[name], X[:1], num_steps=17, key=getkey())
    jax.effects_barrier()
    first, each = GRADIENTS.get(name, (0, 1))
    assert CALLS.count("gradient") == first + each * 17
    assert CALLS.count("value") == first + each * 17


@pytest.mark.medium
def test_samples_cost_what_their_steps_cost(getkey):
    CALLS.clear()
    options = {"num_samples": 4, "num_warmup": 5, "thin": 3}
    sample(counted, SAMPLERS["underdamped"], X[:1], key=getkey(), **options)
    jax.effects_barrier()
    # one at the start for the sampler, and one to check the start
    assert CALLS.count("gradient") == CALLS.count("value") == 2 + 5 + 4 * 3
    CALLS.clear()
    sample(counted, SAMPLERS["langevin"], X[:1], key=getkey(), **options)
    jax.effects_barrier()
    assert CALLS.count("gradient") == 1 + 5 + 4 * 3


def test_save_chooses_what_is_kept(getkey):
    def save(x, info):
        return {"energy": info.energy, "mean": jnp.mean(x)}

    got = sample(square, descent(), X, num_samples=2, save=save, key=getkey())
    assert got.values.keys() == {"energy", "mean"}
    shrunk = 0.75 ** np.arange(3)
    np.testing.assert_allclose(got.values["mean"], X.mean(1)[:, None] * shrunk[1:], rtol=1e-6)
    energy = 0.5 * np.sum(X**2, 1)[:, None] * shrunk[1:] ** 2
    np.testing.assert_allclose(got.values["energy"], energy, rtol=1e-6)


def test_sampling_can_go_on_where_it_ended(getkey):
    half = sample(square, descent(), X, num_samples=3, key=getkey())
    rest = sample(square, descent(), half.x, num_samples=3, key=getkey())
    np.testing.assert_allclose(rest.x, 0.75**6 * X, rtol=1e-6)


@pytest.mark.medium
def test_a_state_is_handed_on(getkey):
    # without noise and with little friction a particle swings, which its velocity alone tells
    sampler = UnderdampedLangevin(0.3, friction=1e-3, noise_scale=0.0)
    whole = sample(square, sampler, X, num_samples=12, key=getkey())
    half = sample(square, sampler, X, num_samples=6, key=getkey())
    options = {"num_samples": 2, "num_warmup": 2, "thin": 2, "key": getkey()}
    rest = sample(square, sampler, half.x, state=half.state, **options)
    np.testing.assert_allclose(rest.x, whole.x, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(rest.values[:, 0], whole.values[:, 9], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(rest.state.velocity, whole.state.velocity, rtol=1e-4, atol=1e-4)
    mesh = jax.make_mesh((1,), ("data",))
    other = sample(square, sampler, half.x, state=half.state, mesh=mesh, **options)
    np.testing.assert_allclose(other.x, rest.x, rtol=1e-5)
    stateless = sample(square, descent(), half.x, state=None, num_samples=1, key=getkey())
    assert stateless.state is None


STEPS = np.array([0.1, 0.4], np.float32)


@pytest.mark.medium
def test_a_state_of_each_chain_goes_on_with_its_own_sampler(getkey):
    sampler = PerChain(eqx.filter_vmap(lambda h: UnderdampedLangevin(h, noise_scale=0.0))(STEPS))
    whole = sample(square, sampler, X / 9, num_samples=4, throw=False, key=getkey())
    half = sample(square, sampler, X / 9, num_samples=2, throw=False, key=getkey())
    options = {"state": half.state, "num_samples": 2, "throw": False, "key": getkey()}
    rest = sample(square, sampler, half.x, **options)
    np.testing.assert_allclose(rest.x, whole.x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sampler", [Langevin(0.1), MALA(0.1), UnderdampedLangevin(0.1)])
def test_a_state_of_something_else_is_told(sampler, getkey):
    good = sample(square, UnderdampedLangevin(0.1), X, num_samples=1, key=getkey()).state
    wrong = [jax.tree.map(lambda leaf: leaf[:1], good), 3.0]
    if not isinstance(sampler, UnderdampedLangevin):
        wrong.append(good)
    else:
        wrong.append(jax.tree.map(lambda leaf: leaf[..., None], good))
    for state in wrong:
        with pytest.raises(ValueError, match=r"^state=.*: give the state of earlier samples"):
            sample(square, sampler, X, state=state, num_samples=1, key=getkey())


def test_sample_works_under_jit(getkey):
    key = getkey()

    def draw(x, key):
        return sample(square, Langevin(0.1), x, num_samples=2, key=key).values

    np.testing.assert_allclose(jax.jit(draw)(X, key), draw(X, key), rtol=1e-5)


class _Counts(AbstractSampler[None]):
    """Counts up, and reports numbers that grow."""

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        return x + 1, state, StepInfo(x[0], 2 * x[0], 3 * x[0], x[0] < 0)


def _all(x, info):
    return {"x": x[0], "info": info}


def test_infos_sum_up_the_steps(getkey):
    x = np.array([[0.0], [10.0]], np.float32)
    _, info = run(square, _Counts(), x, num_steps=4, key=getkey())
    np.testing.assert_allclose(info.energy, [3, 13])
    np.testing.assert_allclose(info.grad_norm, [6, 26])
    np.testing.assert_allclose(info.acceptance, [3 * 1.5, 3 * 11.5])
    got = sample(square, _Counts(), x, num_samples=2, num_warmup=2, thin=3, save=_all, key=getkey())
    # steps 2, 3, 4 and 5, 6, 7
    np.testing.assert_allclose(got.values["x"], [[5, 8], [15, 18]])
    # the energy of the position that is kept, and not the one that the sampler reports
    np.testing.assert_allclose(got.values["info"].energy, 0.5 * np.square([[5, 8], [15, 18]]))
    np.testing.assert_allclose(got.values["info"].grad_norm, [[8, 14], [28, 34]])
    np.testing.assert_allclose(got.values["info"].acceptance, [[9, 18], [39, 48]])
    np.testing.assert_allclose(got.info.energy, 0.5 * np.square([8, 18]))
    np.testing.assert_allclose(got.info.grad_norm, [14, 34])
    np.testing.assert_allclose(got.info.acceptance, [13.5, 43.5])


@pytest.mark.parametrize("thin", [1, 2])
def test_each_sample_has_noise_of_its_own(thin, getkey):
    x = np.zeros((400, 1), np.float32)
    got = sample(lambda x: 0 * jnp.sum(x), Langevin(1.0), x, num_samples=4, thin=thin, key=getkey())
    moves = np.diff(np.asarray(got.values)[:, :, 0], axis=1, prepend=0.0)
    correlation = np.corrcoef(moves.T)
    np.testing.assert_allclose(correlation, np.eye(4), atol=5 / np.sqrt(400))


def test_a_computed_number_of_steps_may_be_0(getkey):
    x, key = jnp.asarray(X), getkey()
    move = jax.jit(lambda num: run(square, Langevin(0.1), x, num_steps=num, key=key))
    none, info = move(jnp.asarray(0))
    np.testing.assert_array_equal(none, X)
    assert not np.any(info.divergent)
    two, _ = move(jnp.asarray(2))
    np.testing.assert_allclose(two, run(square, Langevin(0.1), x, num_steps=2, key=key)[0])


def test_kinds_of_numbers_compile_one_program(getkey):
    traces = []

    def energy(x):
        traces.append(None)
        return square(x)

    def move(one):
        run(energy, Langevin(one, grad_clip=one, bounds=(-one, one)), X, num_steps=2, key=getkey())
        return len(traces)

    count = move(1.0)
    for one in (1, np.float64(0.5), np.float32(0.5), np.int32(2), np.array(0.5)):
        assert move(one) == count


@pytest.mark.slow
def test_positions_on_a_mesh_with_explicit_axes(getkey):
    mesh, key = jax.make_mesh((1,), ("data",)), getkey()
    x = jax.device_put(X, NamedSharding(mesh, PartitionSpec("data")))
    assert mesh.are_all_axes_explicit
    keys = jax.device_put(jax.random.split(key, 2), NamedSharding(mesh, PartitionSpec("data")))
    plain, _ = run(square, MALA(0.1), X, num_steps=2, key=key)
    for where in ({}, {"mesh": mesh}):
        moved, _ = run(square, MALA(0.1), x, num_steps=2, key=key, **where)
        np.testing.assert_allclose(moved, plain, rtol=1e-6)
        drawn = sample(square, MALA(0.1), moved, num_samples=2, key=key, **where)
        assert drawn.x.shape == X.shape
        _, tuned = warmup(square, MALA(0.1), x, num_steps=40, key=key, **where)
        assert tuned.shape == X.shape
    for one in (key, keys):
        with jax.set_mesh(mesh):
            moved, _ = run(square, MALA(0.1), x, num_steps=2, key=one)
        again, _ = run(square, MALA(0.1), X, num_steps=2, key=jax.device_get(one))
        np.testing.assert_allclose(moved, again, rtol=1e-6)
    with pytest.raises(ValueError, match=r"mesh=.*AxisType\.Auto"):
        jax.jit(lambda x: run(square, MALA(0.1), x, num_steps=2, key=key))(x)


def test_the_mesh_is_checked(getkey):
    mesh = jax.make_mesh((1,), ("data",))
    with pytest.raises(ValueError, match=r"mesh=.*compiled function"):
        jax.jit(lambda x: run(square, MALA(0.1), x, num_steps=2, mesh=mesh, key=getkey()))(X)


class _Tells(AbstractSampler[None]):
    """Reports Python's numbers, and a state of another structure if asked to."""

    state: object = eqx.field(static=True, default=None)

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        return x, self.state, StepInfo(energy(x), None, 1.0, False)


@pytest.mark.medium
def test_steps_may_report_numbers_of_python(getkey):
    _, info = run(square, Cycle((_Tells(), _Tells())), X, num_steps=2, key=getkey())
    np.testing.assert_array_equal(info.acceptance, 1.0)
    assert info.grad_norm is None
    with pytest.raises(ValueError, match=r"state=.*structure that `init` returned"):
        run(square, _Tells((1.0,)), X, num_steps=2, key=getkey())
