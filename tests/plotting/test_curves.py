"""Pictures of chains and of trainings: what is in them, read from the figure."""

import io

import numpy as np
import pytest

from ebmx.plotting import chain_strip, chain_traces, temperature_ladder, training_curves

RNG = np.random.default_rng(0)


def saved(figure):
    file = io.BytesIO()
    figure.savefig(file)
    return file.getvalue().startswith(b"\x89PNG")


def test_traces_are_some_chains_and_the_mean_of_all():
    energies, distances = RNG.normal(size=(30, 6)), np.arange(6.0)
    steps = [0, 1, 10, 100, 1000, 10000]
    figure = chain_traces({"energy, nats": energies, "distance": distances}, steps=steps)
    assert figure.get_suptitle() == "Traces of chains"
    first, second = figure.axes
    assert [first.get_ylabel(), second.get_ylabel()] == ["energy, nats", "distance"]
    assert second.get_xlabel() == "steps"
    assert first.get_xscale() == "symlog"
    assert len(first.lines) == 21
    np.testing.assert_array_equal(first.lines[3].get_xydata(), np.stack([steps, energies[3]], 1))
    np.testing.assert_allclose(first.lines[-1].get_ydata(), energies.mean(0))
    assert first.get_legend().get_texts()[0].get_text() == "mean of 30"
    np.testing.assert_array_equal(second.lines[0].get_ydata(), distances)
    assert saved(figure)
    assert chain_traces({"x": energies}).axes[0].get_xscale() == "linear"


def test_training_curves_are_those_that_change():
    history = {"loss": [3.0, 2.0, 1.0], "skipped": [0, 0, 0], "grad_norm": [1.0, np.nan, 2.0]}
    figure = training_curves(history, steps=[10, 20, 30])
    assert [axis.get_title() for axis in figure.axes] == ["loss", "grad norm"]
    assert {axis.get_xlabel() for axis in figure.axes} == {"updates"}
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xydata(), [[10, 3], [20, 2], [30, 1]])
    assert saved(figure)
    named = training_curves(history, names=["skipped"])
    assert named.axes[0].lines[0].get_xdata().tolist() == [1, 2, 3]
    four = training_curves({f"m{i}": np.arange(5.0) for i in range(4)})
    assert [axis.axison for axis in four.axes] == [True] * 4 + [False] * 2


def test_a_strip_has_a_chain_in_each_row_and_a_time_in_each_column():
    images = RNG.uniform(-1, 1, size=(3, 2, 4, 5, 1)).astype(np.float32)
    figure = chain_strip(images, [0, 1, 16], title="From noise")
    (axis,) = figure.axes
    assert axis.get_title() == "From noise"
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("steps", "chain")
    assert [text.get_text() for text in axis.get_xticklabels()] == ["0", "1", "16"]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["1", "2"]
    grid = np.asarray(axis.get_images()[0].get_array())
    for time in range(3):
        for chain in range(2):
            tile = grid[5 * chain : 5 * chain + 4, 6 * time : 6 * time + 5]
            np.testing.assert_allclose(tile, (images[time, chain, ..., 0] + 1) / 2, atol=1e-6)
    assert saved(figure)


def test_a_ladder_has_its_rates_between_its_temperatures():
    rates = np.array([[0.2, 0.6], [0.4, 0.8]])
    figure = temperature_ladder([1.0, 4.0, 16.0], rates, round_trips=[3, 4])
    (axis,) = figure.axes
    assert axis.get_title() == "Replica exchange: 7 round trips"
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("temperature", "swap acceptance rate")
    np.testing.assert_allclose(axis.lines[-1].get_xydata(), [[2, 0.3], [8, 0.7]])
    assert [text.get_text() for text in axis.get_xticklabels()] == ["1", "4", "16"]
    assert axis.get_ylim() == (0, 1)
    assert saved(figure)


BAD = {
    "steps": (lambda: chain_traces({"x": np.zeros((2, 3))}, steps=[1, 2]), r"traces\['x'\]\.shape"),
    "name": (lambda: training_curves({"loss": [1, 2]}, names=["los"]), "names=los: give some of"),
    "constant": (lambda: training_curves({"loss": [1, 1]}), "every metric is constant"),
    "images": (lambda: chain_strip(np.zeros((3, 4, 5, 1)), [0, 1, 2]), r"images\.shape"),
    "times": (lambda: chain_strip(np.zeros((3, 1, 4, 5, 1)), [0]), r"at 1 times"),
    "rates": (lambda: temperature_ladder([1.0, 2.0], [0.1, 0.2]), r"swap_rates\.shape=\(1, 2\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_drawn_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
