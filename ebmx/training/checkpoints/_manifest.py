"""The manifest of a checkpoint: structure, checksums of the files, config."""

import json
import zlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_FORMAT = 1
_NAME = "manifest.json"
_CHANGING = ("_CHECKPOINT_METADATA", _NAME)  # written, or written again, after the others
Config = dict[str, Any] | str | None


class CheckpointError(ValueError):
    """A checkpoint that is missing, cannot be used, or could not be written."""

    state: Any = None
    """After `fit`, the state that could not be written."""


class SaveError(CheckpointError, OSError):
    """A checkpoint that could not be written."""


class DamagedError(CheckpointError):
    """A checkpoint that was changed since it was written; an earlier one may be good."""


def arrays_of(tree: Any) -> dict[str, Any]:
    """The arrays of a tree by their paths, such as `energy.network.layers.0.weight`."""
    arrays = {path: leaf for path, leaf in _leaves(tree) if _is_array(leaf) and leaf.size > 0}
    for path, leaf in arrays.items():
        # a key belongs to the caller: in a state, each `fit` from it would draw the same numbers
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            fix = "keep keys out of a state, and pass them as arguments"
            raise ValueError(f"{path}={leaf.dtype}: {fix}")
    return arrays


def with_arrays(tree: Any, arrays: dict[str, Any]) -> Any:
    """The tree with these arrays in place of its own."""
    leaves = [arrays.get(path, leaf) for path, leaf in _leaves(tree)]
    return jax.tree.unflatten(jax.tree.structure(tree), leaves)


def write_manifest(folder: Path, structure: dict[str, Any], config: Config) -> None:
    """Write a manifest into a folder, so that any later change of its files is detected."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in _CHANGING]
    manifest = {
        "format": _FORMAT,
        "config": config,
        "structure": structure,
        "files": {path.relative_to(folder).as_posix(): _file_checksum(path) for path in files},
    }
    text = json.dumps(manifest | {"checksum": _checksum(manifest)}, indent=1)
    (folder / _NAME).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder, or a `DamagedError` if it was changed or cannot be read."""
    try:
        manifest = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        checksum = manifest.pop("checksum")
        ok = _checksum(manifest) == checksum
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DamagedError(f"{folder}: damaged, {_NAME} cannot be read") from error
    if not ok:
        raise DamagedError(f"{folder}: damaged, {_NAME} was changed")
    if manifest["format"] != _FORMAT:
        raise CheckpointError(f"{folder}: of format {manifest['format']}, not {_FORMAT}")
    return manifest


def check_files(manifest: dict[str, Any], folder: Path) -> None:
    """Raise a `DamagedError` that names the first files that were changed."""
    sums = manifest["files"]
    bad = [name for name, value in sums.items() if _file_checksum(folder / name) != value]
    if bad:
        raise DamagedError(f"{folder}: damaged in {', '.join(bad[:3])}")


def check_config(manifest: dict[str, Any], config: Config, where: str) -> None:
    """Raise a `CheckpointError` that names the first settings that differ."""
    if config is None or manifest["config"] == config:
        return
    differing = _differences(manifest["config"], config)
    raise CheckpointError(f"{where}: of another config: {differing}")


def check_structure(manifest: dict[str, Any], like: Any, where: str, prefix: str = "") -> None:
    """Raise a `CheckpointError` that names the first arrays that differ."""
    saved = {p: s for p, s in manifest["structure"].items() if p.startswith(prefix)}
    wanted = {prefix + path: spec for path, spec in structure_of(like).items()}
    if saved != wanted:
        differing = _differences(saved, wanted)
        fix = "give the config it was saved with"
        raise CheckpointError(f"{where}: of a state with another structure: {differing}; {fix}")


def structure_of(tree: Any) -> dict[str, Any]:
    """For each path, the dtype and shape of the array, or the Python value."""
    specs = {}
    for path, leaf in _leaves(tree):
        if _is_array(leaf):
            specs[path] = f"{np.dtype(leaf.dtype).name}[{','.join(map(str, leaf.shape))}]"
        elif isinstance(leaf, bool | int | float | str):
            specs[path] = repr(leaf)
    return specs


def _file_checksum(path: Path) -> int | None:
    """The CRC-32 of a file, `None` if it is not there."""
    value = 0
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                value = zlib.crc32(chunk, value)
    except OSError:
        return None
    return value


def _checksum(manifest: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(manifest, sort_keys=True).encode())


def _leaves(tree: Any) -> list[tuple[str, Any]]:
    found = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [(jax.tree_util.keystr(p, simple=True, separator="."), leaf) for p, leaf in found]


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | jax.ShapeDtypeStruct)


def _differences(saved: Any, wanted: Any) -> str:
    saved, wanted = _flat(saved), _flat(wanted)
    names = [n for n in {**saved, **wanted} if saved.get(n, "none") != wanted.get(n, "none")]
    words = [f"{n} is {saved.get(n, 'none')}, not {wanted.get(n, 'none')}" for n in names[:3]]
    more = f", and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(words) + more


def _flat(values: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(values, dict):
        return {path or "config": values}
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= _flat(value, f"{path}.{name}" if path else name)
    return out
