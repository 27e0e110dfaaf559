"""Long chains of a run from the test data, and short ones from noise."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._types import EnergyFn, Key
from ...data import Dataset
from ...evaluation import drift
from ...plotting import chain_strip, chain_traces, sample_grid
from ...samplers import AbstractSampler, sample
from ...samplers._noise_levels import InUnits
from .._run import Run, is_image
from ._features import Extractor
from ._section import Section, warnings_as_remarks

_CHAINS, _SHOWN = 128, 100
_TIMES = (0, 1, 4, 16, 64, 256)


def long_run_section(
    run: Run,
    sampler: AbstractSampler,
    energy: EnergyFn,
    dataset: Dataset,
    extractor: Extractor,
    num_steps: int,
    key: Key,
    *,
    unit: float | None = None,
) -> Section:
    """Long chains from the test data, and chains from noise.

    With a `unit`, a noise level, the sampler moves positions in units of it; there are no chains
    from noise, since samples go down all levels.
    """
    start, features = jnp.asarray(dataset.test[:_CHAINS]), extractor.features
    remarks: list[str] = []
    if unit is not None:
        energy, start = InUnits(dataset.shape, energy, jnp.asarray(unit, start.dtype)), start / unit
        features = lambda x: extractor.features(np.asarray(x) * np.float32(unit))  # noqa: E731
        remarks.append(f"The chains sample the lowest noise level, {unit:.3g}, in units of it.")
    facts: dict[str, Any] = {"steps": num_steps}
    figures: dict[str, Any] = {}
    options = {"num_steps": num_steps, "features": features, "bounds": run.bounds}
    try:
        with warnings_as_remarks(remarks):
            found = drift(energy, sampler, start, key=jax.random.fold_in(key, 0), **options)
        first, last = found.energies[0], found.energies[-1]
        facts |= {
            "energy at the start": float(first.mean()),
            "energy at the end": float(last.mean()),
            "drift": float((last.mean() - first.mean()) / first.std()),
            "distance": float(found.distances[-1]),
        }
        traces = {"energy, nats": found.energies.T, "distance of features": found.distances}
        if run.bounds is not None:
            facts["saturation at the start"] = float(found.saturation[0])
            facts["saturation at the end"] = float(found.saturation[-1])
            traces["fraction at a bound"] = found.saturation
        title = "Chains that start at the test data"
        figures["drift"] = chain_traces(traces, steps=found.steps, title=title)
        if is_image(dataset.shape) and unit is None:
            ends = {
                "test data": dataset.test[:_SHOWN],
                f"after {num_steps} steps": found.x[:_SHOWN],
            }
            ends = {n: np.asarray(x) for n, x in ends.items()}
            figures["ends"] = sample_grid(ends, span=dataset.span)
    except FloatingPointError as error:
        remarks.append(f"The chains did not stay finite: {error}.")
    if is_image(dataset.shape) and unit is None:
        figures["chain"] = _strip(run, sampler, energy, jax.random.fold_in(key, 1))
    return Section("long_run", "Long chains", facts, _LONG_RUN, figures, remarks)


def _strip(run: Run, sampler: AbstractSampler, energy: EnergyFn, key: Key) -> Any:
    """Chains from noise after 0, 1, 4, … steps."""
    start_key, key = jax.random.split(key)
    start = run.starts(8, key=start_key)
    walk = sample(energy, sampler, start, num_samples=_TIMES[-1], throw=False, key=key)
    x = np.concatenate([np.asarray(start)[:, None], np.asarray(walk.values)], 1)
    options: Any = {"title": "Chains from noise", "span": run.facts.span}
    return chain_strip(x[:, list(_TIMES)].swapaxes(0, 1), _TIMES, **options)


_LONG_RUN = {
    "steps": "how many steps the chains took, on the averaged energy with the sampler of the run.",
    "energy at the start": "the mean energy of the test data where the chains began, in nats.",
    "energy at the end": "that of the chains at the end: the same if the density is at the data.",
    "drift": "the change of the mean energy, in standard deviations of the test data's energies.",
    "distance": "the Fréchet distance of the chains' features from where they began.",
    "saturation at the start": "the fraction of numbers at a bound, in the test data.",
    "saturation at the end": "that of the chains at the end: much larger if they saturate.",
}
