"""Pictures as arrays."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from ... import _checks
from ._base import package


def as_bytes(picture: Any, extra: str) -> np.ndarray:
    """A figure, the image at a path, or an array as `(height, width, 3)` of uint8.

    Raises:
        ImportError: with the pip line, if Pillow is missing.
        ValueError: if an array has another shape or range.
    """
    if hasattr(picture, "savefig"):
        file = io.BytesIO()
        picture.savefig(file, format="png")
        file.seek(0)
        return _decoded(file, extra)
    if isinstance(picture, str | Path):
        return _decoded(picture, extra)
    array = np.asarray(picture)
    fix = "give (height, width) or (height, width, channels) with 1, 3 or 4 channels"
    ok = array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (1, 3, 4))
    _checks.require(ok and array.size > 0, "picture.shape", array.shape, fix)
    if array.dtype != np.uint8:
        array = array.astype(np.float64)
        ok = bool(np.all((array >= 0) & (array <= 1)))
        ends = f"{array.min()} to {array.max()}"
        _checks.require(ok, "picture", ends, "give bytes, or floats in [0, 1]")
        array = np.rint(array * 255).astype(np.uint8)
    array = array.reshape(*array.shape[:2], -1)[..., :3]
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))


def _decoded(file: Any, extra: str) -> np.ndarray:
    images = package("PIL.Image", extra)
    with images.open(file) as image:
        return np.asarray(image.convert("RGB"))
