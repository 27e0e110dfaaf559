"""Shapes and dtypes of chains are kept, whatever the dtype of a sampler's numbers. Only traced."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from helpers import DISCRETE, SAMPLERS

from ebmx.samplers import Last, Moments, run, sample


def wells(x):
    return jnp.sum((x**2 - 1) ** 2)


def strong(sampler):
    """Its numbers in float32, which are not weakly typed: half precision gives way to them."""
    numbers, rest = eqx.partition(sampler, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(lambda a: jax.lax.convert_element_type(a, "f4"), numbers), rest)


@pytest.mark.parametrize("name", SAMPLERS)
def test_shape_and_dtype_are_kept(name):
    sampler, x = strong(SAMPLERS[name]), jax.ShapeDtypeStruct((3, 2), jnp.bfloat16)
    if name == "cycle":
        jump = SAMPLERS[name].samplers[1]
        sampler = eqx.tree_at(lambda cycle: cycle.samplers[1], sampler, jump)
    move = lambda x, key: run(wells, sampler, x, num_steps=4, key=key)  # noqa: E731
    new, info = jax.eval_shape(move, x, jax.random.key(0))
    assert (new.shape, new.dtype) == (x.shape, x.dtype)
    assert {leaf.shape for leaf in jax.tree.leaves(info)} == {(3,)}
    assert info.divergent.dtype == bool
    assert info.energy.dtype == info.acceptance.dtype == x.dtype


@pytest.mark.parametrize("save", [Last(), Moments()])
def test_memory_of_what_is_kept_does_not_grow(save):
    def draw(num):
        keep = lambda x, key: sample(  # noqa: E731
            wells, SAMPLERS["langevin"], x, num_samples=num, save=save, key=key
        )
        x = jax.ShapeDtypeStruct((3, 2), jnp.bfloat16)
        return jax.eval_shape(keep, x, jax.random.key(0)).values

    few, many = draw(2), draw(40)
    assert few == many
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(few)}
    # a mean of many numbers takes float32
    kept = jnp.float32 if isinstance(save, Moments) else jnp.bfloat16
    assert dtypes <= {jnp.dtype(kept), jnp.dtype(jnp.int32)}


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_samplers_keep_the_dtype(name):
    energy, sampler, one = DISCRETE[name]
    x = jax.ShapeDtypeStruct((3, *one.shape), jnp.bfloat16)
    move = lambda x, key: run(energy, strong(sampler), x, num_steps=2, key=key)  # noqa: E731
    new, info = jax.eval_shape(move, x, jax.random.key(0))
    assert (new.shape, new.dtype) == (x.shape, x.dtype)
    assert info.acceptance.dtype == info.energy.dtype
    assert (info.grad_norm is None) == ("gibbs" in name or "sweep" in name or "block" in name)
