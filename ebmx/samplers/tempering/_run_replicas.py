"""The loop that moves whole ladders of replicas."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, ArrayLike, Float, Int

from ... import _checks, _mesh
from ..._checks import checked
from ..._types import Count, EnergyFn, Keys
from ...energies._batch import shape_of
from .._base import StepInfo
from .._run import advance_chain, check_energy, over_chains
from ._replica_exchange import ReplicaExchange


def run_replicas(
    energy: EnergyFn,
    sampler: ReplicaExchange,
    replicas: ArrayLike,
    *,
    num_steps: int,
    first_step: Count | Int[Array, "chains"] | int = 0,
    mesh: Mesh | None = None,
    key: Keys,
) -> tuple[Float[Array, "chains rungs *shape"], StepInfo, Float[Array, "chains pairs"]]:
    """Move all replicas of chains by `num_steps` steps, as `run` does with chains of one replica.

    `run` starts all replicas of a chain where the chain is; here each replica starts from its own
    position.

    Args:
        energy: an energy, or any callable from one example to a scalar.
        sampler: the exchange between temperatures.
        replicas: their positions, `(chains, rungs, *shape)`, the lowest temperature first.
        num_steps: how many steps, at least 1.
        first_step: how many steps the chains have made before, or each of them, `(chains,)`: pairs
            of even and of odd rungs are tried in turn, which goes on from there.
        mesh: devices of this process that hold the chains in equal parts, as in `sample`.
        key: one key; or keys `(chains,)`, one for each chain.

    Returns:
        The new positions, a `StepInfo` of arrays `(chains,)` that sums up the steps of the lowest
        temperature, and the mean acceptance of swaps between neighbours, `(chains, rungs - 1)`.

    Raises:
        ValueError: if the shape does not fit the energy or the sampler, or `num_steps` is below 1.
    """
    replicas = check_replicas(energy, sampler, replicas)
    energy, sampler, replicas, key = _mesh.automatic((energy, sampler, replicas, key))
    first_step = _mesh.automatic(first_step)
    _checks.at_least("num_steps", num_steps, 1)
    first = jnp.asarray(first_step, jnp.int32)
    fix = f"give a number, or one for each of the {len(replicas)} chains"
    _checks.require(first.shape in ((), (len(replicas),)), "first_step.shape", first.shape, fix)
    first = jnp.broadcast_to(first, len(replicas))
    if mesh is not None:
        replicas, first = _mesh.share(replicas, mesh), _mesh.share(first, mesh)
    with _mesh.implicit():
        return _run_replicas(energy, sampler, replicas, num_steps, first, key)


def check_replicas(energy: EnergyFn, sampler: ReplicaExchange, replicas: ArrayLike) -> jax.Array:
    """The replicas `(chains, rungs, *shape)` as an array, if they fit energy and sampler."""
    fix = "give a ReplicaExchange, of which there are replicas"
    ok = isinstance(sampler, ReplicaExchange)
    _checks.require(ok, "sampler", type(sampler).__name__, fix)
    rungs = sampler.num_rungs
    fix = f"give (chains, rungs, *shape) with the sampler's {rungs} rungs"
    replicas = jnp.asarray(replicas)
    ok = replicas.ndim >= 2 and replicas.shape[1] == rungs
    _checks.require(ok, "replicas.shape", replicas.shape, fix)
    _checks.batch(replicas[:, 0], "replicas", shape_of(energy))
    return replicas


@eqx.filter_jit
@checked
def _run_replicas(
    energy: EnergyFn,
    sampler: ReplicaExchange,
    replicas: Float[Array, "chains rungs *shape"],
    num_steps: int,
    first_step: Int[Array, "chains"],
    key: Keys,
) -> tuple[Float[Array, "chains rungs *shape"], StepInfo, Float[Array, "chains pairs"]]:
    def chain(energy, sampler, replicas, first_step, key):
        init_key, steps_key = jax.random.split(key)
        state = sampler.init_replicas(energy, replicas, key=init_key)
        state = eqx.tree_at(lambda ladder: ladder.step, state, first_step)
        first = replicas[0]
        x, state, info = advance_chain(energy, sampler, first, state, num_steps, key=steps_key)
        return jnp.concatenate([x[None], state.upper]), info, state.swap_rates

    check_energy(energy, replicas[:, 0])
    return over_chains(chain, energy, sampler, replicas, first_step, key=key)
