"""No run is lost: folders that are not free are refused, and only our own files are deleted."""

import json

import pytest

from ebmx.runs import _folder

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
    (tmp_path / "evaluation" / "report.md").write_text("of an evaluation")
    _folder._delete_run(tmp_path)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {"notes.txt", "checkpoints/model.pt", "evaluation/report.md"}
