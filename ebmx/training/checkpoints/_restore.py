"""Reading of checkpoints: the whole state, or the energy alone."""

from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from ..._types import EnergyFn
from ...energies import freeze
from .._sharding import shapes
from ._manifest import Config
from ._orbax import first_good, read_parts, read_state


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
        The state, of the structure of `like`; with `update_scale` if a `Watchdog` has gone back.

    Raises:
        CheckpointError: if there is none, if it was changed since it was written, or if structure
            or config differ.
    """
    like = like if mesh is None else shapes(like, mesh)
    return first_good(folder, step, fallback, lambda path: read_state(path, like, config))


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

    Other arguments and errors are as for `restore`.

    Args:
        like: an energy of the same structure.
        norm_state: the state of an energy that has one.
        average: whether to read the moving average of the parameters, not the last ones.

    Returns:
        A fixed energy, as `ebmx.energies.freeze` makes it.
    """
    name = "ema" if average else "energy"
    parts = {name: like} if norm_state is None else {name: like, "norm_state": norm_state}
    found = first_good(folder, step, fallback, lambda path: read_parts(path, parts))
    return freeze(found[name], found.get("norm_state"))
