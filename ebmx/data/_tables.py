"""Tables from CSV and Parquet files, by pandas."""

from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from ._source import Parts, Source

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_LABELS = ("label", "labels", "class", "target", "y")
"""Names of the column of labels, the first that is there, in any case."""
FOUND = ("auto", "none")
"""What `label` may be besides the name of a column."""


def is_table(path: Path) -> bool:
    """Whether the name is that of a table: `.csv`, `.tsv`, both also gzipped, or `.parquet`."""
    return _kind(path) in (*_SEPARATORS, ".parquet")


def _kind(path: Path) -> str:
    return Path(path.stem if path.suffix.lower() == ".gz" else path).suffix.lower()


def load_table(path: Path, label: str) -> Source:
    """The numeric columns of a table as examples, and its labels; see `load`."""
    table = _read(path, _kind(path))
    fix = "it has no rows or no columns"
    _checks.require(table.size > 0, "path", str(path), fix)
    table = _named(table)
    name = _label_of(table, label)
    for column in table:
        num = int(table[column].isna().sum())
        if num > 0:
            fix = f"it has {num} missing values in {len(table)} rows: fill them in, or leave out "
            _checks.invalid("column", repr(column), fix + "these rows or the column")
    parts: Parts = {}
    classes: tuple[str, ...] = ()
    if name is not None:
        parts["all_labels"], classes = _labels(table.pop(name))
    _check_numbers(table)
    parts["all"] = table.to_numpy(np.float64)
    columns, label = tuple(table.columns), name or ""
    return Source(parts, layout="table", columns=columns, classes=classes, label=label)


def _read(path: Path, kind: str) -> Any:
    try:
        import pandas as pd

        if kind == ".parquet":
            import pyarrow  # noqa: F401  # which pandas reads them with
    except ImportError as error:
        message = f"loading {str(path)!r} needs pandas and pyarrow: pip install 'ebmx[data]'"
        raise ImportError(message) from error
    try:
        if kind == ".parquet":
            return pd.read_parquet(path, engine="pyarrow")
        options: dict[str, Any] = {"sep": _SEPARATORS[kind], "skipinitialspace": True}
        options["low_memory"] = False  # the type of a column is that of all its rows
        first = pd.read_csv(path, header=None, nrows=1, dtype=str, **options).iloc[0]
        if not all(map(_is_number, first.dropna())):
            return pd.read_csv(path, **options)
        # numbers alone are an example, and not names
        names = [f"x{i + 1}" for i in range(len(first))]
        return pd.read_csv(path, header=None, names=names, **options)
    except (ValueError, OSError, EOFError) as error:  # those of pandas and pyarrow among them
        words = " ".join(str(error).split())
        raise ValueError(f"path={path}: not a table that pandas can read: {words}") from error


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _named(table: Any) -> Any:
    """With names that are text, as NumPy and pandas write them.

    Without the first column if it has no name and counts the rows: the index of pandas.
    """
    # NumPy marks a line of names so
    table.columns = [str(name).removeprefix("#").strip() for name in table.columns]
    first = table.columns[0]
    if first == "Unnamed: 0" and len(table.columns) > 1:
        index = table[first].to_numpy()
        if index.dtype.kind in "iu" and np.array_equal(index, np.arange(len(index))):
            return table.drop(columns=first)
    return table


def _label_of(table: Any, label: str) -> str | None:
    """The name of the column of labels, or `None`."""
    if label == "none":
        return None
    if label != "auto":
        fix = f"there are the columns {', '.join(table.columns)}"
        _checks.require(label in table.columns, "label", repr(label), fix)
        return label
    names = {column.lower(): column for column in table.columns}
    found = next((name for name in _LABELS if name in names), None)
    if found is None or (found == "y" and "x" in names) or len(table.columns) == 1:
        return None
    # numbers with fractions are no classes, and are a column as any other
    return names[found] if _are_classes(table[names[found]]) else None


def _are_classes(column: Any) -> bool:
    """Whether its values are text, or whole numbers of which there may be a class each."""
    values = column.dropna()
    if values.dtype.kind not in "fiub":
        return True
    values = values.to_numpy(np.float64)
    whole = np.all(np.isfinite(values)) and np.all(values == np.floor(values))
    return bool(whole) and len(np.unique(values)) <= len(values) // 2


def _labels(column: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """Whole numbers from 0 as they are; all else by its place in the order, with the names."""
    numbers = column.dtype.kind in "fiub"
    values = column.to_numpy(np.float64) if numbers else column.astype(str).to_numpy(str)
    if numbers:
        wrong = values[values != np.floor(values)][:3]
        fix = (
            f"labels are whole numbers or text, and it holds {wrong}: give another column, or none"
        )
        _checks.require(wrong.size == 0, "label", repr(column.name), fix)
        if values.min() >= 0 and values.max() < len(values):
            return values, ()
    classes, labels = np.unique(values, return_inverse=True)
    return labels, tuple(f"{one:g}" if numbers else str(one) for one in classes)


def _check_numbers(table: Any) -> None:
    fix = "there is no column of numbers besides the labels"
    _checks.require(len(table.columns) > 0, "columns", [], fix)
    for name in table:
        if table[name].dtype.kind not in "fiub":
            value = str(table[name].iloc[0])
            fix = f"it holds no numbers, such as {value[:20]!r}: leave it out, or turn it into "
            fix += f"numbers; or, if it holds the labels, give label={str(name)!r} (--data.label)"
            if len(table.columns) == 1 and any(mark in value for mark in ";\t|"):
                fix = "columns of a .csv are separated by commas, of a .tsv by tabs"
            _checks.invalid("column", repr(name), fix)
