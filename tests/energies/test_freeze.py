"""Norm state: `freeze` fixes it, `advance` moves it once."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import points

import ebmx
from ebmx.energies import AbstractStatefulEnergy, Gaussian, advance, freeze


class BatchNormEnergy(AbstractStatefulEnergy):
    shape: tuple[int, ...] = eqx.field(static=True)
    layer: eqx.nn.Linear
    norm: eqx.nn.BatchNorm

    def __init__(self, *, key):
        self.shape = (2,)
        self.layer = eqx.nn.Linear(2, 3, key=key)
        self.norm = eqx.nn.BatchNorm(3, axis_name="batch", mode="batch", momentum=0.9)

    def __call__(self, x, state):
        x, state = self.norm(self.layer(x), state)
        return jnp.sum(jnp.sin(x)), state


class SpectralNormEnergy(AbstractStatefulEnergy):
    shape: tuple[int, ...] = eqx.field(static=True)
    norm: eqx.nn.SpectralNorm

    def __init__(self, *, key):
        self.shape = (2,)
        layer_key, norm_key = jax.random.split(key)
        layer = eqx.nn.Linear(2, 3, key=layer_key)
        self.norm = eqx.nn.SpectralNorm(layer, "weight", key=norm_key)

    def __call__(self, x, state):
        x, state = self.norm(x, state)
        return jnp.sum(jnp.sin(x)), state


STATEFUL = {"batch": BatchNormEnergy, "spectral": SpectralNormEnergy}


move = eqx.filter_jit(advance)
value = eqx.filter_jit(lambda energy, state, x: freeze(energy, state)(x))


@functools.cache
def made(name):
    return eqx.filter_jit(eqx.nn.make_with_state(STATEFUL[name]))(key=jax.random.key(7))


def make(name):
    energy, state = jax.tree.map(lambda a: a, made(name))  # a state is used up where it moves
    return eqx.nn.inference_mode(energy, value=False), state, 1.5 + points(6, (2,))


@pytest.mark.parametrize("name", STATEFUL)
def test_scores_of_a_frozen_energy_ignore_the_neighbours(name):
    energy, state, x = make(name)
    state = move(energy, state, x)
    frozen = freeze(energy, state)
    assert frozen.shape == (2,)
    others = np.concatenate([x[:1], np.full((5, 2), 9.0, np.float32)])
    np.testing.assert_array_equal(ebmx.score(frozen, x)[0], ebmx.score(frozen, others)[0])
    np.testing.assert_allclose(ebmx.score(frozen, x)[:1], ebmx.score(frozen, x[:1]), rtol=1e-5)
    one = value(energy, state, x[0])
    np.testing.assert_allclose(ebmx.energy(frozen, x)[0], one, rtol=1e-5)


def test_a_batch_norm_that_is_not_frozen_couples_examples():
    # why there is `freeze`: the test above would pass for an energy that is never coupled
    energy, state, x = make("batch")
    apply = jax.vmap(lambda x, s: energy(x, s)[0], in_axes=(0, None), axis_name="batch")
    apply = jax.jit(apply)
    assert not np.allclose(apply(x, state)[0], apply(x.at[1:].set(9.0), state)[0])


def test_advance_moves_batch_statistics_once():
    energy, state, x = make("batch")
    index = energy.norm.batch_state_index
    weight, bias = (np.asarray(a, np.float64) for a in (energy.layer.weight, energy.layer.bias))
    hidden = np.asarray(x, np.float64) @ weight.T + bias
    once = move(energy, state, x)
    mean, variance = once.get(index)
    np.testing.assert_allclose(mean, 0.1 * hidden.mean(0), rtol=1e-4)
    np.testing.assert_allclose(variance, 0.9 + 0.1 * hidden.var(0), rtol=1e-4)
    assert int(once.get(energy.norm.batch_counter)) == 1
    twice = move(energy, once, x)
    np.testing.assert_allclose(twice.get(index)[0], 0.19 * hidden.mean(0), rtol=1e-4)
    assert int(state.get(energy.norm.batch_counter)) == 0


def test_advance_does_one_power_iteration_whatever_the_batch():
    energy, state, x = make("spectral")
    weight = np.asarray(energy.norm.layer.weight, np.float64)

    def iterate(v):
        u = weight @ v
        v = weight.T @ u
        return u / np.linalg.norm(u), v / np.linalg.norm(v)

    # equinox iterates to convergence when it makes the layer, so start elsewhere
    start = np.array([1.0, 0.0])
    state = state.set(energy.norm.uv_index, (jnp.ones(3), jnp.asarray(start, jnp.float32)))
    once = move(energy, state, x)
    for got, want in zip(once.get(energy.norm.uv_index), iterate(start), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
    assert not np.allclose(iterate(start)[1], iterate(iterate(start)[1])[1], atol=1e-4)
    other = move(energy, state, x[:1])
    for got, want in zip(other.get(energy.norm.uv_index), iterate(start), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", STATEFUL)
def test_advance_leaves_inference_mode_for_its_batch(name):
    # an energy left in inference mode would never move its state
    energy, state, x = make(name)
    moved = advance(eqx.nn.inference_mode(energy), state, x)
    assert eqx.tree_equal(moved, move(energy, state, x))
    assert not eqx.tree_equal(moved, state)


@pytest.mark.parametrize("name", STATEFUL)
def test_evaluating_a_frozen_energy_moves_nothing(name):
    energy, state, x = make(name)
    frozen = freeze(energy, state)
    first = ebmx.energy(frozen, x)
    np.testing.assert_array_equal(first, ebmx.energy(frozen, x))
    _, after = frozen.energy(x[0], frozen.state)
    assert eqx.tree_equal(after, state)


def test_spectral_norm_converges_to_the_largest_singular_value():
    energy, state, x = make("spectral")
    for _ in range(30):
        state = move(energy, state, x)
    weight = np.asarray(energy.norm.layer.weight, np.float64)
    layer = weight / np.linalg.norm(weight, 2) @ np.asarray(x[0]) + energy.norm.layer.bias
    np.testing.assert_allclose(value(energy, state, x[0]), np.sin(layer).sum(), rtol=1e-3)


def test_advance_passes_no_gradient():
    energy, state, x = make("batch")

    def loss(x):
        mean, variance = advance(energy, state, x).get(energy.norm.batch_state_index)
        return jnp.sum(mean) + jnp.sum(variance)

    np.testing.assert_array_equal(jax.jit(jax.grad(loss))(x), np.zeros_like(x))


def test_freeze_turns_dropout_off():
    class Noisy(eqx.Module):
        dropout: eqx.nn.Dropout

        def __call__(self, x):
            return jnp.sum(self.dropout(x))

    frozen = freeze(Noisy(eqx.nn.Dropout(0.5)))
    np.testing.assert_allclose(ebmx.energy(frozen, jnp.ones((2, 4))), [4.0, 4.0])


def test_errors_of_freeze():
    energy, state, _ = make("batch")
    with pytest.raises(ValueError, match=r"state=NoneType.*make_with_state"):
        freeze(energy)
    with pytest.raises(ValueError, match=r"state=State.*make_with_state"):
        freeze(Gaussian(np.zeros(2)), state)
    with pytest.raises(ValueError, match=r"x=.*ONE floating-point example of shape \(2,\)"):
        freeze(energy, state)(jnp.zeros(3))
    with pytest.raises(ValueError, match=r"x"):
        advance(energy, state, jnp.zeros((6, 3)))
    with pytest.raises(ValueError, match=r"energy=Gaussian: .*stateful"):
        advance(Gaussian(np.zeros(2)), state, jnp.zeros((6, 2)))
    assert advance(Gaussian(np.zeros(2)), None, jnp.zeros((6, 2))) is None
