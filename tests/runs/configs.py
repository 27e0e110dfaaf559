"""Configs of quick runs."""

import numpy as np

from ebmx.config import merge, recipe

_RATE = {"kind": "cosine_schedule", "peak": 4e-3, "num_steps": "$num_steps"}
TINY = merge(
    recipe("digits"),
    {
        "num_steps": 6,
        "log_every": 2,
        "seed": 3,
        "data": {"batch_size": 16},
        "energy": {"channels": [4], "kernel_sizes": [3], "strides": [2], "hidden_dims": [8]},
        "sampler": {"step_size": 1.0, "noise_scale": 0.05},
        "negatives": {"num_steps": 3, "capacity": 32},
        "optim": [
            {"kind": "clip_by_global_norm", "max_norm": 1.0},
            {"kind": "adam", "b1": 0.0, "learning_rate": _RATE},
        ],
    },
)


def on_points(folder, num_columns=2, labels=None):
    """The config of a run on rows of numbers that are written into a folder."""
    x = np.random.default_rng(0).uniform(2, 5, size=(200, num_columns)).astype(np.float32)
    more = {} if labels is None else {"y": labels}
    np.savez(folder / "points.npz", x=x, **more)
    data = {"name": str(folder / "points.npz")}
    return merge(TINY, {"data": data, "energy": {"kind": "MLP", "hidden_dims": [8]}})


LEVELS = merge(
    {name: value for name, value in recipe("digits_levels").items() if name != "calibration"},
    {
        "num_steps": 4,
        "log_every": 2,
        "seed": 3,
        "data": {"batch_size": 32},
        "energy": {
            "levels": {"low": 0.15, "num_levels": 4},
            "network": {"kind": "MLP", "hidden_dims": [8], "condition_size": 4},
        },
        "trainer": {"objectives": []},
    },
)
_CHAINS = {
    "kind": "PCD",
    "sampler": {"kind": "MALA", "step_size": 0.03},
    "num_steps": 2,
    "capacity": 64,
    "restarts_at_data": 1.0,
}
_AT_LEVEL = {"kind": "Objective", "sigma": 0.2, "num_examples": 16, "negatives": _CHAINS}
LEVELS_AND_CHAINS = merge(LEVELS, {"trainer": {"objectives": [_AT_LEVEL]}})

BINARY = {"digits_binary": (8, 8, 1)}
"""The recipes of zeros and ones, and the shapes of their data."""

MATCHING = {
    "mnist_5k_matching": (28, 28, 1),
    "mnist_matching": (28, 28, 1),
    "cifar10_matching": (32, 32, 3),
}
"""The recipes of energy matching, and the shapes of their data."""
