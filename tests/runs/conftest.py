"""A run on points in the plane, and its config."""

import pytest
from configs import on_points

from ebmx import runs


@pytest.fixture(scope="module")
def run_on_points(tmp_path_factory):
    """One run on points in the plane."""
    folder = tmp_path_factory.mktemp("points")
    return runs.train(on_points(folder), out=folder / "run", progress=False)


@pytest.fixture
def points(tmp_path):
    return on_points(tmp_path)
