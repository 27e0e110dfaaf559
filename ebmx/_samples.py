"""Samples as files."""

from pathlib import Path

import numpy as np

from . import _checks


def stem_of(name: Path) -> Path:
    """The name without its ending, if that is `.npz`, `.npy` or `.png`.

    Raises:
        ValueError: if nothing is left.
    """
    stem = name.with_suffix("") if name.suffix in (".npz", ".npy", ".png") else name
    _checks.require(stem.name != "", "--out", str(name), "give the name of a file")
    return stem


def write_samples(name: Path, x: np.ndarray, in_units: np.ndarray) -> dict[str, Path]:
    """Write samples to the files of a name, `NAME.npz`, and `NAME.png` if they are images.

    `name` may end in `.npz`, `.png` or `.npy`; the last one is written as well, and holds the array
    alone.

    Returns:
        The files that were written: `out`, `array` and `picture`.
    """
    from .plotting import sample_grid

    stem = stem_of(name)
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = {"out": stem.with_name(f"{stem.name}.npz")}
    np.savez_compressed(files["out"], x=in_units)
    if name.suffix == ".npy":
        files["array"] = name
        np.save(name, in_units)
    if x.ndim == 4 and x.shape[-1] in (1, 3):
        files["picture"] = stem.with_name(f"{stem.name}.png")
        sample_grid({"samples of the model": x}).savefig(files["picture"])
    return files
