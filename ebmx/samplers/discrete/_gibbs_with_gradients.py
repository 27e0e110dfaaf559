"""Gibbs with gradients."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._types import Key, Scalar, X
from ._informed import AbstractInformed
from ._space import rises


class GibbsWithGradients(AbstractInformed):
    """Changes one site at a time, which the gradient chooses; exact by a Metropolis test.

    A change is proposed with a probability proportional to `exp(d / 2)`, where `d` is the rise of
    the log density to first order. One gradient a step, whatever the number of sites. No change is
    one more choice, with `d = 0`: where nearly all changes are accepted, as of a flat energy, a
    chain that changes a site in each step would visit one half of all examples in even steps and
    the other half in odd ones.

    Grathwohl et al. (2021), "Oops I took a gradient: scalable sampling for discrete distributions".

    Args:
        categorical: whether examples are one-hot along the last axis, and not zeros and ones.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> from ebmx.energies import Ising
        >>> from ebmx.samplers import GibbsWithGradients
        >>> energy, start, key = Ising((4, 4), 0.2), jnp.zeros((8, 4, 4)), jax.random.key(0)
        >>> x, _ = ebmx.run(energy, GibbsWithGradients(), start, num_steps=50, key=key)
        >>> bool(jnp.all((x == 0) | (x == 1)))
        True
    """

    categorical: bool = eqx.field(static=True, default=False)

    def propose(self, x: X, gradient: X, *, key: Key) -> X:
        """One site changed, or none."""
        index = jax.random.categorical(key, self._log_choices(x, gradient))
        if not self.categorical:
            flat = x.reshape(-1)
            return flat.at[index].set(1 - flat[index], mode="drop").reshape(x.shape)
        num = x.shape[-1]
        site, category = index // num, index % num
        new = jax.nn.one_hot(category, num, dtype=x.dtype)
        return x.reshape(-1, num).at[site].set(new, mode="drop").reshape(x.shape)

    def log_proposal(self, x: X, gradient: X, y: X) -> Scalar:
        """That of the change from `x` to `y`."""
        changed = ((y > x) if self.categorical else (y != x)).reshape(-1)
        chosen = jnp.append(changed, ~jnp.any(changed))
        return jnp.sum(jnp.where(chosen, self._log_choices(x, gradient), 0))

    def _log_choices(self, x: X, gradient: X) -> jax.Array:
        """The log probabilities of all changes of one site, flattened, and of none at the end."""
        logits = rises(x, gradient, self.categorical) / 2
        if self.categorical:
            logits = jnp.where(x > 0.5, -jnp.inf, logits)
        return jax.nn.log_softmax(jnp.append(logits.reshape(-1), jnp.zeros((), logits.dtype)))
