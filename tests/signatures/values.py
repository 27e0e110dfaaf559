"""Conventions: the value of a parameter by its name, else by its annotation.

A name means one thing throughout the library, so that it says what an annotation cannot.
"""

import functools
import inspect
import tempfile
import typing
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax

import ebmx.energies as e
import ebmx.samplers as s
import ebmx.training as t

from .spoiled import category, members

KEY = jax.random.key(0)
SHAPE, IMAGE = (2,), (4, 4, 1)
X = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
LABELS = np.arange(6) % 3
_POINTS = np.array([-1.0, 1.0], np.float32)

NUMBERS = {"step_size": 0.1, "noise_scale": 0.1, "grad_clip": 1.0, "decoherence_length": 1.0}
NUMBERS |= {"sigma": 0.3, "weight": 2.0, "log_z": 1.0, "bin_width": 0.1, "low": -1.0, "high": 1.0}
NUMBERS |= {"trajectory_length": 1.0, "alpha": 0.2, "delta": 0.1, "stretch": 2.0}
NUMBERS |= {"start": 2.0, "end": 1.0, "bandwidth": 1.0, "shrinkage": 0.1}
INTEGERS = {
    "num_walkers": 4,
    "size": 3,
    "dim": 3,
    "stride": 1,
    "padding": 1,
    "in_channels": 1,
    "out_channels": 2,
}
INTEGERS |= {"out_size": 2, "k": 1, "batch_size": 2, "subset_size": 3}
INTEGERS |= {"num_walkers": 4, "num": 5, "capacity": 8, "thin": 2, "num_warmup": 1, "num_points": 5}
ARRAYS = {"x": X, "a": X, "b": X + 1, "samples": X, "data": X + 1, "labels": LABELS, "y": LABELS}
ARRAYS |= {"train": X, "test": X, "train_labels": LABELS, "test_labels": LABELS}
ARRAYS |= {"classes": LABELS, "probabilities": np.full((6, 3), 1 / 3), "logits": np.zeros(3)}
ARRAYS |= {"mean": np.zeros(2), "covariance": np.eye(2), "means": np.zeros((2, 2))}
ARRAYS |= {"scale": np.ones(2), "scales": np.ones(2), "weights": np.ones(2), "sigma": np.ones(1)}
ARRAYS |= {"low": np.array([-1.0, -1.0]), "high": np.ones(2), "temperatures": np.array([1.0, 2.0])}
ARRAYS |= {"weight": np.ones((3, 2)), "visible_bias": np.zeros(3), "hidden_bias": np.zeros(2)}
ARRAYS |= {"inverse_mass_matrix": np.ones(2), "label_weights": np.ones(2), "origin": np.zeros(2)}
ARRAYS |= {"counts": np.ones((2, 2), int), "features": X}
ARRAYS |= {"scores_in": np.arange(4.0), "scores_out": np.arange(5.0)}
SEQUENCES = {
    "shape": SHAPE,
    "hidden_dims": (4,),
    "widths": (3, 4),
    "channels": (3, 4),
    "bounds": (-1.0, 1.0),
}
SEQUENCES |= {"directions": np.eye(2), "steps": (0, 1), "batches": [X]}
TABLES = {"number": NUMBERS, "integer": INTEGERS, "array": ARRAYS}
TABLES |= dict.fromkeys(("integers", "numbers", "sequence"), SEQUENCES)

SIZES = {"batch": 6, "chains": 3, "rungs": 2, "capacity": 8}
"""The sizes of axes in annotations; others are of size 4."""

USUAL = {"AbstractSampler": "Langevin", "AbstractNegatives": "PCD", "AbstractEnergy": "Gaussian"}
USUAL |= {
    "AbstractBijection": "Exp",
    "AbstractExactEnergy": "Gaussian",
    "AbstractNoise": "UniformNoise",
}
"""Which of the classes of a kind is given; the first by name otherwise."""


class Later(functools.partial):
    """A value that is made when it is asked for."""


@functools.cache
def shared(name):
    """What several calls take and no signature says how to make."""
    return _SHARED[name]()


def _spectral():
    return eqx.nn.make_with_state(e.SpectralNorm)(shared("mlp"), key=KEY)


def _levels():
    return e.NoiseLevels(np.array([0.1, 8.0]))


def _trained():
    """A folder with a saved energy, and the state of a training that is saved there as well."""
    folder = shared("folder")
    t.save_energy(folder / "energy", shared("mlp"))
    saved = t.Checkpoints(folder / "saved")
    options = {"num_steps": 1, "key": KEY, "progress": False, "checkpoints": saved}
    t.fit(shared("trainer"), shared("started"), [X], **options)
    return folder


