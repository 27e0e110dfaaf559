"""Tables of CSV and Parquet files that the tests write."""

import gzip

import numpy as np
import pandas as pd
import pytest

from ebmx.data import load

RNG = np.random.default_rng(0)
ROWS = np.round(RNG.normal(size=(30, 2)) * np.array([1.0, 1e4]), 6)
KINDS = np.array(["oak", "ash", "elm"])[np.arange(30) % 3]


def frame(**columns):
    return pd.DataFrame({"height (m)": ROWS[:, 0], "mass": ROWS[:, 1], **columns})


def whole(data):
    """All examples in data units, and their labels, in the order of the first column."""
    x = data.to_units(np.concatenate([data.train, data.test]))
    order = np.argsort(x[:, 0])
    if data.train_labels is None:
        return x[order], None
    return x[order], np.concatenate([data.train_labels, data.test_labels])[order]


ORDER = np.argsort(ROWS[:, 0])


def to_csv(table, path, **options):
    table.to_csv(path, index=False, **options)


WRITERS = {
    "t.csv": to_csv,
    "t.CSV": to_csv,
    "t.csv.gz": to_csv,
    "t.tsv": lambda table, path: to_csv(table, path, sep="\t"),
    "t.parquet": lambda table, path: table.to_parquet(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_columns_of_numbers_are_examples_and_the_names_are_kept(name, tmp_path):
    WRITERS[name](frame(), tmp_path / name)
    data = load(tmp_path / name)
    assert (len(data.train), len(data.test), data.shape) == (24, 6, (2,))
    np.testing.assert_allclose(whole(data)[0], ROWS[ORDER], rtol=1e-5, atol=1e-2)
    assert data.columns == ("height (m)", "mass")
    text = "rows of 2, each of 2 columns in its range (height (m), mass), no labels"
    assert data.summary.endswith(text)
    # each column by itself
    np.testing.assert_array_equal(data.train.min(0), [-1, -1])
    np.testing.assert_array_equal(data.train.max(0), [1, 1])


@pytest.mark.parametrize("name", ["label", "Class", "target", "species"])
def test_text_is_labelled_in_alphabetical_order(name, tmp_path):
    path = tmp_path / "t.parquet"
    frame(**{name: pd.Categorical(KINDS)}).to_parquet(path)
    data = load(path, label=name if name == "species" else "auto")
    assert (data.columns, data.classes) == (("height (m)", "mass"), ("ash", "elm", "oak"))
    want = np.searchsorted(["ash", "elm", "oak"], KINDS)
    np.testing.assert_array_equal(whole(data)[1], want[ORDER])
    assert f"(height (m), mass; labels: {name}), labels 0 to 2 (ash, elm, oak)" in data.summary


WHOLE = {
    "from 0": (np.arange(30) % 3, np.arange(30) % 3, ()),
    "floats": ((np.arange(30) % 3).astype(float), np.arange(30) % 3, ()),
    "booleans": (np.arange(30) % 2 == 1, np.arange(30) % 2, ()),
    "signs": (1 - 2 * (np.arange(30) % 2), 1 - np.arange(30) % 2, ("-1", "1")),
    "numbers of classes": (100 + np.arange(30) % 3, np.arange(30) % 3, ("100", "101", "102")),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_are_labels(name, tmp_path):
    column, labels, classes = WHOLE[name]
    to_csv(frame(y=column), tmp_path / "t.csv")
    data = load(tmp_path / "t.csv")
    np.testing.assert_array_equal(whole(data)[1], labels[ORDER])
    assert data.classes == classes


FEATURES = {
    "fractions": ({"y": ROWS[:, 0] / 3}, "auto"),
    "one for each row": ({"target": np.arange(30)}, "auto"),
    "not finite": ({"target": np.arange(30) % 3}, "none"),
    "a plane": ({"x": ROWS[:, 0], "y": np.arange(30) % 3}, "auto"),
    "another name": ({"yield": np.arange(30) % 3}, "auto"),
}


@pytest.mark.parametrize("name", FEATURES)
def test_other_columns_are_not_labels(name, tmp_path):
    columns, label = FEATURES[name]
    to_csv(frame(**columns), tmp_path / "t.csv")
    data = load(tmp_path / "t.csv", label=label)
    assert data.train_labels is None
    assert data.columns == ("height (m)", "mass", *columns)


def test_a_first_line_of_numbers_is_an_example(tmp_path):
    np.savetxt(tmp_path / "bare.csv", ROWS, delimiter=",")
    np.savetxt(tmp_path / "marked.csv", ROWS, delimiter=",", header="a,b")
    data = load(tmp_path / "bare.csv")
    assert (len(data.train) + len(data.test), data.columns) == (30, ("x1", "x2"))
    np.testing.assert_allclose(whole(data)[0], ROWS[ORDER], rtol=1e-5, atol=1e-2)
    assert load(tmp_path / "marked.csv").columns == ("a", "b")


def test_the_index_that_pandas_writes_is_left_out(tmp_path):
    frame().to_csv(tmp_path / "t.csv")
    assert load(tmp_path / "t.csv").columns == ("height (m)", "mass")
    # numbers in another order are not an index
    frame().set_index(np.arange(30)[::-1]).to_csv(tmp_path / "t.csv")
    assert len(load(tmp_path / "t.csv").columns) == 3


def test_bytes_of_a_table_are_numbers_and_not_pixels(tmp_path):
    bytes_ = pd.DataFrame(RNG.integers(0, 200, (30, 3), np.uint8), columns=["a", "b", "c"])
    bytes_.to_parquet(tmp_path / "t.parquet")
    assert "rows of 3, each of 3 columns" in load(tmp_path / "t.parquet").summary
    pixels = load(tmp_path / "t.parquet", layout="images")
    assert np.ndim(pixels.low) == 0
    with pytest.raises(ValueError, match="layout='channels-first': it does not fit"):
        load(tmp_path / "t.parquet", layout="channels-first")


HOLED = ROWS[:, 0].copy()
HOLED[[3, 7]] = np.nan
BAD = {
    "text": ({"site": KINDS}, {}, r"column='site': it holds no numbers, such as 'oak': .*label="),
    "dates": ({"day": pd.Timestamp("2020-01-01")}, {}, r"column='day': it holds no numbers"),
    "missing": ({"age": HOLED}, {}, r"column='age': it has 2 missing values in 30 rows: fill"),
    "missing label": (
        {"label": np.where(np.arange(30) == 4, None, KINDS)},
        {},
        r"column='label': it has 1 missing values",
    ),
    "unknown label": ({}, {"label": "kind"}, r"label='kind': there are the columns height \(m\), "),
    "infinite": ({"age": np.where(np.arange(30) == 4, np.inf, 1.0)}, {}, "1 non-finite"),
    "fractions": ({}, {"label": "mass"}, r"label='mass': labels are whole numbers or t"),
    "size": (
        {},
        {"image_size": 8},
        r"image_size=\(8, 8\): '.*t\.parquet' is not a folder of images",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_tables_that_are_refused(name, tmp_path):
    columns, options, match = BAD[name]
    frame(**columns).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=match):
        load(tmp_path / "t.parquet", **options)


FILES = {
    "empty": (b"", "path=.*: not a table that pandas can read: No columns"),
    "names": (b"a,b\n", r"path=.*: it has no rows"),
    "ragged": (b"a,b\n1,2\n1,2,3\n", "path=.*: not a table that pandas can read: .*line 3"),
    "semicolons": (b"a;b\n1;2\n3;4\n", "column='a;b': columns of a .csv are separated by commas"),
    "labels alone": (b"label,other\n1,a\n1,b\n", "column='other': it holds no numbers"),
    "bytes": (bytes(range(128, 256)), "path=.*: not a table that pandas can read"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_tables(name, tmp_path):
    content, match = FILES[name]
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=match):
        load(tmp_path / "t.csv")
    if name == "bytes":
        (tmp_path / "t.parquet").write_bytes(content)
        with pytest.raises(ValueError, match=match):
            load(tmp_path / "t.parquet")
        (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a\n1\n" * 99)[:-9])
        with pytest.raises(ValueError, match=match):
            load(tmp_path / "t.csv.gz")


def test_a_column_of_labels_alone_has_no_examples(tmp_path):
    to_csv(pd.DataFrame({"kind": KINDS}), tmp_path / "t.csv")
    with pytest.raises(ValueError, match=r"columns=\[\]: there is no column of numbers besides"):
        load(tmp_path / "t.csv", label="kind")


def test_only_a_table_has_a_column_of_labels(tmp_path):
    np.save(tmp_path / "x.npy", ROWS)
    for name in ("digits", tmp_path / "x.npy"):
        with pytest.raises(ValueError, match=r"label='kind': '.*' is not a table: leave it out"):
            load(name, label="kind")
