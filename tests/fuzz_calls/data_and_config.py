"""Calls of data and configs."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ebmx.config as c
import ebmx.data as d

from .parts import KEY, Call


def data_calls(parts: dict[str, Any]) -> dict[str, Call]:
    """Of `ebmx.data`."""
    x = parts["x"]
    labels = parts["labels"]
    folder = parts["folder"]
    return {
        "Dataset": Call(
            d.Dataset,
            {
                **{
                    "name": "mine",
                    "train": x,
                    "test": x,
                    "train_labels": labels,
                    "test_labels": labels,
                },
                **{"low": -1.0, "high": 1.0},
            },
            {"train": "train|train_labels", "test": "test|test_labels", "low": "high"},
            any_of=("name",),
        ),
        "batches": Call(
            lambda **o: next(d.batches(**o)),
            {"x": x, "batch_size": 2, "labels": labels, "start": 1, "key": KEY},
            also={"x": "labels"},
        ),
        "density": Call(d.density, {"name": "rings"}),
        "load": Call(
            lambda **o: d.load(**o).train,
            {"name": "digits", "test_share": 0.2, "seed": 0},
            also={"name": "path"},
        ),
        "read_idx": Call(d.read_idx, {"path": _idx(folder)}, also={"path": "No such file"}),
        "scale": Call(
            d.scale, {"x": np.arange(6).reshape(3, 2), "low": 0.0, "high": 5.0}, {"high": "low"}
        ),
        "split": Call(
            d.split, {"x": x, "labels": labels, "test_share": 0.5, "key": KEY}, also={"x": "labels"}
        ),
    }


def config_calls(parts: dict[str, Any]) -> dict[str, Call]:
    """Of `ebmx.config`."""
    folder = parts["folder"]
    config = c.RunConfig(steps=1, negatives=c.NegativesConfig(capacity=128))
    c.write_config(folder / "config.toml", config)
    return {
        "build_energy": Call(
            c.build_energy,
            {
                "config": config.energy,
                "shape": (8, 8, 1),
                "objective": "contrastive",
                "num_labels": None,
                "key": KEY,
            },
        ),
        "build_negatives": Call(
            c.build_negatives,
            {"config": config.negatives, "sampler": config.sampler, "objective": config.objective},
        ),
        "build_objective": Call(
            c.build_objective, {"config": config.objective, "sampler": config.sampler}
        ),
        "build_optimiser": Call(c.build_optimiser, {"config": config.optimiser, "num_steps": 5}),
        "build_sampler": Call(c.build_sampler, {"config": config.sampler}),
        "build_trainer": Call(c.build_trainer, {"config": config, "num_steps": 5}),
        "default_config": Call(c.default_config, {"data": "digits"}, any_of=("data",)),
        "from_dict": Call(
            c.from_dict,
            {"values": c.to_dict(config), "kind": c.RunConfig},
            also={"values": "no such"},
        ),
        "read_config": Call(c.read_config, {"path": folder / "config.toml"}),
        "recipe": Call(c.recipe, {"name": "digits"}, also={"name": "recipe"}),
        "sample_run": Call(
            _sample_run,
            {"folder": folder / "none", "num": 2, "label": None, "denoise": 0, "seed": 0},
            any_of=("label", "denoise", "seed"),
        ),
        "write_config": Call(
            c.write_config,
            {"path": folder / "new.toml", "config": config},
            also={"path": "No such file"},
        ),
    }


def _sample_run(**options: Any) -> None:
    """It gets as far as the folder, which is empty."""
    try:
        c.sample_run(**options)
    except ValueError as error:
        if "no run in it" not in str(error) or not isinstance(options["folder"], Path):
            raise


def _idx(folder: Path) -> Path:
    path = folder / "images.idx"
    path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    return path


def config_parts() -> dict[str, Call]:
    """The fields of each part of a config, through what is built from it."""
    full = c.RunConfig(negatives=c.NegativesConfig(capacity=128))

    def through(kind: type, use: Callable, any_of: tuple[str, ...] = ()) -> Call:
        values = {f.name: getattr(kind(), f.name) for f in dataclasses.fields(kind)}
        values |= {"grad_clip": 3.0, "noise_scale": 0.02} if kind is c.SamplerConfig else {}
        return Call(lambda **fields: use(kind(**fields)), values, any_of=any_of)

    def network(part: Any) -> Any:
        return c.build_energy(part, (8, 8, 1), key=KEY)

    return {
        "DataConfig": through(
            c.DataConfig,
            lambda part: c.build_trainer(dataclasses.replace(full, data=part), 5),
            ("name", "test_share"),
        ),
        "EnergyConfig": through(c.EnergyConfig, network),
        "NegativesConfig": through(
            c.NegativesConfig, lambda part: c.build_negatives(part, c.SamplerConfig())
        ),
        "ObjectiveConfig": through(
            c.ObjectiveConfig, lambda part: c.build_objective(part, c.SamplerConfig())
        ),
        "OptimiserConfig": through(
            c.OptimiserConfig,
            lambda part: c.build_trainer(dataclasses.replace(full, optimiser=part), 5),
        ),
        "SamplerConfig": through(c.SamplerConfig, c.build_sampler),
    }