_SHARED = {
    "folder": lambda: Path(tempfile.mkdtemp(prefix="signatures-")),
    "mlp": lambda: e.MLP(SHAPE, (3,), key=KEY),
    "gaussian": lambda: e.Gaussian(np.zeros(2), 1.0),
    "network": lambda: e.MLP(SHAPE, (4,), out_size=3, key=KEY),
    "conditional": lambda: e.Conditional(shared("network"), num_labels=3, key=KEY),
    "jem": lambda: e.JEM(shared("network")),
    "modulated": lambda: e.MLP(SHAPE, (4,), condition_size=3, key=KEY),
    "over levels": lambda: e.NoiseConditional(shared("modulated"), _levels(), key=KEY),
    "classes over levels": lambda: e.NoiseConditional(
        shared("modulated"), _levels(), num_classes=3, key=KEY
    ),
    "two energies": lambda: (shared("gaussian"), shared("mlp")),
    "spectral": _spectral,
    "trainer": lambda: t.Trainer(optax.sgd(0.1), t.PCD(s.Langevin(0.1), 1, capacity=8)),
    "started": lambda: shared("trainer").init(shared("mlp"), key=KEY),
    "trained": _trained,
    # more draws than chains, as ArviZ wants
    "samples": lambda: s.sample(shared("gaussian"), s.Langevin(0.1), X, num_samples=8, key=KEY),
}

BY_NAME = {
    **{"energy": "gaussian", "network": "network", "samples": "samples"},
    **{"trainer": "trainer", "state": "started", "energies": "two energies"},
}
"""Parameters whose value is shared, whatever their annotation."""


class Underivable(Exception):
    """There is no value for a parameter; the message names it."""


def value_of(name, kind, default, make):
    """A value that works for a parameter; `make(class)` makes an instance of a public class."""
    for one in members(kind):
        table = TABLES.get(category(one), {})
        if name in table:
            return table[name]
    if name == "key":
        return KEY
    if name.startswith("num_") and int in members(kind) and default is not None:
        return 2
    if name in BY_NAME and category(members(kind)[0]) in ("", "object", "sequence"):
        return Later(shared, BY_NAME[name])
    if default is not inspect.Parameter.empty and repr(default) != "<factory>":
        return default
    found = [_of_kind(name, one, make) for one in members(kind)]
    found = [value for value in found if value is not None]
    if not found:
        raise Underivable(f"{name}: {kind}")
    return found[0]


def _of_kind(name, kind, make):
    """A value by the annotation alone, or nothing."""
    if kind in (float, int, str):
        return kind(2)
    if kind is Path:
        return shared("folder") / "new"
    if kind is jax.sharding.Mesh:
        return jax.make_mesh((1,), ("data",))
    if kind is np.dtype:
        return jnp.float32
    if kind is optax.GradientTransformation:
        return optax.sgd(0.1)
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)[0]
    if category(kind) == "array":
        return _array_of(kind) if hasattr(kind, "dim_str") else X
    if category(kind) == "mapping":
        return {"one": _of_kind(name, typing.get_args(kind)[1], make)}
    if category(kind) == "sequence":
        return (_of_kind(name, typing.get_args(kind)[0], make),) * 2
    if typing.get_origin(kind) is typing.Union:
        return _of_kind(name, members(kind)[0], make)
    if typing.get_origin(kind) is typing.get_origin(typing.Callable[[int], int]):
        return jnp.sum
    return make(kind) if isinstance(kind, type) and kind.__module__.startswith("ebmx.") else None


def _array_of(kind):
    """Numbers of the shape and dtype that a `jaxtyping` annotation has."""
    axes = [SHAPE if axis[0] == "*" else (SIZES.get(axis, 4),) for axis in kind.dim_str.split()]
    shape = sum(axes, ())
    if kind.dtype in (jaxtyping.Int, jaxtyping.Bool):
        return jnp.zeros(shape, int if kind.dtype is jaxtyping.Int else bool)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


KIN = {
    **{"energy": "energies|shapes?|state|x|positives|base|replicas"},
    **{"x": "labels|shape|chains?"},
    **{"train": "train_labels", "test": "test_labels", "positives": "x|shape"},
    **{"negatives": "x|shape", "low": "high", "high": "low|sigma", "lowest": "highest", "a": "b"},
    **{
        "b": "a",
        "samples": "data",
        "data": "samples",
        "path": "No such file",
        "folder": "checkpoint",
    },
    **{"step": "checkpoint", "like": "path|state|structure", "mean": "covariance"},
    **{"covariance": "levels", "tilt": "weights"},
    **{
        "place": "key of a config",
        "weight": "weights|visible_bias|hidden_bias",
        "means": "scales|weights",
        "name": "path|recipe",
    },
    **{"energies": "shapes|weights|merges", "samplers": "weights", "num_labels": "label_weights"},
    **{"num_shards": "capacity", "positions": "num_shards|ages", "values": "no such"},
    **{
        "norm_state": "state",
        "num_bits": "shape",
        "steps": "traces|images",
        "groups": "images",
        "history": "metric",
    },
}
"""By which other words an error may name an argument, since it is two that do not fit."""
