"""Examples of zeros and ones, made at a threshold of the range."""

import numpy as np
import pytest

from ebmx.data import Dataset, load
from ebmx.runs._facts import Facts

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (20, 6, 5), np.uint8)


def test_images_are_one_above_the_threshold_of_their_range():
    grey, data = load("digits", span=(0.0, 1.0)), load("digits", binarise=0.5)
    for one, other in ((grey.train, data.train), (grey.test, data.test)):
        np.testing.assert_array_equal(other, (one > 0.5).astype(np.float32))
    assert data.train.dtype == np.float32
    assert data.span == (0.0, 1.0)
    assert data.binarise == 0.5
    assert data.reading.endswith("in [0, 16], as zeros and ones at 0.5 of it")
    np.testing.assert_array_equal(data.train_labels, grey.train_labels)


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.9])
def test_units_go_both_ways(threshold):
    data = Dataset.from_arrays(BYTES, binarise=threshold)
    whole = np.concatenate([data.train, data.test])
    assert np.mean(whole) == pytest.approx(np.mean(threshold < BYTES / 255))
    np.testing.assert_array_equal(np.unique(data.to_units(whole)), [0.0, 255.0])
    np.testing.assert_array_equal(data.from_units(data.to_units(whole)), whole)
    want = (BYTES[..., None] / 255 > threshold).astype(np.float32)
    np.testing.assert_array_equal(data.from_units(BYTES[..., None]), want)
    assert data.log_jacobian == 0


def test_each_column_of_a_table_has_a_threshold_of_its_own():
    table = RNG.normal(size=(50, 2)) * np.array([1.0, 100.0])
    data = Dataset.from_arrays(table, table, binarise=0.5)
    middle = (table.min(0) + table.max(0)) / 2
    np.testing.assert_array_equal(data.train, (table > middle).astype(np.float32))


def test_bits_stay_as_they_are():
    bits = RNG.integers(0, 2, (20, 6, 5)).astype(bool)
    plain, data = (Dataset.from_arrays(bits, **o) for o in ({"span": (0, 1)}, {"binarise": 0.5}))
    np.testing.assert_array_equal(plain.train, data.train)


def test_the_facts_of_a_run_know_it(tmp_path):
    data = Dataset.from_arrays(BYTES, binarise=0.25)
    found = Facts.read(Facts.of(data).write(tmp_path), tmp_path)
    assert found.binarise == 0.25
    np.testing.assert_array_equal(found.stand_in.from_units(data.to_units(data.test)), data.test)


BAD = {
    "threshold": ({"binarise": 1.0}, r"binarise=1\.0: give a threshold in \[0, 1\)"),
    "standardised": (
        {"binarise": 0.5, "standardise": True, "layout": "table"},
        r"binarise=0\.5: zeros and ones are made of a range: leave one of the two out",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    options, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        Dataset.from_arrays(RNG.normal(size=(20, 3)), **options)


def test_a_data_set_of_another_span_has_no_threshold():
    with pytest.raises(ValueError, match=r"^span=\(-1\.0, 1\.0\): zeros and ones have the span"):
        Dataset("x", np.zeros((2, 3)), np.zeros((2, 3)), binarise=0.5)
