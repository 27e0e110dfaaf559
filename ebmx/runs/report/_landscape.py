"""The energy landscape between examples: planes, paths, minima."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from ... import evaluation
from ..._types import EnergyFn, Key
from ...data import Dataset
from ...energies import score as scores_of
from ...plotting import disconnectivity_graph, energy_landscape, energy_profile
from ._section import Section

_STARTS = 64
_MINIMA = 8
_BAND_STEPS = 300


def landscape_section(
    bounds: tuple[float, float] | None,
    energy: EnergyFn,
    dataset: Dataset,
    samples: np.ndarray,
    key: Key,
) -> Section | None:
    """The landscape between examples; `None` for those of zeros and ones."""
    if dataset.binarise is not None:
        return None
    test = dataset.test
    # energies of networks have no scale of their own: a minimum is flat compared with the data
    slope = np.abs(np.asarray(scores_of(energy, jnp.asarray(test[:_STARTS]))))
    flat = max(1e-2 * float(np.median(slope.reshape(len(slope), -1).max(1))), 1e-6)
    options: dict[str, Any] = {"bounds": bounds, "num_steps": _BAND_STEPS}
    straight = evaluation.minimum_energy_path(energy, test[0], test[1], num_points=33, num_steps=0)
    least = evaluation.minimum_energy_path(energy, test[0], test[1], **options)
    facts: dict[str, Any] = {"straight barrier": _rise(straight), "least barrier": _rise(least)}
    paths = {"straight": straight, "of least energy": least}
    profile = {name: (path.distances, path.energies) for name, path in paths.items()}
    figures = {"path": energy_profile(profile, title="Between two test examples")}
    if test[0].size > 1:
        figures["landscape"] = _plane(energy, dataset, samples)
    section = Section("landscape", "Landscape", facts, _LANDSCAPE, figures)
    try:
        starts = jnp.asarray(samples[:_STARTS])
        found = evaluation.local_minima(
            energy, starts, bounds=bounds, tolerance=flat, num_steps=1000
        )
    except ValueError as error:
        return dataclasses.replace(section, remarks=[f"No minima: {error}."])
    lowest = jnp.asarray(found.x[0])
    curved = evaluation.hessian_eigenvalues(energy, lowest, num_eigenvalues=1, key=key)
    facts |= {
        "minima": len(found.x),
        "largest basin": float(found.fractions.max()),
        "ended": float(np.mean(found.basins >= 0)),
        "least curvature": float(curved.smallest[0]),
        "largest curvature": float(curved.largest[0]),
    }
    few, fractions = found.x[:_MINIMA], found.fractions[:_MINIMA]
    if len(few) > 1:
        tree = evaluation.disconnectivity(energy, jnp.asarray(few), num_points=11, **options)
        facts["lowest pass"] = float(tree.merges[0, 2] - tree.energies.min())
        title = f"The lowest {len(few)} minima and the passes between them"
        shown = {"fractions": fractions, "title": title}
        figures["minima"] = disconnectivity_graph(tree.energies, tree.merges, **shown)
    return section


def _rise(path: Any) -> float:
    """How far the energy rises above the higher end."""
    return float(path.energies.max() - max(path.energies[0], path.energies[-1]))


def _plane(energy: EnergyFn, dataset: Dataset, samples: np.ndarray) -> Any:
    """The plane of the data, or one through three examples of them."""
    test = dataset.test
    if dataset.shape == (2,):
        origin, axes = np.zeros(2, np.float32), tuple(np.eye(2, dtype=np.float32))
        limits, num_points = ((-1.2, 1.2),) * 2, 61
        points = {"test data": test[:500], "samples": samples[:500]}
        title, names = "The plane of the data", ("first coordinate", "second coordinate")
    else:
        origin, axes = test[0], (test[1] - test[0], test[2] - test[0])
        limits, num_points = ((-0.5, 1.5),) * 2, 41
        points = {"test data": np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])}
        title = "A plane through three test examples"
        names = ("towards the second", "towards the third")
    found = evaluation.energy_slice(energy, origin, axes, limits=limits, num_points=num_points)
    return energy_landscape(
        found.a, found.b, found.energies, points=points, field=found.field, names=names, title=title
    )


_LANDSCAPE = {
    "straight barrier": "how far the energy rises on the straight line between two test examples "
    "above the higher one, in nats.",
    "least barrier": "the same on the path of least energy: chains need not climb higher.",
    "minima": f"how many different minima {_STARTS} samples reach by descent.",
    "largest basin": "the largest fraction of those samples that reach one minimum: 1 if all do.",
    "ended": "the fraction of those samples whose descent converged.",
    "least curvature": "the smallest eigenvalue of the Hessian at the lowest minimum, in nats per "
    "squared unit; negative if only the bounds hold it.",
    "largest curvature": "the largest one: a step size of Langevin beyond 4 over it is unstable.",
    "lowest pass": "how far the lowest pass between two minima is above the lowest one, in nats.",
}
