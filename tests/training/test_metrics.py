"""What a training step reports beside its loss."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closed_forms import call
from hypothesis import given
from hypothesis import strategies as st

from ebmx.energies import Gaussian
from ebmx.samplers import Langevin, StepInfo
from ebmx.training import CD, NegativesInfo, Trainer
from ebmx.training._metrics import _mix, chain_metrics, distinct_fraction


@given(
    groups=st.lists(st.integers(0, 7), min_size=8, max_size=8),
    shape=st.sampled_from([(2,), (3, 2, 1)]),
    seed=st.integers(0, 2**31 - 1),
)
def test_the_distinct_fraction_counts_the_groups_of_equal_examples(groups, shape, seed):
    pool = np.random.default_rng(seed).normal(size=(8, *shape)).astype(np.float32)
    share = call(distinct_fraction, pool[groups])
    np.testing.assert_allclose(share, len(set(groups)) / 8, rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "distinct"),
    [
        ([[1.0, 2.0], [2.0, 1.0]], 2),  # the same values at other places
        ([[1.0, -1.0], [-1.0, 1.0]], 2),
        ([[1.0, 2.0], [1.0, 2.0]], 1),
        ([[1.0, 1.0], [1.0, 1.0 + 2**-23]], 2),  # the last bit
        ([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]], 2),
        ([[-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]], 4),  # corners of the box
    ],
)
def test_the_distinct_fraction_of(x, distinct):
    np.testing.assert_allclose(call(distinct_fraction, np.float32(x)), distinct / len(x), rtol=1e-6)


def test_a_large_batch_of_images_has_no_collisions():
    # images at the bounds, all of whose values are -1 or 1: few bits differ
    x = np.random.default_rng(0).choice(np.float32([-1, 1]), (512, 8, 8, 1))
    assert len(np.unique(x.reshape(512, -1), axis=0)) == 512
    assert float(call(distinct_fraction, x)) == 1.0


def test_bits_are_mixed_as_by_murmurhash3():
    # the hash of no bytes is the finaliser of the seed: published values for three seeds
    seeds = jnp.array([0, 1, 0xFFFFFFFF], jnp.uint32)
    np.testing.assert_array_equal(_mix(seeds), np.uint32([0, 0x514E28B7, 0x81F16F39]))


def test_chain_metrics_are_means_counts_and_shares():
    chains = StepInfo(
        energy=jnp.array([1.0, 2.0, 3.0, 4.0]),
        grad_norm=jnp.array([1.0, 2.0, 3.0, 6.0]),
        acceptance=jnp.array([1.0, 0.5, 0.5, 0.0]),
        divergent=jnp.zeros(4, bool),
    )
    restarted, dead = jnp.array([True, True, False, True]), jnp.array([False, False, True, False])
    info = NegativesInfo(chains, restarted, dead, jnp.array(0.125))
    x = jnp.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [3.0, 4.0]])
    metrics = call(chain_metrics, x, info)
    assert {name: float(value) for name, value in metrics.items()} == {
        "chain_grad_norm": 3.0,
        "acceptance": 0.5,
        "restarts": 3.0,
        "dead_chains": 1.0,
        "distinct": 0.5,
        "saturated": 0.125,
    }
    more = NegativesInfo(chains, restarted, dead, jnp.array(0.125), jnp.array(0.3), jnp.array(7))
    both = call(chain_metrics, x, more)
    assert both == metrics | {"swap_rate": np.float32(0.3), "num_steps": 7}


def test_a_training_step_reports_them(getkey):
    trainer = Trainer(optax.sgd(0.1), CD(Langevin(0.1), 1))
    state = trainer.init(Gaussian(jnp.zeros(2)), key=getkey())
    x = np.float32([[1, 1], [1, 1], [0, 0], [0, 0]])
    _, metrics = call(trainer.step, state, x, key=getkey())
    assert all(jnp.shape(value) == () for value in metrics.values())
    # chains take their last gradient at the data: |x - 0| is √2 for half of them and 0 for the rest
    np.testing.assert_allclose(metrics["chain_grad_norm"], np.sqrt(2) / 2, rtol=1e-6)
    assert float(metrics["acceptance"]) == 1
    assert float(metrics["distinct"]) == 1
