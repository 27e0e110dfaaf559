"""Sums of energies over an image pyramid."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import Scalar, X
from .._base import AbstractEnergy
from .._batch import shape_of


class MultiScale(AbstractEnergy):
    """`Σᵢ Eᵢ(xᵢ)` over an image and its halves: `x₀` is the image, `xᵢ₊₁` means of 2×2 pixels.

    Coarse energies see the whole of an image at little cost, so that chains get its shape right
    first. Du, Li, Tenenbaum and Mordatch (2021), "Improved contrastive divergence training of
    energy based models", section 3.3.

    Args:
        energies: one for each scale, finest first, at least one; each of half the height and width
            of the one before, rounded down, and as many channels.

    Raises:
        ValueError: if there is none, or a shape does not fit.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    energies: tuple[Any, ...]

    def __init__(self, energies: Sequence[Any]):
        self.energies = tuple(energies)
        fix = "give an energy for each scale, the finest first"
        _checks.require(bool(self.energies), "energies", self.energies, fix)
        shapes = [shape_of(energy) for energy in self.energies]
        first = shapes[0]
        fix = "give energies of images, with a shape (height, width, channel)"
        _checks.require(first is not None and len(first) == 3, "energies[0].shape", first, fix)
        assert first is not None
        height, width, channels = first
        for number, shape in enumerate(shapes):
            wanted = (height >> number, width >> number, channels)
            fix = "the image has no pixels left to halve: leave this energy out"
            name = f"energies[{number}].shape"
            _checks.require(min(wanted) > 0, name, shape, fix)
            _checks.require(shape in (wanted, None), name, shape, f"give an energy of {wanted}")
        self.shape = first

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        total = self.energies[0](x)
        for energy in self.energies[1:]:
            x = halved(x)
            total = total + energy(x)
        return total


def halved(x: jax.Array) -> jax.Array:
    """Means of 2×2 pixels of one image; a last odd row or column is left out."""
    height, width, channels = x.shape[0] // 2, x.shape[1] // 2, x.shape[2]
    blocks = x[: 2 * height, : 2 * width].reshape(height, 2, width, 2, channels)
    return jnp.mean(blocks, (1, 3))
