"""A training that was saved, for the tests of checkpoints."""

import shutil

import pytest
from checkpointed import CONFIG, go_on, start

from ebmx.training import Checkpoints


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the steps 4, 8 and 10, and the state of the last one."""
    folder = tmp_path_factory.mktemp("run")
    state, _ = go_on(start(), 10, Checkpoints(folder, every=4, config=CONFIG))
    return folder, state


@pytest.fixture
def folder(trained, tmp_path):
    return shutil.copytree(trained[0], tmp_path / "run")
