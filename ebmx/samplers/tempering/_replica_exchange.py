"""Replica exchange over a ladder of temperatures."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import _checks
from ..._types import EnergyFn, Key, Number, Numbers, X
from ...energies import AbstractExactEnergy
from .._base import AbstractSampler, AbstractWrapper, StepInfo, always, as_carried
from .._fields import at_least_single, number
from ..kernels._search import with_numbers
from ._check_ladder import check_ladder
from ._ladder import Ladder, Sweep, follow, new_ladder, permutation, swap_acceptance
from ._moves import move_all, move_and_draw
from ._path import tempered


class ReplicaExchange(AbstractWrapper[Ladder]):
    """Replicas of a chain at rising temperatures, which swap places with their neighbours.

    A step moves each replica by a step of `sampler` on `E / T`, then proposes swaps of the pairs
    (0, 1), (2, 3), … in even steps and (1, 2), (3, 4), … in odd ones, with the acceptance
    `min(1, exp((1/Tᵢ − 1/Tⱼ)(Eᵢ − Eⱼ)))`. It costs as many steps of the sampler as there are rungs.

    With a `base`, rung `i` has the energy `E / Tᵢ + (1 − 1/Tᵢ) E₀`, from `E` at `T = 1` to the
    `E₀` of the base at `T = ∞`, where each step draws the replica from the base; swaps compare
    `E − E₀`. `E` alone may be no density at high temperatures,
    and `ebmx.evaluation.log_z_by_tempering` finds `log Z`. `tune_ladder` finds the
    temperatures and step sizes.

    A sampler that does not report the energy of its new position costs one more energy for each
    rung; one that caches more than energy and gradient makes a new state after each swap.
    `sample(...).state` holds `swap_rates` and `round_trips`.

    If the sampler has an `effective_temperature` of its own, rung `i` is at its product with
    `temperatures[i]`.

    A call of `run` or `sample` begins with all replicas at `x`, which is a burn-in and not
    invariant. To continue exactly, give `sample` the state of earlier samples; `run_replicas`
    starts from given replicas, and `TemperedPCD` trains with them.

    Swendsen and Wang (1986), "Replica Monte Carlo simulation of spin glasses"; Okabe et al. (2001)
    and Syed et al. (2022), "Non-reversible parallel tempering: a scalable highly parallel MCMC
    scheme", for the two parities in turn and for the base.

    Args:
        sampler: moves a replica. On the energy of rung `i` its step size is multiplied by
            `temperatures[i]` if `scale_step` is set and it has one.
        temperatures: `(rungs,)`, rising; the first one is that of the samples, 1 as a rule. With a
            base from 1 to infinity.
        scale_step: whether hot replicas take longer steps. For a step size in squared units of `x`,
            as `MALA` has it; not with a `noise_scale`, which would put all rungs at one
            temperature.
        base: an energy with exact samples and `log_z` that has a high density wherever the energy
            has: `Gaussian`, `fit_gaussian(x)`, `Uniform`; `Bernoulli` or `Categorical` for the
            samplers of discrete examples.
        step_sizes: `(rungs,)`, the step size of each rung, in place of that of the sampler. With a
            base the last one is not used.

    Raises:
        ValueError: if there are fewer than two temperatures, or they do not rise, or if the
            temperature of the sampler is 0 or changes from step to step; with a base also if the
            temperatures are not from 1 to infinity, the sampler has bounds or a temperature other
            than 1, or one of sampler and base alone is of discrete examples; or if the step sizes
            do not fit.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> from ebmx.samplers import MALA, ReplicaExchange
        >>> ladder = ReplicaExchange(MALA(0.1), temperatures=[1.0, 3.0, 9.0])
        >>> wells = lambda x: 8 * (x[0] ** 2 - 1) ** 2
        >>> start, key = jnp.ones((64, 1)), jax.random.key(0)  # all chains in one well
        >>> samples = ebmx.sample(wells, ladder, start, num_warmup=500, num_samples=10, key=key)
        >>> bool(abs(jnp.mean(samples.values > 0) - 0.5) < 0.2)
        True
    """

    sampler: AbstractSampler
    temperatures: Numbers = number()
    scale_step: bool = eqx.field(static=True, default=False)
    base: AbstractExactEnergy | None = None
    step_sizes: Numbers | None = number(default=None)

    # where the other replicas are is not known from the chain's position
    is_restartable = always(False)
    reports_new_energy = always(True)  # swaps need it

    def __check_init__(self):
        check_ladder(self)

    @property
    def is_equivariant(self) -> bool:
        """Whether the sampler is, without a base, whose samples do not start from a position."""
        return self.base is None and self.sampler.is_equivariant

    @property
    def max_drift(self) -> Number:
        """Infinite: a swap may bring a replica from anywhere."""
        return jnp.asarray(jnp.inf)

    @property
    def effective_temperature(self) -> Number:
        """That of the lowest rung."""
        return self.effective_temperatures()[0]

    def effective_temperatures(self) -> Any:
        """The temperatures of the rungs, `(rungs,)`."""
        if self.base is not None:  # the sampler is at temperature 1
            known = _checks.is_concrete(self.temperatures)
            return np.asarray(self.temperatures) if known else self.temperatures
        sizes = [None] * self.num_rungs if self.step_sizes is None else self.step_sizes
        rungs = zip(self.temperatures, sizes, strict=True)
        own = [self.at(rung).effective_temperature for rung in rungs]
        if all(map(_checks.is_concrete, (self.temperatures, *own))):
            # NumPy's, which jax_debug_nans lets pass
            return np.asarray(self.temperatures) * np.asarray([np.asarray(t) for t in own])
        return self.temperatures * jnp.stack([jnp.asarray(t, self.temperatures.dtype) for t in own])

    @property
    def num_rungs(self) -> int:
        """How many rungs there are."""
        return self.temperatures.shape[0]

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Ladder:
        """All replicas at `x`."""
        upper = jnp.broadcast_to(x, (self.num_rungs - 1, *x.shape))
        # the rungs share one position, so that XLA computes one energy and one gradient of it
        return self._ladder(energy, x, None, upper, key)

    def init_replicas(
        self, energy: EnergyFn, replicas: Float[Array, "rungs *shape"], *, key: Key
    ) -> Ladder:
        """A ladder with these replicas on its rungs, the lowest temperature first."""
        fix = f"give one replica for each of the {self.num_rungs} temperatures"
        _checks.require(len(replicas) == self.num_rungs, "replicas.shape", replicas.shape, fix)
        return self._ladder(energy, replicas, 0, replicas[1:], key)

    def _ladder(
        self, energy: EnergyFn, x: jax.Array, axis: int | None, upper: jax.Array, key: Key
    ) -> Ladder:
        """A ladder that starts at `x`, which has this axis of rungs, or none."""

        def init(rung, x, k):
            return self.at(rung).init(tempered(energy, self.base, rung[0]), x, key=k)

        keys = jax.random.split(key, self.num_rungs)
        states = jax.vmap(init, in_axes=(0, axis, 0))(self.rungs(), x, keys)
        return new_ladder(upper, states, self.temperatures.dtype)

    def refresh(self, energy: EnergyFn, x: X, state: Ladder, *, key: Key) -> Ladder:
        """The upper replicas stay where they are; the lowest one is at `x`."""
        replicas = jnp.concatenate([x[None], state.upper])
        keys = jax.random.split(key, len(replicas))

        def refresh(rung, x, inner, k):
            return self.at(rung).refresh(tempered(energy, self.base, rung[0]), x, inner, key=k)

        states = jax.vmap(refresh)(self.rungs(), replicas, state.states, keys)
        return state._replace(states=states)

    def step(
        self, energy: EnergyFn, x: X, state: Ladder, *, key: Key
    ) -> tuple[X, Ladder, StepInfo]:
        """Move all replicas, then swap neighbours of one parity."""
        return self.sweep(energy, x, state, key=key)[:3]

    def sweep(
        self, energy: EnergyFn, x: X, state: Ladder, *, key: Key
    ) -> tuple[X, Ladder, StepInfo, Sweep]:
        """A step, and what each rung reports of it."""
        move_key, swap_key, state_key = jax.random.split(key, 3)
        replicas, inner = jnp.concatenate([x[None], state.upper]), state.states
        move = move_all if self.base is None else move_and_draw
        moved = move(self, energy, replicas, inner, move_key)
        effective = self.effective_temperatures()
        tried, acceptance = swap_acceptance(moved.energies, effective, state.step % 2)
        dtype = at_least_single(acceptance.dtype)
        uniform = jax.random.uniform(swap_key, (self.num_rungs - 1,), dtype)
        source = permutation(tried & (uniform < acceptance.astype(dtype)))
        replicas = moved.replicas[source]
        leg, trips = follow(state.leg[source])
        ladder = Ladder(
            upper=replicas[1:],
            states=self._take(energy, replicas, moved.states, source, state_key),
            step=state.step + 1,
            accepted=state.accepted + jnp.where(tried, acceptance, 0).astype(state.accepted.dtype),
            attempted=state.attempted + tried.astype(state.attempted.dtype),
            leg=leg,
            round_trips=state.round_trips + trips,
        )
        # of the replica that is the lowest now; the acceptance is of rung 0, and with a base the
        # gradient is, too: on other rungs it is not that of the energy alone
        lowest, norm = source[0], moved.grad_norm
        if norm is not None:
            norm = norm[lowest if self.base is None else 0]
        divergent = jnp.any(moved.divergent)
        info = StepInfo(moved.values[lowest], norm, moved.acceptance[0], divergent)
        return replicas[0], ladder, info, Sweep(moved.acceptance, moved.energies, acceptance)

    def _take(
        self, energy: EnergyFn, replicas: jax.Array, states: Any, source: jax.Array, key: Key
    ) -> Any:
        """The states of the replicas that each rung has now, at its temperature."""
        moved, (temperatures, _) = jax.tree.map(lambda leaf: leaf[source], states), self.rungs()
        factors = temperatures[source] / temperatures

        def retemper(rung, x, inner, factor, k):
            of_rung, sampler = tempered(energy, self.base, rung[0]), self.at(rung)
            if self.base is None:
                new = sampler.retemper(of_rung, x, inner, factor, key=k)
            else:
                new = sampler.retemper_path(of_rung, x, inner, factor, self.base, key=k)
            return as_carried(new, inner)

        keys = jax.random.split(key, len(replicas))
        return jax.vmap(retemper)(self.rungs(), replicas, moved, factors, keys)

    def rungs(self) -> tuple[jax.Array, jax.Array | None]:
        """Temperature and step size of what moves the replica of each rung.

        With a base nothing moves the last one, which is made ready for the rung below.
        """
        values = self.temperatures, self.step_sizes
        if self.base is None:
            return values
        return jax.tree.map(lambda leaf: jnp.concatenate([leaf[:-1], leaf[-2:-1]]), values)

    def at(self, rung: tuple[jax.Array, jax.Array | None]) -> AbstractSampler:
        """The sampler of a rung of this temperature and step size."""
        temperature, size = rung
        if size is not None:
            return with_numbers(self.sampler, step_size=size)
        if not self.scale_step:
            return self.sampler
        step_size: Any = lambda s: s.step_size  # noqa: E731
        old = jnp.asarray(step_size(self.sampler))
        return eqx.tree_at(step_size, self.sampler, old * temperature.astype(old.dtype))
