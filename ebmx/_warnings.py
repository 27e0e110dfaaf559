"""Warnings that point at the line that called the package."""

import contextlib
import os
import sys
import warnings
from pathlib import Path

import equinox as eqx
import jax
import jaxtyping

# what stands between a public function and what it calls: checks of shapes, compilation, `with`
_FOLDERS = (Path(__file__), *(Path(str(module.__file__)) for module in (eqx, jax, jaxtyping)))
_SKIPPED = (*(f"{path.parent}{os.sep}" for path in _FOLDERS), contextlib.__file__, "<")


def warn(text: str, category: type[Warning]) -> None:
    """Warn of the innermost line outside the package: that of its caller, or of a callback."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_SKIPPED):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, category, stacklevel=level)
