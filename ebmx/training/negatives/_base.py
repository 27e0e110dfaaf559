"""Sources of negatives, and how their chains are moved."""

import abc
from typing import Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from ... import _checks
from ..._types import Count, EnergyFn, Key, Number, Scalar, XBatch
from ...samplers import AbstractSampler, StepInfo, displacement_budget, run
from ...samplers._run import PerChain
from .._batch import Examples, where_chain
from ._noise import AbstractNoise

State = TypeVar("State")


class NegativesInfo(eqx.Module):
    """What a step of the negatives reports."""

    chains: StepInfo
    """The summary of the chains' steps, `(batch,)`, as `run` returns it."""
    restarted: Bool[Array, "batch"]
    """Which chains were started from noise."""
    dead: Bool[Array, "batch"]
    """Which chains became non-finite, in position, energy or gradient, and were replaced."""
    saturated: Scalar
    """The fraction of values at finite bounds of the sampler; 0 if it has none, or is discrete."""
    swap_rate: Scalar | None = None
    """The mean acceptance of swaps between temperatures, if chains have several."""
    num_steps: Count | None = None
    """How many steps the chains took, if the number is adapted."""
    at_limit: Scalar | None = None
    """The fraction of chains whose step size is at a limit of its adaptation, if it is adapted."""


class AbstractNegatives(eqx.Module, Generic[State]):
    """A source of negatives: hyper-parameters, `init` and a pure `step`."""

    @abc.abstractmethod
    def init(self, shape: tuple[int, ...], *, key: Key) -> State:
        """The state before the first step, for examples of this shape."""

    @abc.abstractmethod
    def step(
        self, energy: EnergyFn, positives: Examples, state: State, *, key: Key
    ) -> tuple[Examples, State, NegativesInfo | None]:
        """Negatives for the positives, with no gradient through them.

        The information is `None` if no chain was run.
        """


def check_displacement(sampler: AbstractSampler, num_steps: int, width: Number) -> None:
    """Check that chains which start from noise can reach data that is `width` wide."""
    budget = displacement_budget(sampler, num_steps)
    if _checks.is_concrete(width) and budget < float(width) * (1 - 1e-6):
        fix = (
            f"num_steps · (step_size / 2) · grad_clip = {budget:.3g} cannot cross the range of the "
            f"noise, {float(width):.3g}: raise num_steps, step_size or grad_clip"
        )
        _checks.invalid("num_steps", num_steps, fix)


def draw_noise(noise: AbstractNoise, num: int, shape: tuple[int, ...], *, key: Key) -> XBatch:
    """`num` examples of noise of this shape."""
    keys = jax.random.split(key, num)
    return jax.vmap(lambda k: noise.sample(shape, key=k))(keys)


def move(
    energy: EnergyFn,
    sampler: AbstractSampler,
    num_steps: int | Count,
    start: XBatch,
    noise: XBatch,
    restarted: jax.Array,
    key: Key,
) -> tuple[XBatch, NegativesInfo]:
    """Move chains and put `noise` in the place of those that became non-finite."""
    if _checks.is_concrete(num_steps):
        num_steps = int(num_steps)
    x, chains = run(energy, sampler, start, num_steps=num_steps, key=key)
    dead = are_dead(x, chains)
    x = where_chain(dead, noise, x)
    info = NegativesInfo(chains, restarted, dead, saturated_fraction(sampler, x))
    return jax.lax.stop_gradient(x), info


def are_dead(x: XBatch, chains: StepInfo) -> Bool[Array, "batch"]:
    """Which chains are not finite in position, or in energy or gradient at the last step.

    An infinite gradient norm does not count, since the square of a finite gradient may overflow.
    """
    dead = ~jnp.all(jnp.isfinite(x), tuple(range(1, x.ndim))) | ~jnp.isfinite(chains.energy)
    return dead if chains.grad_norm is None else dead | jnp.isnan(chains.grad_norm)


def saturated_fraction(sampler: AbstractSampler, x: XBatch) -> Scalar:
    """The fraction of values at finite bounds of the sampler; 0 if it has none, or is discrete."""
    axis = 0 if isinstance(sampler, PerChain) else None
    bounds = sampler.sampler.bounds if isinstance(sampler, PerChain) else sampler.bounds
    if bounds is None or sampler.is_discrete:
        return jnp.zeros((), x.dtype)
    low, high = (jnp.asarray(end).astype(x.dtype) for end in bounds)

    def one(low: jax.Array, high: jax.Array, x: jax.Array) -> Scalar:
        at_low, at_high = (x <= low) & jnp.isfinite(low), (x >= high) & jnp.isfinite(high)
        return jnp.mean(at_low | at_high, dtype=x.dtype)

    return jnp.mean(jax.vmap(one, (axis, axis, 0))(low, high, x))
