"""The pictures of a run."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from .._types import EnergyFn
from ..config._build import build_noise
from ..config._schema import RunConfig
from ..data import Dataset
from ..energies import energy as energies_of
from ..energies import freeze
from ..plotting import energy_histogram, sample_grid
from ..training import TrainState
from ._sample import Drawn, at_labels, spread_labels


def draw_pictures(
    config: RunConfig, dataset: Dataset, state: TrainState, drawn: Drawn, folder: Path
) -> tuple[Path, ...]:
    """Write `energies.png`, and `samples.png` for images, into the folder of a run."""
    energy: EnergyFn = freeze(state.ema, state.norm_state)
    noise_key = jax.random.fold_in(jax.random.key(config.seed), 3)
    noise, size = build_noise(config.sampler), (1000, *dataset.shape)
    uniform = jax.random.uniform(noise_key, size, minval=noise.low, maxval=noise.high)
    samples, labels = drawn.x, dataset.test_labels
    groups = {
        "data": (dataset.test[:1000], None if labels is None else labels[:1000]),
        "samples": (samples[:1000], None if drawn.y is None else drawn.y[:1000]),
        "noise": (np.asarray(uniform), spread_labels(energy, 1000)),
    }
    histogram = folder / "energies.png"
    found = {
        name: np.asarray(energies_of(at_labels(energy, y), jnp.asarray(x)))
        for name, (x, y) in groups.items()
    }
    energy_histogram(found).savefig(histogram)
    if len(dataset.shape) != 3 or dataset.shape[-1] not in (1, 3):
        return (histogram,)
    grid = folder / "samples.png"
    choice = np.random.default_rng(config.seed).permutation(len(samples))[:100]
    shown = {"samples of the model": samples[choice], "real data": dataset.test[:100]}
    sample_grid(shown).savefig(grid)
    return grid, histogram
