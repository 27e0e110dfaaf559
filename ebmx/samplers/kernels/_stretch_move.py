"""The affine-invariant ensemble of walkers."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import _checks
from ..._types import EnergyFn, Key, Number, Numbers, X
from ...energies._batch import as_scalar
from .._base import AbstractSampler, StepInfo, always
from .._fields import at_least_single, cast, number


class Ensemble(NamedTuple):
    """The other walkers of a chain, and the energies of all."""

    others: jax.Array
    """`(walkers - 1, *shape)`."""
    energies: jax.Array
    """`(walkers,)`; that of the chain's position comes first."""


class StretchMove(AbstractSampler[Ensemble]):
    """Walkers that move along the lines through each other; no gradient, no step size.

    A walker `x` with a partner `y` goes to `y + z (x − y)`, where `z` has the density `1/√z` on
    `[1/a, a]`, with acceptance `min(1, z^(d−1) exp(E(x) − E(new)))`. One half of the walkers moves
    at once, with partners in the other half, then the other half. A change of coordinates by a
    matrix changes nothing, so no masses are needed. For few coordinates, say below 20.

    A chain is an ensemble: its position is the first walker, the others are in the state, as the
    hot replicas of `ReplicaExchange` are. A step moves all and costs `num_walkers` energies.
    `sample(...).state` holds the others, which are samples, too.

    A call of `run` or `sample` begins with the others scattered about `x`, which is a burn-in and
    not invariant; to continue exactly, give `sample` the state of earlier samples.

    Goodman and Weare (2010), "Ensemble samplers with affine invariance"; Foreman-Mackey et al.
    (2013), "emcee: the MCMC hammer".

    Args:
        num_walkers: how many, an even number, at least 4 and twice the number of coordinates.
        spread: the standard deviation of the others about `x` when a chain starts: a positive
            number, or an array of the shape of one example.
        stretch: `a > 1`.

    Raises:
        ValueError: if a number is out of its range, or there are too few walkers for the positions.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> from ebmx.samplers import StretchMove
        >>> energy = lambda x: 0.5 * (x[0] / 100) ** 2 + 0.5 * x[1] ** 2
        >>> start, key = jnp.zeros((4, 2)), jax.random.key(0)
        >>> samples = ebmx.sample(
        ...     energy, StretchMove(20), start, num_warmup=300, num_samples=200, key=key
        ... )
        >>> bool(jnp.std(samples.values[..., 0]) > 50)
        True
    """

    num_walkers: int = eqx.field(static=True)
    spread: Numbers = number(default=1.0)
    stretch: Number = number(default=2.0)

    is_invariant = always(True)  # the density of all walkers, which are independent
    is_restartable = always(False)  # where the others are is not known from the position
    is_equivariant = always(False)  # the others do not move with the position
    reports_new_energy = always(True)

    def __check_init__(self):
        _checks.at_least("num_walkers", self.num_walkers, 4)
        fix = "give an even number: one half moves by the other"
        _checks.require(self.num_walkers % 2 == 0, "num_walkers", self.num_walkers, fix)
        _checks.positive("spread", self.spread)
        ok = not _checks.is_concrete(self.stretch) or (
            np.ndim(self.stretch) == 0 and 1 < float(self.stretch) < np.inf
        )
        _checks.require(bool(ok), "stretch", self.stretch, "give a finite number above 1")

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Ensemble:
        """The other walkers, scattered about `x`."""
        shape, fix = jnp.shape(self.spread), f"give a number or an array of shape {x.shape}"
        _checks.require(shape in ((), x.shape), "spread.shape", shape, fix)
        noise = jax.random.normal(key, (self.num_walkers - 1, *x.shape), x.dtype)
        others = x[None] + jnp.broadcast_to(cast(self.spread, x), x.shape)[None] * noise
        return self.init_walkers(energy, jnp.concatenate([x[None], others]))

    def init_walkers(self, energy: EnergyFn, walkers: Float[Array, "walkers *shape"]) -> Ensemble:
        """The state of a chain at `walkers[0]` with the others at the rest of them."""
        fix = f"give num_walkers={self.num_walkers} of them"
        ok = len(walkers) == self.num_walkers
        _checks.require(ok, "walkers.shape", walkers.shape, fix)
        size = max(walkers[0].size, 1)
        fix = f"walkers move along lines through each other: give at least 2 · {size} of them"
        _checks.require(self.num_walkers >= 2 * size, "num_walkers", self.num_walkers, fix)
        return Ensemble(walkers[1:], _energies(energy, walkers))

    def refresh(self, energy: EnergyFn, x: X, state: Ensemble, *, key: Key) -> Ensemble:
        """The others stay where they are."""
        del key
        return self.init_walkers(energy, jnp.concatenate([x[None], state.others]))

    def retemper(
        self, energy: EnergyFn, x: X, state: Ensemble, factor: Number, *, key: Key
    ) -> Ensemble:
        """The energies times the factor."""
        del energy, x, key
        return state._replace(energies=state.energies * cast(factor, state.energies))

    def step(
        self, energy: EnergyFn, x: X, state: Ensemble, *, key: Key
    ) -> tuple[X, Ensemble, StepInfo]:
        """Move one half of the walkers, then the other; the acceptance is that of the first."""
        walkers, half = jnp.concatenate([x[None], state.others]), self.num_walkers // 2
        first_key, second_key = jax.random.split(key)
        one = walkers[:half], state.energies[:half]
        other = walkers[half:], state.energies[half:]
        *one, acceptance = self._move(energy, *one, other[0], first_key)
        *other, _ = self._move(energy, *other, one[0], second_key)
        walkers, energies = (jnp.concatenate(both) for both in zip(one, other, strict=True))
        info = StepInfo(energies[0], None, acceptance[0], ~jnp.isfinite(energies[0]))
        return walkers[0], Ensemble(walkers[1:], energies), info

    def _move(
        self, energy: EnergyFn, x: jax.Array, old: jax.Array, partners: jax.Array, key: Key
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Walkers and energies after a move by these partners, and the acceptances."""
        partner_key, stretch_key, accept_key = jax.random.split(key, 3)
        num, dtype = len(x), at_least_single(old.dtype)
        chosen = partners[jax.random.randint(partner_key, (num,), 0, num)]
        a = jnp.asarray(self.stretch).astype(dtype)
        z = (1 + (a - 1) * jax.random.uniform(stretch_key, (num,), dtype)) ** 2 / a
        factor = z.astype(x.dtype).reshape(num, *(1,) * (x.ndim - 1))
        proposed = chosen + factor * (x - chosen)
        new = _energies(energy, proposed).astype(old.dtype)
        # an energy that is not a number rejects where it is proposed, and accepts where it is
        fall = jnp.where(old < jnp.inf, old - new, jnp.inf).astype(dtype)
        log_ratio = (x[0].size - 1) * jnp.log(z) + fall
        acceptance = jnp.where(jnp.isfinite(new), jnp.exp(jnp.minimum(log_ratio, 0)), 0)
        accepted = jax.random.uniform(accept_key, (num,), dtype) < acceptance
        x = jnp.where(accepted.reshape(factor.shape), proposed, x)
        return x, jnp.where(accepted, new, old), acceptance.astype(old.dtype)


def _energies(energy: EnergyFn, walkers: jax.Array) -> jax.Array:
    return jax.vmap(lambda x: as_scalar(energy(x)))(walkers)
