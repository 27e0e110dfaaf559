"""A look at the metrics of a training, with a word on what to do."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from .. import _checks
from .._arguments import guarded


class DivergedError(RuntimeError):
    """A training has left the region from which it comes back by itself."""


@guarded
@dataclasses.dataclass
class Watchdog:
    """A callback for `fit` that raises a `DivergedError` when a metric says that training is lost.

    The message names the alarm, the step, and what to change. Alarms: energies whose mean is above
    `max_energy` in size; a gap `mean E⁺ − mean E⁻` above `max_gap` in size; more than
    `max_saturated` of the negatives' values at the bounds; fewer than `min_distinct` of the chains
    different from each other; chain gradients below `min_chain_grad_norm` or above
    `max_chain_grad_norm`; more than `max_at_limit` of the chains with a step size at the limit of
    its adaptation; more than `max_skipped` updates skipped in all.

    It remembers `last_good`, the last step without an alarm, and how many alarms followed it.

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
    """How many intervals in a row an alarm has to last."""
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
        """Look at the means of a log interval."""
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
        """What is wrong with these metrics, in words."""
        real, fake = metrics.get("real_energy_mean", 0.0), metrics.get("fake_energy_mean", 0.0)
        size, gap = max(abs(real), abs(fake)), abs(real - fake)
        gradient = metrics.get("chain_grad_norm", 1.0)
        limited = metrics.get("step_sizes_at_limit", 0.0)
        checks = {
            f"energies of size {size:.3g}: raise alpha, lower the learning rate": (
                not size <= self.max_energy
            ),
            f"a gap of {gap:.3g} between data and negatives: more chain steps, or a lower "
            "learning rate": not gap <= self.max_gap,
            f"{metrics.get('saturated', 0.0):.0%} of the negatives at the bounds: a smaller step "
            "size, or a larger alpha": metrics.get("saturated", 0.0) > self.max_saturated,
            f"only {metrics.get('distinct', 1.0):.0%} of the chains distinct: more noise, or a "
            "higher reinit_prob": metrics.get("distinct", 1.0) < self.min_distinct,
            f"chain gradients of {gradient:.3g}: the energy is flat where the chains are": (
                gradient < self.min_chain_grad_norm
            ),
            f"chain gradients of {gradient:.3g}: clip them, or lower the learning rate": (
                not gradient <= self.max_chain_grad_norm
            ),
            f"{limited:.0%} of the step sizes at the limit of their adaptation: the energy is flat "
            "or improper where the chains are, or the sampler's step_size far off": (
                limited > self.max_at_limit
            ),
            f"{metrics.get('skipped', 0.0):.0f} updates skipped as not finite: lower the learning "
            "rate, check the data": metrics.get("skipped", 0.0) > self.max_skipped,
        }
        return [words for words, wrong in checks.items() if wrong]
