"""Diffusion recovery, transport, the terms of improved contrastive divergence: closed forms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.spatial
from closed_forms import Wells, apply
from helpers import assert_covariance, assert_mean, points
from moves import affine, patched, step, values

from ebmx.energies import Gaussian
from ebmx.samplers import MALA
from ebmx.training import (
    DiffusionRecovery,
    Examples,
    TransportPairs,
    UniformNoise,
    sampler_divergence_loss,
    transport_matching_loss,
)
from ebmx.training.losses._improved_cd import nearest_neighbour_entropy
from ebmx.training.negatives._transport import assignment

NUM = 4000
ENERGY = patched(1.5, 0.3)
WELLS = Wells(np.float32([[1.0, 0.0], [0.0, -2.0]]), np.float32([1.0, 2.0]))


def test_recovery_samples_the_posterior_of_a_noisy_example():
    # prior N(1, 1/2) and noise 0.5 make the posterior a Gaussian
    energy, sigma = Gaussian(jnp.ones(1), 0.5), 0.5
    recovery = DiffusionRecovery(MALA(0.3), sigma, num_steps=60)
    negatives, _, _ = step(recovery, energy, np.zeros((NUM, 1)), None, jax.random.key(3))
    # x̃ ~ N(0, σ²); x | x̃ ~ N((2·1 + x̃/σ²)/(2 + 1/σ²), 1/(2 + 1/σ²))
    precision = 2 + 1 / sigma**2
    mean, variance = 2.0 / precision, 1 / precision + sigma**2 / sigma**4 / precision**2
    assert_mean(negatives.x, mean)
    assert_mean((np.asarray(negatives.x) - mean) ** 2, variance)


@pytest.mark.parametrize("sigma", [0.25, 2.0])
def test_chains_of_recovery_start_at_noisy_data_and_fall_back_to_the_data(sigma, getkey):
    x, y, edge = np.asarray(points(NUM, (2,))), jnp.arange(NUM) % 5, 0.7
    recovery = DiffusionRecovery(affine(0.5, 0.25, edge=edge), sigma, num_steps=1)
    key = getkey()
    out, state, info = step(recovery, ENERGY, (x, y), None, key)
    np.testing.assert_array_equal(out.y, y)
    whole = step(DiffusionRecovery(affine(0.5, 0.25), sigma, 1), ENERGY, (x, y), None, key)[0]
    noisy = 2 * (np.asarray(whole.x) - 0.25)
    noise = (noisy - x) / sigma
    assert_mean(noise, 0.0)
    assert_covariance(noise, np.eye(2))
    assert_mean(noise * x, 0.0)
    assert_mean(noise[1:] * noise[:-1], 0.0)
    # a dead chain is replaced by the example without noise
    dead = np.asarray(info.dead)
    assert 0.2 < dead.mean() < 0.5
    np.testing.assert_array_equal(np.asarray(out.x)[dead], x[dead])
    moved = np.asarray(out.x, np.float64)[~dead]
    noisy = 2 * (moved - 0.25)
    assert np.all(noisy[:, 0] <= edge + 1e-5)
    # the energy of each chain is that given its own noisy example
    want = values(ENERGY, moved) + np.sum((noisy - moved) ** 2, 1) / (2 * sigma**2)
    np.testing.assert_allclose(info.chains.energy[~dead], want, rtol=1e-3, atol=1e-4)
    assert state is None
    assert not np.any(info.restarted)


def test_recovery_of_data_without_labels_has_none(getkey):
    out = eqx.filter_eval_shape(
        step, DiffusionRecovery(affine(), 0.5), ENERGY, WELLS.modes, None, getkey()
    )
    assert out[0].x.shape == (2, 2)
    assert out[0].y is None


def test_transport_pairs_are_nearly_those_of_the_assignment(getkey):
    x = np.asarray(points(32, (2,), scale=2.0))
    pairs = TransportPairs(num_iterations=200, temperature=0.005)
    negatives, _, info = step(pairs, None, x, None, getkey())
    assert info is None
    assert negatives.y.shape == (32,)

    def cost(a, b):
        return float(np.mean(np.sum((np.asarray(a) - np.asarray(b)) ** 2, -1)))

    z = np.asarray(negatives.x)
    square = scipy.spatial.distance.cdist(x, z, "sqeuclidean")
    rows, columns = scipy.optimize.linear_sum_assignment(square)
    # partners may repeat, so the pairs can be a little nearer than an assignment of the same noise
    assert cost(x, z) < 1.1 * cost(x[rows], z[columns]) + 1e-6
    shuffled = np.random.default_rng(0).permutation(z)
    assert cost(x, z) < 0.5 * cost(x, shuffled)


def test_the_exact_plan_is_the_assignment_of_the_smallest_cost(getkey):
    x = np.asarray(points(32, (3, 2), scale=2.0))
    negatives, _, _ = step(TransportPairs(plan="exact"), None, x, None, getkey())
    z = np.asarray(negatives.x)
    square = scipy.spatial.distance.cdist(x.reshape(32, 6), z.reshape(32, 6), "sqeuclidean")
    _, columns = scipy.optimize.linear_sum_assignment(square)
    # the pairs stand in the order of the positives, and no noise is drawn twice
    np.testing.assert_array_equal(columns, np.arange(32))
    assert len(np.unique(z, axis=0)) == 32
    # noise of another order has the same partners
    assigned = jax.jit(assignment)(
        jnp.asarray(x.reshape(32, 6)), jnp.asarray(z.reshape(32, 6)[::-1])
    )
    np.testing.assert_array_equal(assigned, np.arange(32)[::-1])


log_plan = eqx.filter_jit(lambda pairs, x, y: pairs._log_plan(x, y))


@pytest.mark.parametrize("num_iterations", [1, 500])
def test_the_plan_is_that_of_entropic_transport(num_iterations):
    x, y, temperature = np.asarray(points(9, (3,))), np.asarray(points(9, (3,), seed=1)), 0.1
    pairs = TransportPairs(num_iterations=num_iterations, temperature=temperature)
    plan = np.asarray(log_plan(pairs, x, y), np.float64)
    # it is a kernel of the cost, scaled by a factor for each row and one for each column
    cost = scipy.spatial.distance.cdist(x, y, "sqeuclidean")
    scales = plan + cost / (temperature * cost.mean())
    rank_one = scales - scales[:1] - scales[:, :1] + scales[0, 0]
    np.testing.assert_allclose(rank_one, 0, atol=1e-3)
    # and both its margins are uniform, those of the noise after any number of iterations
    np.testing.assert_allclose(np.exp(plan).sum(0), 1, rtol=1e-4)
    if num_iterations > 1:
        np.testing.assert_allclose(np.exp(plan).sum(1), 1, rtol=1e-3)


def test_times_are_uniform_and_independent_of_the_pairs(getkey):
    x = np.asarray(points(500, (3, 2)))
    pairs = TransportPairs(UniformNoise(-1.0, 3.0), num_iterations=1)
    out, state, _ = step(pairs, None, x, None, getkey())
    times, z = np.asarray(out.y), np.asarray(out.x)
    assert z.shape == x.shape
    assert np.all((z >= -1) & (z < 3))
    assert np.all((times >= 0) & (times < 1))
    assert_mean(times, 0.5)
    assert_mean((times - 0.5) ** 2, 1 / 12)
    assert_mean((times - 0.5)[:, None, None] * (z - 1), 0.0)
    assert state is None


matching = eqx.filter_jit(lambda *arguments: apply(transport_matching_loss, *arguments)[0])


def test_transport_matching_is_the_squared_distance_of_slope_and_transport():
    x, z = (np.asarray(points(6, (2,), seed=seed)) for seed in (0, 1))
    times = np.linspace(0, 1, 6, dtype=np.float32)
    between = (1 - times)[:, None] * z + times[:, None] * x
    slope = 1.5 * (between - np.array([0.3, 0.0]))
    want = np.mean(np.sum((slope + x - z) ** 2, 1))
    np.testing.assert_allclose(matching(ENERGY, x, Examples(z, times)), want, rtol=1e-5)
    # where all noise is shifted by 2, a slope of -2 is right
    right = matching(lambda x: -2 * jnp.sum(x), x, Examples(x - 2, times))
    np.testing.assert_allclose(right, 0, atol=1e-5)
    for negatives in (x, Examples(z[:3], times[:3])):
        with pytest.raises(ValueError, match="give pairs with times: use TransportPairs"):
            apply(transport_matching_loss, ENERGY, x, negatives)


def neighbour_entropy(x):
    return np.mean(np.log(scipy.spatial.KDTree(x).query(x, 2)[0][:, 1]))


def labelled_slope(x, y, modes, precisions):
    return precisions[y][:, None] * (x - modes[y])


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_the_divergence_of_the_sampler_is_that_of_one_more_step(weight):
    x, y, step_size = np.asarray(points(7, (2,)), np.float64), np.array([0, 1, 1, 0, 1, 0, 0]), 0.4

    def reference(modes, precisions):
        """The parameters move the negatives, and the energy in the loss is fixed."""
        moved = x - 0.5 * step_size * labelled_slope(x, y, modes, precisions)
        fixed = (np.asarray(a, np.float64) for a in (WELLS.modes, WELLS.precisions))
        mode, precision = (a[y] for a in fixed)
        energies = 0.5 * precision * np.sum((moved - mode) ** 2, 1)
        return np.mean(energies) - weight * neighbour_entropy(moved), neighbour_entropy(moved)

    @eqx.filter_jit
    @eqx.filter_value_and_grad(has_aux=True)
    def loss(arguments):
        energy, x = arguments
        return apply(
            sampler_divergence_loss,
            energy,
            x,
            Examples(x, jnp.asarray(y)),
            step_size=step_size,
            entropy_weight=weight,
        )

    (value, metrics), (gradient, by_x) = loss((WELLS, jnp.asarray(x, jnp.float32)))
    flat = np.concatenate([np.ravel(WELLS.modes), WELLS.precisions]).astype(np.float64)
    of_flat = lambda p: reference(p[:4].reshape(2, 2), p[4:])[0]  # noqa: E731
    want, entropy = reference(flat[:4].reshape(2, 2), flat[4:])
    np.testing.assert_allclose(value, want, rtol=1e-5)
    np.testing.assert_allclose(metrics["entropy"], entropy, rtol=1e-5)
    found = np.concatenate([np.ravel(gradient.modes), gradient.precisions])
    # central differences, whose error is far below the tolerance
    slopes = [(of_flat(flat + e) - of_flat(flat - e)) / 2e-5 for e in 1e-5 * np.eye(6)]
    np.testing.assert_allclose(found, slopes, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(by_x, np.zeros((7, 2)))


def test_the_entropy_of_neighbours_is_that_of_their_distances():
    x = np.array(points(50, (3, 2)))
    entropy = jax.jit(nearest_neighbour_entropy)
    np.testing.assert_allclose(entropy(x), neighbour_entropy(x.reshape(50, 6)), rtol=1e-5)
    np.testing.assert_allclose(entropy(2 * x) - entropy(x), np.log(2.0), rtol=1e-4)
    # two examples at one place have a finite entropy, and a finite slope
    x[1] = x[0]
    value, slope = jax.jit(jax.value_and_grad(nearest_neighbour_entropy))(x)
    assert np.isfinite(value)
    assert np.all(np.isfinite(slope))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DiffusionRecovery(MALA(0.1), 0.0), "sigma=0"),
        (lambda: DiffusionRecovery(MALA(0.1), 0.5, num_steps=0), "num_steps=0"),
        (
            lambda: DiffusionRecovery(MALA(0.1), 0.5).step(
                WELLS, Examples(WELLS.modes), None, key=jax.random.key(0)
            ),
            "energy=Wells: recovery takes an energy of x alone: fix the condition with `at`",
        ),
        (lambda: TransportPairs(num_iterations=0), "num_iterations=0"),
        (lambda: TransportPairs(temperature=-1.0), "temperature=-1"),
        (lambda: TransportPairs(plan="greedy"), "plan='greedy': give 'sinkhorn' or 'exact'"),
        (
            lambda: apply(
                sampler_divergence_loss,
                Gaussian(jnp.zeros(2)),
                jnp.zeros((2, 2)),
                jnp.zeros((1, 2)),
                step_size=0.1,
            ),
            r"negatives\.shape",
        ),
    ],
)
def test_errors_name_the_argument(make, words):
    with pytest.raises(ValueError, match=words):
        make()
