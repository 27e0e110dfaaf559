"""Loading of trained energies: from an export, a run, a file, or the hub."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...training import load_energy as load_file
from .._folder import RECORD as RUN
from .._folder import open as open_run
from ._files import CONFIG, ENERGY, RECORD, Export
from ._hub import PREFIX, fetch
from ._model import Model


def load_energy(where: str | Path, like: Any = None, *, modules: Sequence[str] = ()) -> Any:
    """Load a trained energy.

    Nothing of a shared folder is run, and nothing is unpickled: the energy is built by its
    constructor, which may be one of ebmx, `jax.nn` and `optax`, and gets the arrays of the file.

    Args:
        where: the folder of `ebmx export`; `"hf:USER/NAME"` or `"hf:USER/NAME@REVISION"`, such a
            folder on the Hugging Face hub; the folder of a run; or a file of `save_energy`.
        like: for a file, an energy of the same structure.
        modules: Python modules that you trust, such as `["my_energies"]`: an exported energy may be
            a class of these, too.

    Returns:
        The energy with averaged parameters: a function of one example, and of a label or a noise
        level if it has these.

    Raises:
        ValueError: if the energy is missing or damaged, or its config names what it may not.
        ImportError: with the pip line if safetensors or huggingface_hub is missing.
        OSError: if the hub cannot be reached, or the repository is missing.
    """
    path = _local(where)
    if path.is_file():
        if like is None:
            fix = "a file has the arrays alone: give like=, an energy of the same structure"
            raise ValueError(f"where={where}: {fix}")
        return load_file(path, like)
    if like is not None:
        if not path.exists():
            raise ValueError(f"where={where}: the file is missing")
        raise ValueError("like: for a file of save_energy; a folder says what the energy is")
    if (path / RUN).is_file():
        return open_run(path).energy
    return _export(path, where, modules).energy()


def load_model(where: str | Path, *, modules: Sequence[str] = ()) -> Model:
    """Load a trained energy with its sampler and the units of its data.

    Args:
        where: the folder of `ebmx export`; `"hf:USER/NAME"` or `"hf:USER/NAME@REVISION"`, such a
            folder on the Hugging Face hub; or the folder of a run.
        modules: as for `ebmx.load_energy`.

    Returns:
        An object with `energy`, `sampler`, `config`, `shape`, `num_labels`, `to_units` and
        `from_units`, and `sample(num, key=key)`.

    Raises:
        ValueError: if the energy is missing or damaged, or its config names what it may not.
        ImportError: with the pip line if safetensors or huggingface_hub is missing.
        OSError: if the hub cannot be reached, or the repository is missing.
    """
    path = _local(where)
    if (path / RUN).is_file():
        return Model.of(open_run(path))
    return _export(path, where, modules).model()


def _local(where: str | Path) -> Path:
    if str(where).startswith(PREFIX):
        return fetch(str(where), (ENERGY, RECORD, CONFIG))
    return Path(where)


def _export(path: Path, where: str | Path, modules: Sequence[str]) -> Export:
    if not (path / RECORD).is_file():
        fix = "give a folder of `ebmx export`, a run, or hf:USER/NAME"
        raise ValueError(f"where={where}: holds no trained energy; {fix}")
    return Export(path, tuple(modules))
