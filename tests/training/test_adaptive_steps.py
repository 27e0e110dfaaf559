"""Chains whose number of steps follows how far they lag behind."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import Gaussian
from ebmx.samplers import MALA, Langevin, run
from ebmx.training import CD, PCD, AdaptiveSteps, GaussianNoise, NoiseSamples, UniformNoise

ENERGY = Gaussian(jnp.zeros(2), 1.0)


def updates(negatives, x, num, key):
    """How many steps each update took, on a fixed energy."""
    state = negatives.init((2,), key=key)

    def update(state, key):
        _, state, info = negatives.step(ENERGY, x, state, key=key)
        return state, info.num_steps

    return jax.jit(lambda s, k: jax.lax.scan(update, s, k))(state, jax.random.split(key, num))


def test_chains_that_lag_behind_take_more_steps(getkey):
    far = PCD(MALA(1e-6), 4, 256, 0.0, GaussianNoise(8.0, 1.0))
    data = jax.random.normal(getkey(), (256, 2))
    state, steps = updates(AdaptiveSteps(far, highest=20), data, 60, getkey())
    assert int(steps[0]) == 4
    assert np.all(np.diff(steps) >= 0)
    assert int(steps[-1]) == int(state.num_steps) == 20


def test_chains_that_follow_take_fewer(getkey):
    near = PCD(MALA(1.0), 16, 256, 0.0, GaussianNoise(0.0, 1.0))
    data = jax.random.normal(getkey(), (256, 2))
    _, steps = updates(AdaptiveSteps(near, lowest=2), data, 60, getkey())
    assert int(steps[0]) == 16
    assert int(steps[-1]) == 2


@pytest.mark.parametrize("num_steps", [1, 7])
def test_a_computed_number_of_steps_is_that_number(num_steps, getkey):
    x, key = jax.random.normal(getkey(), (8, 2)), getkey()
    wanted = run(ENERGY, MALA(0.3), x, num_steps=num_steps, key=key)
    computed = eqx.filter_jit(lambda n: run(ENERGY, MALA(0.3), x, num_steps=n, key=key))
    got = computed(jnp.asarray(num_steps))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), got, wanted)


@pytest.mark.parametrize("kind", [CD, PCD])
def test_the_number_of_steps_is_not_compiled_in(kind, getkey):
    count = 0

    class Counted(Gaussian):
        def __call__(self, x):
            nonlocal count
            count += 1
            return super().__call__(x)

    negatives = AdaptiveSteps(kind(MALA(1e-6), 4), gain=0.5)
    step = eqx.filter_jit(negatives.step)
    x, state = jax.random.normal(getkey(), (8, 2)), negatives.init((2,), key=getkey())
    energy, taken, traced = Counted(jnp.zeros(2), 1.0), [], []
    for _ in range(4):
        _, state, info = step(energy, x, state, key=getkey())
        taken.append(int(info.num_steps))
        traced.append(count)
    assert len(set(taken)) > 1
    assert len(set(traced)) == 1


PLAIN = PCD(MALA(0.1), 5)
BAD = {
    "negatives": (lambda: AdaptiveSteps(NoiseSamples(UniformNoise())), "negatives=NoiseSamples"),
    "lowest": (lambda: AdaptiveSteps(PLAIN, lowest=0), "lowest=0: give a Python integer of at"),
    "highest": (lambda: AdaptiveSteps(PLAIN, 3, 2), "highest=2: give a Python integer of at leas"),
    "range": (lambda: AdaptiveSteps(PLAIN, 6, 9), r"lowest, highest=\(6, 9\): give a range that"),
    "tolerance": (lambda: AdaptiveSteps(PLAIN, tolerance=0.0), r"tolerance=0\.0: give a finite"),
    "gain": (lambda: AdaptiveSteps(PLAIN, gain=-1.0), r"gain=-1\.0: give a finite number above 0"),
    "displacement": (
        lambda: AdaptiveSteps(PCD(Langevin(1.0, grad_clip=1.0), 10)),
        "num_steps=1: .* cannot cross the range",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
