"""From a config to the energy it names."""

from typing import Any

import equinox as eqx
import jax

from .. import _checks
from .._arguments import guarded
from .._types import Key
from ..energies import (
    JEM,
    MLP,
    Conditional,
    ConvNet,
    ConvNetwork,
    MLPNetwork,
    ResNet,
    ResNetwork,
    SpectralNorm,
    Weighted,
    resnet,
)
from ._fields_read import LABELLED, OBJECTIVES, check_kind
from ._schema import EnergyConfig

NormState = eqx.nn.State | None

_ENERGIES: dict[str, Any] = {"convnet": ConvNet, "mlp": MLP, "resnet": ResNet}
_NETWORKS: dict[str, Any] = {"convnet": ConvNetwork, "mlp": MLPNetwork, "resnet": ResNetwork}


@guarded
def build_energy(
    config: EnergyConfig,
    shape: tuple[int, ...],
    *,
    objective: str = "contrastive",
    num_labels: int | None = None,
    key: Key,
) -> tuple[Any, NormState]:
    """The energy for examples of this shape, and the state of its norm, `None` without one.

    Args:
        config: what it is made of.
        shape: the shape of one example.
        objective: the kind of the objective: `"jem"` makes a `JEM` energy and `"conditional"` a
            `Conditional` one on the features before the last layer.
        num_labels: how many labels the data have; for these two.
        key: a key for the initial weights.

    Returns:
        The energy, and the state of its norm or `None`.

    Raises:
        ValueError: if a value does not fit, or a field is set that nothing reads.
    """
    check_kind("energy", config)
    fix = f"give one of {', '.join(OBJECTIVES)}"
    _checks.require(objective in OBJECTIVES, "objective", repr(objective), fix)
    _checks.positive("energy.scale", config.scale)
    kind = config.kind
    if kind == "auto":
        kind = "convnet" if len(shape) == 3 else "mlp"
    _check_norm(config.norm, kind)
    if objective in LABELLED:
        fix = f"objective.kind={objective!r} needs data with labels"
        _checks.require(num_labels is not None, "num_labels", num_labels, fix)
        fix = f"objective.kind={objective!r} takes none, layer or group"
        _checks.require(config.norm not in ("batch", "spectral"), "energy.norm", config.norm, fix)
        fix = f"objective.kind={objective!r} takes no other than 1"
        _checks.require(config.scale == 1, "energy.scale", config.scale, fix)
        return _labelled(config, kind, shape, objective, num_labels, key), None
    return _plain(config, kind, shape, key)


def _check_norm(norm: str, kind: str) -> None:
    fix = f"a {kind} takes none or spectral; for others give energy.kind='resnet'"
    _checks.require(kind == "resnet" or norm in ("none", "spectral"), "energy.norm", norm, fix)


def _plain(
    config: EnergyConfig, kind: str, shape: tuple[int, ...], key: Key
) -> tuple[Any, NormState]:
    sizes, options = _sizes(config, kind), _options(config, kind)
    if config.norm == "batch":
        fix = "with norm='batch' it has to be 1"
        _checks.require(config.scale == 1, "energy.scale", config.scale, fix)
        return resnet(shape, sizes, norm="batch", key=key, **options)
    norm_key = key
    if config.norm == "spectral":
        norm_key, key = jax.random.split(key)
    elif kind == "resnet":
        options["norm"] = config.norm
    energy = _ENERGIES[kind](shape, sizes, key=key, **options)
    if config.scale != 1:
        energy = Weighted(energy, config.scale)
    if config.norm == "spectral":
        return eqx.nn.make_with_state(SpectralNorm)(energy, key=norm_key)
    return energy, None


def _labelled(
    config: EnergyConfig,
    kind: str,
    shape: tuple[int, ...],
    objective: str,
    num_labels: int | None,
    key: Key,
) -> Any:
    sizes, options = _sizes(config, kind), _options(config, kind)
    if kind == "resnet":
        options["norm"] = config.norm
    if objective == "jem":
        return JEM(_NETWORKS[kind](shape, num_labels, sizes, key=key, **options))
    network_key, head_key = jax.random.split(key)
    if kind == "resnet":
        width = sizes[-1] if sizes else 1
    else:
        fix = "the last one is the width of the features that meet the label: give at least one"
        _checks.require(bool(config.hidden_dims), "energy.hidden_dims", config.hidden_dims, fix)
        *hidden, width = config.hidden_dims
        if kind == "mlp":
            sizes = tuple(hidden)
        else:
            options["hidden_dims"] = tuple(hidden)
    network = _NETWORKS[kind](shape, width, sizes, key=network_key, **options)
    activation = config.activation
    return Conditional(network, num_labels=num_labels, activation=activation, key=head_key)


def _sizes(config: EnergyConfig, kind: str) -> tuple[int, ...]:
    return config.hidden_dims if kind == "mlp" else config.widths


def _options(config: EnergyConfig, kind: str) -> dict[str, Any]:
    """What the network of this kind takes beside its sizes, but for the norm."""
    options: dict[str, Any] = {
        "activation": config.activation,
        "compute_dtype": config.compute_dtype,
    }
    if kind == "mlp":
        return options
    options |= {"strides": config.strides, "head": config.head}
    if kind == "resnet":
        return options | {"blocks_per_stage": config.blocks_per_stage}
    return options | {
        "kernel_sizes": config.kernel_sizes,
        "paddings": config.paddings,
        "hidden_dims": config.hidden_dims,
    }
