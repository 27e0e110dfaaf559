"""ArviZ's own estimates of our samples are those of `diagnose`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ebmx
from ebmx.energies import Gaussian
from ebmx.evaluation import diagnose, to_arviz
from ebmx.samplers import MALA, save_position_and_energy

stats = pytest.importorskip("arviz_stats")


@pytest.mark.medium
def test_r_hat_and_sample_sizes_are_those_of_arviz():
    energy = Gaussian(jnp.zeros(2), jnp.array([1.0, 4.0]))
    samples = ebmx.sample(
        energy,
        MALA(0.5),
        jnp.zeros((4, 2)),
        num_warmup=100,
        num_samples=1000,
        save=save_position_and_energy,
        key=jax.random.key(0),
    )
    tree, found = to_arviz(samples), diagnose(samples, warn=False)
    np.testing.assert_allclose(stats.rhat(tree)["x"], found.rhat, rtol=1e-4)
    np.testing.assert_allclose(stats.ess(tree)["x"], found.ess_bulk, rtol=1e-3)
    # of quantiles, which BlackJAX estimates in another way
    np.testing.assert_allclose(stats.ess(tree, method="tail")["x"], found.ess_tail, rtol=0.5)
    table = stats.summary(tree)
    assert list(table.index) == ["x[0]", "x[1]"]
