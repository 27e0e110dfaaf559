"""Random changes of images, one at a time and in training."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.ndimage
import scipy.stats
from helpers import assert_mean

import ebmx
from ebmx.data import RandomImage
from ebmx.energies import ConvNet
from ebmx.samplers import Langevin
from ebmx.training import PCD, DataOnly, Examples, Objective, Perturbed, Trainer

X = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (4, 5, 2)), jnp.float32)
RAMPS = jnp.stack(jnp.indices((9, 11), jnp.float32) / 100, -1)  # rows, and columns
NUM = 4000


def changed(change, x=X, num=NUM):
    keys = jax.random.split(jax.random.key(1), num)
    return np.asarray(jax.jit(jax.vmap(lambda key: change(x, key=key)))(keys))


def test_a_part_of_the_images_is_mirrored():
    found = changed(RandomImage(flip=0.3, shift=0))
    mirrored = np.all(np.isclose(found, np.asarray(X)[:, ::-1]), (1, 2, 3))
    same = np.all(np.isclose(found, np.asarray(X)), (1, 2, 3))
    assert np.all(mirrored ^ same)
    assert_mean(mirrored.astype(float), 0.3)


def test_each_shift_is_equally_likely_and_edges_are_repeated():
    found = changed(RandomImage(flip=0.0, shift=1))
    padded = np.pad(np.asarray(X), ((1, 1), (1, 1), (0, 0)), mode="edge")
    shifts = np.stack([padded[i : i + 4, j : j + 5] for i in range(3) for j in range(3)])
    which = np.isclose(found[:, None], shifts[None], atol=1e-6).all((2, 3, 4))
    assert np.all(which.sum(1) == 1)
    assert_mean(which.astype(float), np.full(9, 1 / 9))


def test_brightness_and_contrast():
    found = changed(RandomImage(flip=0.0, shift=0, brightness=0.2, contrast=0.5), 0.3 * X)
    mean = 0.3 * np.asarray(X).mean()
    moved = found.mean((1, 2, 3)) - mean
    assert np.all(np.abs(moved) <= 0.2 + 1e-6)
    assert_mean(moved, 0.0)
    assert np.abs(moved).max() > 0.19
    factor = found.std((1, 2, 3)) / (0.3 * np.asarray(X)).std()
    assert factor.min() > 0.49
    assert factor.max() < 1.51
    assert_mean(factor, 1.0)
    assert np.abs(np.corrcoef(moved, factor)[0, 1]) < 0.1


def test_angles_and_sizes():
    """A ramp stays linear inside, and its slopes are those of the map from place to place."""
    found = 100 * changed(RandomImage(flip=0.0, shift=0, rotation=30.0, zoom=0.2), RAMPS)
    down, right = found[:, 5, 5] - found[:, 4, 5], found[:, 4, 6] - found[:, 4, 5]
    np.testing.assert_allclose(found[:, 4, 5], np.broadcast_to([4.0, 5.0], (NUM, 2)), atol=1e-4)
    np.testing.assert_allclose(down[:, 0], right[:, 1], atol=1e-4)
    np.testing.assert_allclose(down[:, 1], -right[:, 0], atol=1e-4)
    angle, size = np.rad2deg(np.arctan2(right[:, 0], down[:, 0])), 1 / np.hypot(*down.T)
    for value, low, high in ((angle, -30.0, 30.0), (size, 0.8, 1.2)):
        part = (value - low) / (high - low)
        assert part.min() > -1e-4
        assert part.max() < 1 + 1e-4
        assert scipy.stats.kstest(part, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(angle, size)[0, 1]) < 0.06


def test_turned_images_are_those_of_scipy():
    """The angle and the size are read off a ramp that the same key has turned."""
    change = RandomImage(flip=0.0, shift=0, rotation=180.0, zoom=0.3)
    image = jax.random.normal(jax.random.key(0), (9, 11, 2)) / 5
    ramps, images = 100 * changed(change, RAMPS, num=20), changed(change, image, num=20)
    for ramp, found in zip(ramps, images, strict=True):
        matrix = np.stack([ramp[5, 5] - ramp[4, 5], ramp[4, 6] - ramp[4, 5]], 1)
        offset = np.array([4, 5]) - matrix @ [4, 5]
        for channel in range(2):
            expected = scipy.ndimage.affine_transform(
                np.asarray(image)[..., channel], matrix, offset, order=1, mode="nearest"
            )
            np.testing.assert_allclose(found[..., channel], expected.clip(-1, 1), atol=1e-3)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.int32])
def test_many_pixels_of_few_bits_keep_their_places(dtype):
    """An angle of next to nothing changes nothing, where half precision counts to 256 only."""
    image = jnp.asarray(np.random.default_rng(1).integers(-1, 2, (3, 600, 1)), dtype)
    change = RandomImage(flip=0.0, shift=0, rotation=np.float32(1e-6))
    found = np.asarray(change(image, key=jax.random.key(0)), np.float32)
    np.testing.assert_allclose(found, np.asarray(image, np.float32), atol=4e-3)


def test_an_angle_that_is_traced_is_refused():
    with pytest.raises(ValueError, match=r"^rotation=.*give a number that is known"):
        jax.jit(lambda angle: RandomImage(rotation=angle).rotation)(1.0)


def test_values_stay_within_the_bounds():
    found = changed(RandomImage(brightness=1.0, bounds=(-0.5, 0.8)), num=50)
    assert (found.min(), found.max()) == (np.float32(-0.5), np.float32(0.8))


@pytest.mark.medium
def test_chains_are_changed_when_they_are_drawn_again():
    silent = Langevin(1e-12, noise_scale=0.0)
    negatives = PCD(silent, 1, 4, 0.0, augment=RandomImage(flip=1.0, shift=0))
    trainer = Trainer(optax.sgd(0.0), negatives)
    state = trainer.init(ConvNet((4, 4, 1), (2,), key=jax.random.key(0)), key=jax.random.key(1))
    before = np.asarray(state.negatives_state.positions)
    batch = np.zeros((4, 4, 4, 1), np.float32)
    after, _ = ebmx.fit(trainer, state, [batch], num_steps=1, key=jax.random.key(2), progress=False)
    np.testing.assert_allclose(after.negatives_state.positions, before[:, :, ::-1], atol=1e-5)


@pytest.mark.medium
def test_data_are_changed_each_time_they_are_seen():
    """The loss sees mirrored data, and the labels and weights that they had."""
    x = jnp.tile(X[None, ..., :1], (400, 1, 1, 1))
    seen = {}

    def look(energy, positives, negatives):
        seen["x"], seen["weights"] = positives.x, positives.log_weights
        return 0.0 * jnp.sum(jax.vmap(energy)(positives.x)), {}

    energy = ConvNet((4, 5, 1), (2,), key=jax.random.key(0))
    trainer = Trainer(optax.sgd(0.0), DataOnly(), look, augment=RandomImage(flip=0.5, shift=0))
    state, weights = trainer.init(energy, key=jax.random.key(1)), jnp.arange(400.0)
    found = []
    for _ in range(2):
        state, _ = trainer.step(state, Examples(x, None, weights), key=jax.random.key(2))
        found.append(np.asarray(seen["x"]))
    mirrored = np.stack([np.isclose(y, np.asarray(x)[:, :, ::-1]).all((1, 2, 3)) for y in found])
    same = np.stack([np.isclose(y, np.asarray(x)).all((1, 2, 3)) for y in found])
    assert np.all(mirrored ^ same)
    assert_mean(mirrored.ravel().astype(float), 0.5)
    assert np.any(mirrored[0] != mirrored[1])
    np.testing.assert_array_equal(seen["weights"], weights)


@pytest.mark.medium
def test_an_objective_alone_can_see_changed_data():
    """Its first examples are mirrored; the trainer's own loss sees the batch as it is."""
    x = jnp.tile(X[None, ..., :1], (4, 1, 1, 1))
    seen = {}

    def look(name, energy, positives, negatives):
        seen[name] = positives.x
        return 0.0 * jnp.sum(jax.vmap(energy)(positives.x)), {}

    mirror = RandomImage(flip=1.0, shift=0)
    losses = [functools.partial(look, name) for name in ("own", "further")]
    further = Objective(DataOnly(), losses[1], num_examples=3, augment=mirror, name="further")
    trainer = Trainer(optax.sgd(0.0), DataOnly(), losses[0], objectives=[further])
    energy = ConvNet((4, 5, 1), (2,), key=jax.random.key(0))
    trainer.step(trainer.init(energy, key=jax.random.key(1)), x, key=jax.random.key(2))
    np.testing.assert_array_equal(seen["own"], x)
    np.testing.assert_allclose(seen["further"], x[:3, :, ::-1], atol=1e-6)


