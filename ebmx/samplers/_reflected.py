"""Bounds at which any sampler is reflected."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .. import _checks
from .._types import Bounds, EnergyFn, Key, Number, X
from ..energies._batch import as_scalar
from ._base import AbstractSampler, AbstractWrapper, StepInfo
from ._fields import bounds as bounds_field
from ._fields import check_bounds, mirror_at, reflect_at, wrap_at


class Unfolded(NamedTuple):
    """The chain without bounds; its reflection is the chain within them."""

    x: X
    state: Any


class Reflected(AbstractWrapper[Unfolded]):
    """A sampler whose positions are reflected at bounds; an exact sampler stays exact.

    The energy is continued beyond the bounds by mirror images, the sampler moves on that energy,
    and its positions are reflected into the bounds. A trajectory of `HMC` turns round at a bound,
    where a `Box` around the energy would reject it. A new state starts at a random mirror image,
    which is exact also for samplers that are not symmetric under reflection (dense masses).

    ```python
    Reflected(HMC(0.1), bounds=(0.0, None))
    ```

    Neal (2011), "MCMC using Hamiltonian dynamics", section 5.5.

    Args:
        sampler: any sampler that moves from where the chain is, without bounds of its own.
        bounds: `(low, high)`: numbers for all coordinates or arrays of the shape of one example;
            `None` or an infinite number where there is no bound.

    Raises:
        ValueError: if a lower bound is not below its upper one, the sampler has bounds, or its
            proposals do not depend on where the chain is.
    """

    sampler: AbstractSampler
    bounds: Bounds = bounds_field()

    def __check_init__(self):
        fix = "give (low, high), such as (0.0, None)"
        _checks.require(self.bounds is not None, "bounds", self.bounds, fix)
        check_bounds(self.bounds)
        kind = type(self.sampler).__name__
        fix = "its proposals do not start from the position: put the energy into a Box"
        _checks.require(self.sampler.is_equivariant, "sampler", kind, fix)
        fix = "the sampler has bounds of its own: leave these out"
        _checks.require(self.sampler.bounds is None, "sampler.bounds", self.sampler.bounds, fix)

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Unfolded:
        """The state of the sampler at one of the mirror images of `x`."""
        image, init_key = self._image(x, key)
        return Unfolded(image, self.sampler.init(self._mirrored(energy), image, key=init_key))

    def refresh(self, energy: EnergyFn, x: X, state: Unfolded, *, key: Key) -> Unfolded:
        """The state of the sampler at one of the mirror images of `x`."""
        image, init_key = self._image(x, key)
        mirrored = self._mirrored(energy)
        return Unfolded(image, self.sampler.refresh(mirrored, image, state.state, key=init_key))

    def retemper(
        self, energy: EnergyFn, x: X, state: Unfolded, factor: Number, *, key: Key
    ) -> Unfolded:
        """The state that the sampler's own `retemper` makes."""
        mirrored = self._mirrored(energy)
        inner = self.sampler.retemper(mirrored, state.x, state.state, factor, key=key)
        return Unfolded(state.x, inner)

    def step(
        self, energy: EnergyFn, x: X, state: Unfolded, *, key: Key
    ) -> tuple[X, Unfolded, StepInfo]:
        """One step of the sampler on the mirrored energy, reflected into the bounds."""
        mirrored = self._mirrored(energy)
        new, inner, info = self.sampler.step(mirrored, state.x, state.state, key=key)
        new = new.astype(x.dtype)
        # far from the bounds a position would lose precision
        unfolded = Unfolded(wrap_at(new, self._ends()), inner)
        return reflect_at(new, self._ends())[0], unfolded, info

    def _image(self, x: X, key: Key) -> tuple[X, Key]:
        """One of the mirror images of `x`, at random in each coordinate, and a key for the rest."""
        image_key, rest_key = jax.random.split(key)
        mirrored = jax.random.bernoulli(image_key, 0.5, x.shape)
        return wrap_at(jnp.where(mirrored, mirror_at(x, self._ends()), x), self._ends()), rest_key

    def _mirrored(self, energy: EnergyFn) -> EnergyFn:
        return lambda x: as_scalar(energy(reflect_at(x, self._ends())[0]))

    def _ends(self) -> tuple[Any, Any]:
        assert self.bounds is not None
        low, high = self.bounds
        return jnp.asarray(low), jnp.asarray(high)
