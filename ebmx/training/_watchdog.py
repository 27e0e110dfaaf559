"""Detection of trainings that diverge, from their metrics."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from .. import _checks


class DivergedError(RuntimeError):
    """A training diverged, and does not recover by itself."""


@dataclasses.dataclass
class Watchdog:
    """A callback for `fit` that raises a `DivergedError` when the metrics show divergence.

    The message names the alarm, the step, and what to change. Alarms: mean energies above
    `max_energy` in absolute value; a gap `mean E⁺ − mean E⁻` above `max_gap` in absolute value;
    more than the fraction `max_saturated` of the negatives' values at the bounds; less than the
    fraction `min_distinct` of distinct chains; chain gradients below `min_chain_grad_norm` or above
    `max_chain_grad_norm`; more than the fraction `max_at_limit` of the chains with a step size at
    the limit of its adaptation; more than `max_skipped` updates in all that were
    skipped as not finite.

    `last_good` is the last step without an alarm, `count` the number of alarms since.

    Raises:
        ValueError: if a limit is not positive.
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
    """After how many intervals in a row with alarms it raises."""
    last_good: int | None = dataclasses.field(default=None, init=False)
    count: int = dataclasses.field(default=0, init=False)

    def __post_init__(self):
        for name in ("max_energy", "max_gap", "max_saturated", "max_chain_grad_norm"):
            _checks.positive(name, getattr(self, name))
        _checks.non_negative("min_chain_grad_norm", self.min_chain_grad_norm)
        _checks.probability("min_distinct", self.min_distinct)
        _checks.probability("max_at_limit", self.max_at_limit)
        _checks.at_least("patience", self.patience, 1)

    def __call__(self, step: int, state: Any, metrics: Mapping[str, float]) -> None:
        """Check the means of a log interval."""
        del state
        alarms = self.alarms(metrics)
        if not alarms:
            self.last_good, self.count = step, 0
            return
        self.count += 1
        if self.count >= self.patience:
            good = self.last_good
            where = "no step was good" if good is None else f"the last good step was {good}"
            raise DivergedError(f"training diverged by step {step}, {where}: {'; '.join(alarms)}")

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
