"""Step sizes of persistent chains."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Gaussian
from ebmx.samplers import MALA, Independence, StepInfo, run
from ebmx.samplers._run import PerChain
from ebmx.training import PCD, Examples, GaussianNoise, ReplayBuffer, StepSizeAdaptation
from ebmx.training.negatives._base import NegativesInfo

FAR = 1e3
NUM = 48


def two_scales(x):
    """Flat in the first coordinate, whose sign says how wide the others are: 100 to 1."""
    width = jnp.where(x[0] > 0, 10.0, 0.1)
    return 0.5 * jnp.sum((x[1:] / width) ** 2)


def chains():
    sign = jnp.where(jnp.arange(NUM) % 2 == 0, 1.0, -1.0)
    rest = jnp.where(sign > 0, 10.0, 0.1)[:, None] * jnp.ones((NUM, 4))
    return ReplayBuffer(
        jnp.concatenate([FAR * sign[:, None], rest], 1), jnp.zeros(NUM, jnp.int32), jnp.zeros(NUM)
    )


@pytest.mark.slow
def test_each_chain_finds_the_step_size_of_its_place(getkey):
    adaptation = StepSizeAdaptation()
    negatives = PCD(
        MALA(1.0), 10, capacity=NUM, reinit_prob=0.0, adaptation=adaptation, noise=GaussianNoise()
    )

    @jax.jit
    def update(buffer, keys):
        def step(buffer, key):
            _, buffer, _ = negatives.step(
                two_scales, Examples(jnp.zeros((NUM, 5))), buffer, key=key
            )
            return buffer, None

        return jax.lax.scan(step, buffer, keys)[0]

    buffer = update(chains(), jax.random.split(getkey(), 400))
    wide = np.asarray(buffer.positions[:, 0]) > 0
    assert wide.sum() == NUM // 2
    scales = np.asarray(buffer.log_scales)
    ratio = np.exp(np.median(scales[wide]) - np.median(scales[~wide]))
    # of the step in squared units: the widths differ by 100
    assert 3e3 < ratio < 3e4
    sampler = adaptation.scale(MALA(1.0), buffer.log_scales)
    _, info = run(two_scales, sampler, buffer.positions, num_steps=3_000, key=getkey())
    near = np.abs(np.asarray(info.acceptance) - 0.574) < 0.05
    assert near.mean() >= 0.9


ACCEPTANCE = np.float32([0.0, 0.3, 0.6, 1.0, np.nan, np.inf, 0.3])
LOG_SCALES = np.float32([0.0, -0.5, 0.3, 1.0, 0.2, 0.1, 2.0])
DEAD = np.arange(7) == 6


@eqx.filter_jit
def updated(adaptation, log_scales, acceptance, ages):
    zero, none = jnp.zeros(7), jnp.zeros(7, bool)
    info = NegativesInfo(StepInfo(zero, zero, acceptance, none), none, jnp.asarray(DEAD), zero[0])
    return adaptation.update(log_scales, info, ages, MALA(0.3))


@pytest.mark.parametrize(
    ("age", "gain"), [(0, 4.0), (1, 4.0), (2, 2.0), (8, 0.5), (40, 0.1), (999, 0.1)]
)
def test_the_update_is_the_documented_one(age, gain):
    adaptation = StepSizeAdaptation(target=0.6, gain=0.1)
    found = updated(adaptation, LOG_SCALES, ACCEPTANCE, np.full(7, age, np.int32))
    # an acceptance that is not finite counts as a rejection, and a dead chain starts again
    acceptance = np.where(np.isfinite(ACCEPTANCE), ACCEPTANCE, 0)
    want = np.where(DEAD, 0, LOG_SCALES + gain * (acceptance - 0.6))
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)


def test_the_sampler_of_each_chain_has_its_step_size():
    samplers = StepSizeAdaptation().scale(MALA(0.3), jnp.asarray(LOG_SCALES))
    assert isinstance(samplers, PerChain)
    np.testing.assert_allclose(samplers.sampler.step_size, 0.3 * np.exp(LOG_SCALES), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepSizeAdaptation(target=1.2), "target="),
        (lambda: StepSizeAdaptation(gain=0.0), "gain="),
        (
            lambda: PCD(Independence(Gaussian(jnp.zeros(2))), 1, adaptation=StepSizeAdaptation()),
            "adaptation=Independence: .*no step size",
        ),
    ],
)
def test_what_does_not_fit_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()
