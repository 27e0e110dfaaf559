"""The communication barrier of a path of densities, and temperatures that divide it equally."""

import dataclasses
import math

import numpy as np

_LEAST = 1e-4  # rejection of a pair, so that the barrier rises


@dataclasses.dataclass(frozen=True)
class LadderReport:
    """What a ladder did; `tune_ladder` says what the fields are."""

    barrier: float
    rejection: np.ndarray
    num_rungs_advised: int
    round_trip_rate: float
    optimal_round_trip_rate: float
    acceptance: np.ndarray
    step_sizes: np.ndarray | None
    num_moves: int

    def __str__(self) -> str:
        """The report in one line."""
        low, high = self.rejection.min(), self.rejection.max()
        return (
            f"barrier {self.barrier:.2f}, {len(self.rejection) + 1} rungs ({self.num_rungs_advised}"
            f" advised), rejection {low:.2f} to {high:.2f}, {self.round_trip_rate:.4f} round trips "
            f"a step (at best {self.optimal_round_trip_rate:.4f})"
        )


def advised(barrier: float) -> int:
    """The number of rungs for which half of the swaps are rejected, `2Λ + 1`."""
    return max(2, math.ceil(2 * barrier) + 1)


def optimal_round_trip_rate(barrier: float) -> float:
    """Round trips of all replicas of a chain in a step, with many rungs: `1 / (2 + 2Λ)`."""
    return 1 / (2 + 2 * barrier)


def cumulative(rejection: np.ndarray) -> np.ndarray:
    """The barrier from the lowest temperature to each rung, `(rungs,)`."""
    return np.concatenate([[0.0], np.cumsum(np.maximum(rejection, _LEAST))])


def equal_rejection(
    temperatures: np.ndarray, rejection: np.ndarray, num_rungs: int
) -> tuple[np.ndarray, np.ndarray]:
    """So many temperatures with equal barriers between neighbours, and the barrier to each.

    Syed et al. (2022), algorithm 2, with a monotone cubic interpolation. It is one of
    `log(1 + β / b)`, where `b` is the least positive `β`, as a function of the barrier: on a scale
    that is linear near 0 and logarithmic above, temperatures of any range are smooth.
    """
    from scipy.interpolate import PchipInterpolator  # late: a faster `import ebmx`

    betas = 1 / np.asarray(temperatures, np.float64)
    least = betas[betas > 0].min()
    barrier = cumulative(rejection)
    positions = np.linspace(0.0, barrier[-1], num_rungs)
    found = least * np.expm1(PchipInterpolator(barrier, np.log1p(betas / least))(positions))
    found[0], found[-1] = betas[0], betas[-1]
    with np.errstate(divide="ignore"):
        return 1 / found, positions
