"""What the calls share: small arrays, energies, chains and a training."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx.energies as e
import ebmx.samplers as s
import ebmx.training as t

KEY = jax.random.key(0)
SHAPE = (2,)


@dataclasses.dataclass(frozen=True)
class Call:
    """A function, arguments with which it works, and other words by which it may name them."""

    function: Callable
    arguments: dict[str, Any]
    also: dict[str, str] = dataclasses.field(default_factory=dict)
    passes_nan: tuple[str, ...] = ()
    """Where a value that is not finite gives a result that is not, as the documentation says."""
    any_of: tuple[str, ...] = ()
    """Arguments that may be anything at all."""


def parts() -> dict[str, Any]:
    """By their names."""
    x = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    labels = np.arange(6) % 3
    images = np.random.default_rng(0).uniform(-1, 1, (6, 4, 4, 1)).astype(np.float32)
    gaussian, mlp = e.Gaussian(np.zeros(2), 1.0), e.MLP(SHAPE, (3,), key=KEY)
    network = e.MLPNetwork(SHAPE, 3, (4,), key=KEY)
    conditional = e.Conditional(network, num_labels=3, key=KEY)
    jem, chains = e.JEM(network), s.Langevin(0.1)
    rbm = e.BernoulliRBM(np.ones((3, 2)), np.zeros(3), np.zeros(2))
    spectral, state = eqx.nn.make_with_state(e.SpectralNorm)(mlp, key=KEY)
    negatives = t.PCD(chains, 1, capacity=8)
    trainer = t.Trainer(optax.sgd(0.1), negatives)
    started = trainer.init(mlp, key=KEY)
    ladder = s.ReplicaExchange(s.MALA(0.1), jnp.array([1.0, 2.0]))
    # more draws than chains, as ArviZ wants
    samples = s.sample(gaussian, chains, x, num_samples=8, key=KEY)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    t.save(folder / "energy", mlp)
    t.fit(
        trainer,
        started,
        [x],
        num_steps=1,
        key=KEY,
        progress=t.NoProgress(),
        checkpoints=t.Checkpoints(folder / "saved"),
    )
    bits = np.random.default_rng(0).integers(0, 2, (8, 3)).astype(np.float32)
    two = {"a": x, "b": x + 1}
    of_points = {"also": {"a": "a|b", "b": "a|b"}}
    net = {"shape": (4, 4, 1), "hidden_dims": (4,), "key": KEY}
    langevin = {
        "step_size": 0.1,
        "noise_scale": 0.1,
        "grad_clip": 1.0,
        "bounds": (-1.0, 1.0),
        "boundary": "clip",
        "increments": s.normal,
    }
    pair = {"energy": mlp, "positives": x, "negatives": x}
    of_pair = {
        "also": {"energy": "positives|shape", "positives": "x|shape", "negatives": "x|shape"},
        "passes_nan": ("positives", "negatives"),
    }
    run = {"energy": gaussian, "sampler": chains, "x": x, "key": KEY}
    sampled = {"also": {"energy": r"energy|shape|x"}, "passes_nan": ("x",)}
    evaluated = {"also": {"model": r"energy|x|shape"}, "passes_nan": ("x",)}
    return locals()
