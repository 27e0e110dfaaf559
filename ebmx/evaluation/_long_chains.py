"""Where long chains go, and how many numbers are at a bound."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from .. import _checks, _warnings
from .._checks import checked
from .._types import Count, EnergyFn, Key, Keys, X, XBatch
from ..energies import energy as energies_of
from ..energies._batch import shape_of
from ..samplers import AbstractSampler
from ..samplers._run import advance_chain, check_energy, over_chains
from .samples._frechet import fitted_distance
from .samples._pairwise import two_sets


@dataclasses.dataclass(frozen=True)
class Drift:
    """The result of `drift`, which says what the fields are."""

    steps: np.ndarray
    energies: np.ndarray
    distances: np.ndarray
    saturation: np.ndarray
    x: jax.Array


def drift(
    energy: EnergyFn,
    sampler: AbstractSampler,
    x: ArrayLike,
    *,
    num_steps: int = 10_000,
    num_records: int = 20,
    features: Callable[[XBatch], Any] | None = None,
    bounds: tuple[float, float] | None = None,
    key: Key,
) -> Drift:
    """Run long chains from data, and record whether they stay where the data are.

    Under a good model the distributions of energies and features do not change; under a model that
    was trained with short chains, chains move to saturated images. Memory is constant.

    Nijkamp et al. (2020), "On the anatomy of MCMC-based maximum likelihood learning of energy-based
    models".

    Args:
        energy: an energy, or any callable from one example to a scalar.
        sampler: a sampler of one chain.
        x: the data from which the chains start, `(chains, *shape)`, at least two.
        num_steps: how many steps.
        num_records: how many records, after steps that grow by equal factors from 1 on.
        features: a function from `(chains, *shape)` to `(chains, features)`; the numbers
            themselves, if not given. Distances are rough with fewer chains than features.
        bounds: `(low, high)` of the data; the fraction of numbers there is recorded.
        key: a key.

    Returns:
        An object with the numbers of `steps` after which the chains are recorded, `(records,)`,
        from 0; their `energies` `(records, chains)`, in nats; the Fréchet `distances` of the
        features from those at the start, `(records,)`; `saturation`, the fractions of numbers at a
        bound, `(records,)`, NaN without bounds; and the last positions `x` `(chains, *shape)`.

    Raises:
        ValueError: if `x` or a number does not fit.
        FloatingPointError: if a chain is not finite.

    Warns:
        UserWarning: if there are not more chains than features.
    """
    x = _checks.batch(x, "x", shape_of(energy))
    _checks.finite(x, "x")
    _checks.require(len(x) >= 2, "x.shape", x.shape, "give at least two chains")
    _checks.at_least("num_steps", num_steps, 1)
    _checks.at_least("num_records", num_records, 1)
    times = np.unique(np.rint(np.geomspace(num_steps, 1, num_records)).astype(int))
    steps = np.concatenate([[0], times])
    view = features if features is not None else lambda x: x.reshape(x.shape[0], -1)
    (first, _), rows = two_sets(view(x), view(x), 2, ("features", "features")), []
    _warn_of_few(*first.shape)
    init_key, steps_key = jax.random.split(key)
    state = _start(energy, sampler, x, init_key)
    for before, after in zip([0, *steps[:-1]], steps, strict=True):
        first_step, num = jnp.asarray(before, jnp.int32), jnp.asarray(after - before, jnp.int32)
        x, state = _advance(energy, sampler, x, state, first_step, num, steps_key)
        if not bool(jnp.all(jnp.isfinite(x))):
            text = f"a chain became non-finite between steps {before} and {after}: "
            raise FloatingPointError(text + "take a smaller step_size, or set bounds")
        fraction = np.nan if bounds is None else saturated_fraction(x, bounds)
        distance = fitted_distance(*two_sets(first, view(x), 2, ("features", "features")))
        rows.append((np.asarray(energies_of(energy, x)), distance, fraction))
    energies, distances, fractions = (np.array(column) for column in zip(*rows, strict=True))
    return Drift(steps, energies, distances, fractions, x)


def saturated_fraction(
    x: ArrayLike, bounds: Sequence[float] = (-1.0, 1.0), *, tolerance: float = 0.0
) -> float:
    """The fraction of numbers at a bound or beyond it.

    Args:
        x: an array.
        bounds: `(low, high)`.
        tolerance: the distance from a bound that still counts as at it, in units of `x`.

    Returns:
        A fraction in [0, 1].

    Raises:
        ValueError: if the bounds are not in order or the tolerance is negative.
    """
    _checks.require(len(bounds) == 2, "bounds", bounds, "give (low, high)")
    low, high = bounds
    _checks.require(low < high, "bounds", bounds, "give (low, high) with low < high")
    _checks.non_negative("tolerance", tolerance)
    x = np.asarray(x)
    _checks.finite_value("x", x)
    return float(np.mean((x <= low + tolerance) | (x >= high - tolerance)))


def _warn_of_few(num: int, size: int) -> None:
    if num <= size:
        text = (
            f"there are {num} chains and {size} features, too few for a covariance, so that "
            "distances are rough: give more chains, or `features` of fewer numbers."
        )
        _warnings.warn(text, UserWarning)


@eqx.filter_jit
@checked
def _start(energy: EnergyFn, sampler: AbstractSampler, x: XBatch, key: Keys) -> Any:
    def chain(energy: Any, sampler: Any, x: X, key: Key) -> Any:
        return sampler.init(energy, x, key=key)

    check_energy(energy, x)
    return over_chains(chain, energy, sampler, x, key=key)


@eqx.filter_jit
@checked
def _advance(
    energy: EnergyFn,
    sampler: AbstractSampler,
    x: XBatch,
    state: Any,
    first: Count,
    num_steps: Count,
    key: Keys,
) -> tuple[XBatch, Any]:
    """The chains after the next steps. All numbers are traced: one program for all records."""

    def chain(energy: Any, sampler: Any, x: X, state: Any, key: Key) -> tuple[X, Any]:
        return advance_chain(energy, sampler, x, state, num_steps, first=first, key=key)[:2]

    return over_chains(chain, energy, sampler, x, state, key=key)
