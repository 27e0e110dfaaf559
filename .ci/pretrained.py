"""Train the energies of `ebmx.energies.pretrained`, and write their files into the package.

`python .ci/pretrained.py digits mnist plane` takes some minutes of two cores.
"""

import sys
import tempfile
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import optax

import ebmx
from ebmx.config import merge, recipe
from ebmx.energies._pretrained import arrays_of, untrained_plane
from ebmx.training import PerturbedLevels, Trainer, noise_level_loss

FOLDER = Path(ebmx.__file__).parent / "energies/pretrained"


def digits():
    """The recipe `digits`, as `ebmx train digits --steps 2000` trains it."""
    return _trained(merge(recipe("digits"), {"num_steps": 2000}))


def mnist():
    """The recipe `mnist_5k` with a smaller network."""
    network = {"channels": [16, 32, 64], "kernel_sizes": [5, 3, 3], "strides": [2, 2, 2]}
    config = merge(recipe("mnist_5k"), {"energy": network | {"hidden_dims": [64]}})
    config.pop("seconds", None)
    return _trained(config | {"num_steps": 4000})


def _trained(config):
    with tempfile.TemporaryDirectory() as folder:
        report = ebmx.runs.train(config, out=Path(folder) / "run", progress=False)
        print("Fréchet ratio", report.frechet_ratio, "in", report.seconds, "s")
        return ebmx.runs.open(report.folder).energy


def plane():
    """Eight Gaussians over noise levels, as the page on these shows, in 4,000 updates."""
    keys = jax.random.split(jax.random.key(0), 4)
    truth, num_steps = ebmx.energies.plane("8gaussians"), 4000
    data = np.asarray(ebmx.energies.exact_samples(truth, 50_000, key=keys[0]))
    optim = optax.adam(optax.cosine_decay_schedule(4e-3, num_steps))
    loss = eqx.Partial(noise_level_loss, stable_targets=True)
    trainer = Trainer(optim, PerturbedLevels(), loss, ema_decay=0.99)
    state = trainer.init(untrained_plane(keys[1]), key=keys[2])
    batches = ebmx.data.batches(data, 512, key=keys[2])
    options = {"num_steps": num_steps, "key": keys[3], "progress": False}
    return ebmx.fit(trainer, state, batches, **options)[0].ema


def main() -> None:
    for name in sys.argv[1:]:
        energy = {"digits": digits, "mnist": mnist, "plane": plane}[name]()
        file = FOLDER / f"{name}.npz"
        dtype = np.float16 if name == "mnist" else None
        np.savez_compressed(file, **arrays_of(energy, dtype))
        print(name, file.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
