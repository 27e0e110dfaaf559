"""The running `log Z` of weighted chains: unbiased along known changes, and in a training."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
from closed_forms import quantiles
from helpers import assert_mean

from ebmx.energies import Gaussian, Normalised
from ebmx.samplers import MALA
from ebmx.training import Examples, GaussianNoise, Jarzynski, Trainer, fit

NUM_SEEDS, NUM_CHAINS, NUM_UPDATES = 400, 32, 6
# the energies of a training, written down beforehand
MEANS = np.linspace(0.2, 1.2, NUM_UPDATES)
VARIANCES = np.linspace(2.0, 0.5, NUM_UPDATES)
CONSTANTS = np.linspace(0.0, 3.0, NUM_UPDATES)
EXACT = 0.5 * np.log(2 * np.pi * VARIANCES) - CONSTANTS


def energy_of(mean, variance, constant):
    return Normalised(Gaussian(mean[None], variance), constant)


@jax.jit
def path(step_size, resample_below):
    """All seeds through all energies: the populations after each update, `(seeds, updates)`."""
    negatives = Jarzynski(
        MALA(step_size),
        2,
        NUM_CHAINS,
        noise=GaussianNoise(0.0, 1.5),
        resample_below=resample_below,
    )

    def one(key):
        init_key, run_key = jax.random.split(key)

        def update(state, inputs):
            number, *parameters = inputs
            key = jax.random.fold_in(run_key, number)
            _, state, info = negatives.step(
                energy_of(*parameters), Examples(jnp.zeros((1, 1))), state, key=key
            )
            return state, (state.training, info.chains.acceptance)

        tables = [jnp.asarray(t, jnp.float32) for t in (MEANS, VARIANCES, CONSTANTS)]
        start = negatives.init((1,), key=init_key)
        return jax.lax.scan(update, start, (jnp.arange(NUM_UPDATES), *tables))[1]

    return jax.vmap(one)(jax.random.split(jax.random.key(5), NUM_SEEDS))


@pytest.mark.slow
@pytest.mark.parametrize("resample_below", [0.0, 0.8])
@pytest.mark.parametrize("step_size", [0.5, 1e-7])
def test_estimates_along_a_changing_energy_are_unbiased(step_size, resample_below):
    chains, acceptance = path(step_size, resample_below)
    assert np.mean(acceptance) > 0.8
    log_z = np.asarray(jax.vmap(jax.vmap(lambda c: c.log_z))(chains), np.float64)
    # unbiased are estimates of integrals over exp(-E), not of their quotients
    share = np.exp(log_z - EXACT)
    assert_mean(share, 1.0)
    x = np.asarray(chains.positions[..., 0], np.float64)
    weights = scipy.special.softmax(np.asarray(chains.log_weights, np.float64), -1)
    assert_mean(share * np.sum(weights * x, -1), MEANS)
    assert_mean(share * np.sum(weights * (x - MEANS[:, None]) ** 2, -1), VARIANCES)
    assert np.all(np.std(share, 0) < 1.5)
    counts = np.asarray(chains.resamplings)[:, -1]
    assert np.all(counts == 0) if resample_below == 0 else np.mean(counts) > 1
    if step_size < 1e-3 and resample_below == 0:
        # without their weights the chains are where they began
        assert abs(x[:, -1].mean()) < 0.1
        assert np.all(np.abs(x[:, 0] - x[:, -1]) < 0.01)


@pytest.mark.slow
def test_log_z_follows_a_training(getkey):
    data = np.float32(0.7 * quantiles(256) + 1.0)[:, None]
    negatives = Jarzynski(
        MALA(0.5), 2, 256, num_held_out=1024, noise=GaussianNoise(0.0, 2.0), resample_below=0.9
    )
    trainer = Trainer(optax.adam(optax.cosine_decay_schedule(0.05, 200)), negatives)
    state = trainer.init(Gaussian(jnp.zeros(1), 4.0), key=getkey())
    state, history = fit(trainer, state, (data for _ in range(200)), num_steps=200, key=getkey())
    gaussian = state.energy
    np.testing.assert_allclose(gaussian.mean, 1.0, atol=0.1)
    np.testing.assert_allclose(gaussian.variance, 0.49, rtol=0.2)
    np.testing.assert_allclose(state.negatives_state.log_z, gaussian.log_z, atol=0.1)
    assert history["skipped"][-1] == 0
    assert int(state.negatives_state.held_out.resamplings) > 0
