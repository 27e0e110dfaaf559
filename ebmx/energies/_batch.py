"""Energies, scores and densities of batches."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._arguments import guarded
from .._checks import checked
from .._types import EnergyFn, Scalar, Vector, X, XBatch
from ._conditional import for_each


@guarded
def energy(model: EnergyFn, x: XBatch) -> Vector:
    """The energies `E(x)` of a batch.

    **Arguments:**

    - `model`: an energy, or any callable from one example to a scalar.
    - `x`: the batch, `(batch, *shape)`, floating point.

    **Returns:**

    The energies, `(batch,)`, in nats: low where the model finds an example likely.

    **Raises:**

    `ValueError` if the batch is empty, of another shape or dtype, or if the model does not return
    one floating-point number an example.
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


def shape_of(model: EnergyFn) -> tuple[int, ...] | None:
    """The shape of one example of `model`; `None` for a plain callable, which does not say.

    **Arguments:**

    - `model`: an energy, or any callable.

    **Returns:**

    The shape, `None` if the model does not say it.
    """
    return getattr(model, "shape", None)


def value_and_gradient(model: EnergyFn, x: X) -> tuple[Scalar, X]:
    """`(E(x), ∇E(x))` of one example, at the cost of one gradient.

    **Arguments:**

    - `model`: an energy, or any callable from one example to a scalar.
    - `x`: one example, `(*shape)`.

    **Returns:**

    The energy in nats, and its gradient `(*shape)` in nats per unit of `x`.
    """
    return jax.value_and_grad(lambda x: as_scalar(model(x)))(x)


def as_scalar(value: Any) -> Scalar:
    """Check what an energy has returned for one example.

    **Arguments:**

    - `value`: what an energy has returned.

    **Returns:**

    It as a scalar array, in nats.

    **Raises:**

    `ValueError` if it is not one floating-point number.
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
