"""Arrays in memory: as the same arrays in a file, with their names; and units that come back."""

import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.data import Dataset, load, scale

RNG = np.random.default_rng(0)
LABELS = np.arange(20) % 3
ARRAYS = {
    "bytes": RNG.integers(0, 256, (20, 6, 5), np.uint8),
    "bits": RNG.integers(0, 2, (20, 6, 5)).astype(bool),
    "colours": RNG.uniform(size=(20, 6, 5, 3)),
    "series": RNG.normal(size=(20, 30, 2)),
    "table": RNG.normal(size=(20, 3)) * np.array([1e-3, 1.0, 1e6]),
}
OPTIONS = {
    "plain": {},
    "split": {"test_fraction": 0.5, "seed": 3},
    "span": {"span": (0.0, 1.0)},
}
FIELDS = ("train", "test", "train_labels", "test_labels", "low", "high", "span", "reading")


def assert_same(one, other):
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_as_those_of_a_file(name, options, tmp_path):
    x, options = ARRAYS[name], OPTIONS[options]
    np.savez(tmp_path / "all.npz", x=x, y=LABELS)
    assert_same(
        Dataset.from_arrays(x, labels=LABELS, **options), load(tmp_path / "all.npz", **options)
    )
    np.save(tmp_path / "x.npy", x)
    assert_same(Dataset.from_arrays(x, **options), load(tmp_path / "x.npy", **options))
    parts = {"x_train": x[:15], "x_test": x[15:], "y_train": LABELS[:15], "y_test": LABELS[15:]}
    np.savez(tmp_path / "two.npz", **parts)
    labels = {"labels": LABELS[:15], "test_labels": LABELS[15:]}
    two = Dataset.from_arrays(x[:15], x[15:], **labels, **options)
    assert_same(two, load(tmp_path / "two.npz", **options))
    np.testing.assert_array_equal(two.test_labels, LABELS[15:])


def test_options_that_go_with_the_axes():
    x = ARRAYS["table"]
    data = Dataset.from_arrays(x, standardise=True, columns=("a", "b", "c"), name="mine")
    np.testing.assert_allclose(data.train.std(0), 1, rtol=1e-4)
    words = "mine: 16 training and 4 test examples, rows of 3, each of 3 columns standardised"
    assert data.summary == f"{words} (a, b, c), no labels"
    first = np.moveaxis(ARRAYS["colours"], -1, 1)
    turned = Dataset.from_arrays(first, layout="channels-first")
    assert_same_images = Dataset.from_arrays(ARRAYS["colours"])
    np.testing.assert_array_equal(turned.train, assert_same_images.train)
    with pytest.warns(UserWarning, match="interpreted as images with channels first") as caught:
        Dataset.from_arrays(first)
    assert [warning.filename for warning in caught] == [__file__]


def test_arrays_of_jax_and_names_of_classes():
    x = jnp.asarray(ARRAYS["table"], jnp.float32)
    data = Dataset.from_arrays(x, labels=jnp.asarray(LABELS), classes=("a", "b", "c"))
    assert isinstance(data.train, np.ndarray)
    assert data.summary.endswith("labels 0 to 2 (a, b, c)")
    many = Dataset.from_arrays(RNG.normal(size=(20, 9)), columns=tuple("abcdefghi"))
    assert "(a, b, c, d, e, f, g, h, …)" in many.summary


