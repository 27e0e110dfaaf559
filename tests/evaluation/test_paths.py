"""Paths of densities against sums over all states and energies by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies import BernoulliRBM, Function, Gaussian, Uniform
from ebmx.evaluation import Bernoulli
from ebmx.evaluation._paths import GeometricPath, RBMPath, path_of, sampler_for
from ebmx.samplers import HMC, MALA, MCLMC, BlockGibbs, Langevin

RNG = np.random.default_rng(0)
BETAS = np.float32([0.0, 0.3, 1.0])


def softplus(x):
    return np.logaddexp(0, x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@eqx.filter_jit
def energies(path, x):
    """Energies `(betas, num)` on a path, and the ratios of the log densities for two pairs."""
    at = jax.vmap(lambda beta: jax.vmap(path.at(beta))(x))(jnp.asarray(BETAS))
    statistics = jax.vmap(path.statistics)(x)
    ratio = lambda i, j: jax.vmap(lambda s: path.log_ratio(s, BETAS[i], BETAS[j]))(statistics)  # noqa: E731
    return at, ratio(0, 1), ratio(2, 1)


def test_a_geometric_path_mixes_two_energies():
    path = GeometricPath(Gaussian(jnp.zeros(2), 2.0), Function(lambda x: 3 * x[0], (2,)))
    x = RNG.normal(size=(5, 2)).astype(np.float32)
    first, second = np.sum(x**2, 1) / 4, 3 * x[:, 0]
    at, up, down = energies(path, x)
    np.testing.assert_allclose(
        at, (1 - BETAS[:, None]) * first + BETAS[:, None] * second, rtol=1e-5
    )
    np.testing.assert_allclose(up, at[0] - at[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(down, at[2] - at[1], rtol=1e-4, atol=1e-5)
    assert float(path.log_z) == pytest.approx(np.log(4 * np.pi), rel=1e-6)
    key = jax.random.key(1)
    np.testing.assert_array_equal(path.sample(key=key), path.base.sample(key=key))
    np.testing.assert_array_equal(path.enter(x[0], key=key), x[0])
    np.testing.assert_array_equal(path.leave(x[0], key=key), x[0])


def test_the_ends_of_a_geometric_path_are_its_energies_even_where_the_others_are_infinite():
    box = Uniform(jnp.zeros(1), jnp.ones(1))
    x = np.float32([[0.5], [2.0]])
    at, up, _ = energies(GeometricPath(box, Function(lambda x: 3 * x[0], (1,))), x)
    np.testing.assert_allclose(at, [[0, np.inf], [0.45, np.inf], [1.5, 6.0]], rtol=1e-6)
    np.testing.assert_allclose(up, [-0.45, np.inf], rtol=1e-5)
    at, _, _ = energies(
        GeometricPath(Gaussian(jnp.zeros(1)), Function(lambda x: x[0] / 0, (1,))), x
    )
    np.testing.assert_allclose(at[0], x[:, 0] ** 2 / 2)
    assert np.all(np.isinf(at[1:]))
    path = GeometricPath(box, Function(lambda x: x[0], (1,)))
    assert float(path.log_ratio(jnp.inf, jnp.float32(0.5), jnp.float32(0.5))) == 0


def machine(num_visible, num_hidden):
    shapes = (num_visible, num_hidden), (num_visible,), (num_hidden,), (num_visible,)
    weight, visible, hidden, logits = (
        RNG.normal(size=shape).astype(np.float32) for shape in shapes
    )
    return weight, visible, hidden, logits


def bits(num):
    return ((np.arange(2**num)[:, None] >> np.arange(num)) & 1).astype(np.float32)


def joint(parts, beta):
    """Energies of all states `(visible, hidden)` of the machine at `β`."""
    weight, visible, hidden, logits = (np.asarray(part, np.float64) for part in parts)
    v, h = bits(len(visible)), bits(len(hidden))
    own = v @ ((1 - beta) * logits + beta * visible)
    return -own[:, None] - beta * (v @ weight @ h.T) - (beta * h @ hidden)[None]


@pytest.mark.parametrize("sizes", [(5, 3), (3, 4), (3, 3)])
def test_a_path_of_machines_sums_out_the_larger_side(sizes):
    parts = machine(*sizes)
    weight, visible, hidden, logits = parts
    path = path_of(BernoulliRBM(weight, visible, hidden), Bernoulli(logits))
    assert isinstance(path, RBMPath)
    over_hidden = sizes[1] <= sizes[0]
    x = bits(min(sizes))
    at, up, down = energies(path, x)
    for beta, found in zip(BETAS, at, strict=True):
        want = -np.logaddexp.reduce(-joint(parts, beta), axis=0 if over_hidden else 1)
        np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(up, at[0] - at[1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(down, at[2] - at[1], rtol=1e-4, atol=1e-4)
    assert float(path.log_z) == pytest.approx(
        np.logaddexp.reduce(-joint(parts, 0).ravel()), rel=1e-5
    )
    keys = jax.random.split(jax.random.key(2), 2000)
    start = np.asarray(jax.vmap(lambda key: path.sample(key=key))(keys))
    assert set(np.unique(start)) == {0, 1}
    mean = np.full(sizes[1], 0.5) if over_hidden else sigmoid(logits)
    assert start.shape == (2000, len(mean))
    assert np.all(np.abs(start.mean(0) - mean) < 5 * np.sqrt(mean * (1 - mean) / 2000))


@pytest.mark.parametrize("sizes", [(5, 3), (3, 4)])
def test_examples_enter_and_leave_a_path_of_machines_by_the_conditionals(sizes):
    weight, visible, hidden, logits = machine(*sizes)
    path = RBMPath(Bernoulli(logits), BernoulliRBM(weight, visible, hidden))
    keys = jax.random.split(jax.random.key(3), 2000)
    v = np.resize([1, 0], sizes[0]).astype(np.float32)
    h = np.resize([1, 0], min(sizes)).astype(np.float32)
    entered = np.asarray(jax.vmap(lambda key: path.enter(jnp.asarray(v), key=key))(keys))
    left = np.asarray(jax.vmap(lambda key: path.leave(jnp.asarray(h), key=key))(keys))
    if sizes[1] > sizes[0]:
        np.testing.assert_array_equal(entered, np.tile(v, (2000, 1)))
        np.testing.assert_array_equal(left, np.tile(h, (2000, 1)))
        return
    for found, mean in (
        (entered, sigmoid(hidden + v @ weight)),
        (left, sigmoid(visible + weight @ h)),
    ):
        assert set(np.unique(found)) == {0, 1}
        assert np.all(np.abs(found.mean(0) - mean) < 5 * np.sqrt(mean * (1 - mean) / 2000))


def test_a_path_and_a_sampler_suit_the_energy():
    weight, visible, hidden, logits = machine(5, 3)
    machines = path_of(BernoulliRBM(weight, visible, hidden), Bernoulli(logits))
    plain = path_of(lambda x: jnp.sum(x**2), Gaussian(jnp.zeros((2, 3))))
    assert isinstance(plain, GeometricPath)
    assert plain.energy.shape == (2, 3)
    target = Gaussian(jnp.ones(2))
    assert path_of(target, Gaussian(jnp.zeros(2))).energy is target
    assert isinstance(sampler_for(machines, None), BlockGibbs)
    default = sampler_for(plain, None)
    assert isinstance(default, HMC)
    assert default.inverse_mass_matrix is None
    own = MALA(0.3)
    assert sampler_for(plain, own) is own
    assert sampler_for(machines, own) is own


@pytest.mark.parametrize("sampler", [Langevin(0.1), MCLMC(0.1, 1.0)])
def test_samplers_that_do_not_reject_are_refused(sampler):
    plain = path_of(lambda x: jnp.sum(x**2), Gaussian(jnp.zeros(2)))
    with pytest.raises(ValueError, match=f"sampler={type(sampler).__name__}: it is not adjusted"):
        sampler_for(plain, sampler)


def test_bases_that_do_not_suit_the_energy_are_refused():
    weight, visible, hidden, _ = machine(5, 3)
    rbm, plane = BernoulliRBM(weight, visible, hidden), Gaussian(jnp.zeros(2))
    for energy, base, match in (
        (plane, lambda x: x[0], "base=function: give an energy with `log_z`"),
        (plane, Gaussian(jnp.zeros(3)), r"base\.shape=\(3,\): .*shape \(2,\)"),
        (rbm, Gaussian(jnp.zeros(5)), "base=Gaussian: .*zeros and ones"),
        (plane, Bernoulli(jnp.zeros(2)), "base=Bernoulli: .*Gaussian, or Uniform"),
    ):
        with pytest.raises(ValueError, match=match):
            path_of(energy, base)
