"""What single chains and ladders from a buffer share: labels, storage, shards."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closed_forms import Constants, Wells
from moves import affine, init, step

from ebmx.energies import Gaussian
from ebmx.samplers import MALA, Langevin, ReplicaExchange
from ebmx.training import (
    PCD,
    BFloat16,
    ReplayBuffer,
    TemperedPCD,
    Trainer,
    UInt8,
    UniformNoise,
)
from ebmx.training.negatives._storage import decode

KEY = jax.random.key(0)
TEMPERATURES = jnp.array([1.0, 2.0, 4.0])
CAPACITY, NUM = 24, 12


def chains(sampler, *args, **options):
    return PCD(sampler, *args, **options)


def ladders(sampler, *args, **options):
    return TemperedPCD(ReplicaExchange(sampler, TEMPERATURES), *args, **options)


kinds = pytest.mark.parametrize("make", [chains, ladders])
RUNGS = {chains: (), ladders: (3,)}


@pytest.mark.medium
@kinds
@pytest.mark.parametrize(("shares", "num_shards"), [(None, 1), ([0.9, 0.1], 1), (None, 2)])
def test_the_gradient_of_the_constant_of_a_label_is_exactly_zero(make, shares, num_shards):
    options = {"num_labels": 2, "label_weights": shares, "num_shards": num_shards}
    trainer = Trainer(optax.adam(1.0), make(MALA(0.1), 1, 100, 0.1, **options))
    state = trainer.init(Constants(jnp.array([0.5, -0.5])), key=KEY)

    @jax.jit
    def train(state):
        def update(state, number):
            data_key, label_key = jax.random.split(jax.random.fold_in(KEY, number))
            x = jax.random.normal(data_key, (50, 1))
            # 26 of 50 have label 0 in the mean
            y = (jax.random.uniform(label_key, 50) >= 0.52).astype(jnp.int32)
            state, metrics = trainer.step(state, (x, y), key=KEY)
            return state, metrics

        return jax.lax.scan(update, state, jnp.arange(100))

    state, metrics = train(state)
    np.testing.assert_array_equal(metrics["grad_norm"], 0)
    np.testing.assert_array_equal(metrics["skipped"], 0)
    np.testing.assert_array_equal(state.energy.constants, [0.5, -0.5])


def labels_of(num_shards):
    return np.tile(np.arange(CAPACITY // num_shards) * 3 * num_shards // CAPACITY, num_shards)


@kinds
@pytest.mark.parametrize("num_shards", [1, 2, 4])
def test_each_chain_keeps_its_label_and_is_written_into_its_slot(make, num_shards, getkey):
    # each chain is told by its position, which its moves change by one
    shape = (CAPACITY, *RUNGS[make], 2)
    start = np.broadcast_to(np.arange(CAPACITY).reshape(-1, *(1,) * (len(shape) - 1)), shape)
    labels, ages = labels_of(num_shards), np.zeros(CAPACITY)
    buffer = ReplayBuffer(
        jnp.asarray(start, jnp.float32),
        jnp.asarray(ages, jnp.int32),
        labels=jnp.asarray(labels, jnp.int32),
        num_shards=num_shards,
    )
    negatives = make(affine(shift=1.0), 1, CAPACITY, 0.0, num_labels=3, num_shards=num_shards)
    wells, y = Wells(jnp.zeros((3, 2)), jnp.ones(3)), np.arange(NUM) % 3
    out, after, _ = step(negatives, wells, (np.zeros((NUM, 2), np.float32), y), buffer, getkey())
    slots = np.asarray(out.x)[:, 0].astype(int) - 1
    np.testing.assert_array_equal(out.y, y)
    np.testing.assert_array_equal(labels[slots], y)
    assert len({*slots.tolist()}) == NUM
    # each part of the batch draws from its own shard
    blocks = np.repeat(np.arange(num_shards), NUM // num_shards)
    np.testing.assert_array_equal(slots // (CAPACITY // num_shards), blocks)
    drawn = np.isin(np.arange(CAPACITY), slots)
    np.testing.assert_array_equal(after.ages, drawn)
    np.testing.assert_array_equal(after.labels, labels)
    moved = start + drawn.reshape(-1, *(1,) * (len(shape) - 1))
    np.testing.assert_array_equal(after.positions, moved)


@pytest.mark.medium
@kinds
def test_a_chain_of_another_label_makes_a_negative_that_is_not_finite(make, getkey):
    negatives = make(MALA(0.1), 1, 8, 0.0, num_labels=2)
    buffer = init(negatives, (1,), getkey())
    # as a buffer would be whose labels were mixed up on the way
    buffer = eqx.tree_at(lambda b: b.labels, buffer, jnp.zeros(8, jnp.int32))
    batch = np.ones((4, 1), np.float32), np.array([0, 1, 0, 1])
    out, after, _ = step(negatives, Constants(jnp.zeros(2)), batch, buffer, getkey())
    np.testing.assert_array_equal(np.isnan(out.x[:, 0]), [False, True, False, True])
    assert np.all(np.isfinite(after.positions))


STORAGES = {
    "full": (None, jnp.float32, 0.0),
    "bfloat16": (BFloat16(), jnp.bfloat16, 2**-7),
    "uint8": (UInt8(-1.0, 1.0), jnp.uint8, 2 / 255),
}
BOUNDED = Langevin(1e-12, temperature=1.0, bounds=(-1.0, 1.0))
FLAT = Gaussian(jnp.zeros(2), 1e6)


@kinds
@pytest.mark.parametrize("name", STORAGES)
@pytest.mark.parametrize("num_labels", [None, 3])
def test_positions_are_stored_to_the_precision_of_the_storage(make, name, num_labels, getkey):
    storage, dtype, error = STORAGES[name]
    options = {"storage": storage, "num_labels": num_labels, "num_shards": 2}
    negatives = make(BOUNDED, 1, CAPACITY, 0.0, **options)
    before = init(negatives, (2,), getkey())
    assert before.positions.shape == (CAPACITY, *RUNGS[make], 2)
    assert before.positions.dtype == dtype
    assert len(np.unique(np.asarray(before.positions, np.float32))) > CAPACITY
    energy = FLAT if num_labels is None else Wells(jnp.zeros((3, 2)), jnp.full(3, 1e-6))
    x, y = np.zeros((NUM, 2), np.float32), np.arange(NUM) % 3
    batch = x if num_labels is None else (x, y)
    out, after, info = step(negatives, energy, batch, before, getkey())
    assert after.positions.dtype == dtype
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert not np.any(info.dead)
    drawn = np.asarray(after.ages) > 0
    assert drawn.sum() == NUM
    old, new = np.asarray(before.positions), np.asarray(after.positions)
    np.testing.assert_array_equal(old[~drawn], new[~drawn])

    def decoded(positions):
        keys = jnp.asarray(positions)
        return np.asarray(decode(storage, keys, key=getkey()), np.float64)

    # chains at rest: replicas may have swapped places, each is where one of its ladder was
    old, new = (decoded(p[drawn]).reshape(NUM, -1, 1, 2) for p in (old, new))
    nearest = np.abs(new - old.reshape(NUM, 1, -1, 2)).max(-1).min(-1)
    assert nearest.max() <= 2 * error + 1e-4
    assert np.abs(np.asarray(out.x)).max() <= 1


RANGE = r"^storage=UInt8: positions are stored within a range"


@kinds
def test_a_range_is_stored_of_chains_that_stay_in_it(make):
    with pytest.raises(ValueError, match=RANGE):
        make(MALA(0.1), 1, storage=UInt8())
    wide = Langevin(0.1, bounds=(-1.0, 1.5))
    with pytest.raises(ValueError, match=r"^bounds=\(-1\.0, 1\.5\): positions are stored"):
        make(wide, 1, storage=UInt8())


BAD = {
    "labels": ({"num_labels": 0}, "num_labels=0: give a Python integer of at least 1"),
    "shares": (
        {"num_labels": 2, "label_weights": [1.0]},
        r"label_weights\.shape=\(1,\): give one for each of the num_labels=2 labels",
    ),
    "slots": (
        {"capacity": 8, "num_labels": 3, "num_shards": 4},
        r"capacity=8: the labels \[2\] have no slot in a shard",
    ),
    "shards": ({"capacity": 9, "num_shards": 2}, "capacity=9: give a multiple of num_shards=2"),
    "probability": ({"reinit_prob": 1.5}, r"reinit_prob=1\.5: give a probability"),
    "capacity": ({"capacity": 0}, "capacity=0: give a Python integer of at least 1"),
    "steps": ({"num_steps": 0}, "num_steps=0: give a Python integer of at least 1"),
}


@kinds
@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(make, name):
    options, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        make(MALA(0.1), noise=UniformNoise(), **options)
