"""Folders of images, by Pillow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from ._files import IDX_IMAGES
from ._source import Parts, Source

ImageSize = int | tuple[int, int] | None
_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}
_PARTS = {"train": "train", "test": "test", "validation": "test", "val": "test"}
# modes of Pillow whose pixels are not what is seen, and what they are turned into
_CONVERTED = {"1": "L", "LA": "RGBA", "PA": "RGBA"}
_CONVERTED |= dict.fromkeys(("P", "CMYK", "YCbCr", "HSV", "LAB"), "RGB")


def size_of(image_size: ImageSize) -> tuple[int, int] | None:
    """The height and the width of `image_size`, checked."""
    if image_size is None:
        return None
    sizes: Any = (image_size, image_size) if np.ndim(image_size) == 0 else image_size
    ok = len(sizes) == 2 and not any(isinstance(size, bool) for size in sizes)
    _checks.require(ok, "image_size", image_size, "give one number, or (height, width)")
    height, width = _checks.dimensions("image_size", sizes)
    return height, width


def is_folder_of_images(folder: Path) -> bool:
    """Whether there are images in a folder or below it, and no images in IDX files."""
    return not any(folder.glob(IDX_IMAGES)) and bool(_images_in(folder))


def _images_in(folder: Path) -> list[Path]:
    """The images in a folder and all below it, sorted; none of hidden files and folders."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)
    names = [path.relative_to(folder).parts for path in found]
    return [p for p, parts in zip(found, names, strict=True) if not any(n[0] == "." for n in parts)]


def load_images(folder: Path, size: tuple[int, int] | None) -> Source:
    """The images of a folder, with the subfolders as parts and as classes; see `load`."""
    files: dict[str, list[Path]] = {}
    for path in _images_in(folder):
        place = path.relative_to(folder).parts[0]
        files.setdefault(_PARTS.get(place.lower(), "all"), []).append(path)
    fix = "it has images beside the subfolder `train`: put them into it, or into `test`"
    _checks.require(not ("all" in files and "train" in files), "path", str(folder), fix)
    if "all" in files and "test" in files:
        # a class that happens to have the name of a part
        files = {"all": sorted(files["all"] + files["test"])}
    fix = "it has a subfolder `test`, and no subfolder `train`"
    _checks.require("test" not in files or "train" in files, "path", str(folder), fix)
    depth = 0 if "all" in files else 1
    named = {part: _classes(paths, folder, depth) for part, paths in files.items()}
    # those of the training part; the images of a single folder are not labelled
    classes = tuple(sorted({*named.get("all", ()), *named.get("train", ())}))
    parts: Parts = {}
    first: tuple[str, tuple] | None = None
    for part in sorted(files, reverse=True):  # the training part first
        parts[part], first = _read(files[part], size, first)
        if len(classes) > 1:
            unknown = sorted({*named[part]} - {*classes})
            fix = f"the test images are of classes {unknown} that the training images do not have"
            _checks.require(not unknown, "path", str(folder), fix)
            parts[f"{part}_labels"] = np.searchsorted(classes, named[part])
    return Source(parts, layout="images", classes=classes if len(classes) > 1 else ())


def _classes(paths: Sequence[Path], folder: Path, depth: int) -> list[str]:
    """The name of the class of each image, which is empty if it is in no subfolder."""
    found = []
    for path in paths:
        below = path.relative_to(folder).parts[depth:-1]
        fix = "images are in the folder itself or in subfolders of classes, not deeper"
        _checks.require(len(below) <= 1, "path", str(path), fix)
        found.append("".join(below))
    fix = "some of its images are in subfolders of classes, and some are not"
    mixed = "" in found and any(found)
    _checks.require(not mixed, "path", str(folder), fix)
    return found


def _read(
    paths: Sequence[Path], size: tuple[int, int] | None, first: tuple[str, tuple] | None
) -> tuple[np.ndarray, tuple[str, tuple]]:
    """Images `(num, height, width[, channel])`, all of the shape and dtype of the first one."""
    images: list[np.ndarray] = []
    for path in paths:
        image = _image(path, size)
        first = first or (path.name, (image.shape, image.dtype))
        name, (shape, dtype) = first
        fix = f"it is {_words(image.shape)}, and {name} is {_words(shape)}: "
        fix += "give image_size=(height, width) to resize all"
        _checks.require(image.shape[:2] == shape[:2], "path", str(path), fix)
        fix = f"it is {_words(image.shape)} of {image.dtype}, and {name} is {_words(shape)} of "
        fix += f"{dtype}: convert one of them, for example by PIL.Image.open(...).convert('RGB')"
        _checks.require((image.shape, image.dtype) == (shape, dtype), "path", str(path), fix)
        images.append(image)
    assert first is not None
    return np.stack(images), first


def _image(path: Path, size: tuple[int, int] | None) -> np.ndarray:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        message = f"loading {str(path)!r} needs Pillow: pip install 'ebmx[data]'"
        raise ImportError(message) from error
    try:
        with Image.open(path) as image:
            fix = "it has several frames: give an image for each, or leave it out"
            _checks.require(getattr(image, "n_frames", 1) == 1, "path", str(path), fix)
            upright: Any = ImageOps.exif_transpose(image)  # photographs say how they were held
            transparent = "transparency" in upright.info
            mode = "RGBA" if transparent else _CONVERTED.get(upright.mode, upright.mode)
            upright = upright if mode == upright.mode else upright.convert(mode)
            if size is not None:
                upright = upright.resize(size[::-1], Image.Resampling.LANCZOS)
            return np.asarray(upright)
    except (OSError, SyntaxError) as error:  # of files that are damaged or of another kind
        raise ValueError(f"path={path}: not an image, or damaged: {error}") from error


def _words(shape: tuple[int, ...]) -> str:
    channels = shape[2] if len(shape) == 3 else 1
    size = "×".join(map(str, shape[:2]))
    return f"{size} pixels, {channels} channel{'s' if channels > 1 else ''}"
