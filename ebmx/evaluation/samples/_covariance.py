"""Estimates of covariances."""

import numpy as np


def ledoit_wolf(centred: np.ndarray, sample: np.ndarray, scale: float) -> float:
    """The weight of the identity, from deviations, their covariance and its mean variance."""
    # the numbers of scikit-learn in half of its time, since the covariance is known already:
    # the mean squared error of the covariance over its squared distance from the identity
    size, num = len(sample), len(centred)
    distance = np.sum(sample**2) / size - scale**2
    fourth = np.sum(np.sum(centred**2, 1) ** 2) / num
    noise = (fourth - np.sum(sample**2)) / (size * num)
    return float(min(noise, distance) / distance) if distance > 0 else 0.0
