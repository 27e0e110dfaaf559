"""The samplers of the table of record, each with what it does with its warm-up.

An entry is a function of a target, positions `(chains, *shape)`, evaluations of the energy for each
chain, and a key, that returns what is `Ready`, or `None` where the sampler does not apply. An entry
`tuned(sampler)` is made of a sampler that `warmup` can tune.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from _evaluations import per_step

from ebmx import energies, samplers
from ebmx.samplers import ReplicaExchange, tune_ladder, warmup


class Ready(NamedTuple):
    """A sampler after its warm-up, and where its chains are."""

    sampler: Any
    x: jax.Array
    spent: float
    """The evaluations that a chain has taken."""
    cost: tuple[float, float] | None = None
    """Energies, and gradients among them, of a step; counted if not given."""
    state: Any = None


Make = Callable[[Any, jax.Array, int, jax.Array], Ready | None]


def tuned(sampler: Any) -> Make:
    """By `warmup`, from this step size."""

    def make(target: Any, x: jax.Array, evaluations: int, key: jax.Array) -> Ready:
        count_key, tune_key = jax.random.split(key)
        cost = _cost(target, sampler, x, count_key)
        steps = max(40, int(evaluations / cost[0]))
        found, x = warmup(target.energy, sampler, x, num_steps=steps, key=tune_key)
        varies = isinstance(sampler, samplers.NUTS | samplers.JitteredHMC)
        return Ready(found, x, steps * cost[0], None if varies else cost)

    return make


def of_mala(make_sampler: Callable[[Any, Any], Any]) -> Make:
    """A sampler without a Metropolis test, from the step size that `MALA` has on the target.

    A quarter of it: without a test steps that are too long diverge, and shorter ones bias less.
    """

    def make(target: Any, x: jax.Array, evaluations: int, key: jax.Array) -> Ready:
        found = tuned(samplers.MALA(0.1))(target, x, evaluations, key)
        assert found is not None
        return found._replace(
            cost=None, sampler=make_sampler(found.sampler.step_size / 4, x[0].size)
        )

    return make


def as_it_is(make_sampler: Callable[[Any, jax.Array], Any]) -> Make:
    """A sampler without a step size: its warm-up is what its chains forget in it."""

    def make(target: Any, x: jax.Array, evaluations: int, key: jax.Array) -> Ready | None:
        sampler = make_sampler(target, x)
        if sampler is None:
            return None
        count_key, run_key = jax.random.split(key)
        cost = _cost(target, sampler, x, count_key)
        steps = max(2, int(evaluations / cost[0]))
        begun = samplers.sample(
            target.energy, sampler, x, num_samples=1, thin=steps, save=samplers.Last(),
            throw=False, key=run_key,
        )  # fmt: skip
        return Ready(sampler, begun.x, steps * cost[0], cost, begun.state)

    return make


def ladder(with_base: bool) -> Make:
    """Replica exchange over MALA, from eight temperatures up to 100 or up to a wide Gaussian."""

    def make(target: Any, x: jax.Array, evaluations: int, key: jax.Array) -> Ready:
        shape, top = x.shape[1:], jnp.inf if with_base else 100.0
        base = energies.Gaussian(jnp.zeros(shape), target.scale**2) if with_base else None
        hot = jnp.geomspace(1.0, 30.0, 7)
        temperatures = jnp.concatenate([hot, jnp.array([top])])
        begin = ReplicaExchange(samplers.MALA(0.1), temperatures, base=base)
        tune_key, state_key = jax.random.split(key)
        # the number of rungs is found on the way, and the number of moves with it
        steps = max(60, evaluations // 16)
        found, replicas, report = tune_ladder(
            target.energy, begin, x, num_steps=steps, key=tune_key
        )
        keys = jax.random.split(state_key, len(x))
        state = jax.vmap(lambda r, k: found.init_replicas(target.energy, r, key=k))(replicas, keys)
        return Ready(found, replicas[:, 0], float(report.num_moves), state=state)

    return make


def _cost(target: Any, sampler: Any, x: jax.Array, key: jax.Array) -> Any:
    """Energies and gradients of a step, counted once for a target and a sampler."""
    place = id(target.energy), repr(sampler)
    if place not in _COSTS:
        _COSTS[place] = per_step(target.energy, sampler, x, key=key)
    return _COSTS[place]


_COSTS: dict[Any, tuple[float, float]] = {}


def _stretch(target: Any, x: jax.Array) -> Any:
    # twice as many walkers as coordinates, which is for few coordinates
    size = x[0].size
    return samplers.StretchMove(max(4, 4 * size), spread=target.scale) if size <= 20 else None


def _ellipse(target: Any, x: jax.Array) -> Any:
    del x
    prior = getattr(target.energy, "prior", None)
    return None if prior is None else samplers.EllipticalSlice(prior)


SAMPLERS: dict[str, Make] = {
    "Langevin": of_mala(lambda step, size: samplers.Langevin(step)),
    "underdamped Langevin": of_mala(lambda step, size: samplers.UnderdampedLangevin(step**0.5)),
    "MCLMC": of_mala(lambda step, size: samplers.MCLMC((step * size) ** 0.5 / 2, size**0.5)),
    "MALA": tuned(samplers.MALA(0.1)),
    "preconditioned MALA": tuned(samplers.PreconditionedMALA(0.1)),
    "Barker": tuned(samplers.Barker(0.1)),
    "HMC": tuned(samplers.HMC(0.1, 10)),
    "jittered HMC": tuned(samplers.JitteredHMC(0.1, 1.0)),
    "NUTS": tuned(samplers.NUTS(0.1, max_num_doublings=6)),
    "GHMC": tuned(samplers.GHMC(0.1)),
    "adjusted MCLMC": tuned(samplers.AdjustedMCLMC(0.1)),
    "elliptical slices": as_it_is(_ellipse),
    "stretch moves": as_it_is(_stretch),
    "replica exchange": ladder(with_base=False),
    "replica exchange, base": ladder(with_base=True),
}
