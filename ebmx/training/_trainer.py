"""The training step: a pure transition of a `TrainState`."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from .. import _checks
from .._arguments import guarded
from .._types import Count, Key, Number, Scalar
from ..energies import advance, freeze, shape_of
from ._examples import Batch, as_examples, like
from ._losses import Loss, contrastive_loss
from ._metrics import Metrics, chain_metrics
from ._negatives import AbstractNegatives


class TrainState(eqx.Module):
    """All that a training step changes."""

    # Updated by the optimiser.
    energy: Any
    opt_state: optax.OptState
    # Updated by `advance`, on data.
    norm_state: eqx.nn.State | None
    # Updated by the negatives.
    negatives_state: Any
    # Follows the energy.
    ema: Any
    # Counts.
    step: Count
    skipped: Count


@guarded
class Trainer(eqx.Module):
    """How to train: an optimiser, a source of negatives and a loss.

    **Arguments:**

    - `optim`: an optax optimiser.
    - `negatives`: where the second batch comes from, such as `PCD(...)`.
    - `loss`: a function of `(energy, positives, negatives)` that returns a loss and metrics. To set
        its weights, `eqx.Partial(contrastive_loss, alpha=jnp.asarray(0.05))`.
    - `ema_decay`: the exponential moving average of the parameters keeps this share of itself in an
        update; less in the first ones, `(1 + step) / (10 + step)`. In [0, 1].
    - `data_noise`: the standard deviation of Gaussian noise on the data, in units of the data.

    **Raises:**

    `ValueError` if a number is out of its range.
    """

    optim: optax.GradientTransformation = eqx.field(static=True)
    negatives: AbstractNegatives
    loss: Loss = contrastive_loss
    ema_decay: Number = eqx.field(converter=jnp.asarray, default=0.999)
    data_noise: Number = eqx.field(converter=jnp.asarray, default=0.0)

    def __check_init__(self):
        fix = "give negatives, such as ebmx.training.PCD(sampler)"
        ok = isinstance(self.negatives, AbstractNegatives)
        _checks.require(ok, "negatives", self.negatives, fix)
        _checks.probability("ema_decay", self.ema_decay)
        _checks.non_negative("data_noise", self.data_noise)

    def init(
        self,
        energy: Any,
        norm_state: eqx.nn.State | None = None,
        *,
        shape: tuple[int, ...] | None = None,
        key: Key,
    ) -> TrainState:
        """The state before the first step.

        **Arguments:**

        - `energy`: the energy to train, a pytree; its floating-point arrays are the parameters.
        - `norm_state`: the state of a stateful energy.
        - `shape`: the shape of one example, for an energy that does not say.
        - `key`: a key, for the chains.

        **Raises:**

        `ValueError` if the shape is not known, or the energy has no parameters.
        """
        shape = shape_of(energy) if shape is None else _checks.dimensions("shape", shape)
        if shape is None:
            _checks.invalid(
                "shape", None, "give the shape of one example, such as shape=(28, 28, 1)"
            )
        parameters = eqx.filter(energy, eqx.is_inexact_array)
        fix = "an energy to train is an equinox module that holds floating-point arrays"
        _checks.require(bool(jax.tree.leaves(parameters)), "energy", type(energy).__name__, fix)
        freeze(energy, norm_state)
        return TrainState(
            energy=energy,
            opt_state=self.optim.init(parameters),
            norm_state=norm_state,
            negatives_state=self.negatives.init(shape, key=key),
            ema=energy,
            step=jnp.zeros((), jnp.int32),
            skipped=jnp.zeros((), jnp.int32),
        )

    def step(self, state: TrainState, batch: Batch, *, key: Key) -> tuple[TrainState, Metrics]:
        """One update.

        A loss, a gradient or new parameters that are not finite change neither parameters nor
        averages, and are counted.

        **Arguments:**

        - `state`: the state before it.
        - `batch`: data, `(batch, *shape)`, or a pair of it and labels or conditions `(batch, ...)`.
        - `key`: the key of the whole training; the step is folded into it.

        **Returns:**

        The state after it, and scalars: `loss` and what the loss reports, `grad_norm` of the
        parameters, `chain_grad_norm` of the chains, `acceptance`, `restarts`, `dead_chains`,
        `skipped` (so far), and the shares of `distinct` negatives and of `saturated` values; those
        of chains only if there are chains.
        """
        positives = as_examples(batch, "batch", shape_of(state.energy))
        x = positives.x
        data_key, negatives_key = jax.random.split(jax.random.fold_in(key, state.step))
        x = x + self.data_noise * jax.random.normal(data_key, x.shape, x.dtype)
        batch = like(positives, x)

        norm_state = advance(state.energy, state.norm_state, x)
        negatives, negatives_state, info = self.negatives.step(
            freeze(state.energy, norm_state), batch, state.negatives_state, key=negatives_key
        )
        (loss, metrics), gradient = self._gradient(state.energy, norm_state, batch, negatives)
        grad_norm = optax.tree.norm(gradient)
        new = self._update(state, gradient, norm_state)
        ok = jnp.isfinite(loss) & jnp.isfinite(grad_norm) & _all_finite(new)
        kept = (state.energy, state.opt_state, state.norm_state, state.ema)
        energy, opt_state, norm_state, ema = _where(ok, new, kept)
        skipped = state.skipped + ~ok
        metrics = metrics | {"loss": loss, "grad_norm": grad_norm, "skipped": skipped}
        new_state = TrainState(
            energy, opt_state, norm_state, negatives_state, ema, state.step + 1, skipped
        )
        if info is not None:
            metrics = metrics | chain_metrics(as_examples(negatives).x, info)
        return new_state, metrics

    def _gradient(self, energy: Any, norm_state: Any, positives: Batch, negatives: Batch) -> Any:
        @eqx.filter_value_and_grad(has_aux=True)
        def loss(energy):
            return self.loss(freeze(energy, norm_state), positives, negatives)

        return loss(energy)

    def _update(self, state: TrainState, gradient: Any, norm_state: Any) -> tuple:
        parameters = eqx.filter(state.energy, eqx.is_inexact_array)
        updates, opt_state = self.optim.update(gradient, state.opt_state, parameters)
        energy = eqx.apply_updates(state.energy, updates)
        decay = jnp.minimum(self.ema_decay, (1 + state.step) / (10 + state.step))
        return energy, opt_state, norm_state, _average(state.ema, energy, decay)


def _average(ema: Any, energy: Any, decay: Scalar) -> Any:
    old, static = eqx.partition(ema, eqx.is_inexact_array)
    new = eqx.filter(energy, eqx.is_inexact_array)
    mean = jax.tree.map(lambda o, n: (decay * o + (1 - decay) * n).astype(o.dtype), old, new)
    return eqx.combine(mean, static)


def _all_finite(new: tuple) -> jax.Array:
    """Whether parameters and norm state are; what an optimiser keeps may be infinite."""
    energy, _, norm_state, _ = new
    arrays = jax.tree.leaves(eqx.filter((energy, norm_state), eqx.is_inexact_array))
    return jnp.stack([jnp.all(jnp.isfinite(array)) for array in arrays]).all()


def _where(condition: jax.Array, new: Any, old: Any) -> Any:
    def choose(n, o):
        return jnp.where(condition, n, o) if eqx.is_array(n) else n

    return jax.tree.map(choose, new, old)
