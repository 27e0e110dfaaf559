"""Log Z from the replicas of a ladder with an exact base."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, ArrayLike, Float

from ... import _checks, _mesh, _warnings
from ..._checks import checked
from ..._types import EnergyFn, Keys
from ...samplers import ReplicaExchange
from ...samplers._fields import at_least_single
from ...samplers._run import check_energy, over_chains
from ...samplers.tempering._run_replicas import check_replicas
from .._diagnostics import ConvergenceWarning
from ._tempering_sums import Sums, added, integrated, nothing, stepping_stones

_MOST_REJECTED = 0.95


@dataclasses.dataclass(frozen=True)
class TemperedLogZ:
    """Estimates of `log Z` from a ladder; `log_z_by_tempering` says what the fields are."""

    log_z: float
    standard_error: float
    thermodynamic_log_z: float
    thermodynamic_error: float
    barrier: float
    rejection: np.ndarray
    round_trips: np.ndarray
    x: jax.Array
    acceptance: np.ndarray
    schedule: np.ndarray

    def __str__(self) -> str:
        """Both estimates in one line."""
        return (
            f"log Z = {self.log_z:.4f} ± {self.standard_error:.4f}, by thermodynamic integration "
            f"{self.thermodynamic_log_z:.4f} ± {self.thermodynamic_error:.4f}"
        )


def log_z_by_tempering(
    energy: EnergyFn,
    sampler: ReplicaExchange,
    replicas: ArrayLike,
    *,
    num_steps: int,
    mesh: Mesh | None = None,
    key: Keys,
) -> TemperedLogZ:
    """Estimate `log Z` from the replicas of a ladder that ends at an exact base.

    The ratio of the `Z` of two neighbouring rungs is that of two means, one over the replicas of
    each: stepping stones with the geometric bridge `√(p q)`. Their product leads from the `Z` of
    the base to that of the energy. The second estimate is thermodynamic integration, `log Z₀ −
    ∫ ⟨E − E₀⟩ dβ` by the trapezoidal rule over `log(b + β)`, with its correction by the slopes,
    which are variances; `b` is the inverse of the highest finite temperature.
    It has an error of the rule beside that of chance; the two estimates agree if there are enough
    rungs.

    `tune_ladder` makes the ladder and the replicas. The chains of a ladder that has not converged
    agree on a wrong value where none of them has found a mode: count `round_trips`.

    Meng and Wong (1996), "Simulating ratios of normalizing constants via a simple identity"; Xie et
    al. (2011), "Improving marginal likelihood estimation for Bayesian phylogenetic model
    selection"; Gelman and Meng (1998), "Simulating normalizing constants".

    Args:
        energy: an energy, or any callable from one example to a scalar.
        sampler: a `ReplicaExchange` with a base and a sampler that leaves the density invariant.
        replicas: where they start, `(chains, rungs, *shape)`, of at least two chains: those of
            `tune_ladder`, or of a burn-in by `run_replicas`.
        num_steps: how many steps of all replicas. Memory does not grow with it.
        mesh: devices of this process that hold the chains in equal parts, as in `sample`.
        key: one key; or keys `(chains,)`, one for each chain.

    Returns:
        An object with `log_z` and its `standard_error` in nats, by stepping stones, the same by
        integration, `thermodynamic_log_z` and `thermodynamic_error`, the `barrier` `Λ`, which is
        the sum of the `rejection` of each pair `(rungs - 1,)`, the `round_trips` of each chain
        `(chains,)`, the last replicas `x` `(chains, rungs, *shape)`, and of each rung the mean
        `acceptance` of moves and the inverse temperature, `schedule`. The errors are those of
        means over chains. `print` it for a line.

    Raises:
        ValueError: if the ladder has no base, its sampler is not invariant, there are fewer than
            two chains, or replicas do not fit.

    Warns:
        ConvergenceWarning: if two neighbours reject nearly all swaps.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from ebmx.energies import Gaussian
        >>> from ebmx.evaluation import log_z_by_tempering
        >>> from ebmx.samplers import MALA, ReplicaExchange
        >>> energy, key = Gaussian(jnp.ones(3), 0.5), jax.random.key(0)
        >>> ladder = ReplicaExchange(MALA(0.5), [1.0, 3.0, jnp.inf], base=Gaussian(jnp.zeros(3)))
        >>> start = jnp.ones((64, 3, 3))  # chains, rungs, the shape of an example
        >>> found = log_z_by_tempering(energy, ladder, start, num_steps=400, key=key)
        >>> bool(abs(found.log_z - energy.log_z) < 0.2)
        True
    """
    replicas, base = check_replicas(energy, sampler, replicas), sampler.base
    fix = "give a ReplicaExchange with a base, whose log Z is known"
    if base is None:
        _checks.invalid("sampler.base", base, fix)
    kind = type(sampler.sampler).__name__
    fix = "it does not leave the density invariant: give MALA, HMC or another that can reject"
    _checks.require(sampler.is_invariant, "sampler.sampler", kind, fix)
    _checks.at_least("len(replicas)", len(replicas), 2)
    _checks.at_least("num_steps", num_steps, 1)
    energy, sampler, replicas, key = _mesh.automatic((energy, sampler, replicas, key))
    if mesh is not None:
        replicas = _mesh.share(replicas, mesh)
    with _mesh.implicit():
        sums, x, round_trips = _measure(energy, sampler, replicas, num_steps, key)
    sums = Sums(*(np.asarray(leaf, np.float64) for leaf in sums))
    betas = 1 / np.asarray(sampler.temperatures, np.float64)
    stones, error = stepping_stones(sums)
    integral, integral_error = integrated(sums, betas, num_steps)
    rejection = 1 - sums.swaps.mean(0) / num_steps
    _warn_of_swaps(rejection)
    return TemperedLogZ(
        log_z=float(base.log_z) + stones,
        standard_error=error,
        thermodynamic_log_z=float(base.log_z) - integral,
        thermodynamic_error=integral_error,
        barrier=float(rejection.sum()),
        rejection=rejection,
        round_trips=np.asarray(round_trips),
        x=x,
        acceptance=sums.acceptance.mean(0) / num_steps,
        schedule=betas,
    )


def _warn_of_swaps(rejection: np.ndarray) -> None:
    """Warn of neighbours that hardly swap."""
    if rejection.max() > _MOST_REJECTED:
        worst = int(np.argmax(rejection))
        text = f"the rungs {worst} and {worst + 1} reject a fraction of {rejection.max():.3f} of "
        text += "their swaps, so that log Z is unreliable: take the ladder of tune_ladder."
        _warnings.warn(text, ConvergenceWarning)


@eqx.filter_jit
@checked
def _measure(
    energy: EnergyFn,
    sampler: ReplicaExchange,
    replicas: Float[Array, "chains rungs *shape"],
    num_steps: int,
    key: Keys,
) -> tuple[Sums, Float[Array, "chains rungs *shape"], jax.Array]:
    """The sums of each chain, its last replicas, and its round trips."""

    def chain(energy, sampler, replicas, key):
        init_key, steps_key = jax.random.split(key)
        state = sampler.init_replicas(energy, replicas, key=init_key)

        def step(i, carry):
            x, state, sums = carry
            step_key = jax.random.fold_in(steps_key, i)
            x, state, _, told = sampler.sweep(energy, x, state, key=step_key)
            return x, state, added(sums, told, sampler.temperatures, i)

        begin = replicas[0], state, nothing(sampler.num_rungs, at_least_single(replicas.dtype))
        x, state, sums = jax.lax.fori_loop(0, num_steps, step, begin)
        sums = sums._replace(down=sums.down.value, up=sums.up.value)
        return sums, jnp.concatenate([x[None], state.upper]), state.round_trips

    check_energy(energy, replicas[:, 0])
    return over_chains(chain, energy, sampler, replicas, key=key)
