"""Log Z from the replicas of a ladder with an exact base."""

import dataclasses
from typing import Any, NamedTuple

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


class LogSum(NamedTuple):
    """The log of a sum of positive numbers, which neither overflows nor stops growing."""

    top: jax.Array
    rest: jax.Array

    @property
    def value(self) -> jax.Array:
        """The logarithm of the sum, -inf if it is 0."""
        return jnp.where(self.rest > 0, self.top + jnp.log(jnp.maximum(self.rest, 1e-30)), -jnp.inf)

    def add(self, log: jax.Array) -> "LogSum":
        """The sum with one more number."""
        top = jnp.maximum(self.top, log)
        return LogSum(top, self.rest * jnp.exp(self.top - top) + jnp.exp(log - top))


class Sums(NamedTuple):
    """What one chain has seen on each rung, or of each pair."""

    mean: jax.Array
    """Of `E − E₀` where it is finite, `(rungs,)`."""
    square: jax.Array
    """The sum of squared deviations from the mean, `(rungs,)`."""
    infinite: jax.Array
    """How often it was not finite, `(rungs,)`."""
    down: Any
    """The sum of `√(p_cold / p_hot)`, unnormalised, over the hot one of each pair: a `LogSum`, and
    at the end its logarithm, `(rungs - 1,)`."""
    up: Any
    """The sum of `√(p_hot / p_cold)` over the cold one, `(rungs - 1,)`."""
    swaps: jax.Array
    acceptance: jax.Array


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
    _checks.require(base is not None, "sampler.base", base, fix)
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
    assert base is not None
    sums = Sums(*(np.asarray(leaf, np.float64) for leaf in sums))
    betas = 1 / np.asarray(sampler.temperatures, np.float64)
    stones, error = _stepping_stones(sums)
    integral, integral_error = _integrated(sums, betas, num_steps)
    rejection = 1 - sums.swaps.mean(0) / num_steps
    if rejection.max() > _MOST_REJECTED:
        worst = int(np.argmax(rejection))
        text = f"the rungs {worst} and {worst + 1} reject a fraction of {rejection.max():.3f} of "
        text += "their swaps, so that log Z is unreliable: take the ladder of tune_ladder."
        _warnings.warn(text, ConvergenceWarning)
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
            return x, state, _added(sums, told, sampler.temperatures, i)

        begin = replicas[0], state, _nothing(sampler.num_rungs, at_least_single(replicas.dtype))
        x, state, sums = jax.lax.fori_loop(0, num_steps, step, begin)
        sums = sums._replace(down=sums.down.value, up=sums.up.value)
        return sums, jnp.concatenate([x[None], state.upper]), state.round_trips

    check_energy(energy, replicas[:, 0])
    return over_chains(chain, energy, sampler, replicas, key=key)


def _nothing(rungs: int, dtype: Any) -> Sums:
    zero = jnp.zeros(rungs, dtype)
    nothing = LogSum(jnp.full(rungs - 1, -1e30, dtype), zero[1:])
    return Sums(zero, zero, jnp.zeros(rungs, jnp.int32), nothing, nothing, zero[1:], zero)


def _added(sums: Sums, told: Any, temperatures: jax.Array, i: jax.Array) -> Sums:
    """The sums with one more step, after `i` earlier ones."""
    dtype = sums.mean.dtype
    energies, beta = told.energies.astype(dtype), (1 / temperatures).astype(dtype)
    finite = jnp.isfinite(energies)
    infinite = sums.infinite + (~finite).astype(jnp.int32)
    count = jnp.maximum(i + 1 - infinite, 1).astype(dtype)
    change = jnp.where(finite, energies, sums.mean) - sums.mean
    mean = sums.mean + change / count
    half = (beta[:-1] - beta[1:]) / 2
    # where one of two neighbours has no density, the bridge has none
    large = jnp.where(jnp.isnan(energies), jnp.inf, energies)
    known = jnp.where(jnp.isnan(energies), -jnp.inf, energies)
    return Sums(
        mean=mean,
        square=sums.square + change * (jnp.where(finite, energies, mean) - mean),
        infinite=infinite,
        down=sums.down.add(-half * large[1:]),
        up=sums.up.add(half * known[:-1]),
        swaps=sums.swaps + told.swaps.astype(dtype),
        acceptance=sums.acceptance + told.acceptance.astype(dtype),
    )


def _stepping_stones(sums: Sums) -> tuple[float, float]:
    """`log Z − log Z₀` of all chains, and its standard error by the jackknife over chains."""
    num = len(sums.down)

    def log_means(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each pair the mean of all chains, `(rungs - 1,)`, and of all but one."""
        top = np.max(logs, 0, initial=-np.inf)
        weights = np.exp(logs - np.where(np.isfinite(top), top, 0))
        with np.errstate(divide="ignore"):
            rest = np.log((weights.sum(0) - weights) / (num - 1))
            return top + np.log(weights.mean(0)), top + rest

    (down, down_rest), (up, up_rest) = log_means(sums.down), log_means(sums.up)
    with np.errstate(invalid="ignore"):
        each = (down_rest - up_rest).sum(1)
        error = np.sqrt((num - 1) / num * np.sum((each - each.mean()) ** 2))
        return float((down - up).sum()), float(error)


def _integrated(sums: Sums, betas: np.ndarray, num_steps: int) -> tuple[float, float]:
    """`∫ ⟨E − E₀⟩ dβ` from 0 to 1, and its standard error over chains."""
    infinite, num = sums.infinite.sum(0), len(sums.mean)
    if infinite.any():  # the mean over that rung is infinite, and so is the error of the rule
        return float(np.inf), float(np.inf)
    centre = sums.mean.mean(0)
    variance = sums.square / num_steps + (sums.mean - centre) ** 2
    # over `t = log(b + β)` with the least positive `β` as `b`: means change fast where β is small
    scale = betas + betas[betas > 0].min()
    steps = np.log(scale[:-1]) - np.log(scale[1:])
    values = scale * sums.mean
    # the slope of a mean over β is minus the variance
    slopes = scale * (sums.mean - scale * variance)
    trapezia = steps / 2 * (values[:, :-1] + values[:, 1:])
    # the first term of Euler and Maclaurin
    corrections = steps**2 / 12 * (slopes[:, 1:] - slopes[:, :-1])
    each = (trapezia + corrections).sum(1)
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(num))
