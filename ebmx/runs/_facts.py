"""What a run's folder says about its data."""

import dataclasses
import hashlib
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Dataset

MOMENTS = "moments.npz"
_MATRIX = 1024
"""Up to how many coordinates the whole covariance is kept."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """What sampling needs to know of the data, and how to recognise them."""

    name: str  # as `ebmx.data.load` takes it
    shape: tuple[int, ...]  # of one example
    num_labels: int | None
    low: Any  # the range in data units that was scaled to the span, as `Dataset.low`
    high: Any
    span: tuple[float, float]
    checksum: str  # of the training and test data
    # Of the training data in scaled units; in a file of their own. The covariance is a matrix over
    # the flattened coordinates, `(d, d)`, or of very many the variance of each, `shape`.
    mean: np.ndarray = dataclasses.field(compare=False)
    covariance: np.ndarray = dataclasses.field(compare=False)
    path: str | None = None  # the absolute path of the data, if they are a file or a folder
    relative_path: str | None = None  # the same from the run's folder
    columns: tuple[str, ...] = ()  # as those of the data set
    classes: tuple[str, ...] = ()
    binarise: float | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> "Facts":
        """The facts of a data set."""
        labels = dataset.train_labels
        mean, covariance = _moments(dataset.train)
        path = Path(dataset.name.removeprefix("hf:"))
        return cls(
            name=dataset.name,
            shape=tuple(map(int, dataset.shape)),
            num_labels=None if labels is None else int(labels.max()) + 1,
            low=np.asarray(dataset.low).tolist(),
            high=np.asarray(dataset.high).tolist(),
            span=(float(dataset.span[0]), float(dataset.span[1])),
            checksum=checksum(dataset),
            mean=mean,
            covariance=covariance,
            path=str(path.resolve()) if path.exists() else None,
            columns=dataset.columns,
            classes=dataset.classes,
            binarise=dataset.binarise,
        )

    @classmethod
    def read(cls, values: dict[str, Any], folder: Path) -> "Facts":
        """From what `write` has made."""
        known = {field.name for field in dataclasses.fields(cls)}
        kept = {name: value for name, value in values.items() if name in known}
        named = [name for name in ("shape", "span", "columns", "classes") if name in kept]
        tuples: dict[str, Any] = {name: tuple(kept[name]) for name in named}
        with np.load(folder / MOMENTS) as file:
            arrays = {name: file[name] for name in ("mean", "covariance")}
        return cls(**kept | tuples | arrays)

    def write(self, folder: Path) -> dict[str, Any]:
        """As JSON takes it, with the path from the folder of the run; the moments in a file."""
        np.savez_compressed(folder / MOMENTS, mean=self.mean, covariance=self.covariance)
        relative = None if self.path is None else os.path.relpath(self.path, folder.resolve())
        values = dataclasses.asdict(dataclasses.replace(self, relative_path=relative))
        return {n: v for n, v in values.items() if n not in ("mean", "covariance")}

    @property
    def variance(self) -> np.ndarray:
        """The variance of each coordinate, of the shape of one example."""
        whole = self.covariance.shape != self.shape
        return np.diag(self.covariance).reshape(self.shape) if whole else self.covariance

    @property
    def stand_in(self) -> Dataset:
        """A data set of this shape and range with zeros as its only examples, for units alone."""
        zeros = np.zeros((1, *self.shape), np.float32)
        low, high = (e if np.ndim(e) == 0 else np.asarray(e) for e in (self.low, self.high))
        options: Any = {"span": self.span, "binarise": self.binarise}
        return Dataset(self.name, zeros, zeros, low=low, high=high, **options)


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the covariance of examples, as `Facts` keeps them."""
    shape = x.shape[1:]
    rows = x.reshape(len(x), -1).astype(np.float64)
    mean = rows.mean(0)
    if math.prod(shape) <= _MATRIX:
        rows -= mean
        covariance = rows.T @ rows / len(rows)
    else:
        covariance = rows.var(0).reshape(shape)
    return mean.reshape(shape).astype(np.float32), covariance.astype(np.float32)


def checksum(dataset: Dataset) -> str:
    """A checksum of the examples, their ranges and the labels of a data set."""
    digest = hashlib.sha256()
    ranges = np.asarray(dataset.low, float), np.asarray(dataset.high, float)
    for x in (dataset.train, dataset.test, *ranges, dataset.train_labels, dataset.test_labels):
        if x is not None:
            # of another shape the bytes are the same
            digest.update(str(x.shape).encode())
            digest.update(np.ascontiguousarray(x).tobytes())
    return digest.hexdigest()[:32]
