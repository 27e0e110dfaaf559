"""Chains with one fault each, that were made for it."""

import numpy as np
import scipy.signal

from ebmx.evaluation._advice import Symptoms

CHAINS, DRAWS, DIM = 8, 500, 5


def walk(persistence, seed, chains=CHAINS, draws=DRAWS):
    """Stationary chains of unit variance, whose neighbours have this correlation."""
    rng = np.random.default_rng(seed)
    a = np.broadcast_to(persistence, DIM)
    noise = rng.normal(size=(chains, draws, DIM))
    noise[:, 1:] *= np.sqrt(1 - a**2)
    parts = [scipy.signal.lfilter([1], [1, -one], noise[..., i], axis=1) for i, one in enumerate(a)]
    return np.stack(parts, -1)


def staged(failure, seed):
    """Symptoms of chains with one fault."""
    x, facts = walk(0.3, seed), {"acceptance": 0.6, "rhat": 1.3, "ess": 30.0, "drift": 0.5}
    if failure == "step too large":
        facts["acceptance"] = 0.05
    elif failure == "step too small":
        x, facts["acceptance"] = walk(0.999, seed), 0.999
    elif failure == "scales":
        x = walk([0.3, 0.3, 0.3, 0.99, 0.99], seed) * np.array([1, 1, 1, 30, 30])
        turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(DIM, DIM)))
        x = x @ turned  # no coordinate alone shows it
    elif failure == "modes":
        x[:3, :, 1] += 6
    elif failure == "start":
        x += 20 * np.exp(-np.arange(DRAWS) / 80)[:, None]
    elif failure == "few draws":
        x = walk(0.5, seed, draws=40)
    elif failure == "one chain":
        x = x[:1]
    elif failure == "good":
        facts |= {"rhat": 1.002, "ess": 2000.0}
    return Symptoms(x, stuck=0.0, kept=0.0, failed=False, divergent=False, **facts)
