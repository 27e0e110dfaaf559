"""Event files, read back by TensorBoard itself."""

import json
import math

import numpy as np
import pytest
from checkpointed import go_on, start
from events import events

from ebmx.training import TensorBoard


def write(folder, *steps, tracker=None):
    tracker = TensorBoard(folder) if tracker is None else tracker
    for step in steps:
        tracker.log({"loss": 1 / step}, step)
    return tracker


def test_scalars_are_read_back(tmp_path):
    folder = tmp_path / "deep" / "logs"
    with TensorBoard(folder) as tracker:
        tracker.start(0)
        tracker.log({"loss": 0.25, "monitor/gap": 3}, 2)
        tracker.log({"loss": math.nan, "late": math.inf}, 4)
        # they are on the disk before it is closed
        found = events(folder)
    assert found.scalars("monitor/gap") == [(2, 3.0)]
    assert found.scalars("late") == [(4, math.inf)]
    (one, two) = found.scalars("loss")
    assert one == (2, 0.25)
    assert two[0] == 4
    assert math.isnan(two[1])


def test_a_config_is_a_text_and_a_picture_an_image(tmp_path):
    config = {"energy": {"kind": "MLP", "hidden_dims": (8, 4)}, "optim": [{"kind": "adam"}]}
    array = np.zeros((3, 5, 3), np.uint8)
    array[1, 2] = (255, 7, 0)
    with TensorBoard(tmp_path) as tracker:
        tracker.log_config(config)
        tracker.log({"loss": 1.0}, 10)
        tracker.log_picture("samples", array, 10)
        tracker.log_picture("samples", array[::-1], 20)
    found = events(tmp_path)
    ((step, text),) = found.texts("config")
    assert step == 10
    written = text.removeprefix("```json\n").removesuffix("\n```")
    assert json.loads(written) == json.loads(json.dumps(config))
    (first, one), (second, two) = found.images("samples")
    assert (first, second) == (10, 20)
    np.testing.assert_array_equal(one, array)
    np.testing.assert_array_equal(two, array[::-1])


@pytest.mark.parametrize("killed", [False, True])
def test_a_training_that_goes_on_hides_later_steps(killed, tmp_path):
    first = write(tmp_path, 1, 2, 3)
    first.log_picture("samples", np.zeros((2, 2)), 3)
    if not killed:
        first.close()
    second = TensorBoard(tmp_path)
    second.log_config({"num_steps": 4})
    second.start(2)
    second.log({"loss": 7.0}, 3)
    second.close()
    third = TensorBoard(tmp_path)
    third.log_config({"num_steps": 4})
    third.start(2)
    third.log({"loss": 8.0}, 3)
    third.log({"loss": 9.0}, 4)
    third.close()
    found = events(tmp_path)
    assert found.scalars("loss") == [(1, 1.0), (2, 0.5), (3, 8.0), (4, 9.0)]
    assert found.images("samples") == []
    # this reader keeps all texts, of which the page shows the last of a step
    assert {step for step, _ in found.texts("config")} == {3}
    first.close()
    # three files within a second or so, none of them in the place of another
    assert len([*tmp_path.iterdir()]) == 3


def test_another_training_is_not_mixed_in(tmp_path):
    write(tmp_path, 1).close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=r"folder=.*: holds events of another training; go on"):
        TensorBoard(tmp_path).start(0)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_nothing_is_written_before_the_start(tmp_path):
    tracker = TensorBoard(tmp_path / "logs")
    tracker.log_config({"a": 1})
    tracker.close()
    assert not (tmp_path / "logs").exists()


@pytest.mark.medium
def test_a_training_in_two_parts_is_one_curve(tmp_path):
    seen, folder = [], tmp_path / "logs"
    keep = lambda step, state, metrics: seen.append((step, metrics["loss"]))  # noqa: E731
    tracker = TensorBoard(folder)
    state, _ = go_on(start(), 8, callbacks=[tracker, keep])
    go_on(state, 4, callbacks=[tracker, keep])
    again = TensorBoard(folder)
    go_on(state, 4, callbacks=[again])
    found = events(folder).scalars("loss")
    assert [step for step, _ in found] == [step for step, _ in seen] == [2, 4, 6, 8, 10, 12]
    np.testing.assert_array_equal([v for _, v in found], np.float32([v for _, v in seen]))
    tracker.close()
    again.close()
