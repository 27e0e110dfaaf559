"""Axes, ranges and units of arrays: by the rules of `load`, and as its options say."""

import warnings

import numpy as np
import pytest

from ebmx.data import Dataset, load, scale

RNG = np.random.default_rng(0)


@pytest.fixture
def loaded(tmp_path):
    """A function that writes arrays into a file and loads it; of one array, `x`."""

    def load_arrays(x=None, *, options=None, **arrays):
        arrays |= {} if x is None else {"x": x}
        np.savez(tmp_path / "d.npz", **arrays)
        return load(tmp_path / "d.npz", **(options or {}))

    return load_arrays


def whole(data):
    """All examples in data units, in the order of their first number."""
    x = data.to_units(np.concatenate([data.train, data.test]))
    return x[np.argsort(x.reshape(len(x), -1)[:, 0])]


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.int64, np.float32])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_zeros_and_ones_are_the_ends_of_the_span(dtype, shape, loaded):
    x = (RNG.uniform(size=(40, *shape)) < 0.3).astype(dtype)
    data = loaded(x)
    assert (data.low, data.high) == (0, 1)
    assert np.unique(data.train).tolist() == [-1, 1]
    assert np.unique(data.to_units(data.test)).tolist() == [0, 1]
    bits = loaded(x, options={"span": (0.0, 1.0)})
    np.testing.assert_array_equal(bits.test, data.to_units(data.test))
    np.testing.assert_array_equal(scale(x[0].astype(np.uint8)), 2.0 * x[0] - 1)


@pytest.mark.parametrize(("top", "high"), [(1, 1), (15, 15), (127, 127), (128, 255), (255, 255)])
def test_bytes_of_few_levels_are_not_the_dark_part_of_256(top, high, loaded):
    x = RNG.integers(0, top + 1, (20, 6, 5), np.uint8)
    x[3, 0, 0] = top
    data = loaded(x)
    assert (data.low, data.high) == (0, high)
    # the greatest value may be in the part for testing
    data = loaded(x_train=np.minimum(x, 1), x_test=x)
    assert (data.low, data.high) == (0, high)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_with_the_channels_first_are_transposed(channels, loaded):
    x = RNG.uniform(size=(10, channels, 6, 5))
    for options in ({}, {"layout": "channels-first"}):
        said = pytest.warns(UserWarning, match=r"transposed to \(num, 6, 5, .*layout='channels-f")
        with said if not options else warnings.catch_warnings():
            data = loaded(x, options=options)
        assert data.shape == (6, 5, channels)
        want = np.moveaxis(x, 1, -1)
        np.testing.assert_allclose(whole(data), want[np.argsort(want[:, 0, 0, 0])], atol=1e-6)
        assert f"images of 6×5×{channels}, channels given first, in [" in data.summary
    assert loaded(x, options={"layout": "images"}).shape == (channels, 6, 5)


def test_the_warning_names_the_line_that_loads(tmp_path):
    np.savez(tmp_path / "d.npz", x=RNG.uniform(size=(10, 3, 6, 5)))
    with pytest.warns(UserWarning, match="channels first") as caught:
        load(tmp_path / "d.npz")
    assert [warning.filename for warning in caught] == [__file__]


