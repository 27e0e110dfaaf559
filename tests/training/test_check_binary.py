"""Data of zeros and ones for machines that take these."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ebmx
from ebmx.energies import BernoulliRBM, Gaussian, Mixture
from ebmx.samplers import DMALA, BlockGibbs, Langevin
from ebmx.training import CD, DiscreteNeighbours, Objective, Trainer, fit
from ebmx.training._check_binary import check_binary

KEY = jax.random.key(0)
BITS = np.random.default_rng(0).integers(0, 2, (16, 4)).astype(np.float32)
RBM = BernoulliRBM(np.ones((4, 2)), np.zeros(4), np.zeros(2))
TRAINER = Trainer(optax.sgd(0.1), CD(BlockGibbs(), 1))
FIX = r"=values from -1 to 1: BernoulliRBM takes zeros and ones.*span=\(0, 1\).*\(x \+ 1\) / 2"


def train(batch):
    state, options = TRAINER.init(RBM, key=KEY), {"progress": False, "key": KEY}
    return fit(TRAINER, state, [batch] * 2, num_steps=2, **options)


def test_a_machine_trains_on_zeros_and_ones_alone(tmp_path):
    with pytest.raises(ValueError, match=rf"^batches\[0\]{FIX}"):
        train(2 * BITS - 1)
    with pytest.raises(ValueError, match=f"^batch{FIX}"):
        TRAINER.step(TRAINER.init(RBM, key=KEY), jnp.asarray(2 * BITS - 1), key=KEY)
    np.savez(tmp_path / "bits.npz", x_train=BITS.astype(np.uint8), x_test=BITS.astype(np.uint8))
    data = ebmx.data.load(tmp_path / "bits.npz", span=(0, 1))
    np.testing.assert_array_equal(data.train, BITS)
    assert int(train(data.train)[0].step) == 2


def test_composed_machines_are_machines():
    bell = Gaussian(jnp.zeros(4))
    for energy in (0.5 * RBM, RBM + bell, Mixture((bell, RBM / 2.0)), RBM):
        with pytest.raises(ValueError, match=f"^x{FIX}"):
            check_binary(energy, 2 * BITS - 1, "x")
        check_binary(energy, BITS / 2, "x")
    check_binary(bell, 2 * BITS - 1, "x")
    jax.jit(lambda x: check_binary(RBM, x, "x"))(2 * BITS - 1)


def test_noise_on_zeros_and_ones_is_refused():
    network = ebmx.energies.MLP((4,), (2,), key=KEY)
    for energy, negatives in (
        (RBM, CD(Langevin(0.1), 1)),
        (0.5 * RBM, None),
        (network, CD(DMALA(0.1), 1)),
        (network, DiscreteNeighbours()),
    ):
        objective = Objective(negatives or CD(BlockGibbs(), 1), lambda *args: (0.0, {}))
        parts = {"loss": lambda *args: (0.0, {}), "objectives": () if negatives else (objective,)}
        with pytest.raises(ValueError, match=r"data_noise=.* which noise would change"):
            Trainer(optax.sgd(0.1), negatives, data_noise=0.1, **parts).init(energy, key=KEY)
    noisy = Trainer(optax.sgd(0.1), CD(Langevin(0.1), 1), data_noise=0.1)
    assert int(noisy.init(network, key=KEY).step) == 0
