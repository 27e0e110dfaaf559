"""Trainings that another process goes on with: `python restart_worker.py FOLDER`."""

import sys
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import optax

import ebmx
from ebmx.energies import MLP, BatchNormResNet, Conditional, SpectralNorm
from ebmx.samplers import MALA, Langevin
from ebmx.training import PCD, BFloat16, GaussianNoise, Jarzynski, Trainer, fit, restore

KEY = jax.random.key(11)
FIRST, ALL = 5, 12
OPTIM = optax.chain(
    optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(0.01, ALL))
)
CHAINS = Langevin(0.1)
LABELS = np.arange(40) % 3


def _labelled():
    negatives = PCD(CHAINS, 2, capacity=16, reinit_prob=0.3, num_labels=3, storage=BFloat16())
    energy = Conditional(MLP((2,), (4,), out_size=4, key=KEY), num_labels=3, key=KEY)
    return Trainer(OPTIM, negatives, data_noise=0.1), energy, None


def _weighted():
    negatives = Jarzynski(MALA(0.1), 2, 16, num_held_out=8, noise=GaussianNoise(0.0, 1.0))
    energy, norm = eqx.nn.make_with_state(SpectralNorm)(MLP((2,), (4,), key=KEY), key=KEY)
    return Trainer(OPTIM, negatives), energy, norm


def _batch():
    energy, norm = eqx.nn.make_with_state(BatchNormResNet)((4, 4, 1), (2,), key=KEY)
    return Trainer(OPTIM, PCD(CHAINS, 1, capacity=16)), energy, norm


CASES = {"labels": _labelled, "weights and spectral norm": _weighted, "batch norm": _batch}


def start(case):
    """A trainer and its state before the first step."""
    trainer, energy, norm = CASES[case]()
    return trainer, trainer.init(energy, norm, key=KEY)


def train(case, state, trainer, to, checkpoints=None):
    """Go on until step `to`: all arrays of the state, and of the history, by their names."""
    shape = (40, *state.energy.shape)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    labels = LABELS if case == "labels" else None
    done = int(state.step)
    batches = ebmx.data.batches(x, 8, labels=labels, start=done, key=KEY)
    state, history = fit(
        trainer,
        state,
        batches,
        num_steps=to - done,
        key=KEY,
        log_every=3,
        progress=False,
        checkpoints=checkpoints,
    )
    leaves = jax.tree.leaves(eqx.filter(state, eqx.is_array))
    arrays = {str(number): np.asarray(leaf) for number, leaf in enumerate(leaves)}
    # npz has no bfloat16
    arrays = {k: a.view(np.uint16) if a.dtype.name == "bfloat16" else a for k, a in arrays.items()}
    return arrays | {f"history_{name}": column for name, column in history.items()}


def main(folder):
    """Go on with each training from its checkpoint, and repeat it from its first step."""
    for case in CASES:
        trainer, state = start(case)
        found = restore(folder / case, state)
        np.savez(folder / f"{case}-rest.npz", **train(case, found, trainer, ALL))
        np.savez(folder / f"{case}-whole.npz", **train(case, state, trainer, ALL))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
