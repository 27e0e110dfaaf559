"""No run is lost: folders that are not free are refused, and only our own files are deleted."""

import json

import numpy as np
import pytest
from configs import TINY

from ebmx.config import merge
from ebmx.data import Dataset
from ebmx.runs import _folder
from ebmx.runs._facts import Facts
from ebmx.runs._run import make_run as make_objects

RECORD = json.dumps({"format": 1})


def tree(folder):
    """All files below a folder, with their content and time."""
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def make_run(folder):
    for name in ("config.toml", "metrics.jsonl", "report.json", "energies.png"):
        (folder / name).write_text("ours")
    (folder / "run.json").write_text(RECORD)
    for step in ("4", "6.orbax-checkpoint-tmp-1"):
        (folder / "checkpoints" / step).mkdir(parents=True)
        (folder / "checkpoints" / step / "manifest.json").write_text("{}")


def test_a_free_folder_is_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = []
    for _ in range(3):
        found.append(str(_folder.free_folder("deep/data.npz")))
        (tmp_path / found[-1]).mkdir(parents=True)
    assert found == ["runs/data-0", "runs/data-1", "runs/data-2"]
    # the folder that one is in
    (tmp_path / "pictures").mkdir()
    monkeypatch.chdir(tmp_path / "pictures")
    for name in (".", "./", "../pictures/."):
        assert str(_folder.free_folder(name)) == "runs/pictures-0"


def test_new_and_empty_folders_are_free(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", "deep/new"):
        assert _folder.check_free(tmp_path / name, False) is None


def test_a_run_is_refused_unless_it_may_be_overwritten(tmp_path):
    make_run(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(ValueError, match=r"holds a run; give another folder, or --overwrite"):
        _folder.check_free(tmp_path, False)
    assert _folder.check_free(tmp_path, True) is None
    assert tree(tmp_path) == before


def test_what_is_not_of_a_run_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds files that are not of a run \(notes.txt\)"):
        _folder.check_free(tmp_path, False)
    assert _folder.check_free(tmp_path, True) is None
    # files of our names that are not of a run would be lost
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ValueError, match=r"give an empty folder$"):
        _folder.check_free(tmp_path, True)


def test_a_file_and_an_address_are_no_folders(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="a file; give the name of a folder"):
        _folder.check_free(tmp_path / "file", True)
    with pytest.raises(ValueError, match="give a folder of this machine"):
        _folder.check_free("gs://bucket/run", False)


def test_overwriting_deletes_our_files_alone(tmp_path):
    make_run(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "checkpoints" / "model.pt").write_text("mine")
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "report.md").write_text("# Evaluation of x\n![drift](drift.png)")
    for name in ("report.json", "drift.png", "mine.png"):
        (tmp_path / "evaluation" / name).write_text("")
    (tmp_path / "evaluation-2").mkdir()
    (tmp_path / "evaluation-2" / "report.md").write_text("# Evaluation of x\n")
    (tmp_path / "evaluation-3").mkdir()
    (tmp_path / "evaluation-3" / "report.md").write_text("mine")
    _folder._delete_run(tmp_path)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {
        "notes.txt",
        "checkpoints/model.pt",
        "evaluation/mine.png",
        "evaluation-3/report.md",
    }
    assert not (tmp_path / "evaluation-2").exists()


def test_a_folder_that_another_process_has_taken_meanwhile_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.zeros((6, 2), np.float32)
    config = merge(TINY, {"energy": {"kind": "MLP", "hidden_dims": [2]}})
    run = make_objects(config, Facts.of(Dataset("points", x, x)))
    taken = [_folder.claim(None, run, 5, False) for _ in range(2)]
    assert [str(folder) for folder in taken] == ["runs/points-0", "runs/points-1"]
    before = tree(tmp_path)
    # free when the process began, and not when it writes
    with pytest.raises(ValueError, match="holds a run"):
        _folder.claim(taken[0], run, 9, False)
    assert tree(tmp_path) == before
    first = iter([taken[0], tmp_path / "runs" / "points-7"])
    monkeypatch.setattr(_folder, "free_folder", lambda name: next(first))
    assert _folder.claim(None, run, 9, False).name == "points-7"
    assert {path: tree(tmp_path)[path] for path in before} == before
