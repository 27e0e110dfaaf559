"""Estimates of covariances."""

import numpy as np


def ledoit_wolf(centred: np.ndarray, sample: np.ndarray, scale: float) -> float:
    """The share of a sphere that Ledoit and Wolf take, of deviations from the mean, `(num, d)`."""
    size, num = len(sample), len(centred)
    distance = np.sum(sample**2) / size - scale**2
    fourth = np.sum(np.sum(centred**2, 1) ** 2) / num
    noise = (fourth - np.sum(sample**2)) / (size * num)
    return float(min(noise, distance) / distance) if distance > 0 else 0.0
