"""Level classification, the level derivative and both with scores, where the truth is known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from noise_levels import LEVELS, MEANS, SCALE, data, noisy_mixture

import ebmx.training as t
from ebmx.energies import MLP, NoiseConditional
from ebmx.training import Examples

pytestmark = pytest.mark.medium
KEY = jax.random.key(0)
LOSSES = {
    "all levels": t.level_classification_loss,
    "one neighbour": eqx.Partial(t.level_classification_loss, num_neighbours=1),
    "three neighbours": eqx.Partial(t.level_classification_loss, num_neighbours=3),
    "derivative": t.level_derivative_loss,
    "together": t.noise_level_loss,
    "stable": eqx.Partial(t.noise_level_loss, stable_targets=True),
}
GAUSSIAN = noisy_mixture(means=jnp.zeros((3, 2)))  # the centres of all parts at one point


def batches(energy, num, size, key):
    """Data and noisy data in batches `(num, size, ...)`."""
    data_key, key = jax.random.split(key)
    positives = Examples(data(num * size, data_key).reshape(num, size, 2))
    make = lambda x, key: t.PerturbedLevels().step(energy, x, None, key=key)[0]  # noqa: E731
    return positives, jax.vmap(make)(positives, jax.random.split(key, num))


@pytest.mark.parametrize("name", LOSSES)
def test_the_truth_alone_is_stationary(name):
    """Gradients by a constant between the levels and by a factor of the energy."""
    positives, negatives = batches(noisy_mixture(), 200, 120, jax.random.key(0))

    def one(slope, factor, positives, negatives):
        return LOSSES[name](noisy_mixture((slope, 0.0), factor), positives, negatives)[0]

    gradients = jax.jit(jax.vmap(jax.grad(one, (0, 1)), (None, None, 0, 0)))

    def deviations(slope, factor):
        found = np.stack(gradients(jnp.array(slope), jnp.array(factor), positives, negatives))
        return found.mean(1) / (found.std(1) / np.sqrt(found.shape[1]))

    assert np.all(np.abs(deviations(0.0, 1.0)) < 4.5)
    assert deviations(1.0, 1.0)[0] > 10
    assert deviations(0.0, 1.3)[1] > 10
    assert deviations(0.0, 0.7)[1] < -10


@pytest.mark.parametrize("size", [3, 5])
def test_the_truth_is_stationary_for_odd_batches(size):
    """Regression: one example more had its next higher level as the other than its next lower."""
    positives, negatives = batches(noisy_mixture(), 5000, size, jax.random.key(0))
    loss = LOSSES["three neighbours"]
    one = lambda slope, *pairs: loss(noisy_mixture((slope, 0.0)), *pairs)[0]  # noqa: E731
    found = jax.jit(jax.vmap(jax.grad(one), (None, 0, 0)))(jnp.array(0.0), positives, negatives)
    assert abs(found.mean()) < 4.5 * found.std() / np.sqrt(5000)


def test_values_at_a_gaussian():
    """With data of variance s², the noise given x̃ has variance v = s²/(s² + σ²) a coordinate."""
    key = jax.random.key(1)
    positives = Examples(SCALE * jax.random.normal(key, (40_000, 2)))
    negatives, _, _ = t.PerturbedLevels().step(GAUSSIAN, positives, None, key=key)
    _, metrics = t.noise_level_loss(GAUSSIAN, positives, negatives)
    levels = np.asarray(LEVELS.sigma)
    v = SCALE**2 / (SCALE**2 + levels**2)
    prior = np.exp(LEVELS.log_prior)
    np.testing.assert_allclose(metrics["score_loss"], np.sum(prior * v) / 2, rtol=0.02)
    # var |ε|² given x̃ is 2 v² + 4 v m² with E m² = 1 - v
    expected = np.sum(prior * (4 * v - 2 * v**2)) / 2
    np.testing.assert_allclose(metrics["derivative_loss"], expected, rtol=0.03)
    alone, _ = t.level_derivative_loss(GAUSSIAN, positives, negatives)
    np.testing.assert_allclose(alone, metrics["derivative_loss"], rtol=1e-5)


def test_the_parts_are_those_of_the_losses_alone():
    positives, negatives = batches(noisy_mixture(), 1, 60, jax.random.key(2))
    positives, negatives = jax.tree.map(lambda a: a[0], (positives, negatives))
    energy = noisy_mixture((0.3, 0.1), 0.8)
    total, metrics = t.noise_level_loss(
        energy, positives, negatives, score_weight=2.0, classification_weight=3.0,
        derivative_weight=0.5, num_neighbours=2,
    )  # fmt: skip
    alone, _ = t.level_classification_loss(energy, positives, negatives, num_neighbours=2)
    score, _ = t.denoising_score_matching_loss(energy, positives, negatives)
    np.testing.assert_allclose(metrics["classification_loss"], alone, rtol=1e-5)
    np.testing.assert_allclose(metrics["score_loss"], score / 2, rtol=1e-5)
    parts = [2.0, 3.0, 0.5] @ np.stack(list(metrics.values()))
    np.testing.assert_allclose(total, parts, rtol=1e-5)


def test_all_levels_at_once_is_a_categorical_cross_entropy():
    positives, negatives = batches(noisy_mixture(), 1, 50, jax.random.key(3))
    x, y = negatives.x[0], negatives.y[0]
    energy = noisy_mixture((0.5, 0.0), 0.9)
    values = jax.vmap(lambda x: jax.vmap(lambda s: energy(x, s))(LEVELS.sigma))(x)
    logits = np.asarray(LEVELS.log_prior) - np.asarray(values)
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    number = [int(np.argmin(np.abs(np.asarray(LEVELS.sigma) - s))) for s in np.asarray(y)]
    expected = -np.mean(log_p[np.arange(50), number])
    found, _ = t.level_classification_loss(energy, Examples(positives.x[0]), Examples(x, y))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("num_noisy", [None, 15])
def test_stable_targets_are_means_over_all_data_of_the_batch(num_noisy):
    positives, negatives = Examples(data(40, KEY)), t.PerturbedLevels(num_noisy=num_noisy)
    negatives, _, _ = negatives.step(noisy_mixture(), positives, None, key=jax.random.key(6))
    assert len(negatives.x) == (num_noisy or 40)
    x, noisy, sigma = (np.asarray(a, np.float64) for a in (positives.x, negatives.x, negatives.y))
    needed = (noisy[:, None] - x[None]) / sigma[:, None, None]
    squares = (needed**2).sum(-1)
    weights = np.exp(-0.5 * squares)
    weights /= weights.sum(1, keepdims=True)
    mean_noise, mean_square = np.einsum("ij,ijd->id", weights, needed), (weights * squares).sum(1)
    energy = noisy_mixture((0.1, 0.0), 0.9)
    _, metrics = t.noise_level_loss(energy, positives, negatives, stable_targets=True)
    at = lambda x, s: energy(x, jnp.exp(s))  # noqa: E731
    gradient, rate = jax.vmap(jax.grad(at, (0, 1)))(negatives.x, jnp.log(negatives.y))
    expected = np.mean((sigma[:, None] * gradient - mean_noise) ** 2) / 2
    np.testing.assert_allclose(metrics["score_loss"], expected, rtol=1e-4)
    expected = np.mean((rate - (2 - mean_square)) ** 2) / 4
    np.testing.assert_allclose(metrics["derivative_loss"], expected, rtol=1e-4)


def test_stable_targets_far_from_the_origin():
    """Regression: squared distances were differences of squares of uncentred data."""
    found = []
    for offset in (0.0, 1000.0):
        energy = noisy_mixture((0.1, 0.0), 0.9, means=MEANS + offset)
        # multiples of 1/64, which are exact at both places
        x, noise = (
            jnp.round(64 * a) / 64 for a in (data(40, KEY), 0.25 * jax.random.normal(KEY, (40, 2)))
        )
        positives = Examples(x + offset)
        negatives = Examples(x + noise + offset, jnp.full(40, 0.25))
        found.append(t.noise_level_loss(energy, positives, negatives, stable_targets=True)[0])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)


def test_stable_targets_of_an_example_without_weight():
    """Regression: the only example of its class, of weight zero, made the loss NaN."""
    energy, x = with_classes(3), jax.random.normal(KEY, (4, 2))
    positives = Examples(x, jnp.array([0, 1, 1, 2]), jnp.array([-jnp.inf, 0.0, 0.0, 0.0]))
    negatives, _, _ = t.PerturbedLevels(0.0).step(energy, positives, None, key=KEY)
    pair, loss = (positives, negatives), LOSSES["stable"]
    assert np.isfinite(loss(energy, *pair)[0])
    rest = [Examples(e.x[1:], e.y[1:]) for e in pair]
    found, expected = (loss(energy, *p, classification_weight=0.0)[0] for p in (pair, rest))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_scale_does_not_depend_on_batch_or_dimension():
    """A standard Gaussian in 2 and in 50 dimensions, batches of 30 and 3,000."""
    found = {}
    for size, num in ((2, 3000), (50, 3000), (2, 30_000)):
        energy = noisy_mixture(means=jnp.zeros((3, size)))
        positives = Examples(SCALE * jax.random.normal(jax.random.key(4), (num, size)))
        negatives, _, _ = t.PerturbedLevels().step(energy, positives, None, key=jax.random.key(5))
        metrics = t.noise_level_loss(energy, positives, negatives)[1]
        found[size, num] = metrics["score_loss"], metrics["derivative_loss"]
    np.testing.assert_allclose(found[50, 3000], found[2, 3000], rtol=0.15)
    np.testing.assert_allclose(found[2, 30_000], found[2, 3000], rtol=0.15)


@pytest.mark.parametrize(
    ("loss", "change", "match"),
    [
        (t.noise_level_loss, {"energy": lambda x: x.sum()}, "^energy=function: .*NoiseConditional"),
        (t.level_derivative_loss, {"negatives": Examples(jnp.zeros((5, 2)))}, "^negatives.shape="),
        (t.level_derivative_loss, {"negatives": Examples(jnp.zeros((4, 2)))}, "^negatives.y.shape"),
        (t.noise_level_loss, {"score_weight": -1.0}, "^score_weight=-1.0"),
        (t.noise_level_loss, {"num_neighbours": 0}, "^num_neighbours=0"),
        (
            t.noise_level_loss,
            {
                "positives": Examples(jnp.zeros((1, 2))),
                "negatives": Examples(jnp.zeros((1, 2)), jnp.ones(1)),
            },
            r"^len\(positives.x\)=1: .* at least two",
        ),
    ],
)
def test_what_does_not_fit_is_refused(loss, change, match):
    x = Examples(jnp.zeros((4, 2)))
    call = {"energy": noisy_mixture(), "positives": x, "negatives": Examples(x.x, jnp.ones(4))}
    with pytest.raises(ValueError, match=match):
        loss(**{**call, **change})


def test_other_negatives_are_refused():
    with pytest.raises(ValueError, match=r"^negatives=DataOnly: noise_level_loss is for Perturbed"):
        t.Trainer(optax.adam(1e-3), t.DataOnly(), t.noise_level_loss)
    energy = MLP((2,), (4,), key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"^energy=MLP: give an energy over noise levels"):
        t.PerturbedLevels().step(energy, Examples(jnp.zeros((4, 2))), None, key=KEY)


def test_a_part_of_the_batch_that_does_not_fit_is_refused():
    energy, x = noisy_mixture(), Examples(jnp.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"^num_noisy=0: give a .* at least 1"):
        t.PerturbedLevels(num_noisy=0)
    with pytest.raises(ValueError, match=r"^num_noisy=5: give larger batches, or fewer"):
        t.PerturbedLevels(num_noisy=5).step(energy, x, None, key=KEY)
    for loss in (t.noise_level_loss, t.level_derivative_loss):
        with pytest.raises(ValueError, match=r"^num_noisy=2: use it with .*stable_targets=True"):
            loss(energy, x, Examples(jnp.zeros((2, 2)), jnp.ones(2)))


def test_a_weight_for_each_level():
    positives, negatives = batches(noisy_mixture(), 1, 60, jax.random.key(7))
    positives, negatives = jax.tree.map(lambda a: a[0], (positives, negatives))
    energy, weights = noisy_mixture((0.3, 0.1), 0.8), jnp.zeros(10).at[4].set(2.0)
    _, metrics = t.noise_level_loss(energy, positives, negatives, score_weight=weights)
    fourth = LEVELS.nearest(negatives.y) == 4
    one, _ = t.denoising_score_matching_loss(
        energy, Examples(positives.x[fourth]), Examples(negatives.x[fourth], negatives.y[fourth])
    )
    np.testing.assert_allclose(metrics["score_loss"], 2 * one / 2 * fourth.mean(), rtol=1e-5)
    with pytest.raises(ValueError, match=r"^score_weight=.*each of the 10 levels"):
        t.noise_level_loss(energy, positives, negatives, score_weight=jnp.ones(3))


def with_classes(num):
    network = MLP((2,), (4,), condition_size=3, key=jax.random.key(8))
    return NoiseConditional(network, LEVELS, num_classes=num, key=jax.random.key(9))


def test_stable_targets_are_means_over_data_of_the_class():
    energy, x = with_classes(6), 0.1 * jax.random.normal(jax.random.key(10), (6, 2))
    y = jnp.stack([jnp.full(6, 0.5), jnp.arange(6.0)], 1)
    noise = jax.random.normal(jax.random.key(11), (6, 2))

    def value(labels, stable):
        given = y.at[:, 1].set(labels)
        positives = Examples(x, jnp.maximum(labels, 0).astype(int))
        negatives = Examples(x + 0.5 * noise, given)
        return t.noise_level_loss(energy, positives, negatives, stable_targets=stable)[0]

    # each of a class of its own, all of one class, and no labels
    each, one, none = jnp.arange(6.0), jnp.zeros(6), jnp.full(6, -1.0)
    np.testing.assert_allclose(value(each, True), value(each, False), rtol=1e-5)
    for labels in (one, none):
        assert abs(value(labels, True) - value(labels, False)) > 1e-3


def test_a_part_of_the_labels_is_left_out():
    positives = Examples(jnp.zeros((4000, 2)), jnp.arange(4000) % 3)
    energy = with_classes(3)
    for dropout in (0.0, 0.25):
        negatives = t.PerturbedLevels(dropout)
        noisy, _, _ = negatives.step(energy, positives, None, key=jax.random.key(12))
        label = noisy.y[:, 1]
        left_out = label == -1
        np.testing.assert_allclose(left_out.mean(), dropout, atol=0.03)
        np.testing.assert_array_equal(label[~left_out], positives.y[~left_out])


def test_levels_of_a_large_loss_are_drawn_more_often():
    """In proportion to the weight and the root mean square of the loss, and weighted by less."""
    energy, negatives = noisy_mixture(), t.AdaptiveLevels(10, decay=0.0)
    positives = Examples(data(4000, jax.random.key(8)))
    assert np.all(negatives.init((2,), key=KEY) == 1)
    drawn, state, _ = negatives.step(energy, positives, jnp.ones(10), key=KEY)
    np.testing.assert_allclose(drawn.log_weights, 0.0, atol=1e-5)
    level = LEVELS.nearest(drawn.y)
    noise = (drawn.x - positives.x) / drawn.y[:, None]
    scores = jax.vmap(jax.grad(energy))(drawn.x, drawn.y)
    losses = 0.5 * jnp.mean((drawn.y[:, None] * scores - noise) ** 2, 1)
    expected = [np.mean(np.asarray(losses)[np.asarray(level) == k] ** 2) for k in range(10)]
    np.testing.assert_allclose(state, expected, rtol=1e-4)
    means = jnp.ones(10).at[3].set(400.0)
    drawn, _, _ = negatives.step(energy, positives, means, key=KEY)
    prior = np.exp(LEVELS.log_prior)
    by_loss = prior * np.sqrt(means)
    expected = 0.9 * by_loss / by_loss.sum() + 0.1 * prior
    level = np.asarray(LEVELS.nearest(drawn.y))
    np.testing.assert_allclose(np.bincount(level, minlength=10) / 4000, expected, atol=0.001)
    weights = np.log(prior / expected)[level]
    np.testing.assert_allclose(drawn.log_weights, weights, rtol=1e-4, atol=1e-5)


def test_adaptive_levels_leave_the_loss_what_it_is():
    energy, positives = noisy_mixture((0.4, 0.0), 0.9), Examples(data(20_000, jax.random.key(9)))
    means = jnp.linspace(0.1, 3.0, 10)
    found = {}
    for negatives, state in ((t.PerturbedLevels(), None), (t.AdaptiveLevels(10), means)):
        drawn, _, _ = negatives.step(energy, positives, state, key=KEY)
        found[type(negatives)] = t.noise_level_loss(energy, positives, drawn)[1]
    for name, value in found[t.PerturbedLevels].items():
        np.testing.assert_allclose(found[t.AdaptiveLevels][name], value, rtol=0.05)
    with pytest.raises(ValueError, match=r"^num_levels=4: the energy has 10 levels"):
        t.AdaptiveLevels(4).step(energy, positives, jnp.ones(4), key=KEY)
