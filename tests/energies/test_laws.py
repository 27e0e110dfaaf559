"""What holds for every energy: derivatives, batches, `jit`, and `freeze`, which changes nothing."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ENERGIES, double, points

import ebmx
from ebmx.energies import (
    MLP,
    Banana,
    BernoulliRBM,
    DoubleWell,
    Funnel,
    Gaussian,
    Normalised,
    Ring,
    SpectralNorm,
    StudentT,
    advance,
    freeze,
    resnet,
)


def normed(norm):
    """A factory of a frozen residual energy whose norm has seen a batch."""

    def make(key):
        energy, state = resnet((4, 3, 4), (4,), norm=norm, strides=1, key=key)
        x = 1 + points(5, (4, 3, 4), scale=2.0)
        return freeze(energy, eqx.filter_jit(advance)(energy, state, x))

    return make


def spectral(key):
    energy = MLP((2,), (4,), key=key)
    return freeze(*eqx.nn.make_with_state(SpectralNorm)(energy, key=key))


def rbm(key):
    weight, visible, hidden = (jax.random.normal(key, shape) for shape in [(3, 2), (3,), (2,)])
    return BernoulliRBM(weight, visible, hidden)


NORMED = {f"residual-{norm}": normed(norm) for norm in ("layer", "group", "batch", "spectral")}
ALL = {
    **ENERGIES,
    **NORMED,
    "spectral": spectral,
    "rbm": rbm,
    "normalised": lambda key: Normalised(Gaussian(jnp.ones(2), 2.0), 3.0),
    "banana": lambda key: Banana(),
    "funnel": lambda key: Funnel(3, 2.0),
    "student": lambda key: StudentT((2,)),
    "ring": lambda key: Ring(1.0, 0.5),
    "double-well": lambda key: DoubleWell((2,)),
}
every = pytest.mark.parametrize("name", ALL)


@functools.cache
def built(name):
    return ALL[name](jax.random.key(11))


@eqx.filter_jit
def derivatives(energy, x, direction, step):
    """Gradient and its derivative along `direction`, by JAX and by central differences."""

    def at(x):
        return jax.jvp(jax.value_and_grad(energy), (x,), (direction,))

    axes = step * jnp.concatenate([jnp.eye(x.size), direction.reshape(1, -1)])
    axes = axes.reshape(-1, *x.shape)
    points = jnp.concatenate([x[None], x[None] + axes, x[None] - axes])
    (values, gradients), (_, bends) = jax.vmap(at)(points)
    slopes, bend = (jnp.diff(v[1:].reshape(2, -1), axis=0)[0] for v in (values, gradients))
    slope = slopes[:-1].reshape(x.shape)
    bend = bend.reshape(-1, *x.shape)[-1]
    return (gradients[0], bends[0]), (-slope / (2 * step), -bend / (2 * step))


@every
def test_derivatives_are_finite_differences_in_float64(name):
    energy = built(name)
    with jax.enable_x64(True):
        energy = double(energy)
        x, direction = points(2, energy.shape)
        exact, differences = derivatives(energy, x, direction, 1e-5)
        assert exact[0].dtype == exact[1].dtype == jnp.float64
        np.testing.assert_allclose(exact[0], differences[0], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(exact[1], differences[1], rtol=1e-6, atol=1e-8)
        assert float(jnp.max(jnp.abs(exact[0]))) > 1e-4


@every
def test_energies_of_a_batch_move_with_its_order_and_ignore_neighbours(name):
    energy, order = built(name), np.array([2, 0, 1])
    x = points(3, energy.shape)
    values, scores = ebmx.energy(energy, x), ebmx.score(energy, x)
    assert len(np.unique(values)) == 3
    np.testing.assert_allclose(ebmx.energy(energy, x[order]), values[order], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ebmx.score(energy, x[order]), scores[order], rtol=1e-5, atol=1e-6)
    others = ebmx.score(energy, x.at[1:].set(2 * x[1:] - 1))
    np.testing.assert_array_equal(others[0], scores[0])
    assert not np.array_equal(others[1:], scores[1:])


@pytest.mark.parametrize("name", ENERGIES)
def test_a_batch_is_one_example_at_a_time_without_jit(name):
    energy = built(name)
    x = points(2, energy.shape)
    eager = [energy(one) for one in x]
    np.testing.assert_allclose(ebmx.energy(energy, x), eager, rtol=2e-5, atol=1e-6)


@every
def test_freezing_twice_is_freezing_once(name):
    once = freeze(built(name))
    assert eqx.tree_equal(freeze(once), once)
