"""Arrays from files: IDX, `.npz`, `.npy`, Hugging Face."""

import gzip
import math
import struct
from pathlib import Path

import numpy as np

from .. import _checks
from ._source import Parts

IDX_IMAGES = "*images*idx3*"
_NPZ = {
    "train": ("train_images", "x_train", "train"),
    "train_labels": ("train_labels", "y_train"),
    "test": ("test_images", "x_test", "test"),
    "test_labels": ("test_labels", "y_test"),
    "all": ("images", "x", "data"),
    "all_labels": ("labels", "y", "target"),
}
"""Names of the parts in an `.npz` file, the first that is there."""


def read_idx(path: str | Path) -> np.ndarray:
    """The array of unsigned bytes of a file in the IDX format of MNIST, gzipped or not."""
    path = Path(path)
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            content = file.read()
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"path={path}: not a gzip file, or truncated: {error}") from error
    # two zeros, the code of the type (8: unsigned bytes), the number of axes; then their sizes
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        _checks.invalid("path", str(path), "not an IDX file of unsigned bytes")
    ndim = content[3]
    if len(content) < 4 + 4 * ndim:
        _checks.invalid("path", str(path), "truncated: it ends within the header")
    sizes = struct.unpack_from(f">{ndim}I", content, 4)
    values, num = np.frombuffer(content, np.uint8, offset=4 + 4 * ndim), math.prod(sizes)
    fix = f"truncated: {values.size} values of {num}"
    _checks.require(values.size == num, "path", str(path), fix)
    return values.reshape(sizes)


def load_idx(path: Path) -> Parts:
    """The images of an IDX file, or of all in a folder, with the labels in the same folder."""
    files = [path] if path.is_file() else sorted(path.glob(IDX_IMAGES))
    fix = "it contains no images, and no file *-images-idx3-ubyte[.gz]"
    _checks.require(bool(files), "path", str(path), fix)
    parts: Parts = {}
    for file in files:
        is_test = "t10k" in file.name or "test" in file.name
        part = "all" if len(files) == 1 else "test" if is_test else "train"
        fix = f"several files of {part} images: give the path of one of {[f.name for f in files]}"
        _checks.require(part not in parts, "path", str(path), fix)
        parts[part] = read_idx(file)
        labels = file.with_name(file.name.replace("images", "labels").replace("idx3", "idx1"))
        if labels.exists():
            parts[f"{part}_labels"] = read_idx(labels)
    return parts


def load_npz(path: Path) -> Parts:
    """The arrays of an `.npz` file; pickled objects are refused."""
    with np.load(path, allow_pickle=False) as file:
        names = {name.lower(): name for name in file.files}
        found = {part: next((n for n in ours if n in names), "") for part, ours in _NPZ.items()}
        parts = {part: file[names[name]] for part, name in found.items() if name}
    fix = f"it contains {sorted(names)}; call the examples `images`, or `train_images` and "
    fix += "`test_images`"
    _checks.require("train" in parts or "all" in parts, "path", str(path), fix)
    return parts


def load_npy(path: Path) -> Parts:
    """The array of an `.npy` file; pickled objects are refused."""
    return {"all": np.load(path, allow_pickle=False)}


def load_huggingface(name: str) -> Parts:
    """A data set of the Hugging Face hub, or a folder written by `save_to_disk`."""
    try:
        import datasets
    except ImportError as error:
        message = f"loading {name!r} needs the package datasets: pip install 'ebmx[data]'"
        raise ImportError(message) from error
    on_disk = Path(name).is_dir()
    loaded = datasets.load_from_disk(name) if on_disk else datasets.load_dataset(name)
    if isinstance(loaded, datasets.Dataset):
        return _columns(loaded, "all")
    fix = f"it has the splits {sorted(map(str, loaded))}, none of which is called train"
    _checks.require("train" in loaded, "name", name, fix)
    held_out = next((s for s in ("test", "validation") if s in loaded), None)
    if held_out is None:
        return _columns(loaded["train"], "all")
    return _columns(loaded["train"], "train") | _columns(loaded[held_out], "test")


def _columns(table, part: str) -> Parts:
    names = table.column_names
    image = next((c for c in ("image", "img", "images", "x", "pixel_values") if c in names), None)
    if image is None:
        _checks.invalid("columns", names, "one column must be called image, img or x")
    parts = {part: np.stack([np.asarray(row) for row in table[image]])}
    label = next((c for c in ("label", "labels", "y") if c in names), None)
    return parts if label is None else parts | {f"{part}_labels": np.asarray(table[label])}
