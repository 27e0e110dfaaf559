"""Checkpoints as orbax-checkpoint writes them, one folder for each step."""

import contextlib
import dataclasses
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._state import TrainState
from ._manifest import (
    CheckpointError,
    Config,
    DamagedError,
    arrays_of,
    check_config,
    check_files,
    check_structure,
    read_manifest,
    with_arrays,
)

_SPECIAL = re.compile(r"[*?\[\]\\]|:/")


def steps_in(folder: str | Path) -> list[int]:
    """The steps in a folder of checkpoints, in order."""
    found = Path(folder).iterdir() if Path(folder).is_dir() else ()
    return sorted(int(path.name) for path in found if re.fullmatch(r"\d+", path.name))


def first_good(
    folder: str | Path, step: int | None, fallback: bool, read: Callable[[Path], Any]
) -> Any:
    """What is read from the last step, or, with `fallback`, from the last that is not damaged."""
    steps = steps_in(folder)
    fix = "train with `Checkpoints` of this folder first"
    if step is not None and step not in steps:
        fix = f"the steps in it are {steps}"
    if not steps or (step is not None and step not in steps):
        raise CheckpointError(f"{folder}: no checkpoint{'' if step is None else f' {step}'}; {fix}")
    damaged = []
    for candidate in reversed([s for s in steps if step is None or s <= step]):
        try:
            return read(Path(folder).absolute() / str(candidate))
        except DamagedError as error:
            damaged.append(error)
            if not fallback:
                error.add_note("`fallback=True` goes back to the last good step")
                raise
    words = "; ".join(map(str, damaged))
    raise DamagedError(f"{folder}: no good step is left: {words}") from damaged[0]


def check(path: Path, like: Any, config: Config) -> tuple[dict[str, Any], Any]:
    """The manifest, of this config and a state of the structure of `like`, and that structure."""
    manifest = read_manifest(path)
    check_config(manifest, config, str(path))
    like = _with_scale(like, "update_scale" in manifest["structure"])
    check_structure(manifest, like, str(path))
    return manifest, like


def _with_scale(like: Any, scaled: bool) -> Any:
    """A state with a scale of its updates, or without: it begins in the midst of a training."""
    if not isinstance(like, TrainState) or scaled == (like.update_scale is not None):
        return like
    scale = jnp.ones((), jnp.float32) if scaled else None
    return dataclasses.replace(like, update_scale=scale)


def read_state(path: Path, like: Any, config: Config) -> Any:
    """A state of the structure of `like`; errors as of `restore`."""
    manifest, like = check(path, like, config)
    return with_arrays(like, _read_arrays(path, manifest, arrays_of(like)))


def read_parts(path: Path, parts: dict[str, Any]) -> dict[str, Any]:
    """The named parts of a state; no other arrays are read."""
    manifest = read_manifest(path)
    for name, part in parts.items():
        check_structure(manifest, part, str(path), f"{name}.")
    return with_arrays(parts, _read_arrays(path, manifest, arrays_of(parts)))


@contextlib.contextmanager
def plain(folder: Path) -> Iterator[Path]:
    r"""A path of the folder without the characters `* ? [ ] \` and without `:/`.

    Orbax lists files by glob patterns of whole paths, TensorStore reads a backslash as a slash, and
    `gs:/` is read as an address, so that arrays written to a path with them are not found again.
    Such a path is reached through a link in the folder for temporary files.
    """
    if not _is_special(folder):
        yield folder
        return
    fix = "give a path without * ? [ ] :/ and backslashes"
    if jax.process_count() > 1:
        raise CheckpointError(f"folder={folder}: written by several processes; {fix}")
    if _is_special(Path(tempfile.gettempdir())):
        raise CheckpointError(f"folder={folder}: {tempfile.gettempdir()} has them too; {fix}")
    with tempfile.TemporaryDirectory(prefix="ebmx-") as place:
        link = Path(place) / "link"
        try:
            link.symlink_to(folder, target_is_directory=True)
        except OSError as error:
            raise CheckpointError(f"folder={folder}: cannot be linked to; {fix}") from error
        yield link


def _is_special(path: Path) -> bool:
    """Whether one of these characters follows the root or drive."""
    return _SPECIAL.search("/".join([*path.parts[1:], ""])) is not None


def check_readable(path: Path, written: dict[str, Any]) -> None:
    """Read an array that was just written, as `restore` would, if there is one process."""
    if jax.process_count() > 1:
        return
    try:
        found = _load(path, written)
    except Exception as error:
        raise OSError(f"it cannot be read back: {str(error).splitlines()[0]}") from error
    for name, array in written.items():
        if np.asarray(found[name]).tobytes() != np.asarray(array).tobytes():
            raise OSError(f"it cannot be read back: {name} is not what was written")


def _read_arrays(path: Path, manifest: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    check_files(manifest, path)
    try:
        with plain(path.parent) as folder:
            return _load(folder / path.name, like)
    except (CheckpointError, ImportError):
        raise
    except Exception as error:
        raise DamagedError(f"{path}: damaged, its arrays cannot be read") from error


def _load(path: Path, like: dict[str, Any]) -> dict[str, Any]:
    ocp = orbax()
    places = {p: ocp.ArrayRestoreArgs(sharding=place) for p, place in _places(like).items()}
    targets = {p: places.get(p, ocp.RestoreArgs(restore_type=np.ndarray)) for p in like}
    shapes = {p: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for p, leaf in like.items()}
    args = ocp.args.PyTreeRestore(shapes, restore_args=targets, partial_restore=True)
    # a `Checkpointer` does not read a folder that is not completed
    with contextlib.closing(handler()) as reader:
        arrays = reader.restore(path, args=args)
    return {p: a if p in places else jnp.asarray(a) for p, a in arrays.items()}


def _places(like: dict[str, Any]) -> dict[str, Any]:
    """The shardings of arrays that are committed to devices."""
    shapes = {p: a for p, a in like.items() if isinstance(a, jax.ShapeDtypeStruct) and a.sharding}
    arrays = {p: a for p, a in like.items() if isinstance(a, jax.Array) and a.committed}
    return {path: leaf.sharding for path, leaf in {**shapes, **arrays}.items()}


def handler() -> Any:
    """The handler of orbax that writes and reads trees of arrays."""
    return orbax().PyTreeCheckpointHandler()


def orbax() -> Any:
    """The package `orbax.checkpoint`, imported at its first use."""
    try:
        import orbax.checkpoint
    except ImportError as error:
        message = "checkpoints need orbax-checkpoint: pip install 'ebmx[checkpoint]'"
        raise ImportError(message) from error
    return orbax.checkpoint
