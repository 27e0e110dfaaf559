"""Pictures of landscapes: what is in them, read from the figure."""

import io
import sys

import numpy as np
import pytest

from ebmx.plotting import disconnectivity_graph, energy_landscape, energy_profile

A, B = np.linspace(-1, 2, 7), np.linspace(0, 1, 5)
GRID = A[None] ** 2 + 3 * B[:, None]
MERGES = np.array([[0, 2, 1.0], [1, 3, 4.0]])


def saved(figure):
    file = io.BytesIO()
    figure.savefig(file)
    return file.getvalue().startswith(b"\x89PNG")


def texts(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_a_landscape_has_its_energies_points_and_arrows():
    points = {"data": np.array([[0.0, 0.5]]), "samples": np.zeros((50, 2))}
    field = np.stack([np.broadcast_to(-2 * A, GRID.shape), np.full(GRID.shape, -3.0)], -1)
    figure = energy_landscape(A, B, GRID, points=points, field=field, names=("x", "y"))
    axis, bar = figure.axes
    assert (axis.get_title(), axis.get_xlabel(), axis.get_ylabel()) == (
        "Energy landscape",
        "x",
        "y",
    )
    assert bar.get_ylabel() == "energy, nats"
    assert texts(axis) == ["data", "samples"]
    assert axis.get_xlim() == (-1, 2)
    assert axis.get_ylim() == (0, 1)
    (arrows,) = (c for c in axis.collections if hasattr(c, "U"))
    assert arrows.U.size == GRID.size
    np.testing.assert_allclose(np.hypot(arrows.U, arrows.V), 1)
    # downhill: to the left where a is positive, always down
    assert np.all(np.sign(arrows.U.reshape(5, 7)[0]) == -np.sign(A))
    assert np.all(arrows.V < 0)
    marks = {c.get_label(): c.get_offsets() for c in axis.collections}
    np.testing.assert_array_equal(marks["data"], points["data"])
    np.testing.assert_array_equal(marks["samples"], points["samples"])
    filled = axis.collections[0]
    assert filled.get_clim() == pytest.approx((GRID.min(), GRID.max()), abs=0.2)
    assert saved(figure)


def test_energies_above_the_ceiling_are_clipped_and_infinite_ones_white():
    grid = GRID.copy()
    grid[0, 0] = np.inf
    figure = energy_landscape(A, B, grid, ceiling=2.0)
    assert figure.axes[0].collections[0].levels[-1] == 2.0
    assert "(clipped at 2)" in figure.axes[1].get_ylabel()
    assert saved(energy_landscape(A, B, np.zeros((5, 7))))


def test_a_profile_marks_the_top_of_each_path():
    paths = {
        "straight": ([0.0, 1.0, 4.0], [1.0, 5.0, 2.0]),
        "least": ([0.0, 3.0, 6.0], [1.0, 2.5, 2.0]),
    }
    figure = energy_profile(paths, title="Between two")
    (axis,) = figure.axes
    assert axis.get_title() == "Between two"
    assert axis.get_xlabel() == "fraction of the path length"
    assert axis.get_ylabel() == "energy, nats"
    assert texts(axis) == ["straight: length 4, barrier 4", "least: length 6, barrier 1.5"]
    path, top, _, lower = (line.get_xydata() for line in axis.lines)
    np.testing.assert_allclose(path, [[0, 1], [0.25, 5], [1, 2]])
    np.testing.assert_allclose(top, [[0.25, 5]])
    np.testing.assert_allclose(lower, [[0.5, 2.5]])
    assert saved(figure)


def test_branches_end_at_minima_and_join_at_passes():
    energies = np.array([-2.0, -1.0, 0.5])
    figure = disconnectivity_graph(energies, MERGES, fractions=[0.5, 0.3, 0.2])
    (axis,) = figure.axes
    assert axis.get_title() == "Disconnectivity graph"
    assert axis.get_ylabel() == "energy, nats"
    assert "fraction of starts" in axis.get_xlabel()
    names = [text.get_text() for text in axis.get_xticklabels()]
    assert names == ["1\n30 %", "0\n50 %", "2\n20 %"]
    lines = [line.get_xydata().tolist() for line in axis.lines]
    assert [[1, -2], [1, 1]] in lines  # minimum 0 up to where it joins
    assert [[2, 0.5], [2, 1]] in lines
    assert [[1, 1], [2, 1]] in lines
    assert [[0, -1], [0, 4]] in lines
    assert [[1.5, 1], [1.5, 4]] in lines  # both, from where they joined
    np.testing.assert_allclose(axis.lines[-1].get_ydata(), [-1, -2, 0.5])
    assert saved(figure)
    alone = disconnectivity_graph([1.0], np.zeros((0, 3)))
    assert [text.get_text() for text in alone.axes[0].get_xticklabels()] == ["0"]


BAD = {
    "energies": (lambda: energy_landscape(A, B, GRID.T), r"energies\.shape=\(7, 5\)"),
    "nan": (lambda: energy_landscape(A, B, GRID * np.nan), "energies=none is finite"),
    "field": (lambda: energy_landscape(A, B, GRID, field=GRID), r"field\.shape=\(5, 7\)"),
    "points": (lambda: energy_landscape(A, B, GRID, points={"x": A}), r"points\['x'\]\.shape"),
    "merges": (lambda: disconnectivity_graph([0.0, 1.0, 2.0], MERGES[:1]), r"merges\.shape=\(1, 3"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_drawn_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"matplotlib: pip install 'ebmx\[cli\]'"):
        energy_landscape(A, B, GRID)
