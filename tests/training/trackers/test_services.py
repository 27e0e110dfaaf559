"""Services as they are installed, each without a network: what they have kept is read back."""

import json
import math
import struct
import time

import numpy as np
import pytest
from checkpointed import go_on, start

from ebmx.training import MLflow, TrackerWarning, Trackio, WandB

# their own warnings are not ours
pytestmark = pytest.mark.filterwarnings("ignore")

CONFIG = {"num_steps": 6, "energy": {"kind": "MLP", "hidden_dims": [4]}, "optim": [{"kind": "a"}]}
PICTURE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def logged(tracker, first, *steps):
    """Log a config, metrics and a picture, as a training from `first` on does."""
    with tracker:
        tracker.log_config(CONFIG | {"num_steps": max(steps)})
        tracker.start(first)
        for step in steps:
            tracker.log({"loss": 1 / step, "monitor/gap": math.nan}, step)
        tracker.log({"report/ratio": 2.5}, steps[-1])
        tracker.log_picture("report/samples", PICTURE, steps[-1])
    return tracker


def records(path):
    """The records in a file of W&B, which is a log of LevelDB: `(crc, size, kind)` and data."""
    internal = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    data, at, part = path.read_bytes(), 7, b""
    assert data.startswith(b":W&B")
    while at + 7 <= len(data):
        _, size, kind = struct.unpack_from("<IHB", data, at)
        if kind == 0:  # the rest of a block is empty
            at += 2**15 - at % 2**15
            continue
        part += data[at + 7 : at + 7 + size]
        at += 7 + size
        left = 2**15 - at % 2**15
        at += left if left < 7 else 0
        if kind in (1, 4):  # whole, or the last part of one
            yield internal.Record.FromString(part)
            part = b""


@pytest.fixture
def offline(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    wandb.teardown()  # it reads the environment once
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    return tmp_path


def rows(folder):
    """The rows of all runs in a folder, in order, as dictionaries."""
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for record in records(path):
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                yield {
                    item.key or "/".join(item.nested_key): json.loads(item.value_json)
                    for item in items
                }


def test_wandb_offline(offline):
    tracker = logged(WandB("project", name="mine"), 0, 2, 4, 6)
    found = [*rows(offline)]
    assert [(row["_step"], row["loss"]) for row in found] == [(2, 0.5), (4, 0.25), (6, 1 / 6)]
    assert math.isnan(float(found[0]["monitor/gap"]))
    assert found[-1]["report/ratio"] == 2.5
    (picture,) = offline.glob("wandb/offline-run-*/files/media/images/report/samples_6_*.png")
    assert found[-1]["report/samples/path"].endswith(picture.name)
    # goes on as a further part of the same run, whose folder has a name of the second
    time.sleep(1.1)
    again = logged(WandB("project", id=tracker.id), 4, 6, 8)
    assert again.id == tracker.id
    assert [row["_step"] for row in rows(offline)][3:] == [6, 8]
    names = {path.name.split("-")[-1] for path in offline.glob("wandb/offline-run-*")}
    assert names == {tracker.id}


def test_wandb_in_a_training(offline):
    seen = []
    with WandB() as tracker:
        keep = lambda step, state, metrics: seen.append({"_step": step} | metrics)  # noqa: E731
        go_on(start(), 5, callbacks=[tracker, keep])
    found = [{name: row[name] for name in seen[0]} for row in rows(offline)]
    assert found == seen


@pytest.fixture
def store(tmp_path, monkeypatch):
    """MLflow, which keeps everything in a folder."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    return mlflow


def test_a_server_of_mlflow_that_is_gone_does_not_end_the_training(store, monkeypatch):
    tracker = MLflow("project")
    tracker.start(0)
    monkeypatch.setattr(tracker, "id", "no such run")
    with pytest.warns(TrackerWarning, match=r"MLflow\.log has failed, .*no such run"):
        end, _ = go_on(start(), 6, callbacks=[tracker])
    assert int(end.step) == 6


def test_mlflow(store, tmp_path):
    mlflow = store
    tracker = logged(MLflow("project", name="mine"), 0, 2, 4, 6)
    again = logged(MLflow("project", id=tracker.id), 4, 6, 8)
    assert again.id == tracker.id
    client = mlflow.MlflowClient()
    run = client.get_run(tracker.id)
    assert (run.info.run_name, run.info.status) == ("mine", "FINISHED")
    assert client.get_experiment(run.info.experiment_id).name == "project"
    history = client.get_metric_history(tracker.id, "loss")
    assert [(one.step, one.value) for one in history] == [(s, 1 / s) for s in (2, 4, 6, 8)]
    assert all(math.isnan(m.value) for m in client.get_metric_history(tracker.id, "monitor/gap"))
    assert run.data.params == {
        "num_steps": "6",
        "energy.kind": "MLP",
        "energy.hidden_dims": "[4]",
        "optim.0.kind": "a",
    }
    folder = tmp_path / "artifacts"
    folder.mkdir()
    client.download_artifacts(tracker.id, "", str(folder))
    assert json.loads((folder / "config.json").read_text()) == CONFIG | {"num_steps": 8}
    pictures = {path.name for path in (folder / "pictures/report").iterdir()}
    assert pictures == {"samples-0000006.png", "samples-0000008.png"}


def test_trackio(tmp_path, monkeypatch, capsys):
    trackio = pytest.importorskip("trackio")
    for module in ("utils", "sqlite_storage", "media.utils", "media.media"):
        found = pytest.importorskip(f"trackio.{module}")
        for name in ("TRACKIO_DIR", "MEDIA_DIR"):
            if hasattr(found, name):
                end = "" if name == "TRACKIO_DIR" else "media"
                monkeypatch.setattr(found, name, tmp_path / end)
    tracker = logged(Trackio("project", name="mine"), 0, 2, 4, 6)
    logged(Trackio("project", name=tracker.name), 4, 6, 8)
    (run,) = trackio.Api().runs("project")
    found = trackio.SQLiteStorage.get_logs("project", "mine")
    losses = [(row["step"], row["loss"]) for row in found if "loss" in row]
    assert losses == [(2, 0.5), (4, 0.25), (6, 1 / 6), (8, 0.125)]
    assert [row["step"] for row in found if "report/samples" in row] == [6, 8]
    assert {name: run.config[name] for name in CONFIG} == CONFIG | {"num_steps": 8}
    assert len([*tmp_path.rglob("*.png")]) == 2
    # standard output is for results
    assert capsys.readouterr().out == ""
