"""Processes that die or run out of disk: `python fault_worker.py MODE FOLDER`."""

import json
import os
import resource
import shutil
import signal
import sys
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import ebmx
from ebmx.energies import MLP
from ebmx.samplers import Langevin
from ebmx.training import PCD, Checkpoints, NoProgress, Trainer, TrainState, _checkpoints, fit

KEY = jax.random.key(5)
TRAINER = Trainer(optax.adam(0.01), PCD(Langevin(0.1), 1, capacity=20_000))
X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)


def start():
    """The state before the first step; its buffer is far larger than a block of a disk."""
    return TRAINER.init(MLP((2,), (4,), key=KEY), key=KEY)


def go_on(state, to, folder=None, callbacks=(), asynchronous=True):
    """Train until step `to`, saving after each second step."""
    done = int(state.step)
    return fit(
        TRAINER,
        state,
        ebmx.data.batches(X, 8, start=done, key=KEY),
        num_steps=to - done,
        key=KEY,
        log_every=2,
        callbacks=callbacks,
        progress=NoProgress(),
        checkpoints=folder and Checkpoints(folder, every=2, asynchronous=asynchronous),
    )[0]


def die(*args, **options):
    """What SIGKILL, or the loss of power, does to a process."""
    os.kill(os.getpid(), signal.SIGKILL)


def plain(step):
    """A state of known content, for which nothing is compiled."""
    content = jnp.full(1000, float(step))
    return TrainState(content, None, None, None, content, jnp.asarray(step), jnp.asarray(0))


def die_in_a_save(moment, folder):
    """Save the steps 1 to 5, of which three are kept, and die in the save of the fifth."""
    writer = Checkpoints(folder).writer(plain(0))
    for step in range(1, 5):
        writer.save(plain(step))
    writer.wait()
    if moment == "before its manifest":
        _checkpoints.write_manifest = die
    elif moment == "within its manifest":
        Path.write_text = lambda path, text, **_: die(path.write_bytes(text.encode()[:50]))
    elif moment == "after its manifest":
        os.rename = os.replace = Path.rename = die
    elif moment == "while an old one is removed":
        shutil.rmtree = lambda path, **_: die(next(path.rglob("manifest.ocdbt")).unlink())
    writer.save(plain(5))
    writer.wait()


def run_out_of_disk(folder):
    """Train to step 8 with no space from step 3 to step 5; print the warnings as JSON."""

    def space(step, state, metrics):
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        soft = 8_000 if step == 4 else hard
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        go_on(start(), 8, folder, [space], asynchronous=False)
    print(json.dumps([f"{w.category.__name__}: {w.message}" for w in caught]))


def main(mode, folder):
    """Do what `mode` says."""
    if mode == "disk":
        run_out_of_disk(folder)
    elif mode == "kill":
        go_on(start(), 100, folder, [lambda step, *_: die() if step == 8 else None])
    else:
        die_in_a_save(mode, folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
