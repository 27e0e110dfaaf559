"""What an energy is, and the arithmetic of energies."""

import abc
import functools
import operator
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from .. import _checks
from .._types import EnergyFn, Key, Number, Scalar, X
from ._constants import as_number, constant
from ._precision import together
from ._repr import show

OutSize: TypeAlias = int | Literal["scalar"]
"""The outputs of a network: `"scalar"` for an energy, or the number of features."""


class AbstractEnergy(eqx.Module):
    """A function from one example to one number, `E(x)`; the density is `exp(-E(x)) / Z`.

    Subclasses set `shape`, the shape of one example, and define `__call__` on ONE example. To
    evaluate a batch use `jax.vmap(energy)(x)` or `ebmx.energy(energy, x)`. Wherever the library
    takes an energy, a plain callable `x -> scalar` does as well.

    Energies add up, `a + b` or `sum([a, b, c])`, to the product of their densities; `w * a`, `-a`
    and `a - b` weigh them, and `a / T` tempers one. Either side of a sum may be a plain callable.
    """

    shape: eqx.AbstractVar[tuple[int, ...]]

    @abc.abstractmethod
    def __call__(self, x: X) -> Scalar:
        """The energy of one example of shape `self.shape`."""

    def __repr__(self) -> str:
        return show(self)

    def __add__(self, other: Any) -> "Product":
        return Product((self, other)) if callable(other) else NotImplemented

    def __radd__(self, other: Any) -> "AbstractEnergy":
        if isinstance(other, int) and other == 0:
            return self  # where `sum` of several energies begins
        return Product((other, self)) if callable(other) else NotImplemented

    def __sub__(self, other: Any) -> "Product":
        if not callable(other):
            return NotImplemented
        other = other if hasattr(other, "shape") else Function(other, self.shape)
        return Product((self, Weighted(other, -1.0)))

    def __rsub__(self, other: Any) -> "Product":
        return Product((other, Weighted(self, -1.0))) if callable(other) else NotImplemented

    def __neg__(self) -> "Weighted":
        return Weighted(self, -1.0)

    def __mul__(self, weight: Number) -> "Weighted":
        return NotImplemented if callable(weight) else Weighted(self, weight)

    __rmul__ = __mul__

    def __truediv__(self, temperature: Number) -> "Weighted":
        if callable(temperature):
            return NotImplemented
        _checks.positive("temperature", temperature)
        return Weighted(self, 1 / as_number(temperature))


class Function(AbstractEnergy):
    """A plain function of one example with the shape that it takes.

    Args:
        function: from one example to one number. It may be a pytree with parameters.
        shape: the shape of one example.

    Raises:
        ValueError: if it is not a function, or a size is not a positive integer.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    function: EnergyFn

    def __init__(self, function: EnergyFn, shape: Sequence[int]):
        fix = "give a function from one example to one number"
        _checks.require(callable(function), "function", function, fix)
        self.shape = _checks.dimensions("shape", shape)
        self.function = function

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        return self.function(x)


class Product(AbstractEnergy):
    """`E(x) = Σᵢ Eᵢ(x)`: the product of densities, where all of them agree. Also `a + b`.

    Hinton (2002), "Training products of experts by minimizing contrastive divergence".

    Examples that meet several conditions of one conditional energy have
    `Product([energy.at(y) for y in conditions])`. It is exact for conditions that are independent
    given `x` and a flat prior; if the energy `base` without a condition is known, subtract it for
    all conditions but one, `energy.at(0) + energy.at(1) - base`.

    Du, Li and Mordatch (2020), "Compositional visual generation with energy-based models".

    Args:
        energies: energies of one shape, at least one; plain callables take that of the others.

    Raises:
        ValueError: if there are no energies, or their shapes differ.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    energies: tuple[Any, ...]

    def __init__(self, energies: Sequence[Any]):
        self.shape = common_shape(energies)
        self.energies = tuple(energies)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        return functools.reduce(operator.add, together(*(energy(x) for energy in self.energies)))


