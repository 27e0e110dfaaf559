"""Which fields of a config its kind reads: one that is set and not read is refused by name."""

import dataclasses
from typing import Any

from .. import _checks
from .._arguments import guarded
from ._schema import NegativesConfig, ObjectiveConfig, RunConfig

LABELLED = ("jem", "conditional")
"""The objectives that need labels."""
WITHOUT_CHAINS = ("denoising", "sliced", "noise-contrastive", "energy-discrepancy")

_OPTIMISER = {"learning_rate", "schedule", "warmup_steps", "clip", "ema_decay"}
_ENERGY = {"activation", "compute_dtype", "norm", "scale"}
_MLP = _ENERGY | {"hidden_dims"}
_CONVNET = _MLP | {"widths", "kernel_sizes", "strides", "paddings", "head"}
_LANGEVIN = {"step_size", "noise_scale", "temperature", "grad_clip", "bounds"}

_READ: dict[str, dict[str, set[str]]] = {
    "energy": {
        # which of both it is depends on the data
        "auto": _CONVNET,
        "convnet": _CONVNET,
        "mlp": _MLP,
        "resnet": _ENERGY | {"widths", "strides", "blocks_per_stage", "head"},
    },
    "sampler": {
        "langevin": _LANGEVIN,
        "underdamped": _LANGEVIN | {"friction"},
        "mala": {"step_size", "bounds"},
        "hmc": {"step_size", "bounds", "num_integration_steps"},
    },
    "negatives": {
        "pcd": {"num_steps", "capacity", "reinit_prob", "restart", "storage", "num_shards"},
        "cd": {"num_steps"},
        "short-run": {"num_steps"},
        "jarzynski": {"num_steps", "capacity", "resample_below", "num_held_out"},
    },
    "objective": {
        "contrastive": {"alpha"},
        "improved": {"alpha", "divergence_weight", "entropy_weight"},
        "jem": {"alpha", "classifier_weight"},
        "conditional": {"alpha"},
        "denoising": {"sigma"},
        "sliced": set(),
        "noise-contrastive": {"ratio"},
        "energy-discrepancy": {"sigma", "ratio"},
    },
    "optimiser": {"adam": _OPTIMISER | {"b1", "b2"}, "sgd": _OPTIMISER},
}
OBJECTIVES = tuple(_READ["objective"])


def check_kind(room: str, config: Any) -> None:
    """Check that every field that is set is one that the kind of this part reads.

    Raises:
        ValueError: that names a field that is not read and not at its default.
    """
    for name, default in _unread(room, config).items():
        fix = f"{room}.kind={config.kind!r} does not read it: leave it at {default!r}"
        value = getattr(config, name)
        _checks.require(value in (None, default), f"{room}.{name}", value, fix)


def check_without_chains(config: NegativesConfig, objective: ObjectiveConfig) -> None:
    """Check that nothing is said of negatives but how long to sample after training."""
    plain = NegativesConfig(num_steps=config.num_steps)
    for field in dataclasses.fields(config):
        value, default = getattr(config, field.name), getattr(plain, field.name)
        fix = f"objective.kind={objective.kind!r} has no chains: leave it at {default!r}"
        _checks.require(value == default, f"negatives.{field.name}", value, fix)


@guarded
def forget_unread(config: RunConfig, base: RunConfig) -> RunConfig:
    """A config without what its kinds do not read and `base` had set already.

    So another kind can be chosen on top of a recipe; what is set beyond the recipe stays, and is
    refused if it is not read.

    Args:
        config: a config, such as `base` with changes.
        base: the config that the changes were made on.

    Returns:
        The config to be run.

    Raises:
        ValueError: if a kind is unknown.
    """
    rooms = {}
    for room in _READ:
        part, before = getattr(config, room), getattr(base, room)
        if part.kind != before.kind:
            unread = _unread(room, part).items()
            same = {n: d for n, d in unread if getattr(part, n) == getattr(before, n)}
            rooms[room] = dataclasses.replace(part, **same)
    if config.objective.kind in WITHOUT_CHAINS and base.objective.kind not in WITHOUT_CHAINS:
        plain = NegativesConfig(num_steps=config.negatives.num_steps)
        said = _changes(config.negatives, base.negatives)
        rooms["negatives"] = dataclasses.replace(plain, **said)
    return dataclasses.replace(config, **rooms)


def _unread(room: str, config: Any) -> dict[str, Any]:
    known = _READ[room]
    fix = f"give one of {', '.join(known)}"
    _checks.require(config.kind in known, f"{room}.kind", repr(config.kind), fix)
    read = known[config.kind] | {"kind"}
    return {f.name: f.default for f in dataclasses.fields(config) if f.name not in read}


def _changes(config: Any, base: Any) -> dict[str, Any]:
    """The fields that differ from those of `base`."""
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    return {name: value for name, value in values.items() if value != getattr(base, name)}
