"""Negatives without chains for discrete data: zeros and ones, or one-hot categories."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from ... import _checks
from ..._types import EnergyFn, Key, Number, X
from ...samplers._fields import number
from .._batch import Examples
from ._chain_free import AbstractStateless, Stateless


class DiscreteNeighbours(AbstractStateless):
    """Neighbours of each example that differ from it at one site, such as one flipped bit.

    For `pseudo_likelihood_loss`, `ratio_matching_loss` and `minimum_probability_flow_loss`. Of
    categories, a site takes all of its other `num_categories - 1` values in turn.

    Args:
        num_sites: at how many sites of each example, chosen at random and all different; at all
            sites if not given, which costs an energy for each of them and the memory of as many
            examples.
        categorical: whether examples are one-hot along the last axis, `(*sites, num_categories)`;
            else they are zeros and ones, and each entry is a site.

    Raises:
        ValueError: if `num_sites` is below 1.
    """

    num_sites: int | None = eqx.field(static=True, default=None)
    categorical: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if self.num_sites is not None:
            _checks.at_least("num_sites", self.num_sites, 1)

    def step(self, energy: EnergyFn, positives: Examples, state: None, *, key: Key) -> Stateless:
        """The neighbours; those of example `i` are `i, i + batch, …`, one site after the other."""
        del energy
        x = positives.x
        total, num_values = sites_of(x.shape[1:], self.categorical)
        num = total if self.num_sites is None else self.num_sites
        fix = f"examples of shape {x.shape[1:]} have {total} sites: give at most as many"
        _checks.require(num <= total, "num_sites", num, fix)

        def one(x: X, key: Key) -> jax.Array:
            every = jnp.arange(total)
            sites = every if num == total else jax.random.permutation(key, every)[:num]
            shifts = jnp.arange(1, num_values)
            at_site = jax.vmap(_changed_at, (None, None, 0, None))
            return jax.vmap(at_site, (None, 0, None, None))(x, sites, shifts, self.categorical)

        found = jax.vmap(one, out_axes=2)(x, jax.random.split(key, len(x)))
        return positives.with_x(found.reshape(-1, *x.shape[1:])), state, None


class FlippedTwice(AbstractStateless):
    """Negatives for energy discrepancy of discrete data: each example changed at random, twice.

    The first change is common to all negatives of an example, the second is one of each. A change
    flips each bit, or moves each site to one of its other categories, with probability
    `flip_probability`, so that it is as likely as its reverse.

    Schröder et al. (2023), "Energy discrepancies: a score-independent loss for energy-based
    models"; Schröder et al. (2024), "Energy-based modelling for discrete and mixed data via heat
    equations on structured spaces".

    Args:
        flip_probability: of each site and each change, between 0 and 1.
        num_negatives: how many for each example, at least 1.
        categorical: as for `DiscreteNeighbours`.

    Raises:
        ValueError: if a number is out of its range.
    """

    flip_probability: Number = number(default=0.1)
    num_negatives: int = eqx.field(static=True, default=16)
    categorical: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        _checks.probability("flip_probability", self.flip_probability)
        fix = "give a probability between 0 and 1"
        _checks.positive("flip_probability", self.flip_probability, fix)
        _checks.at_least("num_negatives", self.num_negatives, 1)

    def step(self, energy: EnergyFn, positives: Examples, state: None, *, key: Key) -> Stateless:
        """`num_negatives` for each positive; those of example `i` are `i, i + batch, …`."""
        del energy
        x = positives.x
        once_key, twice_key = jax.random.split(key)
        once = self._changed(x, once_key)
        several = jnp.broadcast_to(once[None], (self.num_negatives, *x.shape))
        twice = self._changed(several, twice_key)
        return positives.with_x(twice.reshape(-1, *x.shape[1:])), state, None

    def _changed(self, x: jax.Array, key: Key) -> jax.Array:
        """Each site changed with the probability."""
        which_key, value_key = jax.random.split(key)
        # as a probability in at least float32, which random numbers are compared with
        probability = jnp.asarray(self.flip_probability, float)
        if not self.categorical:
            return jnp.where(jax.random.bernoulli(which_key, probability, x.shape), 1 - x, x)
        _, num_values = sites_of(x.shape[1:], True)
        chosen = jax.random.bernoulli(which_key, probability, x.shape[:-1])
        shift = jax.random.randint(value_key, x.shape[:-1], 1, num_values)
        return _shifted(x, jnp.where(chosen, shift, 0))


def sites_of(shape: tuple[int, ...], categorical: bool) -> tuple[int, int]:
    """The number of sites of an example of this shape, and of the values of each."""
    if not categorical:
        return math.prod(shape), 2
    fix = "categories are one-hot along the last axis: give examples (*sites, num_categories)"
    num_values = shape[-1] if shape else 0
    _checks.require(num_values > 1, "x.shape", ("batch", *shape), fix)
    return math.prod(shape[:-1]), num_values


def _changed_at(x: X, site: jax.Array, shift: jax.Array, categorical: bool) -> X:
    """One example with another value at one site."""
    if not categorical:
        flat = x.reshape(-1)
        return flat.at[site].set(1 - flat[site]).reshape(x.shape)
    rows = x.reshape(-1, x.shape[-1])
    return rows.at[site].set(_shifted(rows[site], shift)).reshape(x.shape)


def _shifted(x: jax.Array, shift: Int[Array, "..."]) -> jax.Array:
    """One-hot categories moved on by so many, around the end."""
    num = x.shape[-1]
    places = jnp.arange(num).reshape(*(1,) * shift.ndim, num)
    source = (places - shift[..., None]) % num
    return jnp.take_along_axis(x, source, -1)
