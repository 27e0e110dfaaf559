"""Storage of bits and of categories: exact, small, and the same through buffers and checkpoints."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from moves import draw, init
from tables import one_hot

from ebmx.config import build
from ebmx.energies import BernoulliRBM
from ebmx.samplers import MALA, BlockGibbs, Langevin
from ebmx.training import (
    PCD,
    AbstractNoise,
    BernoulliNoise,
    CategoricalNoise,
    Checkpoints,
    Examples,
    GaussianNoise,
    PackedBits,
    PackedCategories,
    ReplayBuffer,
    Trainer,
    fit,
    restore,
)
from ebmx.training.negatives._buffer import Chains

KEY = jax.random.key(0)
MACHINE = BernoulliRBM(np.random.default_rng(0).normal(size=(15, 4)), np.zeros((5, 3)), np.zeros(4))


def bits(num, shape=(5, 3)):
    return np.random.default_rng(num).integers(0, 2, (num, *shape)).astype(np.float32)


def categories(num, sites=(3,), values=5):
    return np.asarray(
        one_hot(np.random.default_rng(num).integers(0, values, (num, *sites)), values)
    )


CASES = {
    "bits": (PackedBits((5, 3)), bits, (2,), BernoulliNoise()),
    "categories": (PackedCategories((3, 5)), categories, (3,), CategoricalNoise()),
}
each = pytest.mark.parametrize("name", CASES)


@eqx.filter_jit
def write(buffer, index, x):
    return buffer.write(Chains(x, index, jnp.ones_like(index)))


@each
@pytest.mark.parametrize("lead", [(7,), (2, 3), ()])
def test_a_round_trip_is_exact(name, lead):
    storage, make, code_shape, _ = CASES[name]
    x = make(int(np.prod(lead, dtype=int)))
    x = x.reshape(*lead, *x.shape[1:])
    code = storage.encode(jnp.asarray(x), key=None)
    assert code.dtype == jnp.uint8
    assert code.shape == (*lead, *code_shape)
    out = storage.decode(code, key=KEY)
    assert out.dtype == jnp.float32
    np.testing.assert_array_equal(out, x)


def test_the_order_of_bits_is_that_of_numpy():
    x = bits(4)
    code = PackedBits((5, 3)).encode(jnp.asarray(x), key=None)
    np.testing.assert_array_equal(code, np.packbits(x.reshape(4, 15).astype(bool), axis=-1))


def test_mnist_takes_98_bytes_a_chain():
    shape = (28, 28, 1)
    negatives = PCD(BlockGibbs(), 1, 10_000, noise=BernoulliNoise(), storage=PackedBits(shape))
    buffer = jax.eval_shape(lambda: negatives.init(shape, key=KEY))
    assert buffer.positions.shape == (10_000, 98)
    assert buffer.positions.dtype == jnp.uint8


@each
def test_a_new_buffer_is_of_noise_and_chains_come_back_as_they_were(name, getkey):
    storage, make, code_shape, noise = CASES[name]
    negatives = PCD(BlockGibbs(), 1, 16, noise=noise, storage=storage)
    shape = make(1).shape[1:]
    buffer = init(negatives, shape, getkey())
    assert buffer.positions.shape == (16, *code_shape)
    drawn = draw(buffer, 16, getkey()).x
    assert drawn.shape == (16, *shape)
    assert len(np.unique(drawn, axis=0)) > 8
    x, index = jnp.asarray(make(8)), jnp.arange(3, 11)
    after = write(buffer, index, x)
    decoded = np.asarray(storage.decode(after.positions, key=KEY))
    np.testing.assert_array_equal(decoded[3:11], x)
    before = np.asarray(storage.decode(buffer.positions, key=KEY))
    np.testing.assert_array_equal(decoded[11:], before[11:])
    filled = buffer.fill(x, key=getkey())
    found = np.asarray(storage.decode(filled.positions, key=KEY))
    assert {row.tobytes() for row in found} <= {row.tobytes() for row in np.asarray(x)}


def trainer_of(storage):
    negatives = PCD(BlockGibbs(), 2, 32, 0.2, BernoulliNoise(), storage=storage)
    return Trainer(optax.sgd(0.05), negatives)


def batches():
    return (bits(8) for _ in iter(int, 1))


@pytest.mark.medium
def test_training_is_the_same_as_in_full_precision(getkey, tmp_path):
    key, found = getkey(), {}
    for name, storage in (("full", None), ("bits", PackedBits((5, 3)))):
        trainer = trainer_of(storage)
        state = trainer.init(MACHINE, key=KEY)
        # the keys of new buffers differ, so that both begin at the same chains
        buffer = state.negatives_state.fill(jnp.asarray(bits(1)), key=key)
        state = eqx.tree_at(lambda s: s.negatives_state, state, buffer)
        found[name], _ = fit(trainer, state, batches(), num_steps=5, key=key, progress=False)
    np.testing.assert_array_equal(found["full"].energy.weight, found["bits"].energy.weight)
    decoded = PackedBits((5, 3)).decode(found["bits"].negatives_state.positions, key=KEY)
    np.testing.assert_array_equal(found["full"].negatives_state.positions, decoded)


@pytest.mark.medium
def test_a_checkpoint_goes_on_as_if_never_stopped(getkey, tmp_path):
    key, trainer = getkey(), trainer_of(PackedBits((5, 3)))
    options = {"key": key, "progress": False}
    start = trainer.init(MACHINE, key=KEY)
    whole, _ = fit(trainer, start, batches(), num_steps=6, **options)
    saved = Checkpoints(tmp_path / "run")
    fit(trainer, start, batches(), num_steps=3, checkpoints=saved, **options)
    state = restore(tmp_path / "run", like=start)
    again, _ = fit(trainer, state, batches(), num_steps=3, **options)
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_config_fills_in_the_shape():
    call = {"kind": "PCD", "storage": {"kind": "PackedBits"}, "noise": {"kind": "BernoulliNoise"}}
    known = {"shape": (5, 3), "sampler": BlockGibbs()}
    assert build(call, known, path="negatives").storage.shape == (5, 3)


def test_it_is_refused_where_it_is_of_another_shape(getkey):
    negatives = PCD(BlockGibbs(), 1, 8, noise=BernoulliNoise(), storage=PackedBits((5, 4)))
    with pytest.raises(ValueError, match=r"^storage\.shape=\(5, 4\): the positions are of shape"):
        negatives.init((5, 3), key=getkey())
    buffer = ReplayBuffer(
        jnp.zeros((4, 2), jnp.uint8), jnp.zeros(4, int), storage=PackedBits((5, 3))
    )
    with pytest.raises(
        ValueError, match=r"^x\.shape=.*the buffer holds examples of shape \(5, 3\)"
    ):
        buffer.write(Chains(jnp.zeros((2, 5, 4)), jnp.arange(2), jnp.arange(2)))


NOISE = {"noise": BernoulliNoise(), "storage": PackedBits((2,))}
BAD = {
    "default noise": (
        lambda: PCD(BlockGibbs(), 1, 8, storage=PackedBits((2,))),
        r"noise=UniformNoise: positions are stored as zeros and ones: give BernoulliNoise\(\)",
    ),
    "other noise": (
        lambda: PCD(BlockGibbs(), 1, 8, noise=GaussianNoise(), storage=PackedCategories((2, 3))),
        r"noise=GaussianNoise: .* give CategoricalNoise\(\)",
    ),
    "langevin": (
        lambda: PCD(Langevin(0.1), 1, 8, **NOISE),
        r"storage=PackedBits: positions are stored as zeros and ones: .* in place of Langevin",
    ),
    "mala": (lambda: PCD(MALA(0.1), 1, 8, **NOISE), r"storage=PackedBits: .* in place of MALA"),
    "shape": (lambda: PackedBits((0,)), r"shape=\(0,\): give positive integers"),
    "too many": (lambda: PackedCategories((2, 257)), r"shape=\(2, 257\): give .* 2 to 256"),
    "data": (
        lambda: PackedBits((2,)).check(jnp.array([[0.0, 0.5]])),
        r"x=values from 0 to 0\.5: this storage has a bit for each: give zeros and ones",
    ),
    "hot": (
        lambda: PackedCategories((1, 2)).check(jnp.ones((1, 1, 2))),
        r"x=values from 1 to 1: .*: give one-hot vectors along the last axis",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        call()


@pytest.mark.medium
def test_noise_of_a_user_passes(getkey):
    class Own(AbstractNoise):
        def sample(self, shape, *, key):
            return jnp.zeros(shape)

        def log_density(self, x):
            return jnp.zeros(())

    negatives = PCD(BlockGibbs(), 1, 8, noise=Own(), storage=PackedBits((5, 3)))
    buffer = init(negatives, (5, 3), getkey())
    np.testing.assert_array_equal(buffer.positions, 0)
    out, _, _ = negatives.step(MACHINE, Examples(jnp.zeros((8, 5, 3))), buffer, key=getkey())
    assert out.x.shape == (8, 5, 3)
