"""Writing a trained energy into a folder to share, and pushing it to the hub."""

import dataclasses
import itertools
import os
import shutil
import tempfile
from pathlib import Path

from ... import _checks
from ...config._tables import write_config
from .._folder import OpenRun, check_free_for
from .._folder import open as open_run
from ._card import card
from ._files import CONFIG, ENERGY, RECORD, safetensors, shared_config, write_files
from ._hub import PREFIX, check_push
from ._hub import push as push_folder
from ._model import Model

CARD, PICTURE = "README.md", "samples.png"
_FILES = (ENERGY, CONFIG, RECORD, CARD, PICTURE)


@dataclasses.dataclass(frozen=True)
class Exported:
    """What `export` has written."""

    folder: Path
    files: tuple[Path, ...]
    address: str | None


def export(
    run: str | Path | OpenRun,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    best: bool = False,
    push: str | None = None,
    public: bool = False,
) -> Exported:
    """Write the trained energy of a run into a folder to share: `ebmx.load_energy` reads it.

    The folder holds `energy.safetensors`, the arrays of the energy with averaged parameters and the
    moments of the data; `config.toml`; `ebmx.json`, the units of the data and where chains start;
    `samples.png`, if the run has one; and a model card, `README.md`, with the figures of the run's
    reports. It has no example of the data, and no path of this machine. It is complete or absent.

    Args:
        run: the folder of a run, or what `open` has returned.
        out: the folder; the first free `export-N` if not given.
        overwrite: whether the files of an export that the folder holds may be replaced, and whether
            a repository that exists may get one more commit.
        best: as for `open`, if a folder is given.
        push: `USER/NAME`, a repository of the Hugging Face hub to which the folder is pushed too,
            as the user that `hf auth login` has logged in.
        public: whether a repository that is made is public; otherwise it is private.

    Returns:
        What was written: `folder`, `files` and the `address` of the repository, if there is one.

    Raises:
        ValueError: if the folder holds no good run, `out` is not free, or the repository exists.
        ImportError: with the pip line if safetensors, tomli-w or huggingface_hub is missing.
        OSError: if the hub cannot be reached; the error says whether the folder is written.
    """
    if public and push is None:
        _checks.invalid("public", public, "it is for push: give push='USER/NAME' too")
    safetensors()
    folder = _free_folder() if out is None else Path(out)
    check_free_for("an export", folder, RECORD, _FILES, overwrite)
    opened = run if isinstance(run, OpenRun) else open_run(run, best=best)
    if push is not None:
        check_push(push, overwrite=overwrite)
    _write(opened, folder, folder.name if push is None else f"{PREFIX}{push}")
    address = None
    if push is not None:
        address = push_folder(folder, push, _FILES, public=public, overwrite=overwrite)
    files = tuple(folder / name for name in _FILES if (folder / name).is_file())
    return Exported(folder, files, address)


def _free_folder() -> Path:
    """`export-N` with the first number `N` that is free."""
    folders = (Path(f"export-{number}") for number in itertools.count())
    return next(folder for folder in folders if not folder.exists())


def _write(opened: OpenRun, folder: Path, where: str) -> None:
    """Write all files beside the folder, and move them there when all are complete."""
    model, picture = Model.of(opened), opened.folder / PICTURE
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".ebmx-") as place:
        made = Path(place)
        write_files(made, opened, model)
        write_config(made / CONFIG, shared_config(opened))
        if picture.is_file():
            shutil.copyfile(picture, made / PICTURE)
        name = PICTURE if picture.is_file() else None
        (made / CARD).write_text(card(opened, model, where, picture=name), encoding="utf-8")
        folder.mkdir(exist_ok=True)
        for name in _FILES:
            if (made / name).is_file():
                os.replace(made / name, folder / name)
            else:
                # of the export before
                (folder / name).unlink(missing_ok=True)
