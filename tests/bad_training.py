"""Trainings that cannot be: each error names the argument and what to give instead."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ebmx.energies import Conditional, Gaussian, MLPNetwork
from ebmx.samplers import MALA, Langevin
from ebmx.training import (
    CD,
    PCD,
    Jarzynski,
    Neighbours,
    Perturbed,
    Trainer,
    UInt8,
    contrastive_loss,
    cross_entropy,
    fit,
    negative_log_likelihood,
    noise_contrastive_loss,
)

KEY = jax.random.key(0)
X = jnp.zeros((3, 2))
PLAIN, BOUNDED = Langevin(0.1), Langevin(0.1, bounds=(-1.0, 1.0))
GAUSSIAN = Gaussian(jnp.zeros(2), 1.0)


class Silent:
    """A noise that does not say its density."""

    def sample(self, shape, *, key):
        return jax.random.normal(key, shape)


def labelled():
    return Conditional(MLPNetwork((2,), 4, key=KEY), num_labels=3, key=KEY)


def go_on(batch, energy=None, negatives=None, loss=contrastive_loss):
    energy = labelled() if energy is None else energy
    trainer = Trainer(optax.sgd(0.1), negatives or CD(PLAIN), loss)
    return fit(trainer, trainer.init(energy, key=KEY), [batch], num_steps=1, key=KEY)


LABELS = np.arange(3)
BAD_TRAINING = [
    ("labels", lambda: go_on((X, LABELS[:2])), r"batches\[0\]\[1\]\.shape", "each of the 3"),
    ("labels", lambda: go_on((X, LABELS + 1)), r"batches\[0\]\[1\]=", "labels are 0 to 2"),
    ("labels", lambda: go_on((X, LABELS - 1)), r"batches\[0\]\[1\]=", "labels are 0 to 2"),
    ("labels", lambda: go_on((X, np.ones(3))), r"y\.dtype=float", "whole numbers"),
    ("no labels", lambda: go_on(X), "batch=x", r"train on batches \(x, y\)"),
    ("chains", lambda: go_on((X, LABELS), negatives=PCD(PLAIN)), "num_labels=None", "3 labels"),
    ("no logits", lambda: go_on((X, LABELS), loss=cross_entropy), "energy=", r"such as .*JEM"),
    ("sigma", lambda: Perturbed(0.0), r"sigma=0\.0", "above 0"),
    ("sigma", lambda: Perturbed(jnp.array([0.1, -0.1])), r"sigma=\[0\.1", "above 0"),
    ("sigma", lambda: Neighbours(-1.0), r"sigma=-1\.0", "above 0"),
    (
        "noise",
        lambda: noise_contrastive_loss(GAUSSIAN, X, X, noise=Silent()),
        "noise=Silent",
        "a noise with a log_density",
    ),
    (
        "noise",
        lambda: Jarzynski(MALA(0.1), noise=Silent()),
        "noise=Silent",
        "a noise with a log_density",
    ),
    ("unbounded", lambda: PCD(PLAIN, storage=UInt8()), "storage=UInt8", "sampler with `bounds`"),
    (
        "range",
        lambda: PCD(BOUNDED, storage=UInt8(-0.5, 0.5)),
        r"bounds=\(-1\.0, 1\.0\)",
        "inside it",
    ),
    ("no grid", lambda: go_on(X, GAUSSIAN, loss=negative_log_likelihood), "negatives=x", "Grid"),
]
