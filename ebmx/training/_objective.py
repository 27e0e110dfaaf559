"""Further objectives of a training, each a source of negatives and a loss."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._types import EnergyFn, Key, Number, Scalar
from ..energies import AbstractNoiseConditionalEnergy
from ..energies._constants import as_number
from ..samplers._fields import cast
from ._batch import Examples, augmented
from ._check_pair import check_pair, plain_function
from ._metrics import Metrics, chain_metrics
from .losses._contrastive import Loss, contrastive_loss
from .negatives._base import AbstractNegatives, NegativesInfo


class ObjectiveBatches(eqx.Module):
    """What an objective has drawn for one update."""

    positives: Examples
    negatives: Examples
    info: NegativesInfo | None


class Objective(eqx.Module):
    """A source of negatives and a loss that `Trainer` adds to its own, with a weight.

    Two objectives of one energy see the same batch. An energy over noise levels, which is trained
    without chains, can have contrastive divergence at one of its levels beside it, where chains
    find what scores do not see, the mass of regions without data:

        Objective(PCD(MALA(0.02)), contrastive_loss, weight=0.1, sigma=0.15)

    Args:
        negatives: where the second batch comes from.
        loss: a function of `(energy, positives, negatives)`, as for `Trainer`.
        weight: the factor of the loss, finite.
        sigma: the standard deviation of noise on the data of this objective alone, in units of the
            data; none if not given. An energy over noise levels is taken at this level, and, if it
            has classes, for all of them together.
        num_examples: how many examples of the batch it sees, the first ones; all if not given.
        start: the number of the first update that it takes part in, counted from 0. Before it,
            neither its chains nor its loss are computed.
        stop: the number of the first update after it; it goes on to the end if not given.
        augment: a function `(x, *, key) -> x` of one example that changes each example which this
            objective sees, such as `ebmx.data.RandomImage`, after the `augment` of the trainer.
        name: prefixes the metrics, `"{name}_loss"` and so on; needed where two objectives report a
            metric of the same name. Without it, the loss is reported by the name of its function.

    Raises:
        ValueError: if a number is out of its range, or the loss is made for other negatives.
    """

    negatives: AbstractNegatives
    loss: Loss = contrastive_loss
    weight: Number = eqx.field(converter=as_number, default=1.0)
    sigma: Number | None = eqx.field(
        converter=lambda value: None if value is None else as_number(value), default=None
    )
    num_examples: int | None = eqx.field(static=True, default=None)
    start: int = eqx.field(static=True, default=0)
    stop: int | None = eqx.field(static=True, default=None)
    augment: Callable | None = None
    name: str | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        _checks.finite_value("weight", self.weight)
        if self.sigma is not None:
            _checks.positive("sigma", self.sigma)
        if self.num_examples is not None:
            _checks.at_least("num_examples", self.num_examples, 1)
        _checks.at_least("start", self.start, 0)
        if self.stop is not None:
            _checks.at_least("stop", self.stop, self.start + 1)
        fix = "give a word that metrics begin with, or None"
        _checks.require(self.name != "", "name", repr(self.name), fix)
        check_pair(self.negatives, self.loss)

    def is_active(self, step: int) -> bool:
        """Whether it takes part in this update."""
        return self.start <= step and (self.stop is None or step < self.stop)

    def draw(
        self, energy: EnergyFn, positives: Examples, state: Any, *, key: Key
    ) -> tuple[ObjectiveBatches, Any]:
        """The batches of an update, and the new state of the negatives."""
        noise_key, key = jax.random.split(key)
        num, total = self.num_examples, len(positives.x)
        fix = f"give at most the batch size, {total}"
        _checks.require(num is None or num <= total, "num_examples", num, fix)
        y, log_weights = (
            None if part is None else part[:num] for part in (positives.y, positives.log_weights)
        )
        x = augmented(self.augment, positives.x[:num], jax.random.fold_in(noise_key, 0))
        energy, has_level = self._at_level(energy)
        positives = Examples(x, None if has_level else y, log_weights)
        if self.sigma is not None:
            x = positives.x
            noise = jax.random.normal(noise_key, x.shape, x.dtype)
            positives = positives.with_x(x + cast(self.sigma, x) * noise)
        negatives, state, info = self.negatives.step(energy, positives, state, key=key)
        return ObjectiveBatches(positives, check_examples(negatives), info), state

    def value(self, energy: EnergyFn, drawn: ObjectiveBatches) -> tuple[Scalar, Metrics]:
        """The loss of this objective times its weight, and its metrics."""
        energy, _ = self._at_level(energy)
        loss, metrics = self.loss(energy, drawn.positives, drawn.negatives)
        own = getattr(plain_function(self.loss), "__name__", type(self.loss).__name__)
        if drawn.info is not None:
            metrics = metrics | chain_metrics(drawn.negatives.x, drawn.info)
        if self.name is None:
            return cast(self.weight, loss) * loss, {own: loss} | metrics
        named = {f"{self.name}_{key}": value for key, value in ({"loss": loss} | metrics).items()}
        return cast(self.weight, loss) * loss, named

    def _at_level(self, energy: Any) -> tuple[Any, bool]:
        """The energy that this objective sees, and whether it is that of one noise level."""
        if self.sigma is None or not isinstance(energy, AbstractNoiseConditionalEnergy):
            return energy, False
        whole = energy if energy.num_classes is None else energy.at_label(None)
        return whole.at(jnp.asarray(self.sigma)), True


def check_examples(negatives: Any) -> Examples:
    """Check what a step of negatives returns."""
    fix = "a step of negatives returns Examples(x), or positives.with_x(x)"
    ok = isinstance(negatives, Examples)
    _checks.require(ok, "negatives", type(negatives).__name__, fix)
    return negatives


def joined(metrics: Metrics, more: Metrics) -> Metrics:
    """The metrics of two objectives, whose names have to differ."""
    twice = sorted({*metrics} & {*more})
    fix = f"two objectives report {', '.join(twice)}: give one of them a name"
    _checks.require(not twice, "objectives", "metrics of one name", fix)
    return metrics | more
