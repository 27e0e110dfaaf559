"""Detection of trainings that diverge, from their metrics."""

import dataclasses
import math
from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks, _warnings
from ._state import TrainState


class DivergedError(RuntimeError):
    """A training diverged, and does not recover by itself."""


class RecoveryWarning(UserWarning):
    """A training diverged, and goes on from an earlier state with smaller updates."""


@dataclasses.dataclass
class Watchdog:
    """A callback for `fit` that ends or rescues a training whose metrics show divergence.

    It raises a `DivergedError` after `patience` log intervals in a row with an alarm. The message
    names the alarm, the step, and what to change.

    With `max_recoveries`, it goes back instead, that many times: the training goes on from an
    earlier state, and all later updates are multiplied by `recovery_factor`, once more at each
    time. A `RecoveryWarning` and the metric `update_scale` say so. Two copies of the state are
    kept on its devices, made at every `patience` intervals without an alarm; it goes back to the
    older one, since a training goes wrong before it shows. All of the state goes back but the
    number of the step, so that the training has as many updates as it was to have, later
    checkpoints have later numbers, and neither a batch nor a key is used twice. `TrainState`
    holds the scale: a resumed training keeps it, and counts its recoveries.

    `last_good` is the last step without an alarm, `count` the number of alarms since.

    Args:
        max_energy: the largest mean energy, in absolute value.
        max_gap: the largest gap `mean E⁺ − mean E⁻`, in absolute value.
        max_saturated: the largest fraction of the negatives' values at the bounds.
        min_distinct: the smallest fraction of distinct chains.
        min_chain_grad_norm: the smallest mean norm of the chains' gradients.
        max_chain_grad_norm: the largest mean norm of the chains' gradients.
        max_at_limit: the largest fraction of the chains with a step size at the limit of its
            adaptation.
        max_skipped: how many updates in all may be skipped as not finite.
        patience: after how many log intervals in a row with alarms it raises or goes back.
        max_recoveries: how many times it goes back.
        recovery_factor: by which updates are multiplied each time, between 0 and 1.

    Raises:
        ValueError: if a limit is not positive, or the factor not between 0 and 1.
    """

    max_energy: float = 1e3
    max_gap: float = 1e2
    max_saturated: float = 0.98
    min_distinct: float = 0.5
    min_chain_grad_norm: float = 1e-8
    max_chain_grad_norm: float = 1e6
    max_at_limit: float = 0.5
    max_skipped: int = 20
    patience: int = 2
    max_recoveries: int = 0
    recovery_factor: float = 0.5
    last_good: int | None = dataclasses.field(default=None, init=False)
    count: int = dataclasses.field(default=0, init=False)
    _kept: list[TrainState] = dataclasses.field(
        default_factory=list, init=False, repr=False, compare=False
    )
    _until_kept: int = dataclasses.field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self):
        for name in ("max_energy", "max_gap", "max_saturated", "max_chain_grad_norm"):
            _checks.positive(name, getattr(self, name))
        _checks.non_negative("min_chain_grad_norm", self.min_chain_grad_norm)
        _checks.probability("min_distinct", self.min_distinct)
        _checks.probability("max_at_limit", self.max_at_limit)
        _checks.at_least("patience", self.patience, 1)
        _checks.at_least("max_recoveries", self.max_recoveries, 0)
        factor, fix = self.recovery_factor, "give a number between 0 and 1"
        _checks.require(0 < factor < 1, "recovery_factor", factor, fix)

    def __call__(
        self, step: int, state: TrainState, metrics: Mapping[str, float]
    ) -> TrainState | None:
        """Check the means of a log interval.

        Returns:
            The state to go on from, if the training goes back.
        """
        alarms = self.alarms(metrics)
        if not alarms:
            self.last_good, self.count = step, 0
            self._keep(state)
            return None
        self.count += 1
        if self.count < self.patience:
            return None
        good, done = self.last_good, self._num_recoveries(state)
        where = "no step was good" if good is None else f"the last good step was {good}"
        text = f"training diverged by step {step}, {where}: {'; '.join(alarms)}"
        if self._kept and done < self.max_recoveries:
            return self._go_back(state, text)
        raise DivergedError(f"{text}, after {done} recoveries" if done else text)

    def _keep(self, state: TrainState) -> None:
        """Copy the state at every `patience` calls, and forget the last but two."""
        if self.max_recoveries == 0:
            return
        if self._until_kept == 0:
            # the training donates the state to its next update
            self._kept = [*self._kept[-1:], _copy(state)]
            self._until_kept = self.patience
        self._until_kept -= 1

    def _num_recoveries(self, state: TrainState) -> int:
        """How many times the training has gone back, before a resumption too."""
        if self.max_recoveries == 0 or state.update_scale is None:
            return 0
        return round(math.log(float(state.update_scale)) / math.log(self.recovery_factor))

    def _go_back(self, state: TrainState, text: str) -> TrainState:
        """The older copy with smaller updates; the newer one may have gone wrong already."""
        good, scale = self._kept[0], self.recovery_factor
        if state.update_scale is not None:
            scale *= float(state.update_scale)
        self._kept, self._until_kept, self.count = [good], 0, 0
        text += f"; it goes on from step {int(good.step)} with updates times {scale:g}"
        _warnings.warn(text, RecoveryWarning)
        scale = jnp.asarray(scale, jnp.float32)
        return dataclasses.replace(_copy(good), step=state.step, update_scale=scale)

    def alarms(self, metrics: Mapping[str, float]) -> list[str]:
        """What is wrong with these metrics, and what to change."""
        found = {**_HARMLESS, **metrics}
        real, fake = found["real_energy_mean"], found["fake_energy_mean"]
        size, gap, slope = max(abs(real), abs(fake)), abs(real - fake), found["chain_grad_norm"]
        skipped = found["skipped"] - found["outliers"]
        # "not below" where NaN is an alarm as well, "above" where it cannot be
        alarms = {
            f"energies of size {size:.3g}: raise alpha, lower the learning rate": (
                not size <= self.max_energy
            ),
            f"a gap of {gap:.3g} between data and negatives: more chain steps, or a lower "
            "learning rate": not gap <= self.max_gap,
            f"{found['saturated']:.0%} of the negatives at the bounds: a smaller step size, or a "
            "larger alpha": found["saturated"] > self.max_saturated,
            f"only {found['distinct']:.0%} of the chains distinct: more noise, or a higher "
            "reinit_prob": found["distinct"] < self.min_distinct,
            f"chain gradients of {slope:.3g}: the energy is flat where the chains are": (
                slope < self.min_chain_grad_norm
            ),
            f"chain gradients of {slope:.3g}: clip them, or lower the learning rate": (
                not slope <= self.max_chain_grad_norm
            ),
            f"{found['step_sizes_at_limit']:.0%} of the step sizes at the limit of their "
            "adaptation: the energy is flat or improper where the chains are, or the sampler's "
            "step_size far off": found["step_sizes_at_limit"] > self.max_at_limit,
            f"{skipped:.0f} updates skipped as not finite: lower the learning rate, check "
            "the data": skipped > self.max_skipped,
        }
        return [words for words, alarm in alarms.items() if alarm]


def _copy(state: TrainState) -> TrainState:
    return jax.tree.map(lambda leaf: jnp.copy(leaf) if eqx.is_array(leaf) else leaf, state)


_HARMLESS = {
    "real_energy_mean": 0.0,
    "fake_energy_mean": 0.0,
    "saturated": 0.0,
    "distinct": 1.0,
    "chain_grad_norm": 1.0,
    "step_sizes_at_limit": 0.0,
    "skipped": 0.0,
    "outliers": 0.0,
}
"""In the place of metrics that were not measured; they raise no alarm."""
