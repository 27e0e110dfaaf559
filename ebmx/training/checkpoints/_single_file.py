"""A trained energy as one file, without orbax-checkpoint.

The states of a training are saved by `Checkpoints`.
"""

import os
from pathlib import Path
from typing import Any

import equinox as eqx

from ... import _checks


def save_energy(path: str | Path, energy: Any) -> None:
    """Write the arrays of an energy to one file, complete or absent.

    For the states of a training, give `fit` its `Checkpoints`.

    Args:
        path: the file; an older one is replaced once the new one is complete.
        energy: an energy, such as `state.ema`, or any other pytree.

    Raises:
        ValueError: if the folder does not exist.
    """
    path = Path(path)
    _checks.require(path.parent.is_dir(), "path", str(path), "give a file in a folder")
    partial = path.with_name(path.name + ".partial")
    eqx.tree_serialise_leaves(partial, energy)
    os.replace(partial, path)


def load_energy(path: str | Path, like: Any) -> Any:
    """Read a file of `save_energy`.

    Args:
        path: the file.
        like: an energy of the same structure.

    Returns:
        An energy with the arrays of the file.

    Raises:
        ValueError: if the file is damaged, or of an energy with another structure.
    """
    try:
        with open(path, "rb") as file:
            energy = eqx.tree_deserialise_leaves(file, like)
            if file.read(1):
                raise ValueError("more arrays in the file than in the energy")
            return energy
    except FileNotFoundError:
        raise
    except Exception as error:
        fix = "it is damaged, or of another config: give the config it was saved with"
        raise ValueError(f"path={path}: not a file of this energy; {fix}") from error
