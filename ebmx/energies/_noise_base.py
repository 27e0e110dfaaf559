"""What an energy over noise levels is, and sums of such energies."""

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from .. import _checks
from .._types import Number, Scalar, X
from ._base import AbstractExactEnergy
from ._conditional import AbstractConditionalEnergy
from ._constants import as_number, constant
from ._noise_levels import NoiseLevels
from ._precision import together
from .exact._gaussian import Gaussian


class AbstractNoiseConditionalEnergy(AbstractConditionalEnergy):
    """A function `E(x, σ)` of one example and a noise level, `-log p_σ(x)` where it is normalised.

    `p_σ` is the density of the data with Gaussian noise of standard deviation `σ`. The condition is
    `σ`, a positive number; or `(σ, label)` for an energy with classes, with label -1 for none.
    `at(sigma)` is the energy at one level, which samplers, estimates of log Z and sums take as any
    other.
    """

    levels: eqx.AbstractVar[NoiseLevels]
    num_classes: eqx.AbstractVar[int | None]
    """How many classes there are, counted from 0; `None` for an energy without classes."""

    @property
    @abc.abstractmethod
    def top(self) -> AbstractExactEnergy:
        """The density at the highest level, which is known and where samples begin."""

    @property
    @abc.abstractmethod
    def is_normalised(self) -> bool:
        """Whether `-E(x, σ)` is a log density, up to what training leaves."""

    def at_label(self, label: int | None) -> "AtLabel":
        """The energy over noise levels of one class.

        Args:
            label: the class, counted from 0; `None` for the density of all classes.

        Raises:
            ValueError: if the energy has no classes, or not this one.
        """
        fix = "it was made without num_classes"
        _checks.require(self.num_classes is not None, "energy", type(self).__name__, fix)
        fix = f"give None, or a label from 0 to {(self.num_classes or 0) - 1}"
        ok = label is None or (
            isinstance(label, int | np.integer)
            and not isinstance(label, bool)
            and 0 <= label < (self.num_classes or 0)
        )
        _checks.require(ok, "label", label, fix)
        return AtLabel(self, -1 if label is None else int(label))

    def __add__(self, other: Any) -> "NoiseProduct":
        return _product((self, other), (1.0, 1.0))

    def __sub__(self, other: Any) -> "NoiseProduct":
        return _product((self, other), (1.0, -1.0))

    def __mul__(self, weight: Number) -> "NoiseProduct":
        return NotImplemented if callable(weight) else _product((self,), (weight,))

    def __rmul__(self, weight: Number) -> "NoiseProduct":
        return NotImplemented if callable(weight) else _product((self,), (weight,))


class AbstractWithoutClasses(AbstractNoiseConditionalEnergy):
    """An energy over noise levels whose condition is `σ` alone."""

    @property
    def condition_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def num_labels(self) -> None:
        return None

    @property
    def num_classes(self) -> None:
        return None


class AbstractCombination(AbstractWithoutClasses):
    """An energy made of others, at the levels where all of them are defined."""

    energies: eqx.AbstractVar[tuple[AbstractNoiseConditionalEnergy, ...]]
    coarsest: eqx.AbstractVar[int]
    """The number of the energy whose levels are taken."""

    @property
    def levels(self) -> NoiseLevels:
        return self.energies[self.coarsest].levels


