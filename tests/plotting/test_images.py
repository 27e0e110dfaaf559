"""Pictures: what is in them, read from the figure."""

import io
import sys

import numpy as np
import pytest

from ebmx.plotting import chain_strip, energy_histogram, sample_grid


def images(num, height=3, width=2, channels=1, seed=0):
    x = np.random.default_rng(seed).uniform(-1, 1, size=(num, height, width, channels))
    return x.astype(np.float32)


def pixels(figure, axis=0):
    return np.asarray(figure.axes[axis].get_images()[0].get_array())


def test_grids_stand_side_by_side_under_their_titles():
    figure = sample_grid({"samples": images(4), "real data": images(6)}, num_columns=2)
    assert [axis.get_title() for axis in figure.axes] == ["samples", "real data"]
    assert pixels(figure, 0).shape == (2 * 4, 2 * 3)
    assert pixels(figure, 1).shape == (3 * 4, 2 * 3)
    assert not any(axis.axison for axis in figure.axes)


def test_tiles_are_the_images_row_by_row():
    x = images(5)
    grid = pixels(sample_grid({"x": x}, num_columns=3))
    for number, image in enumerate(x):
        row, column = divmod(number, 3)
        tile = grid[4 * row : 4 * row + 3, 3 * column : 3 * column + 2]
        np.testing.assert_allclose(tile, (image[..., 0] + 1) / 2, atol=1e-6)
    np.testing.assert_array_equal(grid[3], 1)  # white between them
    np.testing.assert_array_equal(grid[4:, 6:], 1)  # and where there is none


def test_images_beyond_the_grid_are_left_out():
    assert pixels(sample_grid({"x": images(50)}, num_columns=4, num_rows=3)).shape == (3 * 4, 4 * 3)


def test_grey_is_grey_and_colour_is_colour():
    grey, colour = sample_grid({"x": images(4)}), sample_grid({"x": images(4, channels=3)})
    assert grey.axes[0].get_images()[0].get_cmap().name == "gray"
    assert grey.axes[0].get_images()[0].get_clim() == (0, 1)
    assert pixels(colour).shape == (4, 10 * 3, 3)


def test_values_out_of_range_are_clipped():
    grid = pixels(sample_grid({"x": np.array([-3.0, 3.0]).reshape(2, 1, 1, 1)}, num_columns=2))
    np.testing.assert_array_equal(grid[0, [0, 2]], [0, 1])


def test_black_and_white_are_the_ends_of_the_span():
    x = np.array([0.0, 0.25, 1.0]).reshape(3, 1, 1, 1)
    grid = pixels(sample_grid({"x": x}, num_columns=3, span=(0.0, 1.0)))
    np.testing.assert_array_equal(grid[0, [0, 2, 4]], np.float32([0, 0.25, 1]))
    strip = pixels(chain_strip(x[:, None], (0, 1, 2), span=(0.0, 1.0)))
    np.testing.assert_array_equal(strip[0, [0, 2, 4]], np.float32([0, 0.25, 1]))
    with pytest.raises(ValueError, match=r"^span=\(1\.0, 0\.0\): give \(low, high\)"):
        sample_grid({"x": x}, span=(1.0, 0.0))


@pytest.mark.parametrize("shape", [(4, 3, 2), (4, 6), (0, 3, 2, 1)])
def test_what_is_no_batch_of_images_is_refused(shape):
    with pytest.raises(ValueError, match=r"images\.shape=.*give images \(num, height, width, ch"):
        sample_grid({"x": np.zeros(shape)})


def test_histograms_have_names_labels_and_all_the_values():
    rng = np.random.default_rng(0)
    groups = {"data": rng.normal(size=300), "samples": rng.normal(1, 2, size=200)}
    figure = energy_histogram(groups, num_bins=20)
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["data", "samples"]
    assert "energy" in axis.get_xlabel()
    assert "nats" in axis.get_xlabel()
    assert axis.get_ylabel() == "density"
    assert "Energies" in axis.get_title()
    values = np.concatenate(list(groups.values()))
    corners = np.concatenate([patch.get_xy()[:, 0] for patch in axis.patches])
    np.testing.assert_allclose([corners.min(), corners.max()], [values.min(), values.max()], 1e-6)
    for patch, (name, group) in zip(axis.patches[1::2], groups.items(), strict=True):
        expected, edges = np.histogram(group, np.unique(corners), density=True)
        assert len(edges) == 21
        np.testing.assert_allclose(patch.get_xy()[:, 1].max(), expected.max(), rtol=1e-6)
        assert patch.get_label() == name


def test_each_of_many_groups_is_drawn():
    names = [str(i) for i in range(7)]
    figure = energy_histogram({name: np.arange(5.0) for name in names})
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == names


def test_equal_energies_can_be_drawn():
    figure = energy_histogram({"data": np.zeros(5), "samples": np.zeros(3)})
    assert len(figure.axes[0].patches) == 4


def test_figures_can_be_saved():
    for figure in (sample_grid({"x": images(4)}), energy_histogram({"x": np.arange(5.0)})):
        file = io.BytesIO()
        figure.savefig(file)
        assert file.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", [sample_grid, energy_histogram])
def test_without_matplotlib_it_says_what_to_install(draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"matplotlib: pip install 'ebmx\[cli\]'"):
        draw({"x": images(4)})
