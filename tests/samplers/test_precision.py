"""Samplers keep the precision of the positions in each mode of JAX. Only traced, but for NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import DISCRETE, SAMPLERS, double

from ebmx.energies import MLP, BernoulliRBM, Gaussian, NoiseConditional, geometric_levels
from ebmx.samplers import (
    HMC,
    MALA,
    MCLMC,
    NUTS,
    Ancestral,
    Barker,
    BlockGibbs,
    Cycle,
    Independence,
    JitteredHMC,
    Langevin,
    Mixture,
    Moments,
    PreconditionedLangevin,
    ProbabilityFlow,
    Reflected,
    ReplicaExchange,
    UnderdampedLangevin,
    run,
    sample,
    sample_levels,
    save_position_and_energy,
    warmup,
)

JUMPS = Independence(Gaussian(jnp.zeros(2), 2.0))
FURTHER = {
    "nuts": NUTS(0.1, max_num_doublings=2),
    "barker": Barker(0.1),
    "mclmc": MCLMC(0.1, 1.0),
    "independence": JUMPS,
    "mixture": Mixture((MALA(0.1), JUMPS, Langevin(0.1)), np.array([1.0, 2.0, 1.0])),
    "masses": HMC(0.1, 2, np.array([1.0, 2.0])),
    "reflected": Reflected(HMC(0.1, 2), bounds=(np.array([-1.0, -np.inf]), 2.0)),
    "bounded": Langevin(0.1, bounds=(None, np.array([1.0, 2.0])), boundary="reflect"),
    "turned": UnderdampedLangevin(0.1, bounds=(-1.0, None), boundary="reflect"),
    "noisy": PreconditionedLangevin(0.1, noise_scale=0.1),
    "ladder": ReplicaExchange(Cycle((MALA(0.1), JUMPS)), np.array([1.0, 2.0]), scale_step=False),
    "based": ReplicaExchange(MALA(0.1), np.array([1.0, np.inf]), base=Gaussian(jnp.zeros(2))),
    "sizes": ReplicaExchange(MALA(0.1), np.array([1.0, 2.0]), step_sizes=np.ones(2)),
    "scaled": ReplicaExchange(MALA(0.1), np.array([1.0, 2.0]), scale_step=True),
}
EVERY = SAMPLERS | FURTHER
ENERGY = Gaussian(jnp.zeros(2), jnp.array([1.0, 2.0]))
MACHINE = BernoulliRBM(np.zeros((2, 3)), np.zeros(2), np.zeros(3))


def check(energy, sampler, dtype, shape=(2,)):
    x = jax.ShapeDtypeStruct((3, *shape), dtype)
    options = {"num_samples": 2, "num_warmup": 1, "save": save_position_and_energy}
    draw = lambda x, key: sample(energy, sampler, x, key=key, **options)  # noqa: E731
    drawn = jax.eval_shape(draw, x, jax.random.key(0))
    assert drawn.x.dtype == drawn.values["x"].dtype == dtype
    assert drawn.info.energy.dtype == drawn.values["energy"].dtype


@pytest.mark.parametrize("name", EVERY)
def test_float32_positions_in_float64_mode(name):
    with jax.enable_x64(True):
        check(double(ENERGY), EVERY[name], np.float32)
        check(ENERGY, double(EVERY[name]), np.float64)


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_promoted_in_float64_mode(name):
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        check(double(ENERGY), EVERY[name], np.float32)


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_promoted_without_a_word(name):
    with jax.numpy_dtype_promotion("strict"):
        check(ENERGY, EVERY[name], np.float32)


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_positions_of_another_precision_than_the_energy(name):
    energy, sampler, x = DISCRETE[name]
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        check(double(energy), sampler, np.float32, x.shape)
        check(energy, double(sampler), np.float64, x.shape)
    with jax.numpy_dtype_promotion("strict"):
        check(energy, sampler, np.float32, x.shape)


@pytest.mark.medium
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_means_in_half_precision_go_on_growing(dtype, getkey):
    x = jnp.zeros((8, 2), dtype)
    _, info = run(ENERGY, Langevin(0.1), x, num_steps=3_000, key=getkey())
    np.testing.assert_array_equal(info.acceptance, 1.0)
    got = sample(ENERGY, MALA(0.5), x, num_samples=3_000, save=Moments(), key=getkey())
    assert 0.8 < float(jnp.mean(got.info.acceptance)) <= 1
    np.testing.assert_allclose(np.mean(got.values.variance, 0), [1.0, 2.0], rtol=0.15)


@pytest.mark.parametrize("sampler", [MALA(0.1), HMC(0.1, 2), Barker(0.1), JitteredHMC(0.1, 1.0)])
@pytest.mark.parametrize("per_chain", [False, True])
def test_warm_up_in_each_mode(sampler, per_chain):
    def tuned(x, key):
        return warmup(ENERGY, sampler, x, num_steps=20, per_chain=per_chain, key=key)[1]

    x, key = jax.ShapeDtypeStruct((3, 2), np.float32), jax.random.key(0)
    with jax.numpy_dtype_promotion("strict"):
        assert jax.eval_shape(tuned, x, key).dtype == np.float32
    with jax.enable_x64(True):
        assert jax.eval_shape(tuned, x, key).dtype == np.float32


def test_trajectories_of_lengths_in_float64_are_not_promoted():
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        sampler = JitteredHMC(0.1, 1.0)
        assert sampler.step_size.dtype == np.float64
        check(ENERGY, sampler, np.float32)
        x, key = jax.ShapeDtypeStruct((3, 2), np.float32), jax.random.key(0)
        tuned = lambda x, key: warmup(ENERGY, sampler, x, num_steps=20, key=key)[1]  # noqa: E731
        assert jax.eval_shape(tuned, x, key).dtype == np.float32


DESCENTS = {
    "flow": {"predictor": ProbabilityFlow()},
    "ancestral": {"predictor": Ancestral(), "corrector": MALA(0.5)},
    "hmc": {"corrector": HMC(0.5, 2), "sigma": np.array([0.1, 12.0])},
}


@pytest.mark.parametrize("name", DESCENTS)
@pytest.mark.parametrize("wide", [False, True])
def test_samples_over_noise_levels_in_each_mode(name, wide):
    network = MLP((2,), (3,), condition_size=4, key=jax.random.key(0))
    energy = NoiseConditional(network, geometric_levels(0.1, 12.0, 3), key=jax.random.key(0))
    energy = energy + energy

    def draw(key):
        return sample_levels(energy, 5, **DESCENTS[name], key=key).x

    with jax.enable_x64(wide), jax.numpy_dtype_promotion("strict"):
        # of the mode, since no position is given
        assert jax.eval_shape(draw, jax.random.key(0)).dtype == jnp.zeros(()).dtype


UNKNOWN = {
    "hmc": (ENERGY, HMC(0.1, 2)),
    "independence": (ENERGY, JUMPS),
    "gibbs": (MACHINE, BlockGibbs()),
    "mixture": (ENERGY, Mixture((MALA(0.1), JUMPS))),
    "cycle": (ENERGY, Cycle((MALA(0.1), JUMPS))),
    "cold": (ENERGY, Langevin(0.1, temperature=0.0, report_acceptance=True)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_not_nan(name, getkey):
    energy, sampler = UNKNOWN[name]
    with jax.debug_nans(True):
        _, info = run(energy, sampler, np.zeros((4, 2), np.float32), num_steps=2, key=getkey())
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(info))


@pytest.mark.medium
def test_a_step_downhill_without_noise_is_accepted_and_one_uphill_is_not(getkey):
    x = np.array([[1.0, 0.0], [2.0, 0.0]], np.float32)
    sampler = Langevin(5.0, temperature=0.0, report_acceptance=True)
    # both jump over the minimum of x²/2 to -1.5 of where they were; the way back is no mirror
    new, info = run(ENERGY, sampler, x, num_steps=1, key=getkey())
    np.testing.assert_allclose(new, -1.5 * x, rtol=1e-6)
    np.testing.assert_array_equal(info.acceptance, 0.0)
    calm = Langevin(0.5, temperature=0.0, report_acceptance=True)
    near = np.zeros((1, 2), np.float32)
    _, info = run(ENERGY, calm, near, num_steps=1, key=getkey())
    np.testing.assert_array_equal(info.acceptance, 1.0)