SHAPES = {
    (6, 5): ((6, 5, 1), "images of 6×5×1, in ["),
    (10, 5): ((10, 5, 1), "images"),
    (11, 5): ((11, 5), "series of 11×5, each of 5 channels in its range"),
    (40, 3): ((40, 3), "series of 40×3, each of 3 channels in its range"),
    (6, 5, 3): ((6, 5, 3), "images"),
    (6, 5, 4): ((6, 5, 4), "images"),
    (4, 4, 9): ((4, 4, 9), "images"),
    (8, 5, 6): ((8, 5, 6), "images"),
    (3, 3, 3): ((3, 3, 3), "images"),
    (7,): ((7,), "rows of 7, each of 7 columns in its range"),
    (3, 3, 2, 2): ((3, 3, 2, 2), "examples of 3×3×2×2, in ["),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shape_says_what_the_axes_are(shape, loaded):
    wanted, words = SHAPES[shape]
    data = loaded(RNG.uniform(size=(10, *shape)))
    assert data.shape == wanted
    assert words in data.summary
    assert data.summary.endswith("no labels")


def test_bytes_are_pixels(loaded):
    assert loaded(RNG.integers(0, 256, (10, 40, 3), np.uint8)).shape == (40, 3, 1)
    flat = loaded(RNG.integers(0, 256, (10, 9), np.uint8))
    assert (flat.shape, flat.low, flat.high) == ((9,), 0, 255)
    assert "examples of 9, in [0, 255]" in flat.summary


def test_the_layout_that_is_given_counts(loaded):
    x = RNG.uniform(size=(10, 40, 3))
    assert loaded(x, options={"layout": "images"}).shape == (40, 3, 1)
    assert np.shape(loaded(x, options={"layout": "series"}).low) == (3,)
    assert np.shape(loaded(x, options={"layout": "table"}).low) == (40, 3)
    series = loaded(x[..., 0], options={"layout": "series"})
    assert series.shape == (40,)
    assert np.ndim(series.low) == 0
    assert "series of 40, in [" in series.summary


def test_layouts_that_do_not_fit_are_refused(loaded):
    x = RNG.uniform(size=(10, 12, 8, 8))
    with pytest.raises(ValueError, match=r"examples\.shape=\(10, 12, 8, 8\): are the channels f"):
        loaded(x)
    assert loaded(x, options={"layout": "channels-first"}).shape == (8, 8, 12)
    with pytest.raises(ValueError, match=r"examples\.shape=\(10, 3, 4, 4\): are the channels f"):
        loaded(x[:, :3, :4, :4])
    with pytest.raises(ValueError, match=r"layout='series': it does not fit .*\(10, 12, 8, 8\)"):
        loaded(x, options={"layout": "series"})
    with pytest.raises(ValueError, match="layout='rows': give one of auto, images, channels-"):
        loaded(x, options={"layout": "rows"})


COLUMNS = np.array([1e-3, 1.0, 1e6]) * RNG.uniform(size=(50, 3)) + np.array([0.0, -7.0, 1e9])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_each_column_of_a_table_has_its_own_range(dtype, loaded):
    x = COLUMNS.astype(dtype)
    data = loaded(x_train=x[:40], x_test=x[40:])
    np.testing.assert_array_equal(data.low, x[:40].min(0))
    np.testing.assert_array_equal(data.high, x[:40].max(0))
    np.testing.assert_array_equal(data.train.min(0), [-1] * 3)
    np.testing.assert_array_equal(data.train.max(0), [1] * 3)
    # one range would leave the first column 1e-12 of the span
    span = (x[:40].max(0) - x[:40].min(0)).astype(float)
    assert np.abs((data.to_units(data.test) - x[40:]) / span).max() < 1e-6
    np.testing.assert_array_equal(data.from_units(x[40:]), data.test)


def test_each_channel_of_a_series_has_its_own_range(loaded):
    x = RNG.uniform(size=(20, 40, 2)) * np.array([1.0, 1000.0])
    data = loaded(x_train=x[:15], x_test=x[15:])
    np.testing.assert_allclose(data.high, x[:15].max((0, 1)))
    np.testing.assert_allclose(data.to_units(data.test), x[15:], atol=1e-3)


def test_constant_columns_come_back_exactly(loaded):
    x = COLUMNS.copy()
    x[:, 1] = 0.1
    data = loaded(x_train=x[:40], x_test=x[40:])
    assert np.unique(data.train[:, 1]).tolist() == [0]
    noisy = data.to_units(data.train + np.float32(0.3))
    assert np.unique(noisy[:, 1]).tolist() == [0.1]
    assert "each of 3 columns in its range (1 constant)" in data.summary
    # constant in the training part alone: no test example is changed
    x[45, 1] = 0.3
    data = loaded(x_train=x[:40], x_test=x[40:])
    assert (data.low[1], data.high[1]) == (0.1, 0.3)
    np.testing.assert_allclose(data.to_units(data.test)[:, 1], x[40:, 1], rtol=1e-6)
    with pytest.raises(ValueError, match=r"train=\[0\.1\]: all values are equal"):
        loaded(np.full((9, 1), 0.1))


def test_a_range_for_each_column_of_a_dataset():
    low, high = np.array([0.0, -5.0, 1.0]), np.array([2.0, 5.0, 1.0])
    x = np.array([[0.5, 5.0, 1.0], [2.0, -5.0, 1.0]])
    want = [[-0.5, 1, 0], [1, -1, 0]]
    np.testing.assert_array_equal(scale(x, low, high), want)
    np.testing.assert_array_equal(scale(x, low, high, span=(0, 4)), [[1, 4, 2], [4, 0, 2]])
    data = Dataset("d", scale(x, low, high), x[:1], low=low, high=high)
    np.testing.assert_array_equal(data.to_units(data.train), x)
    np.testing.assert_array_equal(data.from_units(x), want)
    bits = Dataset("d", x[:1], x[:1], low=low, high=high, span=(0.0, 1.0))
    np.testing.assert_array_equal(bits.to_units(np.array([[0.25, 1, 0.5]])), x[:1])


PAIR = np.zeros((2, 3), np.float32)
BAD = {
    "shape": (lambda: Dataset("d", PAIR, PAIR, low=np.zeros(2)), r"low\.shape=\(2,\): give a num"),
    "order": (lambda: Dataset("d", PAIR, PAIR, high=np.full(3, -2)), r"low=-1\.0: give low < high"),
    "span": (lambda: Dataset("d", PAIR, PAIR, span=(1.0, 1.0)), r"span=\(1\.0, 1\.0\): give \(low"),
    "parts": (
        lambda: Dataset("d", PAIR, PAIR[:, :2]),
        r"test\.shape=\(2, 2\): the examples",
    ),
    "columns": (lambda: scale(PAIR, np.zeros(4), 1.0), r"low\.shape=\(4,\): give a number, or an"),
    "example": (lambda: Dataset("d", PAIR, PAIR).from_units(PAIR[0]), r"x\.shape=\(3,\): give \(n"),
}


@pytest.mark.parametrize("name", BAD)
def test_ranges_that_do_not_fit_are_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        call()


def test_digits_have_a_summary():
    text = "digits: 1438 training and 359 test examples, images of 8×8×1, in [0, 16], labels 0 to 9"
    assert load("digits").summary == text


def test_standardised_columns_have_mean_0_and_standard_deviation_1(loaded):
    x = np.array([1e-3, 0.0, 1e6]) * RNG.normal(size=(100, 3)) + np.array([0.0, 0.1, 1e9])
    data = loaded(x, options={"standardise": True})
    np.testing.assert_allclose(data.train.mean(0), 0.0, atol=1e-6)
    np.testing.assert_allclose(data.train.std(0), [1.0, 0.0, 1.0], atol=1e-5)
    assert "rows of 3, each of 3 columns standardised (1 constant)" in data.summary
    # the mean of equal numbers is rounded, and is not one of them
    assert np.all(data.to_units(data.train + 0.3)[:, 1] == 0.1)
    np.testing.assert_allclose(whole(data), x[np.argsort(x[:, 0])], rtol=1e-5, atol=1e-9)


def test_standardised_channels_of_a_series(loaded):
    data = loaded(5.0 * RNG.normal(size=(60, 40, 3)) + 2.0, options={"standardise": True})
    np.testing.assert_allclose(data.train.std((0, 1)), 1.0, atol=1e-5)
    assert data.low.shape == (3,)


@pytest.mark.parametrize("x", [RNG.uniform(size=(20, 6, 5)), np.ones((20, 2))])
def test_images_and_equal_numbers_are_not_standardised(x, loaded):
    with pytest.raises(ValueError, match=r"standardise=True: images|all values are equal"):
        loaded(x, options={"standardise": True})
