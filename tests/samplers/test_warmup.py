"""Step sizes and masses that are found before sampling."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import AbstractConditionalEnergy, AbstractEnergy, Banana, Gaussian
from ebmx.samplers import (
    HMC,
    MALA,
    MCLMC,
    NUTS,
    Barker,
    Independence,
    Langevin,
    Reflected,
    run,
    warmup,
)
from ebmx.samplers._run import PerChain
from ebmx.samplers.kernels._dual_averaging import DualAveraging

VARIANCES = np.array([0.1, 0.5, 1.0, 4.0])
ENERGY = Gaussian(jnp.zeros(4), jnp.asarray(VARIANCES))
X = np.broadcast_to(np.sqrt(VARIANCES).astype(np.float32), (64, 4))
CURVED, CURVED_X = Banana(1.0, 0.5), np.zeros((64, 2), np.float32)
SAMPLERS = {
    "mala": (MALA(1e-3), 0.574),
    "barker": (Barker(10.0), 0.574),
    "hmc": (HMC(1.0, 3), 0.8),
    "nuts": (NUTS(0.3, max_num_doublings=4), 0.8),
}
QUICK = {"mala-gaussian", "hmc-banana"}
CASES = [
    pytest.param(
        name,
        where,
        marks=[pytest.mark.slow] * (f"{name}-{where}" not in QUICK),
        id=f"{name}-{where}",
    )
    for name in SAMPLERS
    for where in ("gaussian", "banana")
]


@pytest.mark.medium
@pytest.mark.parametrize(("name", "where"), CASES)
def test_the_acceptance_is_met(name, where, getkey):
    sampler, target = SAMPLERS[name]
    energy, start = (ENERGY, X) if where == "gaussian" else (CURVED, CURVED_X)
    tuned, x = warmup(energy, sampler, start, num_steps=400, key=getkey())
    assert x.shape == start.shape
    assert not np.array_equal(x, start)
    _, info = run(energy, tuned, x, num_steps=600, key=getkey())
    assert abs(float(info.acceptance.mean()) - target) < 0.03
    if target == 0.8:
        np.testing.assert_allclose(tuned.inverse_mass_matrix, energy.variance, rtol=0.25)


@jax.jit
def searched(when):
    """Step sizes near a cliff of the acceptance, over which long strides jump to and fro."""

    def step(tuner, i):
        tuner = tuner.update(jax.nn.sigmoid(-12.0 * tuner.log_step), 0.8)
        tuner = jax.tree.map(lambda a, b: jnp.where(i == when, a, b), tuner.refine(), tuner)
        return tuner, tuner.log_step

    tuner, steps = jax.lax.scan(step, DualAveraging.search(jnp.ones(())), jnp.arange(200))
    return jax.nn.sigmoid(-12.0 * tuner.log_average), steps


@pytest.mark.parametrize("refined", [True, False])
def test_where_the_acceptance_falls_steeply_the_search_is_refined(refined):
    acceptance, steps = searched(jnp.asarray(99 if refined else -1))
    assert (np.std(steps[-80:]) < 0.01) == refined
    assert (abs(float(acceptance) - 0.8) < 0.01) == refined


@pytest.mark.medium
def test_each_chain_finds_its_own(getkey):
    tuned, x = warmup(ENERGY, MALA(1e-2), X, num_steps=2_000, per_chain=True, key=getkey())
    assert isinstance(tuned, PerChain)
    assert tuned.sampler.step_size.shape == (64,)
    assert len(np.unique(tuned.sampler.step_size)) > 32
    _, info = run(ENERGY, tuned, x, num_steps=3_000, key=getkey())
    near = np.abs(np.asarray(info.acceptance) - 0.574) < 0.05
    assert near.mean() >= 0.9


def test_chains_far_out_in_a_light_tail_come_in(getkey):
    """At the step size of the other chains their proposals overshoot, and all are rejected."""
    x = np.concatenate([np.zeros((63, 4)), np.full((1, 4), 30.0)]).astype(np.float32)
    tuned, x = warmup(lambda x: jnp.sum(x**4), MALA(0.1), x, num_steps=400, key=getkey())
    assert np.abs(x).max() < 3
    _, info = run(lambda x: jnp.sum(x**4), tuned, x, num_steps=600, key=getkey())
    assert abs(float(info.acceptance.mean()) - 0.574) < 0.03


class Width(AbstractConditionalEnergy):
    """A Gaussian whose standard deviation is the condition."""

    shape: tuple[int, ...] = (2,)
    condition_shape: tuple[int, ...] = ()
    num_labels: None = None

    def __call__(self, x, y):
        return 0.5 * jnp.sum((x / y) ** 2)


def test_each_chain_is_tuned_to_its_own_condition(getkey):
    widths = np.where(np.arange(32) % 2 == 0, 0.1, 10.0).astype(np.float32)
    energy, x = Width().at_each(jnp.asarray(widths)), np.stack([widths, widths], 1)
    tuned, x = warmup(energy, MALA(1.0), x, num_steps=400, per_chain=True, key=getkey())
    sizes = np.asarray(tuned.sampler.step_size)
    log_ratio = np.mean(np.log(sizes[1::2] / sizes[::2]))
    np.testing.assert_allclose(log_ratio, np.log(100.0**2), atol=0.2)


def test_chains_take_their_own_steps(getkey):
    sizes = jnp.array([1e-6, 0.5])
    each = PerChain(jax.vmap(MALA)(sizes))
    x, _ = run(ENERGY, each, X[:2], num_steps=5, key=getkey())
    moved = np.abs(np.asarray(x - X[:2])).max(1)
    assert moved[0] < 0.05
    assert moved[1] > 0.05


def test_each_array_of_a_sampler_for_each_chain_has_an_axis_of_chains():
    with pytest.raises(ValueError, match=r"sampler=arrays .*leading axis of chains"):
        PerChain(MALA(0.1))


def test_samplers_of_other_chains_are_told(getkey):
    each = PerChain(jax.vmap(MALA)(jnp.full(3, 0.1)))
    with pytest.raises(ValueError, match=r"x\.shape=\(64, 4\).*one for each of \[3\]"):
        run(ENERGY, each, X, num_steps=1, key=getkey())
    with pytest.raises(ValueError, match="sampler=PerChain: it holds one sampler for each"):
        each.init(ENERGY, X[0], key=getkey())
    with pytest.raises(ValueError, match="sampler=PerChain"):
        each.step(ENERGY, X[0], None, key=getkey())


class Slope(AbstractEnergy):
    """Its strength is an array: flat at 0, improper at a finite one."""

    shape: tuple[int, ...] = eqx.field(static=True, default=(4,))
    strength: jax.Array = eqx.field(converter=jnp.asarray, default=0.0)

    def __call__(self, x):
        return self.strength * jnp.sum(x)


@pytest.mark.parametrize("per_chain", [False, True])
@pytest.mark.parametrize(
    ("strength", "named"),
    [(0.0, "flat or"), (3.0, "unbounded below"), (np.nan, "it is 0 at.*finite")],
)
def test_a_step_size_that_runs_away_is_told(strength, named, per_chain, getkey):
    text = "64 of 64 chains: no step size" if per_chain else "no step size"
    with pytest.raises(FloatingPointError, match=f"^{text} .*{named}"):
        warmup(Slope(strength=strength), MALA(0.1), X, num_steps=60, per_chain=per_chain,
               key=getkey())  # fmt: skip


@pytest.mark.medium
def test_a_sampler_within_bounds_is_tuned_on_the_energy_within_bounds(getkey):
    # flat without bounds; within them a step of HMC of any length stays where the energy is 0
    low, high = np.zeros(4), np.array([1.0, 2.0, 1.0, 2.0])
    steep = lambda x: 30 * jnp.sum(x)  # noqa: E731
    chain = Reflected(HMC(0.01, 3), (low, high))
    start = np.full((64, 4), 0.5, np.float32)
    tuned, x = warmup(steep, chain, start, num_steps=300, key=getkey())
    _, info = run(steep, tuned, x, num_steps=200, key=getkey())
    assert abs(float(info.acceptance.mean()) - 0.8) < 0.08
    assert np.all((np.asarray(x) >= low) & (np.asarray(x) <= high))


def test_another_target_does_not_compile_again(getkey):
    traces = []

    def energy(x):
        traces.append(None)
        return jnp.sum(x**2)

    def tune(target):
        warmup(energy, MALA(0.1), X, num_steps=100, target_acceptance=target, key=getkey())
        return len(traces)

    count = tune(0.5)
    assert tune(0.6) == count
    assert tune(np.float64(0.7)) == count


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 5}, "num_steps=5: .*at least 20"),
        ({"target_acceptance": 1.0}, r"target_acceptance=1\.0"),
        ({"sampler": Independence(ENERGY)}, "sampler=Independence: .*no step size"),
        ({"sampler": Langevin(0.1)}, "sampler=Langevin: it accepts every step"),
        ({"sampler": MCLMC(0.1, 1.0)}, "sampler=MCLMC: it accepts every step"),
    ],
)
def test_what_does_not_fit_is_told(options, message, getkey):
    options = {"sampler": MALA(0.1), "num_steps": 20, **options}
    with pytest.raises(ValueError, match=message):
        warmup(ENERGY, x=X, key=getkey(), **options)
