"""Train the energies of `ebmx.energies.pretrained`, and write their files into the package.

`python .ci/pretrained.py digits plane` takes some minutes of two cores.
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
    config = merge(recipe("digits"), {"num_steps": 2000})
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
        energy = {"digits": digits, "plane": plane}[name]()
        file = FOLDER / f"{name}.npz"
        np.savez_compressed(file, **arrays_of(energy))
        print(name, file.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
