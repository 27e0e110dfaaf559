"""Energies, scores and densities of batches."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from .. import _checks
from .._checks import checked
from .._types import EnergyFn, Key, Scalar, Vector, X, XBatch
from ._base import AbstractAnalyticEnergy, AbstractExactEnergy, check_scalar
from ._conditional import Conditioned, ForEach
from ._noise_base import AbstractNoiseConditionalEnergy


def energy(energy: EnergyFn, x: ArrayLike) -> Vector:
    """The energies `E(x)` of a batch.

    Args:
        energy: an energy, or any callable from one example to a scalar.
        x: the batch, `(batch, *shape)`, floating point.

    Returns:
        The energies, `(batch,)`, in nats: low where the density is high.

    Raises:
        ValueError: if the batch is empty, of another shape or dtype, or if the energy does not
            return one floating-point number an example.

    Examples:
        >>> import jax.numpy as jnp
        >>> import ebmx
        >>> ebmx.energy(lambda x: jnp.sum(x**2), jnp.ones((3, 2)))
        Array([2., 2., 2.], dtype=float32)
    """
    return _energy(energy, _checks.batch(x, "x", shape_of(energy)))


def score(energy: EnergyFn, x: ArrayLike) -> XBatch:
    """The scores `-∇E(x)` of a batch: the gradients of the log density with respect to `x`.

    Arguments and errors as for `energy`. Returns an array of the shape of `x`.

    Examples:
        >>> import jax.numpy as jnp
        >>> import ebmx
        >>> ebmx.score(lambda x: jnp.sum(x**2), jnp.ones((1, 2)))
        Array([[-2., -2.]], dtype=float32)
    """
    return _score(energy, _checks.batch(x, "x", shape_of(energy)))


def log_density(energy: Any, x: ArrayLike) -> Vector:
    """The log densities of a batch, for an energy whose normaliser is known.

    That of an energy over noise levels is the one at its lowest level, `-E(x, σ₀)`, from one pass.
    For other energies see `ebmx.evaluation.log_likelihood`, which takes an estimate of `log Z`.

    Args:
        energy: a density with a known `log_z`, such as a `Gaussian`; or a normalised energy over
            noise levels, also at one level, `energy.at(sigma)`.
        x: the batch, `(batch, *shape)`, floating point.

    Returns:
        The log densities, `(batch,)`, in nats.

    Raises:
        ValueError: if the normaliser of the energy is not known, or the batch does not fit it.
    """
    if isinstance(energy, AbstractAnalyticEnergy):
        values = _energy(energy, _checks.batch(x, "x", energy.shape))
        return -values - energy.log_z.astype(values.dtype)
    over_levels = energy.energy if isinstance(energy, Conditioned) else energy
    name = type(energy).__name__
    fix = f"log Z of {name} is not known: estimate it, such as by ebmx.evaluation.adaptive_smc, "
    fix += "and give it to ebmx.evaluation.log_likelihood"
    ok = isinstance(over_levels, AbstractNoiseConditionalEnergy) and over_levels.is_normalised
    _checks.require(ok, "energy", name, fix)
    if isinstance(energy, AbstractNoiseConditionalEnergy):
        fix = "choose a class first: energy.at_label(label), or at_label(None) for all"
        _checks.require(energy.num_classes is None, "energy.num_classes", energy.num_classes, fix)
        energy = energy.at(energy.levels.sigma[0])
    return -_energy(energy, _checks.batch(x, "x", energy.shape))


def exact_samples(energy: AbstractExactEnergy, num_samples: int, *, key: Key) -> XBatch:
    """Draw exact, independent examples.

    Args:
        energy: an energy that can be sampled exactly, such as a `Gaussian`.
        num_samples: how many, at least 1.
        key: a key.

    Returns:
        The examples, `(num_samples, *shape)`.

    Raises:
        ValueError: if `num_samples` is below 1.
    """
    _checks.at_least("num_samples", num_samples, 1)
    return _exact_samples(energy, jax.random.split(key, num_samples))


@eqx.filter_jit
def _exact_samples(energy: AbstractExactEnergy, keys: Key) -> XBatch:
    return jax.vmap(lambda key: energy.sample(key=key))(keys)


def shape_of(energy: EnergyFn) -> tuple[int, ...] | None:
    """The shape of one example of an energy; `None` for a plain callable, which has no shape."""
    check_scalar(energy)
    return getattr(energy, "shape", None)


def value_and_gradient(energy: EnergyFn, x: X) -> tuple[Scalar, X]:
    """`(E(x), ∇E(x))` of one example, at the cost of one gradient."""
    return jax.value_and_grad(lambda x: as_scalar(energy(x)))(x)


def as_scalar(value: Any) -> Scalar:
    """What an energy has returned for one example, as a scalar array."""
    if jnp.shape(value) != () or not jnp.issubdtype(jnp.result_type(value), jnp.floating):
        got = f"{jnp.result_type(value)}{list(jnp.shape(value))}"
        fix = "an energy maps ONE example to ONE floating-point number; sum over the example's "
        fix += "axes, or leave out_size out where it is a network"
        _checks.invalid("energy(x)", got, fix)
    return jnp.asarray(value)


@eqx.filter_jit
@checked
def _energy(energy: EnergyFn, x: XBatch) -> Vector:
    return for_each(lambda energy, x: as_scalar(energy(x)), energy, x)


@eqx.filter_jit
@checked
def _score(energy: EnergyFn, x: XBatch) -> XBatch:
    return -for_each(lambda energy, x: value_and_gradient(energy, x)[1], energy, x)


def for_each(function: Callable, energy: Any, *args: Any) -> Any:
    """`function(energy, *args)` mapped over the first axis of `args`: the one `vmap` of energies.

    A `ForEach` gives each example an energy of its own.
    """
    if not isinstance(energy, ForEach):
        return jax.vmap(lambda *args: function(energy, *args))(*args)
    num = jax.tree.leaves(args)[0].shape[0]
    fix = f"there are {num} examples: give one condition for each"
    _checks.require(energy.y.shape[0] == num, "y.shape", energy.y.shape, fix)
    each = lambda y, *args: function(Conditioned(energy.energy, y), *args)  # noqa: E731
    return jax.vmap(each)(energy.y, *args)
