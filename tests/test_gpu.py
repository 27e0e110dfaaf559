"""Training and sampling on an accelerator: `python -m pytest -m gpu -n 0`, in one process."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_covariance, assert_mean, points

import ebmx
from ebmx.energies import ConvNet, Gaussian, ResNet
from ebmx.samplers import Langevin
from ebmx.training import PCD, Checkpoints, Trainer, restore

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(jax.default_backend() == "cpu", reason="there is no accelerator"),
]
IMAGES = Langevin(1.0, noise_scale=0.05, grad_clip=0.5, bounds=(-1, 1))
# not Adam, whose first step has the sign of a gradient that may be rounding
TRAINER = Trainer(optax.sgd(0.1), PCD(IMAGES, 8, capacity=16, reinit_prob=0.3))
KEY = jax.random.key(3)


def start():
    return TRAINER.init(ConvNet((8, 8, 2), (4, 8), key=KEY), key=KEY)


@eqx.filter_jit
def update(state, batch):
    return TRAINER.step(state, batch, key=KEY)


def numbers(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def test_an_update_is_that_of_the_cpu():
    updates = []
    for device in (jax.devices()[0], jax.devices("cpu")[0]):
        # products in full precision, where large ones of an accelerator have fewer digits
        with jax.default_device(device), jax.default_matmul_precision("highest"):
            state, metrics = update(start(), points(6, (8, 8, 2)))
        assert state.step.devices() == {device}
        assert int(state.skipped) == 0
        updates.append(numbers((state, metrics)))
    for here, cpu in zip(*updates, strict=True):
        assert np.all(np.isfinite(here))
        np.testing.assert_allclose(here, cpu, rtol=1e-3, atol=1e-3)


def test_langevin_has_its_mean_and_covariance():
    mean, covariance, step_size = [1.0, -0.5], np.array([[0.8, 0.3], [0.3, 1.5]]), 0.1
    energy = Gaussian(jnp.array(mean), jnp.asarray(covariance, float))
    x, _ = ebmx.run(energy, Langevin(step_size), points(4096, (2,)), num_steps=400, key=KEY)
    # that of the chain, which is wider than the density by its finite steps
    wider = np.linalg.inv(np.eye(2) - step_size / 4 * np.linalg.inv(covariance))
    assert_mean(x, mean)
    assert_covariance(x, covariance @ wider)


def test_a_chain_in_half_precision_stays_finite_and_moves():
    energy = ResNet((16, 16, 3), (8, 16), compute_dtype="bfloat16", key=KEY)
    x = jnp.clip(points(8, energy.shape), -1, 1)
    after, info = ebmx.run(energy, IMAGES, x, num_steps=20, key=KEY)
    assert after.dtype == jnp.float32
    assert all(np.all(np.isfinite(value)) for value in numbers((after, info)))
    assert not info.divergent.any()
    assert np.mean((np.asarray(after) - np.asarray(x)) ** 2) > 20 * 0.05**2 / 2


def test_what_is_read_is_what_was_written(tmp_path):
    data = ebmx.data.batches(np.asarray(points(12, (8, 8, 2))), 6, key=KEY)
    checkpoints = Checkpoints(tmp_path, every=2)
    options = {"num_steps": 2, "key": KEY, "progress": False, "checkpoints": checkpoints}
    state, _ = ebmx.fit(TRAINER, start(), data, **options)
    found = restore(tmp_path, start())
    assert int(found.step) == 2
    assert jax.tree.structure(found) == jax.tree.structure(state)
    for read, written in zip(jax.tree.leaves(found), jax.tree.leaves(state), strict=True):
        if eqx.is_array(written):
            assert read.devices() == written.devices()
            np.testing.assert_array_equal(read, written)
