"""Checkpoints as orbax-checkpoint writes them, one folder for each step."""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._manifest import (
    Config,
    DamagedCheckpointError,
    arrays_of,
    check_config,
    check_files,
    check_structure,
    read_manifest,
    with_arrays,
)


def steps_in(folder: str | Path) -> list[int]:
    """The steps in a folder of checkpoints, in order."""
    found = Path(folder).iterdir() if Path(folder).is_dir() else ()
    return sorted(int(path.name) for path in found if re.fullmatch(r"\d+", path.name))


def check(path: Path, like: Any, config: Config) -> dict[str, Any]:
    """The manifest, of this config and a state of the structure of `like`."""
    manifest = read_manifest(path)
    check_config(manifest, config, str(path))
    check_structure(manifest, like, str(path))
    return manifest


def read_state(path: Path, like: Any, config: Config) -> Any:
    """A state of the structure of `like`; errors as of `restore`."""
    manifest = check(path, like, config)
    return with_arrays(like, _read_arrays(path, manifest, arrays_of(like)))


def read_parts(path: Path, parts: dict[str, Any]) -> dict[str, Any]:
    """Parts of a state by their names in it; nothing else is read."""
    manifest = read_manifest(path)
    for name, part in parts.items():
        check_structure(manifest, part, str(path), f"{name}.")
    return with_arrays(parts, _read_arrays(path, manifest, arrays_of(parts)))


def _read_arrays(path: Path, manifest: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    check_files(manifest, path)
    ocp = orbax()
    places = {p: ocp.ArrayRestoreArgs(sharding=place) for p, place in _places(like).items()}
    targets = {p: places.get(p, ocp.RestoreArgs(restore_type=np.ndarray)) for p in like}
    shapes = {p: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for p, leaf in like.items()}
    args = ocp.args.PyTreeRestore(shapes, restore_args=targets, partial_restore=True)
    try:
        with ocp.Checkpointer(handler()) as checkpointer:
            arrays = checkpointer.restore(path, args=args)
    except Exception as error:
        raise DamagedCheckpointError(f"{path}: damaged, its arrays cannot be read") from error
    return {p: a if p in places else jnp.asarray(a) for p, a in arrays.items()}


def _places(like: dict[str, Any]) -> dict[str, Any]:
    """Where arrays have to be; the others may go wherever a computation needs them."""

    def decided(leaf: Any) -> bool:
        if isinstance(leaf, jax.Array):
            return leaf.committed
        return isinstance(leaf, jax.ShapeDtypeStruct) and leaf.sharding is not None

    return {path: leaf.sharding for path, leaf in like.items() if decided(leaf)}


def handler() -> Any:
    """How trees of arrays are written and read."""
    return orbax().PyTreeCheckpointHandler()


def orbax() -> Any:
    """The package, imported when it is needed."""
    try:
        import orbax.checkpoint
    except ImportError as error:
        message = "checkpoints need orbax-checkpoint: pip install 'ebmx[checkpoint]'"
        raise ImportError(message) from error
    return orbax.checkpoint
