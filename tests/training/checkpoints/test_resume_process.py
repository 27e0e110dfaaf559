"""A training that another process goes on with is the one that was never stopped, bit for bit."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from restart_worker import ALL, CASES, FIRST, start, train

from ebmx.training import Checkpoints

pytestmark = pytest.mark.slow
WORKER = Path(__file__).parents[1] / "restart_worker.py"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The whole trainings of this process, and the folder with what the other one made."""
    folder = tmp_path_factory.mktemp("restart")
    whole = {}
    for case in CASES:
        trainer, state = start(case)
        whole[case] = train(case, state, trainer, ALL)
        train(case, state, trainer, FIRST, Checkpoints(folder / case))
    command = [sys.executable, WORKER, folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return whole, folder


@pytest.mark.parametrize("case", CASES)
def test_the_rest_in_another_process_is_the_rest_of_the_whole(case, trained):
    whole, folder = trained
    with np.load(folder / f"{case}-rest.npz", allow_pickle=False) as rest:
        assert rest.keys() == whole[case].keys()
        for name, array in rest.items():
            expected = whole[case][name]
            expected = expected[FIRST:] if name.startswith("history") else expected
            assert array.tobytes() == expected.tobytes(), name


@pytest.mark.parametrize("case", CASES)
def test_the_same_keys_give_the_same_bits_in_another_process(case, trained):
    whole, folder = trained
    with np.load(folder / f"{case}-whole.npz", allow_pickle=False) as again:
        for name, array in again.items():
            assert array.tobytes() == whole[case][name].tobytes(), name
