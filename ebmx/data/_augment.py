"""Random changes of images that leave what they show."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates

from .. import _checks
from .._types import Key, Number, X


def _known(name: str) -> Callable[[Any], Any]:
    """A converter to Python numbers, for fields that are fixed when an image is compiled."""

    def convert(value: Any) -> Any:
        _checks.require(_checks.is_concrete(value), name, value, "give a number that is known")
        is_number = np.issubdtype(np.asarray(value).dtype, np.number) and np.ndim(value) == 0
        return float(value) if is_number else value

    return convert


class RandomImage(eqx.Module):
    """An image mirrored, turned, zoomed, shifted, brighter or darker, of more or less contrast.

    All changes are random. `augment=RandomImage()` of `PCD` changes chains when they are drawn
    again, so that they move between images which a short chain does not connect. Du et al. (2021),
    "Improved contrastive divergence training of energy based models", section 3.2.

    Args:
        flip: the probability of a mirrored image, left for right.
        shift: by how many pixels it is shifted at most, on each axis; pixels at the edge are
            repeated.
        brightness: the largest change of all values, up or down.
        contrast: the largest relative change of the distances to the mean of the image, below 1.
        bounds: `(low, high)`, to which values are clipped.
        rotation: by how many degrees it is turned about its middle at most, either way.
        zoom: the largest relative change of the size of what it shows, below 1. Turned and zoomed
            images are interpolated linearly, and pixels at the edge repeated. `rotation` and `zoom`
            are Python numbers; other values compile again.

    Raises:
        ValueError: if a number is out of its range; when called, if it is not one image
            `(height, width, channel)`.
    """

    flip: Number = eqx.field(converter=jnp.asarray, default=0.5)
    shift: int = eqx.field(static=True, default=2)
    brightness: Number = eqx.field(converter=jnp.asarray, default=0.0)
    contrast: Number = eqx.field(converter=jnp.asarray, default=0.0)
    bounds: tuple[Any, Any] = eqx.field(converter=lambda ends: tuple(ends), default=(-1.0, 1.0))
    rotation: float = eqx.field(static=True, converter=_known("rotation"), default=0.0)
    zoom: float = eqx.field(static=True, converter=_known("zoom"), default=0.0)

    def __check_init__(self):
        _checks.probability("flip", self.flip)
        _checks.at_least("shift", self.shift, 0)
        _checks.non_negative("brightness", self.brightness)
        _checks.probability("contrast", self.contrast)
        _checks.non_negative("rotation", self.rotation)
        _checks.fraction("zoom", self.zoom)
        low, high = self.bounds
        ok = not (_checks.is_concrete(low) and _checks.is_concrete(high)) or bool(low < high)
        _checks.require(ok, "bounds", self.bounds, "give (low, high) with low < high")

    def __call__(self, x: X, *, key: Key) -> X:
        """A changed copy of one image."""
        _checks.require(x.ndim == 3, "x.shape", x.shape, "give (height, width, channel)")
        flip_key, shift_key, bright_key, contrast_key = jax.random.split(key, 4)
        x = jnp.where(jax.random.bernoulli(flip_key, self.flip), x[:, ::-1], x)
        if self.rotation > 0 or self.zoom > 0:
            x = self._turned(x, key=jax.random.fold_in(key, 4))
        if self.shift > 0:
            room = ((self.shift, self.shift), (self.shift, self.shift), (0, 0))
            corner = jax.random.randint(shift_key, (2,), 0, 2 * self.shift + 1)
            start = (corner[0], corner[1], jnp.zeros((), corner.dtype))
            x = jax.lax.dynamic_slice(jnp.pad(x, room, mode="edge"), start, x.shape)
        brightness, contrast = (
            (size * jax.random.uniform(key, minval=-1.0, maxval=1.0)).astype(x.dtype)
            for size, key in ((self.brightness, bright_key), (self.contrast, contrast_key))
        )
        mean = jnp.mean(x)
        low, high = (jnp.asarray(end, x.dtype) for end in self.bounds)
        return jnp.clip(mean + (1 + contrast) * (x - mean) + brightness, low, high)

    def _turned(self, x: X, *, key: Key) -> X:
        """The image turned by a random angle and zoomed by a random factor, about its middle."""
        # half precision does not hold the places of pixels
        dtype = jnp.promote_types(x.dtype, jnp.float32)
        part, size = jax.random.uniform(key, (2,), dtype, minval=-1.0, maxval=1.0)
        angle, factor = jnp.deg2rad(self.rotation * part), 1 + self.zoom * size
        middle = ((np.array(x.shape[:2]) - 1) / 2).astype(dtype)
        rows, columns = jnp.indices(x.shape[:2], dtype) - middle[:, None, None]
        cos, sin = jnp.cos(angle) / factor, jnp.sin(angle) / factor
        places = [
            cos * rows + sin * columns + middle[0],
            cos * columns - sin * rows + middle[1],
        ]
        read = partial(map_coordinates, coordinates=places, order=1, mode="nearest")
        turned = jax.vmap(read, in_axes=-1, out_axes=-1)(x.astype(dtype))
        return turned.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.inexact) else turned
