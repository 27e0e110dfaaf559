"""Batches as the losses see them: examples, with conditions and weights where there are any."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._arguments import guarded
from .._types import EnergyFn, Scalar, Vector, XBatch
from ..energies import AbstractConditionalEnergy, for_each


@guarded
class Examples(eqx.Module):
    """A batch of examples."""

    x: XBatch
    y: jax.Array | None = None
    """The label or condition of each, `(batch, ...)`, for a conditional or hybrid energy."""
    log_weights: Vector | None = None
    """How much each counts in a mean, as a logarithm; equally if there are none."""
    box: tuple[jax.Array, jax.Array] | None = None
    """The corners of the box that the points of a `Grid` cover."""


Batch = XBatch | tuple[XBatch, jax.Array] | Examples


def as_examples(batch: Any, name: str = "batch", shape: tuple[int, ...] | None = None) -> Examples:
    """`x`, `(x, y)` or `Examples` as `Examples`, checked.

    Raises:
        ValueError: if `x` is no floating-point batch of this shape, or `y` or the weights are of
            another length.
    """
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
        fix = f"give one for each of the {x.shape[0]} examples"
        _checks.require(
            jnp.shape(log_weights) == x.shape[:1],
            f"{name}.log_weights.shape",
            jnp.shape(log_weights),
            fix,
        )
    return Examples(x, y, log_weights, box)


def like(examples: Examples, x: XBatch) -> Any:
    """New positions with the same conditions and weights; an array alone if there are none.

    If there are several positions for each example, those of example `i` are `i, i + batch, …`.
    """
    if examples.y is None and examples.log_weights is None:
        return x
    num = len(x) // len(examples.x)
    y, log_weights = jax.tree.map(
        lambda a: jnp.concatenate([a] * num), (examples.y, examples.log_weights)
    )
    return Examples(x, y, log_weights)


def condition(energy: EnergyFn, y: jax.Array | None) -> EnergyFn:
    """The energy of each example under its own condition; any other energy as it is."""
    if not isinstance(energy, AbstractConditionalEnergy):
        return energy
    if y is None:
        fix = f"{type(energy).__name__} needs labels or conditions: train on batches (x, y)"
        _checks.invalid("batch", "x", f"{fix}, with negatives that keep them")
    return energy.at_each(y)


def energies(energy: EnergyFn, examples: Examples) -> Vector:
    """The energy of each example, `(batch,)`."""
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
