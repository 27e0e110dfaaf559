"""The training step: a pure transition of a `TrainState`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from .. import _checks
from .._arguments import check_arguments
from .._types import Flag, Key, Number, Scalar
from ..energies import advance, freeze
from ..energies._batch import shape_of
from ..energies._constants import as_number
from ..energies._trainable import parameters_of
from ._batch import Batch, Examples, as_examples, augmented
from ._check_binary import check_binary, check_space
from ._check_pair import check_pair
from ._metrics import Metrics, chain_metrics
from ._objective import Objective, ObjectiveBatches, check_examples, joined
from ._optimisers import Optimiser, as_transformation, promoting, start, update
from ._outliers import Recent, SkipOutliers
from ._state import TrainState, all_finite, where
from .losses._contrastive import Loss, contrastive_loss
from .negatives._base import AbstractNegatives

_LARGEST = 2**31 - 1


class Trainer(eqx.Module):
    """How to train: an optimiser, a source of negatives and a loss.

    Args:
        optim: an optax optimiser, also `optax.MultiSteps`. Optimisers that take the loss, such as
            `reduce_on_plateau`, `polyak_sgd` or `lbfgs`, get it, with the same batch and negatives.
        negatives: where the second batch comes from, such as `PCD(...)`.
        loss: a function of `(energy, positives, negatives)`, the batches as `Examples`, that
            returns a loss and metrics. To set its weights, `eqx.Partial(contrastive_loss,
            alpha=jnp.asarray(0.05))`.
        ema_decay: the decay of the exponential moving average of the parameters, in [0, 1]; at most
            `(1 + step) / (10 + step)` in the first updates.
        data_noise: the standard deviation of Gaussian noise on the data, in units of the data.
        trainable: which parameters are trained, a filter tree of the energy as Equinox takes it, or
            a prefix of one; `ebmx.energies.trainable(energy)` if not given. `True` trains all
            parameters. Arrays that are marked as constant are not parameters.
        objectives: further sources of negatives, each with its loss, which is added. Each may
            begin and end at an update of its own: a training in phases. Then `negatives` may be
            `None`, and all objectives are among these.
        skip: which updates are skipped besides those that are not finite.
        augment: a function `(x, *, key) -> x` of one example that changes each example of a batch
            by chance, before noise is added, such as `ebmx.data.RandomImage()`. The energy learns
            the density of the changed data.

    Raises:
        ValueError: if a number is out of its range, if the loss is made for other negatives, if a
            setting of the two differs, such as `sigma`, or if there is no objective at all.

    Examples:
        >>> import ebmx, jax, optax
        >>> from ebmx.training import DataOnly, Trainer, score_matching_loss
        >>> key, model = jax.random.key(0), ebmx.energies.MLP((2,), (8,), key=jax.random.key(0))
        >>> trainer = Trainer(optax.adam(1e-3), DataOnly(), score_matching_loss)
        >>> state, x = trainer.init(model, key=key), jax.random.normal(key, (64, 2))
        >>> int(trainer.step(state, x, key=key)[0].step)
        1
    """

    optim: Optimiser = eqx.field(static=True, converter=as_transformation)
    negatives: AbstractNegatives | None = None
    loss: Loss = contrastive_loss
    ema_decay: Number = eqx.field(converter=as_number, default=0.999)
    data_noise: Number = eqx.field(converter=as_number, default=0.0)
    trainable: Any = None
    objectives: tuple[Objective, ...] = eqx.field(converter=tuple, default=())
    skip: SkipOutliers | None = None
    augment: Callable | None = None
    active: tuple[bool, ...] | None = eqx.field(static=True, default=None, init=False, repr=False)

    def __check_init__(self):
        _checks.probability("ema_decay", self.ema_decay)
        _checks.non_negative("data_noise", self.data_noise)
        if self.negatives is not None:
            check_pair(self.negatives, self.loss)
        fix = "give negatives, or objectives that follow each other"
        ok = self.negatives is not None or bool(self.objectives)
        _checks.require(ok, "negatives", self.negatives, fix)

    def init(
        self,
        energy: Any,
        norm_state: eqx.nn.State | None = None,
        *,
        shape: tuple[int, ...] | None = None,
        key: Key,
    ) -> TrainState:
        """The state before the first step.

        Args:
            energy: the energy to train, a pytree; its floating-point arrays are the parameters,
                except those that are marked as constant.
            norm_state: the state of a stateful energy.
            shape: the shape of one example, for an energy that does not say.
            key: a key, for the chains.

        Raises:
            ValueError: if the shape is not known, the energy has no parameters or is of discrete
                examples, which noise or negatives do not fit, or `trainable` does not fit it.
        """
        shape = shape_of(energy) if shape is None else _checks.dimensions("shape", shape)
        if shape is None:
            _checks.invalid("shape", None, "give that of one example, such as shape=(28, 28, 1)")
        check_space(self, energy)
        # after a step they are JAX's, of its precision
        arrays, rest = eqx.partition(energy, eqx.is_array)
        energy = eqx.combine(jax.tree.map(jnp.asarray, arrays), rest)
        parameters, _ = self._split(energy)
        fix = "an energy to train is an equinox module that holds floating-point arrays, of which "
        fix += "at least one is not constant and is selected by `trainable`"
        _checks.require(bool(jax.tree.leaves(parameters)), "energy", type(energy).__name__, fix)
        freeze(energy, norm_state)
        return TrainState(
            energy=energy,
            opt_state=start(self.optim, parameters),
            norm_state=norm_state,
            negatives_state=None if self.negatives is None else self.negatives.init(shape, key=key),
            ema=energy,
            step=jnp.zeros((), jnp.int32),
            skipped=jnp.zeros((), jnp.int32),
            objective_states=tuple(
                # `split` makes the keys of low numbers, of which the negatives have taken some
                objective.negatives.init(shape, key=jax.random.fold_in(key, _LARGEST - number))
                for number, objective in enumerate(self.objectives)
            ),
            skip_state=None if self.skip is None else self.skip.init(),
        )

    @property
    def boundaries(self) -> tuple[int, ...]:
        """The numbers of updates at which an objective begins or ends, ascending."""
        ends = {end for one in self.objectives for end in (one.start, one.stop) if end}
        return tuple(sorted(ends))

    def at_step(self, step: int) -> "Trainer":
        """The same trainer for an update of this number and those up to the next boundary.

        Each phase is a program of its own: `fit` takes this trainer for each.

        Args:
            step: the number of the update, counted from 0.

        Returns:
            A trainer whose `step` computes the objectives that are active then.

        Raises:
            ValueError: if no objective is active at this update.
        """
        if not self.boundaries:
            return self
        active = tuple(objective.is_active(step) for objective in self.objectives)
        fix = f"no objective is active at update {step}: let one begin there, or give negatives"
        ok = self.negatives is not None or any(active)
        _checks.require(ok, "objectives", f"{len(active)} of them", fix)
        return with_field(self, "active", active)

    @check_arguments
    def step(self, state: TrainState, batch: Batch, *, key: Key) -> tuple[TrainState, Metrics]:
        """One update.

        If the loss, the gradient or the new parameters are not finite, or `skip` finds an outlier,
        parameters and averages stay as they are, and the update is counted as skipped.

        Args:
            state: the state before it.
            batch: data, `(batch, *shape)`, or a pair of it and labels or conditions `(batch, ...)`.
            key: the key of the whole training; the step is folded into it.

        Returns:
            The state after it, and scalars: `loss` and what the loss reports, `grad_norm` of the
            parameters, `skipped` (so far), and with `skip` `outliers` of these; `update_scale` once
            a `Watchdog` has gone back; and if there are chains, their `chain_grad_norm`,
            `acceptance`, `restarts`, `dead_chains`, and the fractions of `distinct` negatives and
            of `saturated` values.
        """
        positives = as_examples(batch, "batch", shape_of(state.energy))
        check_binary(state.energy, positives.x, "batch")
        step_key = jax.random.fold_in(key, state.step)
        data_key, negatives_key = jax.random.split(step_key)
        x = augmented(self.augment, positives.x, jax.random.fold_in(data_key, 0))
        scale = jnp.asarray(self.data_noise, x.dtype)
        x = x + scale * jax.random.normal(data_key, x.shape, x.dtype)
        positives = positives.with_x(x)

        norm_state = advance(state.energy, state.norm_state, x)
        frozen = freeze(state.energy, norm_state)
        negatives, negatives_state, of_chains = None, state.negatives_state, {}
        if self.negatives is not None:
            negatives, negatives_state, info = self.negatives.step(
                frozen, positives, negatives_state, key=negatives_key
            )
            check_examples(negatives)
            of_chains = {} if info is None else chain_metrics(negatives.x, info)
        further, objective_states = self._draw_further(frozen, positives, state, step_key)
        parameters, rest = self._split(state.energy)

        def loss_of(parameters):
            energy = freeze(eqx.combine(parameters, rest), norm_state)
            loss, metrics = jnp.zeros(()), {}
            if negatives is not None:
                loss, metrics = self.loss(energy, positives, negatives)
                metrics = metrics | of_chains
            for objective, drawn in further:
                value, more = objective.value(energy, drawn)
                loss, metrics = loss + value.astype(loss.dtype), joined(metrics, more)
            return loss, metrics

        (loss, metrics), gradient = jax.value_and_grad(loss_of, has_aux=True)(parameters)
        with promoting():
            grad_norm = optax.tree.norm(gradient)
        energy, ema, opt_state = self._update(state, gradient, loss, lambda p: loss_of(p)[0])
        new = energy, opt_state, norm_state, ema
        # constants and the state of an optimiser may be infinite
        changed = self._split(energy)[0], norm_state
        ok = jnp.isfinite(loss) & jnp.isfinite(grad_norm) & all_finite(changed)
        more, skip_state = {}, state.skip_state
        if self.skip is not None:
            outlier, skip_state = self._skip(state, loss, grad_norm)
            ok, more = ok & ~outlier, {"outliers": skip_state.outliers}
        if state.update_scale is not None:
            more = more | {"update_scale": state.update_scale}
        kept = (state.energy, state.opt_state, state.norm_state, state.ema)
        energy, opt_state, norm_state, ema = where(ok, new, kept)
        skipped = state.skipped + (~ok).astype(jnp.int32)
        metrics = metrics | {"loss": loss, "grad_norm": grad_norm, "skipped": skipped} | more
        new_state = TrainState(
            energy, opt_state, norm_state, negatives_state, ema, state.step + 1, skipped,
            objective_states, skip_state, state.update_scale,
        )  # fmt: skip
        return new_state, metrics

    def _skip(self, state: TrainState, loss: Scalar, grad_norm: Scalar) -> tuple[Flag, Recent]:
        """Whether this update is an outlier; another loss begins at each boundary."""
        assert self.skip is not None
        fix = "begin with the state of `init` of a trainer with `skip`"
        _checks.require(state.skip_state is not None, "state.skip_state", None, fix)
        ends = jnp.asarray(self.boundaries, jnp.int32)
        restart = jnp.any(state.step == ends)
        return self.skip.step(state.skip_state, loss, grad_norm, restart=restart)

    def _draw_further(
        self, energy: Any, positives: Examples, state: TrainState, key: Key
    ) -> tuple[list[tuple[Objective, ObjectiveBatches]], tuple[Any, ...]]:
        """What the further objectives that are active draw, and the states of all."""
        active = self.active
        if active is None and self.boundaries:
            fix = "give a trainer of one phase to a compiled step: trainer.at_step(number)"
            _checks.require(_checks.is_concrete(state.step), "state.step", state.step, fix)
            active = self.at_step(int(state.step)).active
        active = (True,) * len(self.objectives) if active is None else active
        further, states = [], list(state.objective_states)
        for number, objective in enumerate(self.objectives):
            if active[number]:
                # beyond the two that the step has split off
                own = jax.random.fold_in(key, 2 + number)
                drawn, states[number] = objective.draw(energy, positives, states[number], key=own)
                further.append((objective, drawn))
        return further, tuple(states)

    def _split(self, energy: Any) -> tuple[Any, Any]:
        """The parameters that are trained, and all else."""
        return eqx.partition(energy, parameters_of(energy, self.trainable))

    def _update(self, state: TrainState, gradient: Any, loss: Scalar, loss_of: Callable) -> tuple:
        """The energy, its average and the optimiser after the update."""
        parameters, rest = self._split(state.energy)
        updates, opt_state = update(
            self.optim, gradient, state.opt_state, parameters, value=loss, value_fn=loss_of
        )
        if (factor := state.update_scale) is not None:
            updates = jax.tree.map(lambda u: u * factor.astype(u.dtype), updates)
        parameters = eqx.apply_updates(parameters, updates)
        with promoting():
            decay = jnp.minimum(self.ema_decay, (1 + state.step) / (10 + state.step))
            average = jax.tree.map(
                lambda old, new: (decay * old + (1 - decay) * new).astype(old.dtype),
                self._split(state.ema)[0],
                parameters,
            )
        return eqx.combine(parameters, rest), eqx.combine(average, rest), opt_state


def with_field(module: Any, name: str, value: Any) -> Any:
    """A copy of a module with another value of one of its fields."""
    copy = object.__new__(type(module))
    for field in dataclasses.fields(module):
        new = value if field.name == name else getattr(module, field.name)
        object.__setattr__(copy, field.name, new)
    return copy
