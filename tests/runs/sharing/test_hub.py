"""The hub: a cache as `huggingface_hub` keeps it, and what a push sends."""

import builtins
import shutil

import huggingface_hub
import huggingface_hub.constants
import numpy as np
import pytest
from exported import opened, values

import ebmx
from ebmx import runs
from ebmx.runs.sharing._hub import fetch

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    run = opened("sum", folder / "run")
    return runs.export(run, out=folder / "e").folder, run


@pytest.fixture
def cache(exported, tmp_path, monkeypatch):
    """A cache of `huggingface_hub` that holds the export as `me/model`, and no network."""
    repo = tmp_path / "models--me--model"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    shutil.copytree(exported[0], repo / "snapshots" / COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return repo / "snapshots" / COMMIT


@pytest.mark.parametrize("where", ["hf:me/model", f"hf:me/model@{COMMIT}", "hf:me/model@main"])
def test_an_energy_of_the_hub_is_the_one_that_was_exported(where, cache, exported):
    x = np.zeros((1, 2), np.float32)
    np.testing.assert_array_equal(values(ebmx.load_energy(where), x), values(exported[1].energy, x))
    assert runs.load_model(where).shape == (2,)


@pytest.mark.parametrize("where", ["hf:model", "hf:", "hf:a/b/c", "hf:../x", "hf:a/b c"])
def test_names_that_are_not_of_the_hub(where):
    with pytest.raises(ValueError, match="give USER/NAME, a repository of the hub"):
        ebmx.load_energy(where)


def test_only_the_files_that_are_read_are_fetched(monkeypatch, tmp_path):
    asked = {}

    def snapshot_download(name, **options):
        asked.update(options, name=name)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert fetch("hf:me/model@v1", ("a", "b")) == tmp_path
    assert asked == {"name": "me/model", "revision": "v1", "allow_patterns": ["a", "b"]}


class Hub:
    """What is asked of the hub, in place of it."""

    there = False
    fails: str | None = None
    calls: list

    def repo_exists(self, name):
        self.fail("repo_exists")
        return self.there

    def fail(self, name):
        if self.fails == name:
            raise RuntimeError("no network\nand more")

    def create_repo(self, name, **options):
        self.calls.append(("create", name, options))

    def upload_folder(self, **options):
        self.fail("upload_folder")
        self.calls.append(("upload", options))


@pytest.fixture
def hub(monkeypatch):
    one = Hub()
    one.calls = []
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: one)
    return one


@pytest.mark.parametrize("public", [False, True])
def test_a_push_makes_a_repository_that_is_private_unless_asked(public, hub, exported, tmp_path):
    found = runs.export(exported[1], out=tmp_path / "e", push="me/model", public=public)
    assert found.address == "https://huggingface.co/me/model"
    create, upload = hub.calls
    assert create == ("create", "me/model", {"private": not public, "exist_ok": False})
    assert upload[1]["repo_id"] == "me/model"
    assert upload[1]["folder_path"] == tmp_path / "e"
    assert {"energy.safetensors", "README.md"} < set(upload[1]["allow_patterns"])
    assert 'load_model("hf:me/model")\n' in (tmp_path / "e" / "README.md").read_text()


def test_a_repository_that_exists_is_refused_before_anything_is_written(hub, exported, tmp_path):
    hub.there = True
    with pytest.raises(ValueError, match=r"push='me/model': the repository exists.*--overwrite"):
        runs.export(exported[1], out=tmp_path / "e", push="me/model")
    with pytest.raises(ValueError, match="push='model': give USER/NAME"):
        runs.export(exported[1], out=tmp_path / "e", push="model")
    assert list(tmp_path.iterdir()) == []
    assert hub.calls == []
    runs.export(exported[1], out=tmp_path / "e", push="me/model", overwrite=True)
    assert hub.calls[0][2] == {"private": True, "exist_ok": True}


def test_a_hub_that_cannot_be_reached_is_an_error_of_one_line(hub, exported, tmp_path):
    hub.fails = "repo_exists"
    with pytest.raises(OSError, match=r"push='me/model': nothing is written, .*: no network$"):
        runs.export(exported[1], out=tmp_path / "e", push="me/model")
    assert list(tmp_path.iterdir()) == []
    hub.fails = "upload_folder"
    with pytest.raises(OSError, match=r"not pushed, the export is in .*e: no network$"):
        runs.export(exported[1], out=tmp_path / "e", push="me/model")
    assert ebmx.load_energy(tmp_path / "e").shape == (2,)


def test_what_is_not_in_the_cache_is_an_error_without_a_network(cache):
    with pytest.raises(OSError, match="where='hf:me/other': not fetched: "):
        ebmx.load_energy("hf:me/other")


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    original = builtins.__import__

    def without(name, *rest, **more):
        if name == "huggingface_hub":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        ImportError, match=r"the hub needs huggingface_hub: pip install 'ebmx\[share"
    ):
        ebmx.load_energy("hf:me/model")
