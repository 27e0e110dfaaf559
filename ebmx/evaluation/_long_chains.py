"""Where long chains go, and how many of the modes are there."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from .. import _checks, _warnings
from .._arguments import guarded
from .._checks import checked
from .._threefry import fuse
from .._types import Count, EnergyFn, Key, Keys, XBatch
from ..energies import energy as energies_of
from ..energies._batch import shape_of
from ..samplers import AbstractSampler
from .samples._frechet import fitted_distance
from .samples._pairwise import two_sets


@dataclasses.dataclass(frozen=True)
class Drift:
    """What `drift` records."""

    steps: np.ndarray
    """After how many steps, `(records,)`, from 0."""
    energies: np.ndarray
    """Of each chain then, `(records, chains)`, in nats."""
    distances: np.ndarray
    """The Fréchet distance of the features then from those at the start, `(records,)`."""
    saturation: np.ndarray
    """The share of numbers at a bound, `(records,)`; NaN without bounds."""
    x: jax.Array
    """Where the chains ended, `(chains, *shape)`."""


@guarded
def drift(
    energy: EnergyFn,
    sampler: AbstractSampler,
    x: XBatch,
    *,
    num_steps: int = 10_000,
    num_records: int = 20,
    features: Callable[[XBatch], Any] | None = None,
    bounds: tuple[float, float] | None = None,
    key: Key,
) -> Drift:
    """Walk from data for long, and see whether the chains stay where the data are.

    The chains of a good model leave energies and features as they were; those of a model that was
    trained with short chains wander off to saturated images. Memory is constant.

    Nijkamp et al. (2020), "On the anatomy of MCMC-based maximum likelihood learning of energy-based
    models".

    Args:
        energy: an energy, or any callable from one example to a scalar.
        sampler: a sampler of one chain.
        x: where the chains start, `(chains, *shape)`: data, at least two.
        num_steps: how many steps.
        num_records: how often to look, at steps that grow by equal factors from 1 on.
        features: a function from `(chains, *shape)` to `(chains, features)`; the numbers
            themselves, if not given. Distances are rough with fewer chains than features.
        bounds: the ends of the data's range, of which the share that is there is recorded.
        key: a key.

    Returns:
        A `Drift`.

    Raises:
        ValueError: if `x` or a number does not fit.
        FloatingPointError: if a chain is not finite.

    Warns:
        UserWarning: if there are no more chains than features.
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
    key = fuse(key)
    state = _begin(energy, sampler, x, jax.random.fold_in(key, num_steps))
    for before, after in zip([0, *steps[:-1]], steps, strict=True):
        ends = jnp.asarray(before, jnp.int32), jnp.asarray(after, jnp.int32)
        x, state = _walk(energy, sampler, x, state, *ends, key)
        if not bool(jnp.all(jnp.isfinite(x))):
            text = f"a chain left the finite numbers between steps {before} and {after}: "
            raise FloatingPointError(text + "take a smaller step_size, or set bounds")
        share = np.nan if bounds is None else saturated_share(x, bounds)
        distance = fitted_distance(*two_sets(first, view(x), 2, ("features", "features")))
        rows.append((np.asarray(energies_of(energy, x)), distance, share))
    energies, distances, shares = (np.array(column) for column in zip(*rows, strict=True))
    return Drift(steps, energies, distances, shares, x)


@guarded
def saturated_share(
    x: ArrayLike, bounds: Sequence[float] = (-1.0, 1.0), *, tolerance: float = 0.0
) -> float:
    """The share of numbers at a bound or beyond it.

    Args:
        x: an array.
        bounds: the lower and the upper one.
        tolerance: how near counts as at a bound, in units of `x`.

    Returns:
        A share in [0, 1].

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
def _begin(energy: EnergyFn, sampler: AbstractSampler, x: XBatch, key: Key) -> Any:
    keys = jax.random.split(key, x.shape[0])
    return jax.vmap(lambda x, key: sampler.init(energy, x, key=key))(x, keys)


@eqx.filter_jit
@checked
def _walk(
    energy: EnergyFn,
    sampler: AbstractSampler,
    x: XBatch,
    state: Any,
    before: Count,
    after: Count,
    key: Keys,
) -> tuple[XBatch, Any]:
    """Steps from `before` to `after`, which are traced: one program for all of them."""

    def step(i, carry):
        x, state = carry
        keys = jax.random.split(jax.random.fold_in(key, i), x.shape[0])
        one = lambda x, state, key: sampler.step(energy, x, state, key=key)[:2]  # noqa: E731
        return jax.vmap(one)(x, state, keys)

    return jax.lax.fori_loop(before, after, step, (x, state))
