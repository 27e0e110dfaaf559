"""The pictures of a run."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..data import Dataset
from ..energies import energy as energies_of
from ..plotting import energy_histogram, energy_landscape, pairwise_marginals, sample_grid
from ..training import TrainState
from ._draw import spread_labels
from ._kept_chains import at_labels
from ._run import Run, at_lowest_level, averaged, data_with_noise, is_image
from ._sample import Drawn

_GRID = 101
_COLUMNS = 5
_POINTS = 500


def draw_pictures(run: Run, state: TrainState, drawn: Drawn, folder: Path) -> tuple[Path, ...]:
    """Write `energies.png`, and `samples.png`, `density.png` or `marginals.png` by the shape.

    Of an energy over noise levels, samples and data have the noise of the lowest one.
    """
    assert run.dataset is not None
    energy = averaged(state)
    dataset = data_with_noise(energy, run.dataset, seed=run.seed)
    real = "real data" if dataset.test is run.dataset.test else "real data with the same noise"
    energy = at_lowest_level(energy)
    found = {"energies.png": _energies(run, dataset, energy, drawn)}
    shape = dataset.shape
    if is_image(shape):
        choice = np.random.default_rng(run.seed).permutation(len(drawn.x))[:100]
        shown = {"samples of the model": drawn.x[choice], real: dataset.test[:100]}
        found = {"samples.png": sample_grid(shown, span=dataset.span)} | found
    elif shape == (2,) and drawn.y is None:
        found = {"density.png": _density(dataset, energy, drawn)} | found
    elif len(shape) == 1 and shape[0] > 1:
        sets = {"data": dataset.test[:_POINTS], "samples": drawn.x[:_POINTS]}
        names = dataset.columns[:_COLUMNS]
        rows = {name: dataset.to_units(x)[:, :_COLUMNS] for name, x in sets.items()}
        found = {"marginals.png": pairwise_marginals(rows, names=names or None)} | found
    for name, figure in found.items():
        figure.savefig(folder / name)
    return tuple(folder / name for name in found)


def _energies(run: Run, dataset: Dataset, energy: Any, drawn: Drawn) -> Any:
    num = 1000
    key = jax.random.fold_in(jax.random.key(run.seed), 3)
    labels = dataset.test_labels
    groups = {
        "data": (dataset.test[:num], None if labels is None else labels[:num]),
        "samples": (drawn.x[:num], None if drawn.y is None else drawn.y[:num]),
        "noise": (np.asarray(run.starts(num, key=key)), spread_labels(energy, num)),
    }
    found = {
        name: np.asarray(energies_of(at_labels(energy, y), jnp.asarray(x)))
        for name, (x, y) in groups.items()
    }
    return energy_histogram(found)


def _density(dataset: Dataset, energy: Any, drawn: Drawn) -> Any:
    """The energy over the plane in data units, with data and samples."""
    rows = np.concatenate([dataset.train, drawn.x[:_POINTS]])
    low, high = rows.min(0), rows.max(0)
    edge = 0.1 * (high - low)
    axes = [np.linspace(a, b, _GRID, dtype=np.float32) for a, b in zip(low - edge, high + edge)]  # noqa: B905
    plane = np.stack(np.meshgrid(*axes, indexing="xy"), -1).reshape(-1, 2)
    values = np.asarray(energies_of(energy, jnp.asarray(plane))).reshape(_GRID, _GRID)
    shown = [dataset.to_units(np.stack([a, a], 1)) for a in axes]
    points = {"data": dataset.test[:_POINTS], "samples": drawn.x[:_POINTS]}
    first, second = dataset.columns or ("first column", "second column")
    return energy_landscape(
        shown[0][:, 0],
        shown[1][:, 1],
        values,
        points={name: dataset.to_units(x) for name, x in points.items()},
        ceiling=float(values.min()) + 8,
        names=(first, second),
        title="Energy, data and samples",
    )