def test_a_change_of_shape_is_refused():
    energy = ConvNet((4, 5, 1), (2,), key=jax.random.key(0))
    trainer = Trainer(optax.sgd(0.0), Perturbed(0.1), augment=lambda x, *, key: x[:3])
    with pytest.raises(ValueError, match=r"^augment\(x\)\.shape=\(3, 5, 1\): return an array of"):
        trainer.step(
            trainer.init(energy, key=jax.random.key(1)),
            np.zeros((2, 4, 5, 1), np.float32),
            key=jax.random.key(2),
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip": 1.5}, "flip=1.5"),
        ({"shift": -1}, "shift=-1"),
        ({"brightness": -0.1}, "brightness=-0.1"),
        ({"contrast": 2.0}, "contrast=2.0"),
        ({"rotation": -1.0}, "rotation=-1.0"),
        ({"zoom": 1.0}, "zoom=1.0"),
        ({"bounds": (1.0, -1.0)}, r"bounds=\(1.0, -1.0\): give \(low, high\)"),
    ],
)
def test_bad_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        RandomImage(**options)


@pytest.mark.medium
def test_rows_of_a_table_are_no_images():
    with pytest.raises(ValueError, match=r"x.shape=\(3,\): give \(height"):
        RandomImage()(jnp.zeros(3), key=jax.random.key(0))
