"""Processes that die or run out of disk: `python fault_worker.py FOLDER`.

Each is a child of one process that has imported the libraries and has not used JAX.
"""

import functools
import json
import multiprocessing
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
from ebmx.training import PCD, Checkpoints, Trainer, TrainState, fit
from ebmx.training.checkpoints import _writer

X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)


MOMENTS = {
    "before its manifest": [2, 3, 4],
    "within its manifest": [2, 3, 4],
    "after its manifest": [2, 3, 4],
    "while an old one is removed": [3, 4, 5],
}
"""When a save is killed, and the steps that are left."""


@functools.cache
def trainer():
    """A buffer as large as a batch, so that each update sees all of it."""
    negatives = PCD(Langevin(0.1), 2, capacity=8, reinit_prob=0.0)
    return Trainer(optax.adam(0.01), negatives)


@functools.cache
def start():
    """The state before the first step."""
    key = jax.random.key(5)
    return trainer().init(MLP((2,), (4,), key=key), key=key)


def go_on(state, to, folder=None, callbacks=(), asynchronous=True):
    """Train until step `to`, saving after each second step."""
    done, key = int(state.step), jax.random.key(5)
    return fit(
        trainer(),
        state,
        ebmx.data.batches(X, 8, start=done, key=key),
        num_steps=to - done,
        key=key,
        log_every=2,
        callbacks=callbacks,
        progress=False,
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
        _writer.write_manifest = die
    elif moment == "within its manifest":
        Path.write_text = lambda path, text, **_: die(path.write_bytes(text.encode()[:50]))
    elif moment == "after its manifest":
        os.rename = os.replace = Path.rename = die
    elif moment == "while an old one is removed":
        shutil.rmtree = lambda path, **_: die(next(path.rglob("manifest.ocdbt")).unlink())
    writer.save(plain(5))
    writer.wait()


def run_out_of_disk(folder):
    """Train to step 8 with no space from step 3 to step 5; write the warnings beside the folder."""

    def space(step, state, metrics):
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        soft = 1_000 if step == 4 else hard
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        go_on(start(), 8, folder, [space], asynchronous=False)
    words = [f"{w.category.__name__}: {w.message}" for w in caught]
    folder.with_suffix(".json").write_text(json.dumps(words), encoding="utf-8")


def train_and_die(folder):
    """A training that runs out of disk, and one that is killed at step 8."""
    run_out_of_disk(folder / "disk")
    go_on(start(), 100, folder / "kill", [lambda step, *_: die() if step == 8 else None])


def main(folder):
    """Run all processes at once; print their exit codes as JSON."""
    tasks = {moment: (die_in_a_save, moment, folder / moment) for moment in MOMENTS}
    tasks["training"] = (train_and_die, folder)
    processes = {name: multiprocessing.Process(target=t, args=a) for name, (t, *a) in tasks.items()}
    for process in processes.values():
        process.start()
    for process in processes.values():
        process.join()
    print(json.dumps({name: process.exitcode for name, process in processes.items()}))


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main(Path(sys.argv[1]))
