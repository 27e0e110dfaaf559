"""Runs to export that were not trained: their parameters are numbers of their own."""

import dataclasses
import json

import equinox as eqx
import jax
import numpy as np
from configs import LEVELS, TINY

import ebmx
from ebmx.config import merge
from ebmx.data import Dataset
from ebmx.runs import OpenRun
from ebmx.runs._facts import Facts
from ebmx.runs._run import make_run

RNG = np.random.default_rng(5)
PLANE = Dataset(
    "points.npz",
    RNG.uniform(-1, 1, (50, 2)).astype(np.float32),
    RNG.uniform(-1, 1, (20, 2)).astype(np.float32),
    train_labels=np.arange(50) % 3,
    test_labels=np.arange(20) % 3,
    low=np.array([2.0, 0.1]),
    high=np.array([5.0, 0.3]),
)
IMAGES = dataclasses.replace(
    PLANE,
    name="digits",
    train=RNG.uniform(-1, 1, (50, 8, 8, 1)).astype(np.float32),
    test=RNG.uniform(-1, 1, (20, 8, 8, 1)).astype(np.float32),
    low=0.0,
    high=16.0,
)
MLP = {"kind": "MLP", "hidden_dims": [4]}
MALA = {"kind": "MALA", "step_size": 0.1}
ON_PLANE = merge(TINY, {"data": {"name": "points.npz"}, "energy": MLP, "sampler": MALA})
BOWL = {"kind": "Gaussian", "mean": "$mean", "covariance": "$covariance"}
CLASSES = {**MLP, "out_size": "$num_labels"}
WAVES = {
    "kind": "NoiseConditional",
    "mean": "$mean",
    "covariance": "$covariance",
    "levels": LEVELS["energy"]["levels"],
    # the network asks for what stands above it
    "features": {"kind": "FourierFeatures", "num_waves": 4, "low": 0.4, "high": 6.0},
    "network": {**MLP, "shape": "$features.joint_shape", "condition_size": 4},
}
ON_WAVES = {**merge(LEVELS, {"data": {"name": "points.npz"}}), "energy": WAVES}
CONFIGS = {
    "images": (TINY, IMAGES),
    "state": (merge(TINY, {"energy": {"kind": "SpectralNorm", "energy": TINY["energy"]}}), IMAGES),
    "batch norm": (merge(TINY, {"energy": {"kind": "BatchNormResNet", "channels": [4]}}), IMAGES),
    "sum": (merge(ON_PLANE, {"energy": {"kind": "Product", "energies": [MLP, BOWL]}}), PLANE),
    "labels": (
        merge(
            ON_PLANE,
            {"energy": {"kind": "Conditional", "network": CLASSES, "num_labels": "$num_labels"}},
        ),
        PLANE,
    ),
    "classifier": (merge(ON_PLANE, {"energy": {"kind": "JEM", "network": CLASSES}}), PLANE),
    "half": (merge(ON_PLANE, {"energy": {**MLP, "compute_dtype": "bfloat16"}}), PLANE),
    "waves": (ON_WAVES, PLANE),
    "levels": (LEVELS, IMAGES),
    "levels of classes": (merge(LEVELS, {"energy": {"num_classes": "$num_labels"}}), IMAGES),
    "levels, calibrated": (LEVELS, IMAGES),
}  # fmt: skip


def opened(name, folder):
    """An `OpenRun` of this kind, in a folder that holds a picture and reports."""
    config, dataset = CONFIGS[name]
    run = make_run(config, Facts.of(dataset))
    numbers = np.random.default_rng(7)

    def changed(leaf):
        if not eqx.is_inexact_array(leaf):
            return leaf
        return leaf + numbers.uniform(0.01, 0.02, leaf.shape).astype(leaf.dtype)

    state = run.init()
    ema, norm_state = jax.tree.map(changed, (state.ema, state.norm_state))
    state = dataclasses.replace(state, ema=ema, norm_state=norm_state)
    log_z = np.linspace(0.1, 0.0, 4) if name.endswith("calibrated") else None
    folder.mkdir(parents=True, exist_ok=True)
    return OpenRun(folder, config, run, state, 6, log_z)


def report(folder, updates, name="evaluation"):
    """A page as `ebmx evaluate` writes it, of a state after so many updates."""
    (folder / name).mkdir(parents=True)
    facts = {"run": {"updates": updates, "data": "/home/me/points.npz"}, "quality": {"auc": 0.5}}
    (folder / name / "report.json").write_text(json.dumps(facts))
    page = "# Evaluation of run\n\n## Quality\n\n| auc | 0.5123 |\n\n![q](q.png)\n"
    (folder / name / "report.md").write_text(page)


def values(energy, x, label=0):
    """The energies of examples, of one class or at two noise levels if it has these."""
    if isinstance(energy, ebmx.energies.AbstractNoiseConditionalEnergy):
        energy = energy if energy.num_classes is None else energy.at_label(label)
        levels = energy.levels.sigma[np.array([0, 2])]
        return np.stack([ebmx.energy(energy.at(sigma), x) for sigma in levels])
    if isinstance(energy, ebmx.energies.AbstractConditionalEnergy):
        energy = energy.at(label)
    return np.asarray(ebmx.energy(energy, x))
