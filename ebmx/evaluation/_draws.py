"""Draws of chains from samples, arrays, dictionaries or ArviZ data."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .. import _checks
from ..samplers import Samples

_SAVE = "save positions: save=save_position or save=save_position_and_energy"
_GIVE = (
    "give the result of ebmx.sample, an array (chains, draws, ...), a dictionary of these arrays, "
    "or ArviZ data"
)


class Draws(NamedTuple):
    """Draws and statistics of chains; statistics that are not known are `None`."""

    variables: dict[str, np.ndarray]
    is_named: bool  # whether the names are the user's
    energy: np.ndarray | None
    # means, or whether any step diverged, `(chains,)`
    acceptance: np.ndarray | None = None
    divergent: np.ndarray | None = None
    result: np.ndarray | None = None


def draws_of(samples: Any) -> Draws:
    """The draws in `samples`, with the same numbers of chains and draws of each variable."""
    if isinstance(samples, Samples):
        draws, info = _of_values(samples.values, "samples.values", _SAVE), samples.info
        known = (np.asarray(a) for a in (info.acceptance, info.divergent, samples.result))
        return Draws(*draws[:3], *known)
    if hasattr(samples, "data_vars") or hasattr(samples, "posterior"):
        return _of_arviz(samples)
    return _of_values(samples, "samples", _GIVE)


def _of_values(values: Any, name: str, fix: str) -> Draws:
    """Draws from one array, or from a dictionary with an optional `energy` of each draw."""
    if not isinstance(values, Mapping):
        return _together(Draws({"x": _array(values, name, fix)}, False, None), name)
    arrays = {str(key): _array(array, f"{name}[{key!r}]", fix) for key, array in values.items()}
    is_energy = "energy" in arrays and arrays["energy"].ndim == 2
    energy = arrays.pop("energy") if is_energy else None
    # `save_position_and_energy` saves one array, without a name
    saved = fix == _SAVE and energy is not None and arrays.keys() == {"x"}
    return _together(Draws(arrays, not saved, energy), name)


def _of_arviz(data: Any) -> Draws:
    """Draws from the ArviZ groups `posterior` and `sample_stats`, or from a posterior alone."""
    whole = hasattr(data, "posterior")
    variables = _group(data["posterior"] if whole else data)
    stats = _group(data["sample_stats"]) if whole and hasattr(data, "sample_stats") else {}
    energy = -stats["lp"] if "lp" in stats else stats.get("energy")
    acceptance = stats["acceptance_rate"].mean(1) if "acceptance_rate" in stats else None
    diverging = stats.get("diverging")
    divergent = None if diverging is None else np.any(diverging, axis=1)
    return _together(Draws(variables, True, energy, acceptance, divergent), "samples.posterior")


def _group(group: Any) -> dict[str, np.ndarray]:
    arrays = {}
    for name, array in group.data_vars.items():
        ok = {"chain", "draw"} <= set(array.dims)
        fix = "give variables with the dimensions `chain` and `draw`"
        _checks.require(ok, f"samples[{name!r}].dims", array.dims, fix)
        arrays[str(name)] = np.asarray(array.transpose("chain", "draw", ...).values)
    return arrays


def _array(value: Any, name: str, fix: str) -> np.ndarray:
    real = jnp.floating, jnp.integer, jnp.bool_
    kind = getattr(value, "dtype", None)
    if kind is None or not any(jnp.issubdtype(kind, one) for one in real):
        _checks.invalid(name, type(value).__name__ if kind is None else str(kind), fix)
    return np.asarray(value)


def _together(draws: Draws, name: str) -> Draws:
    """Check that all variables, and the energies, have the same chains and draws."""
    _checks.require(len(draws.variables) > 0, name, "no variables", "give at least one")
    arrays = draws.variables | ({} if draws.energy is None else {"energy": draws.energy})
    shape = next(iter(arrays.values())).shape[:2]
    fix = "give (chains, draws, ...)"
    fix += ", the same chains and draws for each name" if draws.is_named else ""
    for key, array in arrays.items():
        own = f"{name}[{key!r}].shape" if len(arrays) > 1 else f"{name}.shape"
        _checks.require(len(shape) == 2 and array.shape[:2] == shape, own, array.shape, fix)
    return draws
