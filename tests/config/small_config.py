"""A config of a quick run, and how to change it."""

import dataclasses

from ebmx.config import (
    DataConfig,
    EnergyConfig,
    NegativesConfig,
    ObjectiveConfig,
    OptimiserConfig,
    RunConfig,
    SamplerConfig,
)

CONFIG = RunConfig(
    data=DataConfig(name="digits", test_share=0.3, batch_size=16, noise=0.1),
    energy=EnergyConfig(
        widths=(3, 4),
        kernel_sizes=(3, 3),
        strides=(2, 1),
        hidden_dims=(5,),
        activation="silu",
        head="flatten",
    ),
    sampler=SamplerConfig(step_size=1.0, noise_scale=0.1, grad_clip=3.0, bounds=(-1.0, 1.0)),
    negatives=NegativesConfig(kind="pcd", num_steps=4, capacity=32, reinit_prob=0.1),
    objective=ObjectiveConfig(alpha=0.2),
    optimiser=OptimiserConfig(learning_rate=0.01, b1=0.5, b2=0.9, clip=1.0, ema_decay=0.9),
    steps=5,
    seed=1,
)


def put(config, path, value):
    """The config with another value of the field of this dotted name."""
    room, _, name = path.rpartition(".")
    if not room:
        return dataclasses.replace(config, **{name: value})
    return dataclasses.replace(
        config, **{room: dataclasses.replace(getattr(config, room), **{name: value})}
    )
