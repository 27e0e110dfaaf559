"""Gibbs sampling of one site at a time, for any energy."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._types import Count, EnergyFn, Key, Number, Scalar, X
from ...energies._batch import as_scalar
from ...energies._discrete import check_kind
from .._base import StepInfo, always
from .._fields import at_least_single, cast
from ._space import AbstractDiscrete, nearest


class Gibbs(AbstractDiscrete[Scalar]):
    """Draws one site from its exact conditional, for any energy; no gradient and nothing to tune.

    A visit of a site evaluates the energy of each of its other values: one for zeros and ones, the
    number of categories less one for categories. No step is rejected.

    Geman and Geman (1984), "Stochastic relaxation, Gibbs distributions, and the Bayesian
    restoration of images".

    Args:
        categorical: whether examples are one-hot along the last axis, and not zeros and ones.
        sweep: whether a step visits all sites in turn, and not one site at random.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> from ebmx.samplers import Gibbs
        >>> field = lambda x: -2.0 * jnp.sum(x)
        >>> start, key = jnp.zeros((256, 3)), jax.random.key(0)
        >>> x, _ = ebmx.run(field, Gibbs(sweep=True), start, num_steps=1, key=key)
        >>> bool(abs(jnp.mean(x) - jax.nn.sigmoid(2.0)) < 0.1)
        True
    """

    categorical: bool = eqx.field(static=True, default=False)
    sweep: bool = eqx.field(static=True, default=False)

    is_invariant = always(True)  # each draw is of an exact conditional
    reports_acceptance = always(False)
    reports_new_energy = always(True)

    def init(self, energy: EnergyFn, x: X, *, key: Key) -> Scalar:
        """The energy at `x`."""
        del key
        check_kind(energy, self.categorical, "categorical")
        return as_scalar(energy(nearest(x, self.categorical)))

    def retemper(
        self, energy: EnergyFn, x: X, state: Scalar, factor: Number, *, key: Key
    ) -> Scalar:
        """The energy times the factor."""
        del energy, x, key
        return state * cast(factor, state)

    def step(
        self, energy: EnergyFn, x: X, state: Scalar, *, key: Key
    ) -> tuple[X, Scalar, StepInfo]:
        """One site, or all of them."""
        x = nearest(x, self.categorical)
        num = x.size // x.shape[-1] if self.categorical else x.size
        if self.sweep:
            keys = jax.random.split(key, num)

            def visit(carry, values):
                (x, value), (site, site_key) = carry, values
                return self._visit(energy, x, value, site, site_key), None

            (x, value), _ = jax.lax.scan(visit, (x, state), (jnp.arange(num), keys))
        else:
            site_key, draw_key = jax.random.split(key)
            site = jax.random.randint(site_key, (), 0, num)
            x, value = self._visit(energy, x, state, site, draw_key)
        info = StepInfo(value, None, jnp.ones((), value.dtype), ~jnp.isfinite(value))
        return x, value, info

    def _visit(
        self, energy: EnergyFn, x: X, value: Scalar, site: Count, key: Key
    ) -> tuple[X, Scalar]:
        """The position and its energy after a draw of one site."""
        others = self._others(x, site)
        values = jax.vmap(lambda x: as_scalar(energy(x)))(others)
        values = jnp.concatenate([value[None], values.astype(value.dtype)])
        wide = values.astype(at_least_single(values.dtype))
        # no draw where the energy is not a number, unless no value has an energy
        choice = jax.random.categorical(key, jnp.where(jnp.isnan(wide), -jnp.inf, -wide))
        return jnp.concatenate([x[None], others])[choice], values[choice]

    def _others(self, x: X, site: Count) -> jax.Array:
        """The examples that differ from `x` at this site alone, `(values - 1, *shape)`."""
        if not self.categorical:
            flat = x.reshape(-1)
            return flat.at[site].set(1 - flat[site]).reshape(1, *x.shape)
        num = x.shape[-1]
        flat = x.reshape(-1, num)
        later = jnp.arange(1, num)

        def changed(shift):
            return flat.at[site].set(jnp.roll(flat[site], shift)).reshape(x.shape)

        return jax.vmap(changed)(later)
