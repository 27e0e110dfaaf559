"""Batches: what users give, and the `Examples` that negatives and losses see."""

import itertools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from .. import _checks, _mesh
from .._types import EnergyFn, Key, Scalar, Vector, XBatch
from ..energies import AbstractConditionalEnergy
from ..energies._batch import for_each


class Examples(eqx.Module):
    """A batch of examples, with conditions and weights if there are any."""

    x: XBatch
    y: jax.Array | None = None
    """The label or condition of each, `(batch, ...)`, for a conditional or hybrid energy."""
    log_weights: Vector | None = None
    """The log weight of each in a mean; all weights are equal if not given."""
    box: tuple[jax.Array, jax.Array] | None = None
    """The corners of the box that `QuadraturePoints` cover."""

    def with_x(self, x: XBatch) -> "Examples":
        """New positions with the same conditions and weights.

        Args:
            x: the positions, `(num · batch, *shape)`; those of example `i` are `i, i + batch, …`.
        """
        num = len(x) // len(self.x)
        if num == 1:
            return Examples(x, self.y, self.log_weights)
        parts = self.y, self.log_weights
        return Examples(x, *jax.tree.map(lambda a: jnp.concatenate([a] * num), parts))


Batch = XBatch | np.ndarray | tuple[ArrayLike, ArrayLike] | Examples
"""What users give as a batch: examples alone, pairs with labels or conditions, or `Examples`."""


def as_examples(batch: Any, name: str = "batch", shape: tuple[int, ...] | None = None) -> Examples:
    """`x`, `(x, y)` or `Examples` as `Examples`, with shapes and dtypes checked."""
    if isinstance(batch, Examples):
        x, y, log_weights, box = batch.x, batch.y, batch.log_weights, batch.box
    elif isinstance(batch, tuple | list) and len(batch) == 2:
        (x, y), log_weights, box = batch, None, None
    else:
        x, y, log_weights, box = batch, None, None, None
    x = _checks.batch(x, name, shape)
    if y is not None:
        ok = isinstance(y, jax.Array | np.ndarray) and y.shape[:1] == x.shape[:1]
        fix = f"give an array with one label for each of the {x.shape[0]} examples"
        _checks.require(ok, f"{name}[1].shape", getattr(y, "shape", type(y).__name__), fix)
        y = jnp.asarray(y)
    if log_weights is not None:
        found, fix = jnp.shape(log_weights), f"give one for each of the {x.shape[0]} examples"
        _checks.require(found == x.shape[:1], f"{name}.log_weights.shape", found, fix)
    return Examples(x, y, log_weights, box)


def augmented(augment: Callable | None, x: XBatch, key: Key) -> XBatch:
    """Each example after the random change `augment`; without one as it is."""
    if augment is None:
        return x
    changed = jax.vmap(lambda x, key: augment(x, key=key))(x, jax.random.split(key, len(x)))
    fix = f"return an array of the shape of the example, {x.shape[1:]}"
    _checks.require(changed.shape == x.shape, "augment(x).shape", changed.shape[1:], fix)
    return changed.astype(x.dtype)


def condition(energy: EnergyFn, y: jax.Array | None) -> EnergyFn:
    """The energy of each example under its own condition; any other energy as it is."""
    if not isinstance(energy, AbstractConditionalEnergy):
        return energy
    if y is None:
        fix = f"{type(energy).__name__} needs labels or conditions: train on batches (x, y)"
        _checks.invalid("batch", "x", f"{fix}, with negatives that keep them")
    return energy.at_each(y)


def energies(energy: EnergyFn, *batches: Examples) -> tuple[Vector, ...]:
    """The energy of each example of each batch, `(batch,)`.

    Batches without conditions go through the energy in one call, which is faster than several.
    """
    if len(batches) == 1 or any(batch.y is not None for batch in batches):
        return tuple(_energies(energy, batch) for batch in batches)
    if not _mesh.is_shared():
        values = _energies(energy, Examples(jnp.concatenate([batch.x for batch in batches])))
        ends = np.cumsum([0, *(len(batch.x) for batch in batches)]).tolist()
        return tuple(values[low:high] for low, high in itertools.pairwise(ends))
    if len({len(batch.x) for batch in batches}) > 1:
        return tuple(_energies(energy, batch) for batch in batches)
    # interleaved, so that each row stays on its device and gradients are summed over devices once
    x = jnp.stack([batch.x for batch in batches], 1)
    values = _energies(energy, Examples(x.reshape(-1, *x.shape[2:]))).reshape(-1, len(batches))
    return tuple(values[:, number] for number in range(len(batches)))


def _energies(energy: EnergyFn, examples: Examples) -> Vector:
    conditioned = condition(energy, examples.y)
    return for_each(lambda energy, x: energy(x), conditioned, examples.x)


def mean(values: Vector, examples: Examples) -> Scalar:
    """The mean over the examples, by their weights."""
    if examples.log_weights is None:
        return jnp.mean(values)
    return jnp.sum(jax.nn.softmax(examples.log_weights) * values)


def where_chain(condition: jax.Array, x: XBatch, y: XBatch) -> XBatch:
    """`x` for the examples where the condition holds, `y` for the others."""
    return jnp.where(condition.reshape(-1, *(1,) * (x.ndim - 1)), x, y)


def same_shape(positives: Examples, negatives: Examples, fix: str) -> None:
    """Check that there is one negative of the same shape for each positive."""
    ok = negatives.x.shape == positives.x.shape
    _checks.require(ok, "negatives.shape", negatives.x.shape, fix)


def ratio_of(positives: Examples, negatives: Examples, source: str) -> int:
    """How many negatives there are for each positive, a whole number."""
    num, num_negatives = len(positives.x), len(negatives.x)
    fix = f"give a multiple of the {num} positives: use {source}"
    _checks.require(num_negatives % num == 0, "negatives.shape", (num_negatives,), fix)
    return num_negatives // num
