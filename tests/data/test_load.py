"""Data sets by name and from files that the tests write."""

import gzip
import struct
import sys

import jax
import numpy as np
import pytest
import sklearn.datasets

from ebmx.data import load
from ebmx.data._files import read_idx

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (10, 4, 3), np.uint8)
IMAGES[0, 0, 0], IMAGES[0, 0, 1] = 0, 255
LABELS = np.arange(10, dtype=np.uint8)


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def write(path, content):
    if path.suffix == ".gz":
        content = gzip.compress(content)
    path.write_bytes(content)
    return path


def unscaled(data, part="train"):
    return np.rint(data.to_units(getattr(data, part))).astype(int)[..., 0]


def in_order(data):
    """All examples of a split data set, by label."""
    labels = np.concatenate([data.train_labels, data.test_labels])
    return np.concatenate([unscaled(data), unscaled(data, "test")])[np.argsort(labels)]


def rows(images):
    return np.sort([row.tobytes() for row in np.ascontiguousarray(images, np.int64)])


def test_digits_are_those_of_scikit_learn():
    truth = sklearn.datasets.load_digits()
    data = load("digits")
    assert data.shape == (8, 8, 1)
    assert data.train.dtype == np.float32
    assert (len(data.train), len(data.test)) == (1438, 359)
    assert (data.train.min(), data.train.max()) == (-1.0, 1.0)
    ours = np.concatenate([unscaled(data), unscaled(data, "test")])
    labels = np.concatenate([data.train_labels, data.test_labels])
    pairs = np.concatenate([ours.reshape(-1, 64), labels[:, None]], 1)
    want = np.concatenate([truth.data, truth.target[:, None]], 1)
    np.testing.assert_array_equal(rows(pairs), rows(want))


def test_the_seed_and_the_share_choose_the_split():
    one, same, other = load("digits"), load("digits", seed=0), load("digits", seed=1)
    np.testing.assert_array_equal(one.train, same.train)
    assert not np.array_equal(one.train, other.train)
    assert len(load("digits", test_fraction=0.5).test) == 898


@pytest.mark.medium
def test_mnist_5k():
    data = load("mnist-5k")
    assert data.train.shape == (4000, 28, 28, 1)
    assert data.test.shape == (1000, 28, 28, 1)
    assert (data.train.min(), data.train.max()) == (-1.0, 1.0)
    assert (data.low, data.high) == (0.0, 255.0)
    counts = np.bincount(np.concatenate([data.train_labels, data.test_labels]))
    np.testing.assert_array_equal(counts, [500] * 10)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_an_idx_file(suffix, tmp_path):
    path = write(tmp_path / f"train-images-idx3-ubyte{suffix}", idx(IMAGES))
    np.testing.assert_array_equal(read_idx(path), IMAGES)
    assert load(path).train_labels is None
    write(tmp_path / f"train-labels-idx1-ubyte{suffix}", idx(LABELS))
    data = load(path)
    assert (len(data.train), len(data.test)) == (8, 2)
    assert data.shape == (4, 3, 1)
    np.testing.assert_array_equal(in_order(data), IMAGES)
    np.testing.assert_array_equal(in_order(load(tmp_path)), IMAGES)


def test_a_folder_with_a_test_part_is_not_split(tmp_path):
    for part, kept in (("train", slice(7)), ("t10k", slice(7, 10))):
        write(tmp_path / f"{part}-images-idx3-ubyte.gz", idx(IMAGES[kept]))
        write(tmp_path / f"{part}-labels-idx1-ubyte.gz", idx(LABELS[kept]))
    data = load(tmp_path)
    np.testing.assert_array_equal(unscaled(data), IMAGES[:7])
    np.testing.assert_array_equal(unscaled(data, "test"), IMAGES[7:])
    np.testing.assert_array_equal(data.train_labels, LABELS[:7])
    np.testing.assert_array_equal(data.test_labels, LABELS[7:])


