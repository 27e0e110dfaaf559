"""Mixtures of energies over noise levels, guidance, and constants."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from .. import _checks
from .._types import Key, Number, Scalar, X
from ._base import AbstractExactEnergy, log_weights
from ._constants import as_number, constant, relative
from ._noise_base import (
    AbstractCombination,
    AbstractNoiseConditionalEnergy,
    AbstractWithoutClasses,
    NoiseProduct,
    coarsest,
    of_one_shape,
)
from ._noise_levels import NoiseLevels
from ._precision import together


class NoiseMixture(AbstractCombination):
    """`-log Σᵢ wᵢ exp(-Eᵢ(x, σ))`: the mixture of densities, exact at each level.

    Args:
        energies: noise-conditional energies without classes, of one shape and highest level. The
            levels are those of the one whose lowest level is the highest, where all are defined.
        weights: positive numbers, which are normalised; equal if not given.

    Raises:
        ValueError: if shapes or highest levels differ, or a weight is not positive.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    coarsest: int = eqx.field(static=True)
    energies: tuple[AbstractNoiseConditionalEnergy, ...]
    log_weights: jax.Array = relative()

    def __init__(
        self,
        energies: Sequence[AbstractNoiseConditionalEnergy],
        weights: ArrayLike | None = None,
    ):
        self.energies = of_one_shape(energies)
        self.shape, self.coarsest = self.energies[0].shape, coarsest(self.energies)
        self.log_weights = log_weights(weights, len(self.energies))

    def __call__(self, x: X, y: jax.Array) -> Scalar:
        values = jnp.stack(together(*(energy(x, y) for energy in self.energies)))
        return -jax.nn.logsumexp(jax.nn.log_softmax(self.log_weights).astype(values.dtype) - values)

    @property
    def top(self) -> AbstractExactEnergy:
        tops = tuple(energy.top for energy in self.energies)
        # parts that are not normalised, such as sums, weigh as much as their densities have mass
        masses = [_log_mass(*pair) for pair in zip(self.energies, tops, strict=True)]
        log_weights = jax.nn.log_softmax(self.log_weights)
        return _ExactMixture(self.shape, tops, log_weights + jnp.stack(masses))

    @property
    def is_normalised(self) -> bool:
        return all(energy.is_normalised for energy in self.energies)


def _log_mass(energy: AbstractNoiseConditionalEnergy, top: AbstractExactEnergy) -> Scalar:
    """`log ∫ exp(-E(x, σ)) dx` at the highest level, where `E` is `top` up to a constant."""
    if energy.is_normalised:
        return jnp.zeros(())
    apart = top(top.mean) - energy(top.mean, energy.levels.sigma[-1])
    return (top.log_z + apart).astype(float)


class _ExactMixture(AbstractExactEnergy):
    """The mixture of normalised densities that can be sampled."""

    shape: tuple[int, ...] = eqx.field(static=True)
    energies: tuple[AbstractExactEnergy, ...]
    log_weights: jax.Array

    def __call__(self, x: X) -> Scalar:
        values = jnp.stack([energy(x) + energy.log_z for energy in self.energies])
        return -jax.nn.logsumexp(jax.nn.log_softmax(self.log_weights).astype(values.dtype) - values)

    def sample(self, *, key: Key) -> X:
        which_key, key = jax.random.split(key)
        drawn = jnp.stack([energy.sample(key=key) for energy in self.energies])
        return drawn[jax.random.categorical(which_key, self.log_weights)]

    @property
    def mean(self) -> X:
        means = jnp.stack([energy.mean for energy in self.energies])
        return jnp.tensordot(jax.nn.softmax(self.log_weights), means, 1)

    @property
    def variance(self) -> X:
        means = jnp.stack([energy.mean for energy in self.energies])
        within = jnp.stack([energy.variance for energy in self.energies])
        weights = jax.nn.softmax(self.log_weights)
        return jnp.tensordot(weights, within + (means - self.mean[None]) ** 2, 1)

    @property
    def log_z(self) -> Scalar:
        return jnp.zeros((), self.log_weights.dtype)


class Calibrated(AbstractWithoutClasses):
    """`E(x, σ) + log Z(σ)` of an energy without classes: what `calibrate_levels` returns.

    Args:
        energy: a noise-conditional energy without classes.
        log_z: `log Z` at each of its levels, `(levels,)`, in nats; linear in `log σ` between them.
            Training does not change them.

    Raises:
        ValueError: if the energy has classes, or there is not one finite number for each level.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    energy: AbstractNoiseConditionalEnergy
    log_z: jax.Array = constant()

    def __init__(self, energy: AbstractNoiseConditionalEnergy, log_z: ArrayLike):
        (self.energy,) = of_one_shape([energy])
        self.shape = energy.shape
        self.log_z = as_number(log_z)
        number = energy.levels.sigma.size
        fix = f"give a number for each of the {number} levels"
        _checks.require(self.log_z.shape == (number,), "log_z.shape", self.log_z.shape, fix)
        _checks.finite_value("log_z", self.log_z)

    def __call__(self, x: X, y: jax.Array) -> Scalar:
        value = self.energy(x, y)
        logs = jnp.log(self.levels.sigma)
        log_z = jax.lax.stop_gradient(self.log_z).astype(logs.dtype)
        here = jnp.interp(jnp.log(jnp.asarray(y, logs.dtype)), logs, log_z)
        return value + here.astype(value.dtype)

    @property
    def levels(self) -> NoiseLevels:
        return self.energy.levels

    @property
    def top(self) -> AbstractExactEnergy:
        return self.energy.top

    @property
    def is_normalised(self) -> bool:
        """True."""
        return True


def guided(energy: AbstractNoiseConditionalEnergy, label: int, weight: Number) -> NoiseProduct:
    """`(1 + w) E(x, σ | label) - w E(x, σ)`: classifier-free guidance, with an energy.

    Ho and Salimans (2022), "Classifier-free diffusion guidance".

    Args:
        energy: a noise-conditional energy with classes.
        label: the class.
        weight: `w`, 0 for the density of the class itself.

    Returns:
        A noise-conditional energy without classes.

    Raises:
        ValueError: if the label is out of range, or the weight is not finite.
    """
    _checks.finite_value("weight", weight)
    parts = energy.at_label(label), energy.at_label(None)
    return NoiseProduct(parts, jnp.stack([1 + as_number(weight), -as_number(weight)]))
