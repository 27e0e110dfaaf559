"""What larger data would need on GPUs: estimates for `scaling.py`, none of them measured."""

import math
from typing import Any

import equinox as eqx
import jax
from _counts import flop_of_energy, outputs

from ebmx.energies import ResNet

RATE, MEMORY, LINK = 125e12, 80e9, {1: math.inf, 8: 200e9, 256: 20e9}
"""FLOP/s that a GPU attains in bfloat16 (0.4 of 312e12), its bytes, and the bytes a second at which
it takes part in an all-reduce: alone, within a machine, between machines."""


def plans() -> dict[str, dict[str, Any]]:
    """Data, a network for them, chains and updates."""
    options: dict[str, Any] = {"head": "sum", "activation": "leaky_relu", "key": jax.random.key(0)}
    cifar = ResNet((32, 32, 3), (128, 256, 512), blocks_per_stage=3, **options)
    small = ResNet((64, 64, 3), (128, 256, 256, 512), blocks_per_stage=3, **options)
    large = ResNet((256, 256, 3), (64, 128, 256, 256, 512, 512), blocks_per_stage=3, **options)
    return {
        "CIFAR-10": {"energy": cifar, "batch": 128, "chain": 60, "updates": 120_000},
        "ImageNet-64": {"energy": small, "batch": 256, "chain": 60, "updates": 300_000},
        "ImageNet-256": {"energy": large, "batch": 256, "chain": 100, "updates": 500_000},
    }


def activations(energy: Any) -> float:
    """Bytes that the gradient of one image keeps, in bfloat16: three arrays for each product."""
    return 3 * 2 * outputs(energy)


def estimate(plan: dict[str, Any], gpus: int, capacity: int = 10_240) -> dict[str, float]:
    """Time and memory of a plan, on paper."""
    energy, batch = plan["energy"], plan["batch"]
    forward, numbers = flop_of_energy(energy), math.prod(energy.shape)
    parameters = sum(a.size for a in jax.tree.leaves(eqx.filter(energy, eqx.is_inexact_array)))
    flop = forward * batch * (2 * plan["chain"] + 6)
    compute = flop / gpus / RATE
    reduce = 2 * 4 * parameters * (gpus - 1) / gpus / LINK[gpus]
    images = 2 * batch / gpus
    return {
        "mega_parameters": parameters / 1e6,
        "tera_flop": flop / 1e12,
        "update_ms": 1e3 * (compute + reduce),
        "all_reduce_ms": 1e3 * reduce,
        "days": plan["updates"] * (compute + reduce) / 86_400,
        "images_at_once": images,
        "activations_gb": images * activations(energy) / 1e9,
        "state_gb": 4 * 5 * parameters / 1e9,
        "buffer_mb": capacity * numbers / gpus / 1e6,
    }
