"""What negatives are: where the second batch of a training step comes from."""

import abc
from typing import Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from .. import _checks
from .._types import Count, EnergyFn, Key, Number, Scalar, XBatch
from ..samplers import AbstractLangevin, AbstractSampler, StepInfo, displacement_budget, run
from ._examples import Batch
from ._noise import AbstractNoise

State = TypeVar("State")


class NegativesInfo(eqx.Module):
    """What a step of the negatives reports."""

    chains: StepInfo
    """The summary of the chains' steps, `(batch,)`, as `run` returns it."""
    restarted: Bool[Array, "batch"]
    """Which chains were started from noise."""
    dead: Bool[Array, "batch"]
    """Which chains left the finite numbers, in position or energy, and were replaced by noise."""
    saturated: Scalar
    """The share of values at the sampler's bounds; 0 if it has none."""
    swap_rate: Scalar | None = None
    """The mean acceptance of swaps between temperatures, if chains have several."""
    num_steps: Count | None = None
    """How many steps the chains took, if that changes."""


class AbstractNegatives(eqx.Module, Generic[State]):
    """A source of negatives: hyper-parameters, `init` and a pure `step`."""

    @abc.abstractmethod
    def init(self, shape: tuple[int, ...], *, key: Key) -> State:
        """The state before the first step, for examples of this shape."""

    @abc.abstractmethod
    def step(
        self, energy: EnergyFn, x: Batch, state: State, *, key: Key
    ) -> tuple[Batch, State, NegativesInfo | None]:
        """Negatives for the positives `x`, with no gradient through them.

        The information is `None` if no chain was run.
        """


def check_chain(sampler: AbstractSampler, num_steps: int) -> None:
    """Check the chain of any negatives at construction."""
    fix = "give a sampler, such as ebmx.samplers.Langevin(step_size=0.1)"
    _checks.require(isinstance(sampler, AbstractSampler), "sampler", sampler, fix)
    _checks.at_least("num_steps", num_steps, 1)


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
    """Move chains and put `noise` in the place of those that leave the finite numbers.

    That is of those whose position, or energy where the last step was taken, is not finite.
    """
    x, chains = run(energy, sampler, start, num_steps=num_steps, key=key)
    axes = tuple(range(1, x.ndim))
    dead = ~(jnp.all(jnp.isfinite(x), axes) & jnp.isfinite(chains.energy))
    x = where_chain(dead, noise, x)
    info = NegativesInfo(chains, restarted, dead, saturated_share(sampler, x))
    return jax.lax.stop_gradient(x), info


def where_chain(condition: jax.Array, x: XBatch, y: XBatch) -> XBatch:
    """`x` for the chains where the condition holds, `y` for the others."""
    return jnp.where(condition.reshape(-1, *(1,) * (x.ndim - 1)), x, y)


def saturated_share(sampler: AbstractSampler, x: XBatch) -> Scalar:
    """The share of values at the sampler's bounds; 0 if it has none."""
    if not isinstance(sampler, AbstractLangevin) or sampler.bounds is None:
        return jnp.zeros((), x.dtype)
    low, high = sampler.bounds
    return jnp.mean((x <= low) | (x >= high), dtype=x.dtype)
