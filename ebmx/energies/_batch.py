"""Energies, scores and densities of batches."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._arguments import guarded
from .._checks import checked
from .._types import EnergyFn, Key, Scalar, Vector, X, XBatch
from ._base import AbstractExactEnergy
from ._conditional import Conditioned, ForEach


@guarded
def energy(model: EnergyFn, x: XBatch) -> Vector:
    """The energies `E(x)` of a batch.

    Args:
        model: an energy, or any callable from one example to a scalar.
        x: the batch, `(batch, *shape)`, floating point.

    Returns:
        The energies, `(batch,)`, in nats: low where the model finds an example likely.

    Raises:
        ValueError: if the batch is empty, of another shape or dtype, or if the model does not
            return one floating-point number an example.
    """
    return _energy(model, _checks.batch(x, "x", shape_of(model)))


@guarded
def score(model: EnergyFn, x: XBatch) -> XBatch:
    """The scores `-∇E(x)` of a batch: the gradients of the log density with respect to `x`.

    Arguments and errors as for `energy`. Returns an array of the shape of `x`.
    """
    return _score(model, _checks.batch(x, "x", shape_of(model)))


@guarded
def log_density_unnormalised(model: EnergyFn, x: XBatch) -> Vector:
    """The log densities of a batch up to the constant `log Z`: `-E(x)`.

    Arguments and errors as for `energy`. Returns an array `(batch,)`, in nats.
    """
    return -energy(model, x)


@guarded
def exact_samples(energy: AbstractExactEnergy, num: int, *, key: Key) -> XBatch:
    """Draw exact, independent examples.

    Args:
        energy: an energy that can be sampled exactly, such as a `Gaussian`.
        num: how many examples, at least 1.
        key: a key.

    Returns:
        The examples, `(num, *shape)`.

    Raises:
        ValueError: if `num` is below 1.
    """
    _checks.at_least("num", num, 1)
    return _exact_samples(energy, jax.random.split(key, num))


@eqx.filter_jit
def _exact_samples(energy: AbstractExactEnergy, keys: Key) -> XBatch:
    return jax.vmap(lambda key: energy.sample(key=key))(keys)


def shape_of(model: EnergyFn) -> tuple[int, ...] | None:
    """The shape of one example of `model`; `None` for a plain callable, which does not say.

    Args:
        model: an energy, or any callable.

    Returns:
        The shape, `None` if the model does not say it.
    """
    return getattr(model, "shape", None)


def value_and_gradient(model: EnergyFn, x: X) -> tuple[Scalar, X]:
    """`(E(x), ∇E(x))` of one example, at the cost of one gradient.

    Args:
        model: an energy, or any callable from one example to a scalar.
        x: one example, `(*shape)`.

    Returns:
        The energy in nats, and its gradient `(*shape)` in nats per unit of `x`.
    """
    return jax.value_and_grad(lambda x: as_scalar(model(x)))(x)


def as_scalar(value: Any) -> Scalar:
    """Check what an energy has returned for one example.

    Args:
        value: what an energy has returned.

    Returns:
        It as a scalar array, in nats.

    Raises:
        ValueError: if it is not one floating-point number.
    """
    if jnp.shape(value) != () or not jnp.issubdtype(jnp.result_type(value), jnp.floating):
        got = f"{jnp.result_type(value)}{list(jnp.shape(value))}"
        fix = "an energy maps ONE example to ONE floating-point number; sum over the example's axes"
        _checks.invalid("energy(x)", got, fix)
    return jnp.asarray(value)


@eqx.filter_jit
@checked
def _energy(model: EnergyFn, x: XBatch) -> Vector:
    return for_each(lambda model, x: as_scalar(model(x)), model, x)


@eqx.filter_jit
@checked
def _score(model: EnergyFn, x: XBatch) -> XBatch:
    return -for_each(lambda model, x: value_and_gradient(model, x)[1], model, x)


def for_each(function: Callable, energy: Any, *args: Any) -> Any:
    """`function(energy, *args)` mapped over the first axis of `args`, and over `ForEach`.

    Args:
        function: of the energy of one example, and of one row of each of `args`.
        energy: an energy, or a `ForEach`, which gives each example its own.
        args: arrays, or trees of arrays, with a leading axis of examples.

    Returns:
        What the function returns, stacked along a leading axis.

    Raises:
        ValueError: if a `ForEach` has not as many conditions as there are examples.
    """
    if not isinstance(energy, ForEach):
        return jax.vmap(lambda *args: function(energy, *args))(*args)
    num = jax.tree.leaves(args)[0].shape[0]
    fix = f"there are {num} examples: give one condition for each"
    _checks.require(energy.y.shape[0] == num, "y.shape", energy.y.shape, fix)
    each = lambda y, *args: function(Conditioned(energy.energy, y), *args)  # noqa: E731
    return jax.vmap(each)(energy.y, *args)
