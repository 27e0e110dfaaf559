"""MALA with a matrix: pairs of points in balance, and the inverse Fisher information."""

import blackjax.mcmc as mcmc
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import double, points

from ebmx.energies import Banana, Gaussian
from ebmx.samplers import MALA, PreconditionedMALA, Reflected, run, warmup
from ebmx.samplers.kernels._metric import Fisher, Variances, metric_of

MATRIX = np.array([[0.8, 0.5], [0.5, 1.5]])
COVARIANCE = np.array([[1.0, 0.0, 0.9], [0.0, 25.0, 0.0], [0.9, 0.0, 1.0]])
GAUSSIAN = Gaussian(np.zeros(3), COVARIANCE)


@pytest.mark.medium
@pytest.mark.parametrize("matrix", [MATRIX, np.diag(MATRIX).copy()])
def test_each_pair_of_points_is_in_balance(matrix, monkeypatch):
    size, full = 0.7, np.diag(matrix) if matrix.ndim == 1 else matrix
    inverse = np.linalg.inv(full)
    x, y = np.random.default_rng(0).normal(size=(2, 12, 2))
    with jax.enable_x64(True):
        energy = double(Banana(1.0, 0.5))
        slope = jax.vmap(jax.grad(energy))
        sampler = PreconditionedMALA(np.float64(size), jnp.asarray(matrix))

        def step(x, momentum):
            noise = lambda *_, **__: momentum  # noqa: E731
            monkeypatch.setattr(mcmc.metrics, "generate_gaussian_noise", noise)
            key = jax.random.key(0)
            state = sampler.init(energy, x, key=key)
            return sampler.step(energy, x, state, key=key)[2].acceptance

        def away(x, y):
            return y - x + size / 2 * np.asarray(slope(jnp.asarray(x))) @ full

        # the momentum that leads from `x` to `y`
        momentum = away(x, y) @ inverse / np.sqrt(size)
        got = jax.vmap(step)(jnp.asarray(x), jnp.asarray(momentum))
        paths = away(x, y), away(y, x)
        energies = [np.asarray(jax.vmap(energy)(jnp.asarray(one))) for one in (x, y)]
    there, back = (-np.sum(path @ inverse * path, 1) / (2 * size) for path in paths)
    log_ratio = energies[0] - energies[1] + back - there
    np.testing.assert_allclose(got, np.exp(np.minimum(log_ratio, 0)), rtol=1e-10)
    assert set(log_ratio < 0) == {True, False}


@pytest.mark.medium
def test_without_a_matrix_it_is_mala(getkey):
    x, key = points(64, (3,)), getkey()
    one, _ = run(GAUSSIAN, PreconditionedMALA(0.4), x, num_steps=3, key=key)
    other, _ = run(GAUSSIAN, MALA(0.4), x, num_steps=3, key=key)
    assert np.mean(np.isclose(one, other, rtol=1e-3, atol=1e-4)) > 0.95


@pytest.mark.medium
@pytest.mark.parametrize("given", [None, np.ones(3)])
def test_the_inverse_fisher_information_is_found(given, getkey):
    start = np.asarray(points(256, (3,))) @ np.linalg.cholesky(COVARIANCE).T
    sampler = PreconditionedMALA(0.1, given)
    tuned, x = warmup(GAUSSIAN, sampler, start, num_steps=600, key=getkey())
    precision = np.linalg.inv(COVARIANCE)
    want = COVARIANCE if given is None else 1 / np.diag(precision)
    np.testing.assert_allclose(tuned.inverse_mass_matrix, want, rtol=0.2, atol=0.2)
    _, info = run(GAUSSIAN, tuned, x, num_steps=300, key=getkey())
    np.testing.assert_allclose(info.acceptance.mean(), 0.574, atol=0.04)
    # in units of the covariance, a step goes far in each direction; MALA's is below the least
    if given is None:
        assert float(tuned.step_size) > 1.0


@pytest.mark.medium
def test_within_bounds_it_is_found_too(getkey):
    energy = Gaussian(np.zeros(2), np.array([1.0, 100.0]))
    sampler = Reflected(PreconditionedMALA(0.5), (0.0, None))
    start = np.abs(np.asarray(points(128, (2,))) * np.array([1.0, 10.0]))
    tuned, _ = warmup(energy, sampler, start, num_steps=200, key=getkey())
    diagonal = np.diag(tuned.sampler.inverse_mass_matrix)
    np.testing.assert_allclose(diagonal, [1.0, 100.0], rtol=0.4)


def gathered(metric, gradients):
    class State:
        def __init__(self, gradient):
            self.logdensity_grad = gradient

    for count, one in enumerate(gradients, -1):
        metric = metric.update(jnp.zeros_like(one), State(one), jnp.asarray(count))
    return metric


@pytest.mark.parametrize("dense", [True, False])
def test_the_estimate_is_the_mean_of_products(dense):
    rows = np.asarray(points(15, (2,)), np.float32).reshape(3, 5, 2) * np.array([1.0, 30.0], "f4")
    start = Fisher(jnp.zeros((2, 2) if dense else 2))
    got = gathered(start, jnp.asarray(rows))
    used = rows[1:].reshape(-1, 2)  # the first step does not count yet
    want = used.T @ used / 10 if dense else np.mean(used**2, 0)
    np.testing.assert_allclose(got.products, want, rtol=1e-5)
    many = got.inverse_mass_matrix(10**6)
    np.testing.assert_allclose(many, np.linalg.inv(want) if dense else 1 / want, rtol=1e-3)
    # of fewer gradients than coordinates, it is still positive
    few = Fisher(jnp.diag(jnp.array([1.0, 0.0]))).inverse_mass_matrix(1)
    assert np.all(np.linalg.eigvalsh(few) > 0)


def test_a_gradient_that_is_not_finite_counts_as_zero():
    rows = jnp.array([[[0.0, 0.0]], [[jnp.inf, 2.0]], [[3.0, jnp.nan]]])
    got = gathered(Fisher(jnp.zeros(2)), rows)
    np.testing.assert_allclose(got.products, [4.5, 2.0])


def test_variances_are_those_of_all_positions():
    rows = np.asarray(points(15, (2,))).reshape(3, 5, 2) + 1e3
    metric = Variances(jnp.zeros(2), jnp.zeros(2))
    for count, one in enumerate(rows, -1):
        metric = metric.update(jnp.asarray(one), None, jnp.asarray(count))
    used = rows[1:].reshape(-1, 2)
    np.testing.assert_allclose(metric.variance, used.var(0), rtol=1e-3)
    np.testing.assert_allclose(metric.inverse_mass_matrix(10**7), used.var(0), rtol=1e-3)
    assert isinstance(metric_of(MALA(0.1), 2, float), Variances)
