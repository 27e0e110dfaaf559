"""What chains of a warm-up tell of the inverse mass matrix."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._reflected import Unfolded
from ._preconditioned_mala import PreconditionedMALA


class Variances(eqx.Module):
    """Mean and variance of each coordinate, over steps and chains."""

    mean: jax.Array
    variance: jax.Array

    def update(self, x: jax.Array, state: Any, count: jax.Array) -> "Variances":
        """With these positions `(chains, d)`, after `count` earlier steps; none if negative."""
        del state
        fraction = _fraction(count, x)
        change = jnp.mean(x, 0) - self.mean
        # of deviations, not of squares: those lose the digits of a variance far from the origin
        spread = jnp.var(x, 0) + (1 - fraction) * change**2
        variance = (1 - fraction) * self.variance + fraction * spread
        return Variances(self.mean + fraction * change, variance)

    def inverse_mass_matrix(self, num: int) -> jax.Array:
        """The variances, which `num` positions have told."""
        # shrunk towards a small number, since few samples make a poor estimate; as in Stan
        weight = num / (num + 5.0)
        return weight * self.variance + (1 - weight) * 1e-3


class Fisher(eqx.Module):
    """The mean of the products of gradients, `E[∇E ∇Eᵀ]`, or its diagonal."""

    products: jax.Array

    def update(self, x: jax.Array, state: Any, count: jax.Array) -> "Fisher":
        """With the gradients in the states of the chains, after `count` earlier steps."""
        while isinstance(state, Unfolded):
            state = state.state
        gradients = state.logdensity_grad.reshape(x.shape).astype(x.dtype)
        # a chain that starts where the energy is infinite has no gradient yet
        gradients = jnp.where(jnp.isfinite(gradients), gradients, 0)
        dense = self.products.ndim == 2
        new = gradients.T @ gradients / len(x) if dense else jnp.mean(gradients**2, 0)
        return Fisher(self.products + _fraction(count, x) * (new - self.products))

    def inverse_mass_matrix(self, num: int) -> jax.Array:
        """The inverse, of products that `num` gradients have told."""
        dense = self.products.ndim == 2
        squares = jnp.diag(self.products) if dense else self.products
        # a coordinate along which the energy is flat, or all of them
        least = 1e-6 * jnp.mean(squares)
        squares = jnp.where(least > 0, jnp.maximum(squares, least), 1)
        if not dense:
            return 1 / squares
        # of the matrix in units of its diagonal, since inverses lose the digits of its condition;
        # shrunk towards that, since fewer gradients than coordinates have no inverse
        scale, size = jnp.sqrt(squares), len(squares)
        unit = num * self.products / scale[:, None] / scale[None]
        unit = (unit + size * jnp.eye(size, dtype=unit.dtype)) / (num + size)
        inverse = jnp.linalg.inv(unit) / scale[:, None] / scale[None]
        return (inverse + inverse.T) / 2


def _fraction(count: jax.Array, x: jax.Array) -> jax.Array:
    """The weight of the latest step in a mean; 0 before the first one that counts."""
    later = (jnp.maximum(count, 0) + 1).astype(x.dtype)
    return jnp.where(count < 0, 0, 1 / later)


def metric_of(sampler: Any, size: int, dtype: Any) -> Variances | Fisher:
    """The estimate that fits the sampler, before the first step."""
    if not isinstance(sampler, PreconditionedMALA):
        return Variances(jnp.zeros(size, dtype), jnp.zeros(size, dtype))
    given = sampler.inverse_mass_matrix
    diagonal = given is not None and given.ndim == 1
    return Fisher(jnp.zeros((size,) if diagonal else (size, size), dtype))
