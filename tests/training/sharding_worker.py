"""Trainings on several devices: `python sharding_worker.py WHAT FOLDER DEVICES`.

Each device is a part of the CPU. `WHAT` is `first`, which saves at step 10, `second`, which goes on
from there, or `number,port` of one of two processes.
"""

import json
import re
import sys
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import optax

from ebmx._mesh import everywhere
from ebmx.energies import MLP, Conditional
from ebmx.samplers import MALA, Langevin, ReplicaExchange, sample
from ebmx.training import (
    PCD,
    BFloat16,
    Checkpoints,
    Jarzynski,
    StepSizeAdaptation,
    TemperedPCD,
    Trainer,
    fit,
    restore,
)
from ebmx.training._fit import _jitted_step
from ebmx.training._sharding import put_batch, shard

if __name__ == "__main__":
    # before anything asks for a device
    WHAT, FOLDER = sys.argv[1], Path(sys.argv[2])
    jax.config.update("jax_num_cpu_devices", int(sys.argv[3]))
    jax.config.update("jax_disable_most_optimizations", True)
    # a step is compiled once, though it is asked for twice
    jax.config.update("jax_compilation_cache_dir", str(FOLDER / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if "," in WHAT:
        NUMBER, PORT = map(int, WHAT.split(","))
        jax.distributed.initialize(f"127.0.0.1:{PORT}", 2, NUMBER)

KEY = jax.random.key(7)
STEPS, BATCH, CAPACITY, SHARDS = 20, 16, 96, 4
X = np.random.default_rng(0).normal(size=(STEPS, BATCH, 2)).astype(np.float32)
LABELS = np.arange(STEPS * BATCH).reshape(STEPS, BATCH) % 3
CHAINS = Langevin(0.1)


def plain():
    """A perceptron on the plane, and its chains."""
    negatives = PCD(CHAINS, 2, capacity=CAPACITY, reinit_prob=0.2, num_shards=SHARDS)
    trainer = Trainer(optax.adam(0.01), negatives, data_noise=0.1)
    return trainer, trainer.init(MLP((2,), (8,), key=KEY), key=KEY), list(X)


def conditional():
    """A perceptron of three labels."""
    return Conditional(MLP((2,), (4,), out_size=4, key=KEY), num_labels=3, key=KEY)


def labelled():
    """All that a buffer can hold: labels, step sizes, positions in few bits."""
    negatives = PCD(
        MALA(0.1),
        2,
        capacity=CAPACITY,
        reinit_prob=0.2,
        adaptation=StepSizeAdaptation(),
        num_labels=3,
        restart="age",
        storage=BFloat16(),
        num_shards=SHARDS,
    )
    trainer = Trainer(optax.sgd(0.01), negatives)
    return trainer, trainer.init(conditional(), key=KEY), list(zip(X, LABELS, strict=True))


def weighted():
    """Chains with weights, some of them held out."""
    negatives = Jarzynski(MALA(0.1), 2, 32, 16, resample_below=0.9)
    trainer = Trainer(optax.sgd(0.1), negatives)
    return trainer, trainer.init(MLP((2,), (8,), key=KEY), key=KEY), list(X)


def tempered():
    """Ladders of replicas, with labels and positions in few bits."""
    ladder = ReplicaExchange(MALA(0.1), np.float32([1, 2, 4]))
    negatives = TemperedPCD(
        ladder, 1, CAPACITY, 0.2, num_labels=3, storage=BFloat16(), num_shards=SHARDS
    )
    trainer = Trainer(optax.sgd(0.01), negatives)
    return trainer, trainer.init(conditional(), key=KEY), list(zip(X, LABELS, strict=True))


def train(case, mesh, folder=None, go_on=False, to=STEPS):
    """The state after step `to`; of several processes, each gives its own rows."""
    trainer, state, batches = case()
    if go_on:
        state = restore(folder, state, step=STEPS // 2, mesh=mesh)
    done, rows = int(state.step), BATCH // jax.process_count()
    mine = slice(jax.process_index() * rows, (jax.process_index() + 1) * rows)
    return fit(
        trainer,
        state,
        jax.tree.map(lambda x: x[mine], batches[done:to]),
        num_steps=to - done,
        key=KEY,
        log_every=5,
        progress=False,
        checkpoints=Checkpoints(folder, every=STEPS // 2) if folder and not go_on else None,
        mesh=mesh,
    )[0]


def draw(mesh):
    """Samples from chains."""
    energy = MLP((2,), (8,), key=KEY)
    return sample(energy, CHAINS, X[0], num_samples=3, mesh=mesh, key=KEY).values


def arrays(**trees):
    """Their arrays by name, whole; of several processes, all take part."""
    found = {}
    for name, tree in trees.items():
        for i, leaf in enumerate(jax.tree.leaves(eqx.filter(tree, eqx.is_array))):
            if not leaf.is_fully_addressable:
                leaf = jax.jit(lambda a: a, out_shardings=everywhere(leaf.sharding.mesh))(leaf)
            found[f"{name}{i}"] = np.asarray(leaf, np.float64)
    return found


def bytes_per_device(state):
    """Of the buffer, for each device of this process."""
    parts = state.negatives_state.positions.addressable_shards
    return [part.data.nbytes for part in parts]


def collectives(case, mesh):
    """The collective operations of the compiled step: name and shapes of the results of each."""
    trainer, state, batches = case()
    inputs = trainer, put_batch(batches[0], mesh), KEY, mesh
    text = _jitted_step.lower(inputs, shard(state, mesh)).compile().compiled.as_text()
    names = "all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter"
    return [[n, s] for s, n in re.findall(rf"= (.*?) ({names})(?:-start)?\(", text)]


def main(what, folder, mesh):
    """Write what there is to compare."""
    saved = folder / "saved"
    if what == "first":
        whole = train(plain, mesh, saved)
        found = arrays(
            whole=whole,
            labelled=train(labelled, mesh),
            weighted=train(weighted, mesh),
            tempered=train(tempered, mesh),
            drawn=draw(mesh),
        )
        facts = {"bytes": bytes_per_device(whole)}
        facts |= {case.__name__: collectives(case, mesh) for case in (plain, labelled)}
    else:
        whole = train(plain, mesh, None if what == "second" else saved)
        found = arrays(whole=whole, rest=train(plain, mesh, saved, go_on=True))
        facts = {"bytes": bytes_per_device(whole)}
    if jax.process_index() == 0:
        np.savez(folder / f"{len(mesh.devices)}.npz", **found)
        (folder / f"{len(mesh.devices)}.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(WHAT, FOLDER, jax.make_mesh((len(jax.devices()),), ("data",)))
