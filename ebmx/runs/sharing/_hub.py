"""The Hugging Face hub: folders that are fetched and pushed."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PREFIX = "hf:"
_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def hub() -> Any:
    """The package `huggingface_hub`.

    Raises:
        ImportError: with the pip line if it is missing.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        text = "the hub needs huggingface_hub: pip install 'ebmx[share]'"
        raise ImportError(text) from error
    return huggingface_hub


def check_name(name: str, where: str) -> None:
    """Check the name of a repository of the hub."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{where}={name!r}: give USER/NAME, a repository of the hub")


def fetch(where: str, files: tuple[str, ...]) -> Path:
    """The folder of `hf:USER/NAME` or `hf:USER/NAME@REVISION`, with these files of it alone."""
    name, _, revision = where.removeprefix(PREFIX).partition("@")
    check_name(name, "where")
    options = {"revision": revision or None, "allow_patterns": list(files)}
    library = hub()
    with _reaching(f"where={where!r}: not fetched"):
        return Path(library.snapshot_download(name, **options))


def check_push(name: str, *, overwrite: bool) -> None:
    """Check that a repository may be written; nothing is changed.

    Raises:
        ValueError: if the name does not fit, or the repository exists and may not be overwritten.
        ImportError: with the pip line if the package is missing.
        OSError: if the hub cannot be reached.
    """
    check_name(name, "push")
    api = hub().HfApi()
    with _reaching(f"push={name!r}: nothing is written, the hub cannot be asked"):
        there = api.repo_exists(name)
    if there and not overwrite:
        fix = "the repository exists; give another name, or --overwrite for one more commit"
        raise ValueError(f"push={name!r}: {fix}")


def push(folder: Path, name: str, files: tuple[str, ...], *, public: bool, overwrite: bool) -> str:
    """Push these files of a folder, as one commit; returns the address of the repository."""
    api = hub().HfApi()
    message = "Export of a trained energy"
    options = {"allow_patterns": list(files), "commit_message": message}
    with _reaching(f"push={name!r}: not pushed, the export is in {folder}"):
        api.create_repo(name, private=not public, exist_ok=overwrite)
        api.upload_folder(repo_id=name, folder_path=folder, **options)
    return f"https://huggingface.co/{name}"


@contextlib.contextmanager
def _reaching(what: str) -> Iterator[None]:
    """Turn any error of the hub or the network, of which there are many, into an `OSError`."""
    try:
        yield
    except Exception as error:
        first = str(error).strip().split("\n")[0] or type(error).__name__
        raise OSError(f"{what}: {first}") from error
