"""A buffer filled with given positions: at random, or by label."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from moves import draw, empty

from ebmx.training import BFloat16, ReplayBuffer, UInt8

STORAGES = {"full": None, "bfloat16": BFloat16(), "uint8": UInt8(-1.0, 1.0)}


@pytest.mark.parametrize("name", STORAGES)
def test_fill_puts_chains_at_given_positions(name, getkey):
    buffer = empty(STORAGES[name], 600)
    data = np.float32([[-0.75, 0.5], [0.25, 0.125], [0.5, -1.0]])
    # the data are known where it is compiled, the range of the storage is not
    filled = eqx.filter_jit(lambda buffer, key: buffer.fill(data, key=key))(buffer, getkey())
    assert filled.positions.dtype == buffer.positions.dtype
    x = draw(filled, 600, getkey()).x
    distance = np.abs(np.asarray(x)[:, None] - np.asarray(data)).max(-1)
    assert np.all(distance.min(1) < 2 / 255)
    counts = np.bincount(distance.argmin(1))
    assert np.all(np.abs(counts - 200) < 5 * np.sqrt(200))
    np.testing.assert_array_equal(filled.ages, buffer.ages)
    with pytest.raises(ValueError, match=r"^x\.shape=\(3, 3\): .*\(2,\)"):
        buffer.fill(jnp.zeros((3, 3)), key=getkey())


def test_fill_goes_by_label(getkey):
    labels = np.arange(30, dtype=np.int32) // 10
    ages = jnp.asarray(np.arange(30, dtype=np.int32))
    buffer = ReplayBuffer(
        jnp.asarray(np.zeros((30, 1), np.float32)), ages, None, jnp.asarray(labels)
    )
    y = np.array([2, 0, 2, 1, 0, 2])
    x = jnp.asarray(np.float32(y + 0.1 * np.arange(6))[:, None])
    filled = buffer.fill((x, y), key=getkey())
    np.testing.assert_array_equal(np.floor(np.asarray(filled.positions)[:, 0]), labels)
    np.testing.assert_array_equal(filled.ages, ages)
    # positions without labels are for any chain, and labels are for chains that have some
    mixed = buffer.fill(x, key=getkey())
    assert np.any(np.floor(np.asarray(mixed.positions)[:, 0]) != labels)
    np.testing.assert_array_equal(mixed.labels, labels)
    plain = eqx.tree_at(lambda b: b.labels, buffer, None)
    assert len(np.unique(plain.fill((x, y), key=getkey()).positions)) > 4
    assert len(np.unique(filled.positions)) > 4
    np.testing.assert_array_equal(filled.labels, buffer.labels)
    with pytest.raises(ValueError, match=r"^x\[1\] without labels=\[1\]: give positions of each"):
        buffer.fill((x, np.where(y == 1, 0, y)), key=getkey())
    compiled = eqx.filter_jit(lambda key: buffer.fill((x, y), key=key))(getkey())
    np.testing.assert_array_equal(np.floor(np.asarray(compiled.positions)[:, 0]), labels)
    with pytest.raises(ValueError, match=r"^x\[1\]\.shape=\(5,\): give an array with one label"):
        buffer.fill((x, y[:5]), key=getkey())
