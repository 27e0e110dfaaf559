"""Persistent contrastive divergence recovers a density that is known exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ebmx
from ebmx.energies import MLP
from ebmx.samplers import Langevin
from ebmx.training import PCD, Trainer, UniformNoise

LIMIT, CELLS = 4.0, 200


def divergence(truth, energy):
    """KL(truth ‖ model) in nats on the square, both normalised there by quadrature."""
    side = (np.arange(CELLS) + 0.5) / CELLS * 2 * LIMIT - LIMIT
    grid = jnp.asarray(np.stack(np.meshgrid(side, side), -1).reshape(-1, 2), jnp.float32)
    log_p, log_q = -ebmx.energy(truth, grid), -ebmx.energy(energy, grid)
    log_p, log_q = (np.asarray(v - jax.nn.logsumexp(v), np.float64) for v in (log_p, log_q))
    return float(np.sum(np.exp(log_p) * (log_p - log_q)))


@pytest.mark.slow
def test_pcd_recovers_eight_gaussians(getkey):
    truth = ebmx.energies.plane("8gaussians")
    data = np.asarray(ebmx.energies.exact_samples(truth, 20_000, key=getkey()))
    model = MLP((2,), (64, 64), key=getkey())
    chains = Langevin(0.05, bounds=(-LIMIT, LIMIT))
    noise = UniformNoise(-LIMIT, LIMIT)
    trainer = Trainer(
        optax.adam(optax.cosine_decay_schedule(1e-2, 1200), b1=0.5),
        PCD(chains, 20, capacity=2048, reinit_prob=0.05, noise=noise),
    )
    state = trainer.init(model, key=getkey())
    batches = ebmx.data.batches(data, 256, key=getkey())
    state, _ = ebmx.fit(trainer, state, batches, num_steps=1200, key=getkey())
    before, after = divergence(truth, model), divergence(truth, state.ema)
    assert before > 1
    assert after < before / 2