class AtLabel(AbstractWithoutClasses):
    """`E(x, σ)` for one class of an energy with classes: what `at_label(label)` returns.

    Args:
        energy: a noise-conditional energy with classes.
        label: the class, counted from 0; -1 for the density of all classes.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    energy: AbstractNoiseConditionalEnergy
    label: jax.Array = constant()

    def __init__(self, energy: AbstractNoiseConditionalEnergy, label: int | jax.Array):
        self.shape = energy.shape
        self.energy = energy
        self.label = jnp.asarray(label)

    def __call__(self, x: X, y: jax.Array) -> Scalar:
        sigma = jnp.asarray(y, x.dtype)
        return self.energy(x, jnp.stack([sigma, self.label.astype(x.dtype)]))

    @property
    def levels(self) -> NoiseLevels:
        return self.energy.levels

    @property
    def top(self) -> AbstractExactEnergy:
        return self.energy.top

    @property
    def is_normalised(self) -> bool:
        return self.energy.is_normalised


class NoiseProduct(AbstractCombination):
    """`Σᵢ wᵢ Eᵢ(x, σ)` at each level. Also `a + b`, `w * a`, `a - b` of noise-conditional energies.

    At a level above the lowest this is not the product with noise, so samplers that follow the
    score alone end at a wrong density: correct each level by a sampler, which here may reject
    (`sample_levels(energy, corrector=MALA(0.5), num_steps=...)`).

    Du et al. (2023), "Reduce, reuse, recycle: compositional generation with energy-based diffusion
    models and MCMC", arXiv 2302.11552.

    Args:
        energies: noise-conditional energies without classes, of one shape, with Gaussians at the
            same highest level. The levels are those of the one whose lowest level is the highest,
            where all are defined.
        weights: a number for each; 1 if not given. Training does not change them.

    Raises:
        ValueError: if shapes or highest levels differ, or the weighted precisions at the highest
            level are not positive, so that the product has no density.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    coarsest: int = eqx.field(static=True)
    energies: tuple[AbstractNoiseConditionalEnergy, ...]
    weights: jax.Array = constant()

    def __init__(
        self,
        energies: Sequence[AbstractNoiseConditionalEnergy],
        weights: ArrayLike | None = None,
    ):
        self.energies = of_one_shape(energies)
        self.shape, self.coarsest = self.energies[0].shape, coarsest(self.energies)
        weights = jnp.ones(len(self.energies)) if weights is None else as_number(weights)
        fix = f"give a number for each of the {len(self.energies)} energies"
        _checks.require(weights.shape == (len(self.energies),), "weights.shape", weights.shape, fix)
        _checks.finite_value("weights", weights)
        self.weights = weights
        for energy in self.energies:
            fix = "give energies with a Gaussian at the highest level, no mixtures"
            ok = isinstance(energy.top, Gaussian)
            _checks.require(ok, "energies", type(energy).__name__, fix)
        try:
            self.top  # noqa: B018
        except ValueError:
            fix = "the product has no density at the highest level: lower the negative weights"
            _checks.invalid("weights", weights, fix)

    def __call__(self, x: X, y: jax.Array) -> Scalar:
        values = together(*(energy(x, y) for energy in self.energies))
        weights = jax.lax.stop_gradient(self.weights).astype(values[0].dtype)
        return jnp.dot(weights, jnp.stack(values))

    @property
    def top(self) -> Gaussian:
        """The product of the Gaussians at the highest level."""
        tops: list[Any] = [energy.top for energy in self.energies]
        inverses = [jnp.linalg.inv(top.covariance) for top in tops]
        weights = self.weights.astype(inverses[0].dtype)
        weighted = [w * inverse for w, inverse in zip(weights, inverses, strict=True)]
        covariance = jnp.linalg.inv(sum(weighted[1:], weighted[0]))
        pairs = zip(weighted, tops, strict=True)
        mean = covariance @ sum(p @ top.mean.reshape(-1) for p, top in pairs)
        return Gaussian(mean.reshape(self.shape), (covariance + covariance.T) / 2)

    @property
    def is_normalised(self) -> bool:
        """False: the constant of a product is not known."""
        return False


def of_one_shape(energies: Sequence[Any]) -> tuple[Any, ...]:
    """Energies of one shape and highest level, checked."""
    _checks.require(len(energies) > 0, "energies", tuple(energies), "give at least one energy")
    for energy in energies:
        fix = "give noise-conditional energies; one with classes as energy.at_label(label)"
        ok = isinstance(energy, AbstractNoiseConditionalEnergy) and energy.num_classes is None
        _checks.require(ok, "energies", type(energy).__name__, fix)
    shapes = [energy.shape for energy in energies]
    _checks.require(len(set(shapes)) == 1, "shapes", shapes, "give energies of one shape")
    highest = [energy.levels.sigma[-1] for energy in energies]
    if all(map(_checks.is_concrete, highest)):
        ok = max(map(float, highest)) <= min(map(float, highest)) * (1 + 1e-5)
        fix = "give energies of the same highest level"
        _checks.require(ok, "levels.sigma[-1]", [float(one) for one in highest], fix)
    return tuple(energies)


def coarsest(energies: Sequence[Any]) -> int:
    """The number of the energy whose lowest level is the highest; 0 if they are traced."""
    lowest = [energy.levels.sigma[0] for energy in energies]
    return int(np.argmax(list(map(float, lowest)))) if all(map(_checks.is_concrete, lowest)) else 0


def _product(energies: tuple[Any, ...], weights: tuple[Number, ...]) -> NoiseProduct:
    if not all(isinstance(energy, AbstractNoiseConditionalEnergy) for energy in energies):
        return NotImplemented
    return NoiseProduct(energies, jnp.stack([as_number(weight) for weight in weights]))