TABLE = ARRAYS["table"]
BAD = {
    "names": ({"columns": ("a", "b")}, r"columns=\('a', 'b'\): give a name for each column"),
    "images": (
        {"train": ARRAYS["bytes"], "columns": ("a",)},
        r"columns=\('a',\): give a name for each column of examples of shape \(6, 5, 1\)",
    ),
    "classes": (
        {"labels": LABELS, "classes": ("a", "b")},
        r"classes=\('a', 'b'\): `train_labels` go up to 2: give a name for each",
    ),
    "test labels": ({"test_labels": LABELS}, r"test_labels=given: there is no `test`"),
    "label": ({"labels": LABELS[:-1]}, r"labels\.shape=\(19,\): give one label for each of the 20"),
    "one-hot": ({"labels": np.eye(3)[LABELS]}, r"labels\.shape=\(20, 3\): .*argmax"),
    "shape": ({"test": TABLE[:, :2]}, r"test\.shape=\(20, 2\): the examples of `train`"),
    "axes": ({"layout": "series", "train": np.zeros((4, 2, 2, 2))}, "layout='series': it does not"),
    "channels": (
        {"train": np.ones((9, 12, 8, 8))},
        r"examples\.shape=\(9, 12, 8, 8\): are the channels first, or last\? layout='channels-"
        r"first' transposes the examples to \(num, 8, 8, 12\), layout='images' leaves them",
    ),
    "text": ({"train": np.array([["a"], ["b"]])}, r"train=.*: give a number or an array"),
    "one": ({"train": TABLE[:1]}, r"examples\.shape=.*at least two"),
    "nan": ({"train": np.full((5, 2), np.nan)}, "train=.* non-finite|x=.* non-finite"),
    "kind": ({"name": 3}, "name=3: give text"),
    "standardise": ({"standardise": 2}, "standardise=2: give True or False|standardise=2: give"),
}


@pytest.mark.parametrize("name", BAD)
def test_arrays_that_are_refused(name):
    arguments, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        Dataset.from_arrays(**{"train": TABLE, **arguments})


BYTES = np.arange(256, dtype=np.uint8).reshape(8, 32, 1)


@pytest.mark.parametrize("span", [(-1.0, 1.0), (0.0, 1.0), (-0.5, 7.25)])
def test_bytes_come_back_exactly(span):
    images = np.stack([BYTES, BYTES[::-1]])
    data = Dataset.from_arrays(images, images, span=span)
    for x in (data.train, data.from_units(images)):
        back = np.rint(data.to_units(x)).astype(np.uint8)
        np.testing.assert_array_equal(back, images)
    # and the numbers of the model come back as they are
    np.testing.assert_allclose(data.from_units(data.to_units(data.test)), data.test, atol=1e-6)


@pytest.mark.parametrize("top", [1, 15, 127])
def test_bytes_of_few_levels_come_back_exactly(top):
    images = np.minimum(np.stack([BYTES, BYTES[::-1]]), top).astype(np.uint8)
    data = Dataset.from_arrays(images, images)
    assert data.high == top
    np.testing.assert_array_equal(np.rint(data.to_units(data.train)), images)


def test_columns_of_integers_come_back_exactly():
    x = np.stack([np.arange(2000), 1000 * np.arange(2000) - 10**6, np.full(2000, 7)], 1)
    for standardise in (False, True):
        data = Dataset.from_arrays(x, x, standardise=standardise)
        np.testing.assert_array_equal(np.rint(data.to_units(data.train)), x)
        np.testing.assert_array_equal(data.from_units(x), data.train)
        np.testing.assert_array_equal(scale(x, data.low, data.high), data.train)


def test_a_density_of_scaled_examples_is_taken_to_data_units():
    # a Gaussian of standard deviations 10 and 15, and a column that is constant
    x = np.random.default_rng(0).normal([170.0, 70.0], [10.0, 15.0], size=(500, 2))
    data = Dataset.from_arrays(np.column_stack([x, np.full(500, 3.0)]), standardise=True)
    widths = (data.high - data.low)[:2]
    np.testing.assert_allclose(data.log_jacobian, np.log(2 / widths).sum(), rtol=1e-6)
    # the ratio of volumes, by small boxes
    corners = np.array([[170.0, 70.0, 3.0], [171.0, 72.0, 3.0]])
    sides = np.diff(data.from_units(corners), axis=0)[0, :2]
    np.testing.assert_allclose(np.log(sides.prod() / 2.0), data.log_jacobian, rtol=1e-5)


def test_of_images_each_pixel_counts():
    images = Dataset.from_arrays(np.random.default_rng(0).integers(0, 256, (20, 4, 4, 1), np.uint8))
    np.testing.assert_allclose(images.log_jacobian, 16 * np.log(2 / 255))
