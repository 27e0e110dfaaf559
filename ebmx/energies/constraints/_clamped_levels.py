"""Inpainting at every level of an energy over noise levels."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ... import _checks
from ..._types import Scalar, X
from .._constants import constant
from .._noise_base import AbstractNoiseConditionalEnergy, AbstractWithoutClasses
from .._noise_levels import NoiseLevels
from ..exact._gaussian import Gaussian
from ._clamped import Clamped


class ClampedLevels(AbstractWithoutClasses):
    """`E(x, σ)` with a part of the example fixed at each level: inpainting from noise.

    The energy of the free part, a vector. At the lowest level its density is that of the free part
    given the fixed one; the levels above lead to it, from a Gaussian given the fixed part at the
    highest. Sample it with a corrector: `sample_levels(clamped, num, corrector=MALA(0.3),
    num_steps=20)`, and put the free part back with `fill`.

    Args:
        energy: a noise-conditional energy without classes, with a Gaussian at its highest level.
        mask: booleans, true where the example is fixed, as for `Clamped`.
        y: an example; its entries where the mask does not hold are not looked at.

    Raises:
        ValueError: as for `Clamped`, if the highest level is no Gaussian, or if a fixed
            entry is not finite.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    clamped: Clamped
    y: jax.Array = constant()

    def __init__(self, energy: AbstractNoiseConditionalEnergy, mask: ArrayLike, y: ArrayLike):
        fix = "give an energy without classes, such as energy.at_label(label)"
        _checks.require(energy.num_classes is None, "energy", type(energy).__name__, fix)
        fix = "give an energy with a Gaussian at its highest level, no mixture"
        _checks.require(isinstance(energy.top, Gaussian), "energy", type(energy).__name__, fix)
        # what is free and what is fixed does not depend on the level
        self.clamped = Clamped(energy.at(energy.levels.sigma[-1]), mask)
        y = jnp.asarray(y, float)
        fix = f"give one example, of shape {energy.shape}"
        _checks.require(y.shape == energy.shape, "y.shape", y.shape, fix)
        _checks.finite_value("y", jnp.where(jnp.asarray(mask), y, 0.0))
        self.y = y
        self.shape = self.clamped.shape

    def __call__(self, x: X, y: jax.Array) -> Scalar:
        _checks.example(x, self.shape)
        x = jnp.asarray(x)
        return self.energy(self.clamped.fill(x, self.y.astype(x.dtype)), y)

    def fill(self, x: ArrayLike) -> jax.Array:
        """Whole examples `(..., *shape)` of free parts `(..., num_free)`."""
        return self.clamped.fill(x, self.y)

    @property
    def energy(self) -> AbstractNoiseConditionalEnergy:
        """The energy of whole examples."""
        return self.clamped.energy.energy

    @property
    def levels(self) -> NoiseLevels:
        return self.energy.levels

    @property
    def top(self) -> Gaussian:
        """The Gaussian of the free part given the fixed one."""
        top = self.energy.top
        assert isinstance(top, Gaussian)
        precision = jnp.linalg.inv(top.covariance)
        free = self.clamped.free_index
        # given the fixed part the precision is the block of the free one, and the mean moves along
        # the rest of its rows
        block = precision[jnp.ix_(free, free)]
        apart = jnp.ravel(self.y.astype(top.mean.dtype) - top.mean).at[free].set(0.0)
        mean = jnp.ravel(top.mean)[free] - jnp.linalg.solve(block, precision[free] @ apart)
        covariance = jnp.linalg.inv(block)
        return Gaussian(mean, (covariance + covariance.T) / 2)

    @property
    def is_normalised(self) -> bool:
        """False: it is the density of the whole example, at a fixed part."""
        return False
