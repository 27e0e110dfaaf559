"""Data of zeros and ones for machines that take these."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ebmx
from ebmx.energies import BernoulliRBM, Fixed, Gaussian, Ising, Mixture, Potts
from ebmx.samplers import DMALA, HMC, MALA, BlockGibbs, Langevin, run, sample, warmup
from ebmx.training import (
    CD,
    PCD,
    DiscreteNeighbours,
    FlippedTwice,
    Objective,
    Trainer,
    contrastive_loss,
    energy_discrepancy_loss,
    fit,
    pseudo_likelihood_loss,
)
from ebmx.training._check_binary import check_binary

KEY = jax.random.key(0)
BITS = np.random.default_rng(0).integers(0, 2, (16, 4)).astype(np.float32)
RBM = BernoulliRBM(np.ones((4, 2)), np.zeros(4), np.zeros(2))
TRAINER = Trainer(optax.sgd(0.1), CD(BlockGibbs(), 1))
FIX = r"=values from -1 to 1: BernoulliRBM takes zeros and ones.*span=\(0, 1\).*\(x \+ 1\) / 2"


def train(batch):
    state, options = TRAINER.init(RBM, key=KEY), {"progress": False, "key": KEY}
    return fit(TRAINER, state, [batch] * 2, num_steps=2, **options)


@pytest.mark.medium
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
        (RBM, CD(BlockGibbs(), 1)),
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


SPINS, COLOURS = Ising((2, 2), 0.3), Potts((2, 2), 3, 0.3)


@pytest.mark.parametrize(
    ("energy", "negatives", "loss", "match"),
    [
        (COLOURS, DiscreteNeighbours(4), pseudo_likelihood_loss, "categorical=False: .* one-hot"),
        (
            Fixed(SPINS) + SPINS,
            FlippedTwice(0.1, 4, categorical=True),
            energy_discrepancy_loss,
            "categorical=True: examples of Ising are zeros and ones",
        ),
        (SPINS, PCD(MALA(0.1), 1), contrastive_loss, "sampler=MALA: Ising has discrete examples"),
        (RBM, CD(Langevin(0.1), 1), contrastive_loss, "sampler=Langevin: BernoulliRBM has"),
    ],
)
def test_negatives_of_other_examples_than_the_energy_takes_are_refused(
    energy, negatives, loss, match
):
    with pytest.raises(ValueError, match=match):
        Trainer(optax.sgd(0.1), negatives, loss).init(energy, key=KEY)
    further = Objective(negatives, loss)
    trainer = Trainer(optax.sgd(0.1), None, lambda *args: (0.0, {}), objectives=(further,))
    with pytest.raises(ValueError, match=match):
        trainer.init(energy, key=KEY)


def test_chains_of_real_numbers_do_not_move_zeros_and_ones():
    """The extension of an energy of bits to all real numbers falls without end."""
    start = jnp.zeros((2, 2, 2))
    for act in (
        lambda: run(SPINS, MALA(0.1), start, num_steps=1, key=KEY),
        lambda: sample(SPINS / 2.0, HMC(0.1), start, num_samples=1, key=KEY),
        lambda: warmup(SPINS, MALA(0.1), start, num_steps=20, key=KEY),
    ):
        with pytest.raises(ValueError, match=r"Ising has discrete examples: give DMALA"):
            act()
    # within bounds the extension is a density
    x, _ = run(SPINS, Langevin(0.1, bounds=(0.0, 1.0)), start, num_steps=2, key=KEY)
    assert float(x.min()) >= 0


def test_categories_add_up_to_one():
    one_hot = np.eye(3, dtype=np.float32)[np.array([[[0, 1], [2, 2]]])]
    check_binary(COLOURS, one_hot, "x")
    for wrong in (np.zeros_like(one_hot), np.ones_like(one_hot)):
        with pytest.raises(ValueError, match=r"x=sums over the last axis .*give jax\.nn\.one_hot"):
            check_binary(COLOURS, wrong, "x")


@pytest.mark.parametrize("dtype", [int, bool, np.uint8])
def test_bits_of_other_types_are_told_how_to_become_numbers(dtype):
    with pytest.raises(ValueError, match=r"dtype=.*x\.astype\(float\) for zeros and ones"):
        ebmx.energy(SPINS, np.zeros((3, 2, 2), dtype))
