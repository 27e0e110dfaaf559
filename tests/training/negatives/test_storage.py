"""Compressed buffers: how far off a position may be, that the error has no bias, and its price."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closed_forms import STILL, Wells
from helpers import assert_mean, points
from hypothesis import given
from hypothesis import strategies as st
from moves import draw, empty, init

from ebmx.energies import Gaussian
from ebmx.samplers import HMC, MALA, Langevin, UnderdampedLangevin
from ebmx.training import (
    PCD,
    BFloat16,
    Examples,
    GaussianNoise,
    Trainer,
    UInt8,
    UniformNoise,
)
from ebmx.training.negatives._buffer import Chains

STORAGES = {
    "full": None,
    "bfloat16": BFloat16(),
    "uint8": UInt8(-1.0, 1.0),
}
each = pytest.mark.parametrize("name", STORAGES)
BOUNDED = Langevin(0.1, bounds=(-1.0, 1.0))
KEY = jax.random.key(0)


@eqx.filter_jit
def round_trip(storage, x, key):
    one, two = jax.random.split(key)
    return storage.decode(storage.encode(x, key=one), key=two)


encode = eqx.filter_jit(lambda storage, x, key: storage.encode(x, key=key))
decode = eqx.filter_jit(lambda storage, code, key: storage.decode(code, key=key))


@eqx.filter_jit
def write(buffer, index, x, key):
    return buffer.write(Chains(x, index, jnp.ones_like(index)), key=key)


@given(
    low=st.floats(-100, 100),
    width=st.floats(0.01, 100),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_a_level_is_narrower_than_one_in_255(low, width, share, seed):
    storage = UInt8(low, low + width)
    x = np.full(64, low + share * width, np.float32)
    error = np.abs(np.float64(round_trip(storage, x, jax.random.key(seed))) - x)
    rounding = 4 * np.spacing(np.float32(max(abs(low), abs(low + width))))
    assert error.max() < width / 255 + rounding


def test_all_levels_are_used_and_equally_wide(getkey):
    x = np.linspace(-1.0, 3.0, 256 * 64 + 1, dtype=np.float32)
    code = encode(UInt8(-1.0, 3.0), x, getkey())
    assert code.dtype == jnp.uint8
    counts = np.bincount(code, minlength=256)
    assert counts.shape == (256,)
    np.testing.assert_array_equal(counts, [64] * 255 + [65])  # the upper edge is in the last one
    assert np.all(np.diff(np.asarray(code, int)) >= 0)


def test_noise_within_a_level_is_uniform(getkey):
    # data that is uniform on the range comes back uniform, and with no trace of the levels
    x = np.float32(np.linspace(-1.0, 1.0, 40_001)[:-1] + 0.5 / 40_000)
    out = np.asarray(round_trip(UInt8(), x, getkey()), np.float64)
    error = out - np.asarray(x)
    assert_mean(error, 0.0)
    # the position in the level and the noise are independent and both uniform
    assert_mean(error**2, 2 * (2 / 256) ** 2 / 12)
    within = (out + 1) * 128 % 1
    counts = np.histogram(within, 16, (0, 1))[0]
    np.testing.assert_array_less(np.abs(counts - 2500), 5 * np.sqrt(2500))
    assert out.min() >= -1
    assert out.max() <= 1


def test_what_is_read_twice_has_other_noise(getkey):
    code = np.full(1000, 7, np.uint8)
    one, two = (decode(UInt8(), code, getkey()) for _ in range(2))
    assert abs(np.corrcoef(one, two)[0, 1]) < 5 / np.sqrt(1000)
    assert len(np.unique(one)) > 900
    buffer = empty(UInt8(), 16)
    drawn = [draw(buffer, 16, getkey()).x for _ in range(2)]
    assert len(np.unique(drawn)) > 60


def test_what_lies_outside_is_moved_to_the_edge(getkey):
    x = np.float32([-5.0, -1e-6, 1.0, 1e9])
    code = encode(UInt8(0.0, 1.0), x, getkey())
    np.testing.assert_array_equal(code, [0, 0, 255, 255])


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 0.5, -3.25, 1.0078125, 2.0**-100, 3e38])
def test_bfloat16_is_exact_where_it_can_be(value, getkey):
    x = np.full(40_000, np.asarray(value, jnp.bfloat16).astype(np.float32))
    np.testing.assert_array_equal(round_trip(BFloat16(), x, getkey()), x)


@pytest.mark.parametrize("value", [1.001, -1.001, 0.3, -0.7777, 1e-20, 123.456])
def test_bfloat16_is_right_in_the_mean(value, getkey):
    x = np.full(40_000, value, np.float32)
    out = np.asarray(round_trip(BFloat16(), x, getkey()), np.float64)
    rounded = np.unique(out)
    assert len(rounded) == 2
    assert rounded[0] < np.float32(value) < rounded[1]
    assert np.ptp(rounded) <= abs(value) / 128
    assert_mean(out / value, np.float32(value) / value)
    # a rounding to the nearest would be off by more than the error allowed above
    nearest = float(np.asarray(value, jnp.bfloat16))
    assert abs(nearest / value - 1) > 6 * np.std(out / value) / 200


def test_each_value_is_rounded_by_itself(getkey):
    out = np.asarray(round_trip(BFloat16(), np.full((20_000, 2), 1.00390625, np.float32), getkey()))
    up = out > 1.004
    assert_mean(up, 0.5)
    assert_mean((up[:, 0] - 0.5) * (up[:, 1] - 0.5), 0.0)
    assert_mean((up[1:, 0] - 0.5) * (up[:-1, 0] - 0.5), 0.0)


def test_ten_thousand_colour_images_take_31_megabytes():
    negatives = PCD(BOUNDED, 1, capacity=10_000, storage=UInt8())
    buffer = jax.eval_shape(lambda: negatives.init((32, 32, 3), key=KEY))
    assert buffer.positions.shape == (10_000, 32, 32, 3)
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(buffer))
    assert size == 10_000 * (32 * 32 * 3 + 4) + 8
    assert size < 31e6


@each
def test_a_new_buffer_is_full_of_noise(name, getkey):
    negatives = PCD(
        BOUNDED, 1, capacity=3000, noise=UniformNoise(-0.5, 1.0), storage=STORAGES[name]
    )
    buffer = init(negatives, (2,), getkey())
    assert buffer.capacity == 3000
    assert len(np.unique(buffer.positions, axis=0)) > 2000
    x = draw(buffer, 3000, getkey()).x
    assert x.dtype == jnp.float32
    assert np.min(x) >= -0.51
    assert np.max(x) <= 1
    assert_mean(x, 0.25)
    assert_mean((np.asarray(x) - 0.25) ** 2, 1.5**2 / 12)
    assert_mean((np.asarray(x)[1:] - 0.25) * (np.asarray(x)[:-1] - 0.25), 0.0)


def test_drawn_chains_come_back_within_a_level(getkey):
    x = np.asarray(points(16, (2,), scale=0.3))
    buffer = write(empty(UInt8(), 16), np.arange(16), x, None)
    assert buffer.positions.dtype == jnp.uint8
    chains = draw(buffer, 16, getkey())
    np.testing.assert_allclose(chains.x, x[chains.index], atol=2 / 255)
    np.testing.assert_array_equal(buffer.ages, 1)


@pytest.mark.slow
def test_training_stays_in_the_range(getkey):
    negatives = PCD(BOUNDED, 3, capacity=24, num_labels=3, storage=UInt8())
    batch = jnp.tanh(points(8, (2,))), jnp.arange(8) % 3
    trainer = Trainer(optax.adam(0.01), negatives)
    state = trainer.init(Wells(points(3, (2,)), jnp.ones(3)), key=getkey())
    step = eqx.filter_jit(trainer.step)
    for number in range(2):
        before, (state, metrics) = state, step(state, batch, key=getkey())
        old, new = (s.negatives_state for s in (before, state))
        assert new.positions.dtype == jnp.uint8
        assert jax.tree.structure(old) == jax.tree.structure(new)
        assert int(jnp.sum(new.ages)) > number
        assert np.isfinite(metrics["loss"])
        # eight chains were written, and sixteen left alone, bit for bit
        changed = np.any(np.asarray(old.positions != new.positions), 1)
        assert 4 <= changed.sum() <= 8
    chains = state.negatives_state.draw(24, key=getkey())
    assert np.all(np.abs(chains.x) <= 1)
    assert int(state.skipped) == 0


def test_noise_of_reading_and_writing_is_that_of_the_step(getkey):
    # a chain that stays is read and written with other noise at each step, and has no drift
    negatives = PCD(STILL, 1, capacity=512, reinit_prob=0.0, storage=BFloat16())
    buffer = empty(BFloat16(), 512)
    buffer = write(buffer, np.arange(512), np.full((512, 2), 0.3, np.float32), getkey())
    buffer = eqx.tree_at(lambda b: b.ages, buffer, jnp.asarray(np.zeros(512, np.int32)))

    @jax.jit
    def updates(buffer, keys):
        def one(buffer, key):
            batch = Examples(jnp.zeros((512, 2)))
            return negatives.step(Gaussian(jnp.zeros(2)), batch, buffer, key=key)[1], None

        return jax.lax.scan(one, buffer, keys)[0]

    buffer = updates(buffer, jax.random.split(getkey(), 50))
    assert_mean(np.asarray(buffer.positions, np.float64).reshape(-1), np.float32(0.3))
    np.testing.assert_array_equal(buffer.ages, 50)


def test_bfloat16_is_written_with_a_key(getkey):
    buffer = empty(BFloat16(), 8)
    x, index = points(4, (2,)), jnp.asarray(np.arange(4))
    with pytest.raises(ValueError, match=r"^key=None: this storage rounds at random: give a key"):
        buffer.write(Chains(x, index, index))
    key = getkey()
    one, again, other = (write(buffer, index, x, k).positions for k in (key, key, getkey()))
    np.testing.assert_array_equal(one, again)
    assert np.any(np.asarray(one != other))


OPTIONS = {"capacity": 8, "storage": UInt8(-1.0, 1.0)}
BAD = {
    "unbounded": (
        lambda: PCD(Langevin(0.1), 1, **OPTIONS),
        r"storage=UInt8: positions are stored within a range: give a sampler with `bounds`",
    ),
    "adjusted": (
        lambda: PCD(MALA(0.1), 1, noise=GaussianNoise(), **OPTIONS),
        r"storage=UInt8: positions are stored within a range",
    ),
    "hmc": (lambda: PCD(HMC(0.1), 1, **OPTIONS), r"storage=UInt8: positions are stored"),
    "wider": (
        lambda: PCD(Langevin(0.1, bounds=(-1.0, 1.5)), 1, **OPTIONS),
        r"bounds=\(-1\.0, 1\.5\): positions are stored within a range",
    ),
    "lower": (
        lambda: PCD(Langevin(0.1, bounds=(-1.1, 1.0)), 1, **OPTIONS),
        r"bounds=\(-1\.1.*, 1\.0\): positions are stored within a range",
    ),
    "range": (lambda: UInt8(1.0, 1.0), r"high - low=0\.0: give low < high"),
    "data": (
        lambda: empty(UInt8(), 8).fill(jnp.full((3, 2), 7.0), key=KEY),
        r"x=\(7\.0, 7\.0\): give positions in the range that is stored, \[-1\.0, 1\.0\]",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_range_that_does_not_hold_them_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        call()


def test_other_bounded_samplers_will_do():
    assert PCD(UnderdampedLangevin(0.1, bounds=(-1.0, 0.5)), 1, **OPTIONS).capacity == 8
