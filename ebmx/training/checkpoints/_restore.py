"""Reading of checkpoints: the whole state, or the energy alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from ..._types import EnergyFn
from ...energies import freeze
from .._sharding import shapes
from ._manifest import CheckpointError, Config, DamagedError, read_manifest
from ._orbax import read_parts, read_state, steps_in


def restore(
    folder: str | Path,
    like: Any,
    *,
    step: int | None = None,
    fallback: bool = False,
    config: Config = None,
    mesh: Mesh | None = None,
) -> Any:
    """Read a state that `fit` has saved, bit for bit.

    Args:
        folder: that of the `Checkpoints`.
        like: a state of the same structure, from `trainer.init`; or one of shapes alone, from
            `eqx.filter_eval_shape`. Arrays go to the devices of its own arrays.
        step: which; the last one if not given.
        fallback: whether to read the last good step if that one is damaged.
        config: compared with the config of the checkpoint, if given.
        mesh: the devices to read to, as in `fit`, of any number; each device reads its own part.

    Returns:
        The state, of the structure of `like`.

    Raises:
        CheckpointError: if there is none, if it was changed since it was written, or if structure
            or config differ.
    """
    like = like if mesh is None else shapes(like, mesh)
    return _first_good(folder, step, fallback, lambda path: read_state(path, like, config))


def restore_energy(
    folder: str | Path,
    like: Any,
    norm_state: Any = None,
    *,
    average: bool = True,
    step: int | None = None,
    fallback: bool = False,
) -> EnergyFn:
    """Read the energy alone, without buffer and optimiser, to sample from it.

    Args:
        folder: as for `restore`.
        like: an energy of the same structure.
        norm_state: the state of an energy that has one.
        average: whether to read the moving average of the parameters, not the last ones.
        step: as for `restore`.
        fallback: as for `restore`.

    Returns:
        A fixed energy, as `ebmx.energies.freeze` makes it.

    Raises:
        ValueError: as for `restore`.
    """
    name = "ema" if average else "energy"
    parts = {name: like} if norm_state is None else {name: like, "norm_state": norm_state}
    found = _first_good(folder, step, fallback, lambda path: read_parts(path, parts))
    return freeze(found[name], found.get("norm_state"))


def checkpoint_config(folder: str | Path, *, step: int | None = None) -> Config:
    """The config beside a checkpoint, the last one if `step` is not given.

    Args:
        folder: that of the `Checkpoints`.
        step: which; the last one if not given.

    Returns:
        What was given as `config` to the `Checkpoints`.

    Raises:
        CheckpointError: if there is none, or it is damaged.
    """
    return _first_good(folder, step, step is None, lambda path: read_manifest(path)["config"])


def _first_good(
    folder: str | Path, step: int | None, fallback: bool, read: Callable[[Path], Any]
) -> Any:
    steps = steps_in(folder)
    fix = "train with `Checkpoints` of this folder first"
    if step is not None and step not in steps:
        fix = f"the steps in it are {steps}"
    if not steps or (step is not None and step not in steps):
        raise CheckpointError(f"{folder}: no checkpoint{'' if step is None else f' {step}'}; {fix}")
    damaged = []
    for candidate in reversed([s for s in steps if step is None or s <= step]):
        try:
            return read(Path(folder).absolute() / str(candidate))
        except DamagedError as error:
            damaged.append(error)
            if not fallback:
                error.add_note("`fallback=True` goes back to the last good step")
                raise
    words = "; ".join(map(str, damaged))
    raise DamagedError(f"{folder}: no good step is left: {words}") from damaged[0]
