"""Plots of tables: what is in them, read from the figure."""

import numpy as np
import pytest

from ebmx.plotting import pairwise_marginals

DATA = np.random.default_rng(0).normal(size=(200, 3))
SAMPLES = DATA[:50] + np.array([0.0, 5.0, 0.0])


def test_columns_have_histograms_and_pairs_have_scatter_plots():
    figure = pairwise_marginals({"data": DATA, "samples": SAMPLES}, names=("a", "b", "c"))
    axes = np.reshape(figure.axes, (3, 3))
    visible = [[axis.axison for axis in row] for row in axes]
    np.testing.assert_array_equal(visible, np.tril(np.ones((3, 3), bool)))
    assert [axis.get_xlabel() for axis in axes[2]] == ["a", "b", "c"]
    assert [row[0].get_ylabel() for row in axes] == ["", "b", "c"]
    data, samples = axes[2, 1].collections
    np.testing.assert_array_equal(data.get_offsets(), DATA[:, [1, 2]])
    np.testing.assert_array_equal(samples.get_offsets(), SAMPLES[:, [1, 2]])
    low, high = axes[1, 1].get_xlim()
    assert low < 0 < 5 < high
    names = [text.get_text() for text in axes[0, 0].get_legend().get_texts()]
    assert sorted(names) == ["data", "samples"]


def test_names_of_columns_are_numbered_by_default():
    figure = pairwise_marginals({"data": DATA[:, :2]})
    assert [axis.get_xlabel() for axis in figure.axes[2:]] == ["x1", "x2"]


BAD = {
    "none": ({}, None, "give at least one set"),
    "columns": ({"a": DATA, "b": DATA[:, :2]}, None, "the same columns in each set, at most 8"),
    "many": ({"a": np.zeros((5, 9))}, None, "at most 8"),
    "names": ({"a": DATA}, ("x", "y"), "names=.*: give 3 names"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_drawn_is_refused(name):
    sets, names, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        pairwise_marginals(sets, names=names)


def test_a_column_that_is_constant_but_for_rounding():
    x = np.linspace(0.0, 1.0, 20)
    data = np.stack([x, np.full(20, 0.1)], 1)
    figure = pairwise_marginals({"data": data, "samples": data + np.array([0.0, 1e-17])})
    low, high = figure.axes[3].get_xlim()
    assert low < 0.09
    assert high > 0.11
