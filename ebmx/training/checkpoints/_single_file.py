"""One file of arrays, to hand on: a trained energy, say, for a reader without orbax-checkpoint.

A training keeps its own states with `Checkpoints`.
"""

import os
from pathlib import Path
from typing import Any

import equinox as eqx

from ... import _checks
from ..._arguments import guarded


@guarded
def save(path: str | Path, state: Any) -> None:
    """Write the arrays of a tree to one file: all of it, or nothing.

    For an energy to hand on; for the states of a training, give `fit` its `Checkpoints`.

    Args:
        path: the file; an older one of that name is replaced once the new one is complete.
        state: any pytree, such as `state.ema`.

    Raises:
        ValueError: if the folder is not there.
    """
    path = Path(path)
    _checks.require(path.parent.is_dir(), "path", str(path), "give a file in a folder")
    partial = path.with_name(path.name + ".partial")
    eqx.tree_serialise_leaves(partial, state)
    os.replace(partial, path)


@guarded
def load(path: str | Path, like: Any) -> Any:
    """Read what `save` has written.

    Args:
        path: the file.
        like: a state of the same structure, such as `trainer.init(energy, key=key)` makes.

    Returns:
        A state with the arrays of the file.

    Raises:
        ValueError: if the file is damaged, or of a state with another structure.
    """
    try:
        with open(path, "rb") as file:
            state = eqx.tree_deserialise_leaves(file, like)
            if file.read(1):
                raise ValueError("more arrays in the file than in the state")
            return state
    except FileNotFoundError:
        raise
    except Exception as error:
        fix = "it is damaged, or of another config: give the config it was saved with"
        raise ValueError(f"path={path}: not a checkpoint of this state; {fix}") from error
