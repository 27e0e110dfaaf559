"""Step sizes of persistent chains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Gaussian
from ebmx.samplers import MALA, AbstractSampler, Independence, StepInfo, run
from ebmx.training import PCD, GaussianNoise, ReplayBuffer, StepSizeAdaptation

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


def test_each_chain_finds_the_step_size_of_its_place(getkey):
    adaptation = StepSizeAdaptation()
    negatives = PCD(
        MALA(1.0), 10, capacity=NUM, reinit_prob=0.0, adaptation=adaptation, noise=GaussianNoise()
    )

    @jax.jit
    def update(buffer, keys):
        def step(buffer, key):
            _, buffer, _ = negatives.step(two_scales, jnp.zeros((NUM, 5)), buffer, key=key)
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


class _Accepts(AbstractSampler[None]):
    """Stays, and reports its step size as the acceptance; dies on the right."""

    step_size: jax.Array

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        zero = jnp.zeros(())
        size = jnp.asarray(self.step_size)
        return jnp.where(x > 5, jnp.nan, x), state, StepInfo(zero, zero, size, zero > 0)


def advance(log_scales, ages, x, key, reinit_prob=0.0):
    num = len(x)
    negatives = PCD(
        _Accepts(0.5), 1, capacity=num, reinit_prob=reinit_prob, noise=GaussianNoise(),
        adaptation=StepSizeAdaptation(target=0.6, gain=0.1),
    )  # fmt: skip
    buffer = ReplayBuffer(x, jnp.full(num, ages, jnp.int32), log_scales)
    return negatives.step(lambda x: jnp.sum(x), jnp.zeros_like(x), buffer, key=key)


def test_the_update_is_the_documented_one(getkey):
    log_scales = jnp.array([0.0, -0.5, 0.3, 1.0])
    for ages, gain in ((999, 0.1), (9, 0.4), (0, 4.0)):
        _, buffer, _ = advance(log_scales, ages, jnp.zeros((4, 1)), getkey())
        want = log_scales + gain * (0.5 * np.exp(log_scales) - 0.6)
        np.testing.assert_allclose(buffer.log_scales, want, rtol=1e-4, atol=1e-5)


def test_a_chain_that_restarts_begins_anew(getkey):
    log_scales = jnp.full(64, 3.0)
    _, buffer, info = advance(log_scales, 999, jnp.zeros((64, 1)), getkey(), reinit_prob=0.5)
    restarted = np.asarray(buffer.ages) == 1
    assert 0 < restarted.sum() < 64
    assert restarted.sum() == int(info.restarted.sum())
    want = np.where(restarted, 4.0 * (0.5 - 0.6), 3.0 + 0.1 * (0.5 * np.exp(3.0) - 0.6))
    np.testing.assert_allclose(buffer.log_scales, want, rtol=1e-4)


def test_a_chain_that_dies_begins_anew(getkey):
    x = jnp.array([[0.0], [9.0]])
    _, buffer, _ = advance(jnp.array([1.0, 1.0]), 999, x, getkey())
    assert float(buffer.log_scales[1]) == 0.0
    assert float(buffer.log_scales[0]) != 0.0


def test_without_adaptation_nothing_is_kept(getkey):
    assert PCD(MALA(0.1), 1, capacity=4).init((2,), key=getkey()).log_scales is None


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
