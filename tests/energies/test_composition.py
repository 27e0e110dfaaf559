"""Sums, weights, mixtures, boxes and several conditions against densities that are known."""

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from helpers import assert_mean, points
from hypothesis import given

from ebmx.energies import (
    MLP,
    AbstractConditionalEnergy,
    Box,
    DoubleWell,
    Function,
    Gaussian,
    Mixture,
    Normalised,
    Product,
    Weighted,
)
from ebmx.samplers import MALA, Langevin, sample
from ebmx.training import CD, Trainer

A = Gaussian(jnp.array([1.0, -0.5]), jnp.array([0.5, 2.0]))
B = DoubleWell((2,), 0.5)
X = points(6, (2,))
seeds = st.integers(0, 2**31 - 1)
numbers = st.floats(0.25, 5.0)


@eqx.filter_jit
def value(energy, x=X):
    """The energies of a batch."""
    return jax.vmap(energy)(x)


@eqx.filter_jit
def slope(energy, x):
    """The gradients of a batch."""
    return jax.vmap(jax.grad(energy))(x)


def gaussians(seed, num):
    """Means and covariances."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(num, 2, 2))
    return rng.normal(size=(num, 2)), factors @ np.swapaxes(factors, 1, 2) + 0.3 * np.eye(2)


def assert_same_density(values, log_density, **tolerance):
    """Check that energies are minus the log density, but for one number."""
    differences = values + log_density
    np.testing.assert_allclose(differences - differences[0], 0.0, **tolerance)


@jax.jit
def product_of(means, covariances, x):
    one, two = (Gaussian(m, c) for m, c in zip(means, covariances, strict=True))
    return jax.vmap(one + two)(x)


@given(seed=seeds)
def test_a_product_of_gaussians_is_the_gaussian_of_summed_precisions(seed):
    means, covariances = gaussians(seed, 2)
    precisions = np.linalg.inv(covariances)
    covariance = np.linalg.inv(precisions.sum(0))
    mean = covariance @ np.einsum("nij,nj->i", precisions, means)
    truth = scipy.stats.multivariate_normal(mean, covariance).logpdf(X)
    got = product_of(means, covariances, X)
    assert_same_density(np.asarray(got), truth, atol=2e-3)


@jax.jit
def tempered(mean, covariance, temperature, x):
    energy = Gaussian(mean, covariance)
    return jax.vmap(energy / temperature)(x), jax.vmap(energy * (1 / temperature))(x)


def test_plain_functions_add_up_from_either_side():
    def plain(x):
        return jnp.sum(x**3)

    wanted = value(A) + jnp.sum(X**3, 1)
    for energy in (A + plain, plain + A, sum([A, plain]), sum([plain], A)):
        assert energy.shape == (2,)
        np.testing.assert_allclose(value(energy), wanted, rtol=1e-5)
    np.testing.assert_allclose(value(plain - A), jnp.sum(X**3, 1) - value(A), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(value(sum([A, B, A])), 2 * value(A) + value(B), rtol=1e-5)
    for other in (1, 0.0, "x"):
        with pytest.raises(TypeError):
            other + A
        with pytest.raises(TypeError):
            other - A


@given(seed=seeds, temperature=numbers)
def test_a_tempered_gaussian_has_a_wider_covariance(seed, temperature):
    (mean,), (covariance,) = gaussians(seed, 1)
    truth = scipy.stats.multivariate_normal(mean, temperature * covariance).logpdf(X)
    for got in tempered(mean, covariance, temperature, X):
        assert_same_density(np.asarray(got), truth, atol=2e-3)


@jax.jit
def mixtures(means, scales, weights, x):
    def normalised(mean, scale):
        energy = Gaussian(mean, scale**2)
        return energy + (lambda x: energy.log_z)

    parts = [normalised(m, s) for m, s in zip(means, scales, strict=True)]
    return jax.vmap(Mixture(parts, weights))(x), jax.vmap(Mixture(parts))(x)


@given(seed=seeds, weights=st.tuples(numbers, numbers, numbers))
def test_a_mixture_of_normalised_gaussians_is_theirs_and_normalised(seed, weights):
    rng = np.random.default_rng(seed)
    means, scales = rng.normal(size=(3, 1)), rng.uniform(0.3, 1.5, size=3)
    grid = np.linspace(-12.0, 12.0, 1001)
    got, equal = mixtures(means, scales, np.array(weights), grid[:, None])
    parts = scipy.stats.norm(means, scales[:, None]).pdf(grid)
    np.testing.assert_allclose(np.exp(-got), weights @ parts / sum(weights), atol=1e-5)
    np.testing.assert_allclose(np.exp(-equal), parts.mean(0), atol=1e-5)
    np.testing.assert_allclose(np.trapezoid(np.exp(-got), grid), 1.0, rtol=1e-4)


def test_shares_of_a_mixture_are_weights_times_normalisers():
    parts = Gaussian(np.zeros(1), 0.25), Gaussian(np.full(1, 6.0), 4.0)
    grid = np.linspace(-20.0, 30.0, 4001)
    density = np.exp(-value(Mixture(parts, np.array([0.3, 0.7])), grid[:, None]))
    truth = [w * np.exp(part.log_z) for w, part in zip((0.3, 0.7), parts, strict=True)]
    np.testing.assert_allclose(np.trapezoid(density, grid), sum(truth), rtol=1e-4)


def arithmetic(a, b, f):
    """Sums and weights of energies or of their values; a plain function takes part as `f`."""
    minus = -a
    return [
        a + b,
        a - b,
        minus,
        -minus,
        2 * a,
        a * 2,
        np.float64(0.3) * a,
        jnp.array(0.3) * a,
        a / 4,
        a + f,
        a - f,
        0.5 * (a + b) / 2 - a,
        (a - b) * 3 + (b - a),
        a - (b - a / 0.5),
    ]


def wave(x):
    return jnp.sum(jnp.sin(x))


def test_arithmetic_is_that_of_numbers():
    energies = [
        *arithmetic(A, B, wave),
        Product((A + B, -B, 3 * (A - B))),
        Product((wave, A)),
        Product((B,)),
        Weighted(Function(wave, (2,)), -2.0),
        Weighted(B, 0.25),
        Normalised(A, 3.0),
        Normalised(B),
    ]
    a, b, *got = jax.jit(lambda x: [jax.vmap(e)(x) for e in (A, B, *energies)])(X)
    a, b, f = np.asarray(a), np.asarray(b), np.sum(np.sin(X), 1)
    truth = [*arithmetic(a, b, f), a + 3 * (a - b), f + a, b, -2 * f, b / 4, a + 3, b]
    for energy, values, want in zip(energies, got, truth, strict=True):
        assert energy.shape == (2,)
        np.testing.assert_allclose(values, want, rtol=1e-5, atol=1e-5)
    with pytest.raises(TypeError, match="unsupported operand"):
        A + 1.0
    with pytest.raises(TypeError, match="unsupported operand"):
        A * B


def test_a_weight_may_be_traced_and_is_not_retraced():
    traces = []

    @jax.jit
    def weighted(weight):
        traces.append(weight)
        return (weight * A)(X[0]), (A / weight)(X[0])

    for weight in (0.5, 2.0):
        np.testing.assert_allclose(weighted(weight), np.array([weight, 1 / weight]) * A(X[0]))
    assert len(traces) == 1


BOX = Box(A, jnp.array([0.5, -2.0]), jnp.array([3.0, 0.0]))
INSIDE = np.array([[1.0, -0.5], [0.5, 0.0], [3.0, -2.0]])
OUTSIDE = np.array(
    [[0.4, -0.5], [3.1, -0.5], [1.0, 0.1], [1.0, -2.1], [1e9, -1e9], [np.inf, -1.0], [-9.0, 9.0]]
)


def test_a_box_keeps_the_energy_inside_and_is_infinite_outside():
    np.testing.assert_array_equal(value(BOX, INSIDE), value(A, INSIDE))
    np.testing.assert_array_equal(value(BOX, OUTSIDE), np.full(7, np.inf))
    np.testing.assert_array_equal(slope(BOX, INSIDE), slope(A, INSIDE))
    np.testing.assert_array_equal(slope(BOX, OUTSIDE), np.zeros((7, 2)))


def test_a_box_hides_from_gradients_what_is_undefined_outside():
    box = Box(Function(lambda x: -jnp.log(x[0]) + jnp.sqrt(1 - x[0]), (1,)), 0.1, 0.9)
    x = np.array([[-1.0], [0.0], [0.5], [2.0]])
    np.testing.assert_allclose(slope(box, x)[:, 0], [0, 0, -2 - 0.5 / np.sqrt(0.5), 0], rtol=1e-5)
    np.testing.assert_array_equal(np.isinf(value(box, x)), [True, True, False, True])


@pytest.mark.medium
def test_mala_in_a_box_samples_the_truncated_gaussian(getkey):
    x = jnp.tile(jnp.array([1.0, -1.0]), (1_000, 1))
    samples = sample(BOX, MALA(0.5), x, num_warmup=50, num_samples=20, thin=2, key=getkey())
    draws = np.asarray(samples.values)
    low, high = np.asarray(BOX.low), np.asarray(BOX.high)
    assert np.all((draws >= low) & (draws <= high))
    mean, scale = np.array([1.0, -0.5]), np.sqrt([0.5, 2.0])
    truth = scipy.stats.truncnorm((low - mean) / scale, (high - mean) / scale, mean, scale)
    assert_mean(draws.mean(1), truth.mean())
    assert_mean((draws[:, -1] - truth.mean()) ** 2, truth.var())


class Near(AbstractConditionalEnergy):
    """`p(x | y)` is a Gaussian at `y`."""

    scale: float
    shape: tuple[int, ...] = eqx.field(static=True, default=(2,))
    condition_shape: tuple[int, ...] = eqx.field(static=True, default=(2,))
    num_labels: int | None = eqx.field(static=True, default=None)

    def __call__(self, x, y):
        return 0.5 * jnp.sum((x - y) ** 2) / self.scale**2


@jax.jit
def conjoined(conditions, scale, x):
    """With a flat prior, and with a Gaussian one."""
    energy, base = Near(scale), Gaussian(jnp.zeros(2), 1.0)
    flat = Product([energy.at(y) for y in conditions])
    return [jax.vmap(e)(x) for e in (flat, flat - (len(conditions) - 1.0) * base)]


@pytest.mark.parametrize("num", [1, 2, 3])
def test_several_conditions_at_once_are_the_known_gaussian(num):
    rng = np.random.default_rng(num)
    for scale in (0.3, 0.6, 0.9):
        conditions = rng.normal(size=(num, 2)).astype(np.float32)
        precisions = num / scale**2, num / scale**2 - (num - 1)
        for got, precision in zip(conjoined(conditions, scale, X), precisions, strict=True):
            mean = conditions.sum(0) / scale**2 / precision
            truth = scipy.stats.multivariate_normal(mean, np.eye(2) / precision).logpdf(X)
            assert_same_density(got, truth, atol=1e-3)


def test_weights_and_corners_are_no_parameters():
    conditioned = Near(0.5).at(jnp.ones(2))
    energy = Box(0.5 * A + conditioned, -9.0, 9.0)
    energy = Normalised(energy, 2.0)
    slopes = eqx.filter_jit(eqx.filter_grad(lambda energy: energy(X[0])))(energy)
    np.testing.assert_array_equal(slopes.constant, 1.0)  # this one is a parameter
    slopes = slopes.energy
    gaussian, near = slopes.energy.energies
    assert float(jnp.max(jnp.abs(gaussian.energy.location))) > 0.1
    for slope in (gaussian.weight, near.y, slopes.low, slopes.high):
        np.testing.assert_array_equal(slope, np.zeros_like(slope))


@pytest.mark.slow
def test_training_a_product_leaves_its_weight_alone(getkey):
    energy = Box(MLP((2,), (3,), key=getkey()) + 0.3 * A, -9.0, 9.0)
    trainer = Trainer(optax.adam(0.1), CD(Langevin(0.1), 1))
    state = trainer.init(energy, key=getkey())
    step = eqx.filter_jit(trainer.step)
    for _ in range(2):
        state, metrics = step(state, X, key=getkey())
    assert int(metrics["skipped"]) == 0
    network, gaussian = state.energy.energy.energies
    assert not np.array_equal(network.layers[0].weight, energy.energy.energies[0].layers[0].weight)
    np.testing.assert_array_equal(gaussian.weight, np.float32(0.3))
    np.testing.assert_array_equal(state.energy.low, energy.low)
    np.testing.assert_allclose(state.ema.energy.energies[1].weight, 0.3, rtol=1e-6)