GOOD = idx(IMAGES)
BROKEN = {
    "values": ("a-images-idx3-ubyte", GOOD[:-5], "truncated: 115 values of 120"),
    "head": ("a-images-idx3-ubyte", GOOD[:7], "truncated"),
    "empty": ("a-images-idx3-ubyte", b"", "not an IDX file"),
    "floats": ("a-images-idx3-ubyte", b"\0\0\x0d" + GOOD[3:], "not an IDX file of unsigned"),
    "text": ("a-images-idx3-ubyte", b"hello, world", "not an IDX file"),
    "gzip": ("a-images-idx3-ubyte.gz", gzip.compress(GOOD)[:-20], "truncated"),
    "no gzip": ("a-images-idx3-ubyte.gz", GOOD, "not a gzip file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_idx_file_is_refused(name, tmp_path):
    file, content, match = BROKEN[name]
    path = tmp_path / file
    path.write_bytes(content)
    for call in (read_idx, load):
        with pytest.raises(ValueError, match=f"^path=.*{match}"):
            call(path)


def test_folders_that_do_not_say_what_to_load(tmp_path):
    with pytest.raises(ValueError, match=r"path=.*images-idx3-ubyte"):
        load(tmp_path)
    for name in ("a", "b"):
        write(tmp_path / f"{name}-images-idx3-ubyte", idx(IMAGES))
    with pytest.raises(ValueError, match=r"path=.*several files of train images: give the path"):
        load(tmp_path)


NPZ = {
    "keras": ("x_train", "y_train", "x_test", "y_test"),
    "words": ("train_images", "train_labels", "test_images", "test_labels"),
    "upper": ("X_train", "Y_train", "X_test", "Y_test"),
}


@pytest.mark.parametrize("names", NPZ)
def test_npz_with_two_parts(names, tmp_path):
    arrays = (IMAGES[:7], LABELS[:7], IMAGES[7:], LABELS[7:])
    np.savez(tmp_path / "d.npz", **dict(zip(NPZ[names], arrays, strict=True)))
    data = load(tmp_path / "d.npz")
    np.testing.assert_array_equal(unscaled(data), IMAGES[:7])
    np.testing.assert_array_equal(unscaled(data, "test"), IMAGES[7:])
    np.testing.assert_array_equal(data.test_labels, LABELS[7:])


@pytest.mark.parametrize(("images", "labels"), [("images", "labels"), ("x", "y"), ("train", "")])
def test_npz_with_one_part_is_split(images, labels, tmp_path):
    arrays = {images: IMAGES} | ({labels: LABELS} if labels else {})
    np.savez(tmp_path / "d.npz", **arrays)
    data = load(str(tmp_path / "d.npz"), test_fraction=0.3)
    assert (len(data.train), len(data.test)) == (7, 3)
    if labels:
        np.testing.assert_array_equal(in_order(data), IMAGES)
    else:
        both = np.concatenate([unscaled(data), unscaled(data, "test")])
        np.testing.assert_array_equal(rows(both), rows(IMAGES))


def test_npz_of_floats_is_scaled_by_the_training_part(tmp_path):
    train, test = np.linspace(-3, 5, 12).reshape(6, 2), np.array([[9.0, -3.0]] * 2)
    np.savez(tmp_path / "d.npz", train=train, test=test)
    data = load(tmp_path / "d.npz")
    np.testing.assert_allclose(data.low, train[0])
    np.testing.assert_allclose(data.high, train[-1])
    assert (data.train.min(), data.train.max()) == (-1.0, 1.0)
    # 9 is 12 above -3, in a column that goes from -3 to 5 - 8/11
    np.testing.assert_allclose(data.test[0, 0], 2 * 12 / (8 - 8 / 11) - 1, rtol=1e-6)
    assert data.shape == (2,)


def test_npz_files_that_are_refused(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, images=np.array([{"a": 1}, None], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        load(path)
    np.savez(path, pictures=IMAGES)
    with pytest.raises(ValueError, match=r"path=.*\['pictures'\]; call the examples `images`"):
        load(path)
    np.savez(path, images=IMAGES, labels=LABELS[:9])
    with pytest.raises(ValueError, match=r"labels\.shape=\(9,\): .*10 examples"):
        load(path)
    np.savez(path, images=LABELS)
    with pytest.raises(ValueError, match=r"examples\.shape="):
        load(path)
    np.savez(path, images=np.full((4, 2), np.nan))
    with pytest.raises(ValueError, match=r"x=.*non-finite"):
        load(path)


def table(images, labels):
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset.from_dict({"image": images.tolist(), "label": labels.tolist()})


def test_a_hugging_face_table_on_disk(tmp_path):
    table(IMAGES, LABELS).save_to_disk(tmp_path / "d")
    data = load(f"hf:{tmp_path / 'd'}")
    assert (len(data.train), len(data.test)) == (8, 2)
    assert data.shape == (4, 3, 1)
    np.testing.assert_array_equal(in_order(data), IMAGES)


@pytest.mark.parametrize("held_out", ["test", "validation"])
def test_hugging_face_splits_on_disk(held_out, tmp_path):
    datasets = pytest.importorskip("datasets")
    parts = {"train": table(IMAGES[:7], LABELS[:7]), held_out: table(IMAGES[7:], LABELS[7:])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "d")
    data = load(f"hf:{tmp_path / 'd'}")
    np.testing.assert_array_equal(unscaled(data), IMAGES[:7])
    np.testing.assert_array_equal(unscaled(data, "test"), IMAGES[7:])
    np.testing.assert_array_equal(data.train_labels, LABELS[:7])
    np.testing.assert_array_equal(data.test_labels, LABELS[7:])


def test_hugging_face_tables_that_are_refused(tmp_path):
    datasets = pytest.importorskip("datasets")
    parts = {"left": table(IMAGES, LABELS)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "splits")
    with pytest.raises(ValueError, match=r"name=.*\['left'\], none of which is called"):
        load(f"hf:{tmp_path / 'splits'}")
    datasets.Dataset.from_dict({"text": ["a", "b"]}).save_to_disk(tmp_path / "text")
    with pytest.raises(ValueError, match=r"columns=\['text'\]: .*image, img or x"):
        load(f"hf:{tmp_path / 'text'}")


MISSING = {"t.csv": "pandas", "t.parquet": "pyarrow", "photos": "PIL"}


@pytest.mark.parametrize("name", MISSING)
def test_a_package_that_is_missing_is_named_with_the_line_to_install_it(
    name, tmp_path, monkeypatch
):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").write_bytes(b"")
    for file in ("t.csv", "t.parquet"):
        (tmp_path / file).write_text("a,b\n1,2\n")
    monkeypatch.setitem(sys.modules, MISSING[name], None)
    words = "Pillow" if name == "photos" else "pandas and pyarrow"
    with pytest.raises(ImportError, match=rf"needs {words}: pip install 'ebmx\[data\]'"):
        load(tmp_path / name)


def test_a_name_of_the_package_is_not_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits/a.png").write_bytes(b"")
    assert load("digits").shape == (8, 8, 1)


def test_npy_files_that_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}, None], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        load(tmp_path / "x.npy")
    for x in (np.ones((3, 2), complex), np.zeros(3, [("a", float)]), LABELS):
        np.save(tmp_path / "x.npy", x)
        with pytest.raises(ValueError, match=r"examples\.shape=.*give numbers \(num"):
            load(tmp_path / "x.npy")


def test_idx_files_come_before_images(tmp_path):
    write(tmp_path / "train-images-idx3-ubyte", idx(IMAGES))
    (tmp_path / "preview.png").write_bytes(b"")
    assert load(tmp_path).shape == (4, 3, 1)


def test_an_unknown_name_is_answered_with_the_choices():
    with pytest.raises(ValueError, match=r"name='digit': .*'digits', 'mnist-5k', 'hf:NAME'"):
        load("digit")


def test_batches_of_a_data_set_are_energies_of_its_shape():
    import ebmx

    data = load("digits")
    batch = next(ebmx.data.batches(data.train, 16, key=jax.random.key(0)))
    energy = ebmx.energies.Gaussian(np.zeros(data.shape), 1.0)
    np.testing.assert_allclose(
        ebmx.energy(energy, batch), 0.5 * (batch**2).sum((1, 2, 3)), rtol=1e-5
    )
