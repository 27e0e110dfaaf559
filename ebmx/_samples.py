"""Samples as files."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import _checks

_ENDINGS = (".npz", ".npy", ".csv", ".png")


def stem_of(name: Path, *, overwrite: bool) -> Path:
    """The name without its ending, if none of its files is there or they may be replaced."""
    stem = name.with_suffix("") if name.suffix in _ENDINGS else name
    _checks.require(stem.name != "", "--out", str(name), "give the name of a file")
    for ending in _ENDINGS:
        file = stem.with_name(f"{stem.name}{ending}")
        fix = "the file exists: give another name, or --overwrite"
        _checks.require(overwrite or not file.exists(), "--out", str(file), fix)
    return stem


def check_shape(name: Path, shape: tuple[int, ...]) -> None:
    """Check that the file can hold samples of this shape."""
    fix = f"samples of shape {shape} are no rows of a table: give a name that ends in .npz"
    _checks.require(name.suffix != ".csv" or len(shape) == 1, "--out", str(name), fix)


def free_stem(name: str) -> Path:
    """`name`, or `name-2`, `name-3`, …: the first of which there is no file yet."""
    number = 1
    while True:
        stem = Path(name if number == 1 else f"{name}-{number}")
        if not any(stem.with_name(f"{stem.name}{ending}").exists() for ending in _ENDINGS):
            return stem
        number += 1


def write_samples(
    name: Path,
    x: np.ndarray,
    in_units: np.ndarray,
    *,
    columns: Sequence[str] = (),
    span: tuple[float, float] = (-1.0, 1.0),
    overwrite: bool = False,
) -> dict[str, Path]:
    """Write samples to `NAME.npz`, and to `NAME.png` if they are images, and return the files.

    For a name that ends in `.npy`, the array alone is written there as well; for one that ends in
    `.csv`, rows under the names of the columns, `x1`, `x2`, … if they have none.
    """
    from .plotting import sample_grid

    stem = stem_of(name, overwrite=overwrite)
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = {"out": stem.with_name(f"{stem.name}.npz")}
    np.savez_compressed(files["out"], x=in_units)
    if name.suffix == ".npy":
        files["array"] = name
        np.save(name, in_units)
    if name.suffix == ".csv":
        files["table"] = name
        names = columns or [f"x{i + 1}" for i in range(in_units.shape[1])]
        with name.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([names, *in_units.tolist()])
    if x.ndim == 4 and x.shape[-1] in (1, 3):
        files["picture"] = stem.with_name(f"{stem.name}.png")
        grid = sample_grid({"samples of the model": x}, span=span)
        grid.savefig(files["picture"])
    return files
