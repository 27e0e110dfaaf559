"""Fused random numbers are those of JAX, bit for bit, and compile to no loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx._threefry import fuse

DRAWS = {
    "normal": lambda key: jax.random.normal(key, (3, 5)),
    "uniform": lambda key: jax.random.uniform(key, (7,), minval=-2.0),
    "half": lambda key: jax.random.normal(key, (5,), jnp.bfloat16),
    "bytes": lambda key: jax.random.bits(key, (9,), jnp.uint8),
    "words": lambda key: jax.random.bits(key, (2, 2), jnp.uint16),
    "one": lambda key: jax.random.normal(key),
    "permutation": lambda key: jax.random.permutation(key, 11),
    "categorical": lambda key: jax.random.categorical(key, jnp.arange(4.0), shape=(6,)),
    "split": lambda key: jax.random.key_data(jax.random.split(key, (2, 3))),
    "fold-in": lambda key: jax.random.key_data(jax.random.fold_in(key, 17)),
    "folded": lambda key: jax.random.normal(jax.random.fold_in(key, 2**32 - 1), (4,)),
}


def all_draws(key):
    return {name: draw(key) for name, draw in DRAWS.items()}


@pytest.mark.medium
def test_the_numbers_are_those_of_jax():
    keys = jax.random.split(jax.random.key(5), 3)
    truth = jax.jit(jax.vmap(all_draws))(keys)
    mapped = jax.jit(jax.vmap(lambda key: all_draws(fuse(key))))(keys)
    together = jax.jit(lambda keys: jax.vmap(all_draws)(fuse(keys)))(keys)
    alone = jax.jit(lambda key: all_draws(fuse(key)))(keys[1])
    for name in DRAWS:
        np.testing.assert_array_equal(mapped[name], truth[name], name)
        np.testing.assert_array_equal(together[name], truth[name], name)
        np.testing.assert_array_equal(alone[name], truth[name][1], name)


@pytest.mark.parametrize("name", ["normal", "split", "fold-in"])
def test_the_numbers_are_those_of_jax_without_jit(name):
    key = jax.random.key(5)
    np.testing.assert_array_equal(DRAWS[name](fuse(key)), DRAWS[name](key))


def test_doubles_are_those_of_jax():
    with jax.enable_x64(True):
        key = jax.random.key(5)
        values = jax.random.normal(fuse(key), (7,), jnp.float64)
        np.testing.assert_array_equal(values, jax.random.normal(key, (7,), jnp.float64))


def test_old_keys_and_fused_keys_are_taken_and_others_left_alone():
    key = jax.random.key(3)
    truth = jax.random.bits(key, (4,))
    for same in (jax.random.PRNGKey(3), fuse(key)):
        np.testing.assert_array_equal(jax.random.bits(fuse(same), (4,)), truth)
    other = jax.random.key(3, impl="rbg")
    assert fuse(other) is other


def test_seeds_are_those_of_jax():
    key = jax.random.key(1234, impl=jax.random.key_impl(fuse(jax.random.key(0))))
    np.testing.assert_array_equal(jax.random.key_data(key), jax.random.key_data(fuse(key)))
    np.testing.assert_array_equal(
        jax.random.normal(key, (3,)), jax.random.normal(jax.random.key(1234), (3,))
    )


def test_more_numbers_than_a_counter_has_is_an_error():
    key = fuse(jax.random.key(0))
    with pytest.raises(ValueError, match=r"shape=\(65536, 65536\): .* split it"):
        jax.jit(lambda key: jax.random.bits(key, (2**16, 2**16))).lower(key)


def test_fused_numbers_compile_to_no_loop():
    # what makes them fast; on a CPU JAX's own numbers are a loop of five rounds
    def draw(key):
        return 2 * jax.random.normal(jax.random.fold_in(key, 3), (64,))

    key = jax.random.key(0)
    texts = [jax.jit(draw).lower(k).compile().as_text() for k in (fuse(key), key)]
    assert "while" not in texts[0]
    if jax.default_backend() == "cpu":
        assert "while" in texts[1]