class Weighted(AbstractEnergy):
    """`E(x) = w E₁(x)`. Also `w * a`, `-a`, and `a / T` for `w = 1/T`.

    A negative weight makes likely what was unlikely; such an energy is a density only beside
    another one that confines it. The weight is a constant: training does not change it.

    Args:
        energy: an energy.
        weight: a finite number, `w`. It may be traced.

    Raises:
        ValueError: if the energy has no `shape`, or the weight is not one finite number.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    energy: Any
    weight: jax.Array = constant()

    def __init__(self, energy: Any, weight: Number):
        self.shape = common_shape([energy])
        self.energy = energy
        self.weight = as_number(weight)
        fix = "give one finite number"
        _checks.require(self.weight.shape == (), "weight", weight, fix)
        if _checks.is_concrete(self.weight):
            _checks.require(bool(jnp.isfinite(self.weight)), "weight", weight, fix)

    def __call__(self, x: X) -> Scalar:
        value = self.energy(x)
        return jax.lax.stop_gradient(self.weight).astype(value.dtype) * value


def common_shape(energies: Sequence[Any]) -> tuple[int, ...]:
    """The shape of one example of all these energies."""
    _checks.require(len(energies) > 0, "energies", tuple(energies), "give at least one energy")
    for energy in energies:
        name = type(energy).__name__
        fix = "give energies: functions from one example to one number"
        _checks.require(callable(energy), "energies", name, fix)
        fix = "bind its state first: ebmx.energies.freeze(energy, state)"
        _checks.require(not isinstance(energy, AbstractStatefulEnergy), "energies", name, fix)
        check_scalar(energy)
        # an `AbstractConditionalEnergy`, whose module needs this one
        takes = getattr(energy, "condition_shape", None)
        fix = "this energy takes a condition, a label or a noise level: fix it by energy.at(...)"
        _checks.require(takes is None, "condition_shape", takes, fix)
    shapes = [energy.shape for energy in energies if hasattr(energy, "shape")]
    names = [type(energy).__name__ for energy in energies]
    fix = "none has a shape: wrap a plain function as ebmx.energies.Function(function, shape)"
    _checks.require(bool(shapes), "energies", names, fix)
    fix = f"energies of one shape are needed; these are {names}"
    _checks.require(len(set(shapes)) == 1, "shapes", shapes, fix)
    return shapes[0]


def log_weights(weights: ArrayLike | None, num: int) -> jax.Array:
    """The logarithms of so many weights, normalised; equal ones if not given."""
    weights = jnp.ones(num) if weights is None else jnp.asarray(weights, float)
    fix = f"give ({num},): one weight for each of the {num} components"
    _checks.require(weights.shape == (num,), "weights.shape", weights.shape, fix)
    _checks.positive("weights", weights)
    return jax.nn.log_softmax(jnp.log(weights))


def check_order(low: jax.Array, high: jax.Array) -> None:
    """Check that `low < high` everywhere."""
    if _checks.is_concrete(low) and _checks.is_concrete(high):
        ok = bool(np.all(np.asarray(low) < np.asarray(high)))
        _checks.require(ok, "high", high, "give low < high for each coordinate")


def check_scalar(energy: Any) -> None:
    """Check that a network which is used as an energy has one output."""
    out_size = getattr(energy, "out_size", "scalar")
    fix = "this network has features and is no energy: leave out_size out, or give the network to "
    fix += "JEM or Conditional"
    _checks.require(not isinstance(out_size, int), "out_size", out_size, fix)
    size = getattr(energy, "condition_size", None)
    fix = "this network takes a condition and is no energy: give it to NoiseConditional"
    _checks.require(size is None, "condition_size", size, fix)


def check_features(network: Any) -> None:
    """Check that a network which is used for its features is no energy."""
    out_size = getattr(network, "out_size", None)
    fix = "this network is an energy, and features are needed: give their number, such as "
    fix += "MLP(shape, out_size=10)"
    _checks.require(not isinstance(out_size, str), "out_size", repr(out_size), fix)


class AbstractAnalyticEnergy(AbstractEnergy):
    """An energy whose normaliser `log_z` and moments of each coordinate are known."""

    @property
    @abc.abstractmethod
    def mean(self) -> X:
        """The mean, of the shape of one example."""

    @property
    @abc.abstractmethod
    def variance(self) -> X:
        """The variance of each coordinate, of the shape of one example."""

    @property
    @abc.abstractmethod
    def log_z(self) -> Scalar:
        """`log ∫ exp(-E(x)) dx`, in nats."""


class AbstractCentred(AbstractAnalyticEnergy):
    """An analytic energy with mean zero."""

    @property
    def mean(self) -> X:
        return jnp.zeros(self.shape)


class AbstractExactEnergy(AbstractAnalyticEnergy):
    """An analytic energy that can be sampled exactly."""

    @abc.abstractmethod
    def sample(self, *, key: Key) -> X:
        """Draw one exact, independent example."""


class AbstractBlockEnergy(AbstractEnergy):
    """An energy of discrete examples with blocks of sites that are independent given the others.

    `ebmx.samplers.BlockGibbs` samples it. A sweep draws each block from its exact conditional.
    """

    @abc.abstractmethod
    def gibbs_sweep(self, x: X, *, weight: Number | None = None, key: Key) -> X:
        """One step of a chain that leaves `exp(-weight E)` invariant; weight 1 if not given."""


class AbstractStatefulEnergy(eqx.Module):
    """An energy with layers that carry a state: `BatchNorm`, `SpectralNorm`.

    `ebmx.energies.advance` moves the state, once in a training step; `ebmx.energies.freeze` binds
    it and returns a plain energy. Batch statistics, if there are any, are taken over the axis
    named `"batch"`.
    """

    shape: eqx.AbstractVar[tuple[int, ...]]

    @abc.abstractmethod
    def __call__(self, x: X, state: eqx.nn.State) -> tuple[Scalar, eqx.nn.State]:
        """The energy of one example, and the state after it."""

    def __repr__(self) -> str:
        return show(self)
