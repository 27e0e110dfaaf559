"""Chains whose number of steps follows how far they lag behind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import points
from moves import affine, init, patched, step, values

from ebmx.energies import Gaussian
from ebmx.samplers import MALA, Langevin
from ebmx.training import CD, PCD, Examples, NoiseSamples, NumStepsAdaptation, UniformNoise
from ebmx.training.negatives._num_steps_adaptation import StepsState

NUM = 32
X = np.asarray(points(NUM, (2,)))
ENERGY = patched(0.7, 0.2)


def state_of(num_steps, chains=None):
    return StepsState(chains, jnp.asarray(np.log(num_steps), jnp.float32))


def log_steps_after(num_steps, energy, x, **options):
    """The logarithm of the number of steps after an update of chains `x ← ½ x + ¼`, and a gap."""
    negatives = NumStepsAdaptation(CD(affine(0.5, 0.25), 3), 2, 50, **options)
    batch = Examples(jnp.asarray(x), None, jnp.asarray(LOG_WEIGHTS))
    out, after, info = step(negatives, energy, batch, state_of(num_steps), jax.random.key(0))
    assert int(info.num_steps) == num_steps
    moved = (x - 0.5) / 2**num_steps + 0.5
    np.testing.assert_allclose(out.x, moved, rtol=1e-5, atol=1e-6)
    weights = np.exp(LOG_WEIGHTS) / np.exp(LOG_WEIGHTS).sum()
    real, fake = values(energy, x), values(energy, moved)
    centre = weights @ real
    gap = abs(centre - weights @ fake) / np.sqrt(weights @ (real - centre) ** 2)
    return float(after.log_steps), gap


LOG_WEIGHTS = np.linspace(-1, 1, NUM, dtype=np.float32)


@pytest.mark.parametrize("tolerance", [0.05, 0.6, 0.9, 1.5, 100.0])
@pytest.mark.parametrize("num_steps", [3, 7])
def test_the_number_of_steps_follows_the_gap_of_the_energies(tolerance, num_steps):
    found, gap = log_steps_after(num_steps, ENERGY, X, tolerance=tolerance, gain=0.2)
    assert 0.9 < gap < 1.2
    want = np.log(num_steps) + 0.2 * np.clip(gap / tolerance - 1, -1, 1)
    np.testing.assert_allclose(found, want, rtol=1e-4)


def test_the_sign_of_the_gap_does_not_count():
    # the energies of the chains are above those of the data, with the other sign below
    for energy in (patched(0.7, 3.0), patched(-0.7, 3.0)):
        found, gap = log_steps_after(3, energy, X, tolerance=gap_of(energy) / 1.5, gain=0.2)
        np.testing.assert_allclose(found, np.log(3) + 0.1, rtol=1e-4)
        assert gap > 0.1


def gap_of(energy):
    return log_steps_after(3, energy, X)[1]


@pytest.mark.parametrize(("num_steps", "tolerance", "want"), [(2, 100.0, 2), (50, 0.01, 50)])
def test_the_number_of_steps_stays_in_its_range(num_steps, tolerance, want):
    found, _ = log_steps_after(num_steps, ENERGY, X, tolerance=tolerance, gain=0.5)
    np.testing.assert_allclose(found, np.log(want), rtol=1e-5)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_energies_that_are_not_finite_take_more_steps(value):
    with np.errstate(invalid="ignore"):
        found, _ = log_steps_after(3, patched(0.7, 0.2, 1.0, value), X, tolerance=1e9, gain=0.2)
    np.testing.assert_allclose(found, np.log(3) + 0.2, rtol=1e-5)


@pytest.mark.parametrize(("log_steps", "num_steps"), [(0.0, 1), (np.log(2.6), 3), (np.log(7.4), 7)])
def test_the_number_of_steps_is_rounded(log_steps, num_steps):
    assert int(StepsState(None, jnp.asarray(log_steps)).num_steps) == num_steps


def test_it_begins_with_the_number_and_the_chains_of_the_negatives(getkey):
    chains, key = PCD(affine(), 5, 8), getkey()
    state = init(NumStepsAdaptation(chains), (2,), key)
    assert int(state.num_steps) == 5
    np.testing.assert_array_equal(state.chains.positions, init(chains, (2,), key).positions)


@pytest.mark.parametrize("kind", [CD, PCD])
def test_the_number_of_steps_is_not_compiled_in(kind, getkey):
    count = 0

    class Counted(Gaussian):
        def __call__(self, x):
            nonlocal count
            count += 1
            return super().__call__(x)

    negatives = NumStepsAdaptation(kind(affine(0.9), 4), gain=0.5)
    state = init(negatives, (2,), getkey())
    energy, taken, traced = Counted(jnp.zeros(2), 1.0), [], []
    for _ in range(4):
        _, state, info = step(negatives, energy, 9 + X, state, getkey())
        taken.append(int(info.num_steps))
        traced.append(count)
    assert len(set(taken)) > 1
    assert len(set(traced)) == 1


PLAIN = PCD(MALA(0.1), 5)
BAD = {
    "negatives": (
        lambda: NumStepsAdaptation(NoiseSamples(UniformNoise())),
        "negatives=NoiseSamples",
    ),
    "lowest": (
        lambda: NumStepsAdaptation(PLAIN, lowest=0),
        "lowest=0: give a Python integer of at",
    ),
    "highest": (
        lambda: NumStepsAdaptation(PLAIN, 3, 2),
        "highest=2: give a Python integer of at leas",
    ),
    "range": (
        lambda: NumStepsAdaptation(PLAIN, 6, 9),
        r"lowest, highest=\(6, 9\): give a range that",
    ),
    "tolerance": (
        lambda: NumStepsAdaptation(PLAIN, tolerance=0.0),
        r"tolerance=0\.0: give a finite",
    ),
    "gain": (
        lambda: NumStepsAdaptation(PLAIN, gain=-1.0),
        r"gain=-1\.0: give a finite number above 0",
    ),
    "begin": (
        lambda: NumStepsAdaptation(PLAIN, 1, 4),
        r"lowest, highest=\(1, 4\): give a range that",
    ),
    "displacement": (
        lambda: NumStepsAdaptation(PCD(Langevin(1.0, grad_clip=1.0), 10)),
        "num_steps=1: .* cannot cross the range",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
