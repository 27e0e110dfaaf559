"""Norm state: `freeze` fixes it, `advance` moves it once."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ENERGIES, points

import ebmx
from ebmx.energies import AbstractStatefulEnergy, advance, freeze


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


def make(name, getkey):
    energy, state = eqx.filter_jit(eqx.nn.make_with_state(STATEFUL[name]))(key=getkey())
    energy = eqx.nn.inference_mode(energy, value=False)
    return energy, state, 1.5 + jax.random.normal(getkey(), (6, 2))


@pytest.mark.parametrize("name", STATEFUL)
def test_scores_of_a_frozen_energy_ignore_the_neighbours(name, getkey):
    energy, state, x = make(name, getkey)
    frozen = freeze(energy, advance(energy, state, x))
    assert frozen.shape == (2,)
    others = x.at[1:].set(9.0)
    np.testing.assert_array_equal(ebmx.score(frozen, x)[0], ebmx.score(frozen, others)[0])
    np.testing.assert_allclose(ebmx.score(frozen, x)[:1], ebmx.score(frozen, x[:1]), rtol=1e-5)
    np.testing.assert_allclose(ebmx.energy(frozen, x)[0], frozen(x[0]), rtol=1e-5)


def test_a_batch_norm_that_is_not_frozen_couples_examples(getkey):
    # why there is `freeze`: the test above would pass for an energy that is never coupled
    energy, state, x = make("batch", getkey)
    apply = jax.vmap(lambda x, s: energy(x, s)[0], in_axes=(0, None), axis_name="batch")
    assert not np.allclose(apply(x, state)[0], apply(x.at[1:].set(9.0), state)[0])


def test_advance_moves_batch_statistics_once(getkey):
    energy, state, x = make("batch", getkey)
    index = energy.norm.batch_state_index
    hidden = np.asarray(jax.vmap(energy.layer)(x), np.float64)
    once = advance(energy, state, x)
    mean, variance = once.get(index)
    np.testing.assert_allclose(mean, 0.1 * hidden.mean(0), rtol=1e-4)
    np.testing.assert_allclose(variance, 0.9 + 0.1 * hidden.var(0), rtol=1e-4)
    assert int(once.get(energy.norm.batch_counter)) == 1
    twice = advance(energy, once, x)
    np.testing.assert_allclose(twice.get(index)[0], 0.19 * hidden.mean(0), rtol=1e-4)
    assert int(state.get(energy.norm.batch_counter)) == 0


def test_advance_does_one_power_iteration_whatever_the_batch(getkey):
    energy, state, x = make("spectral", getkey)
    weight = np.asarray(energy.norm.layer.weight, np.float64)

    def iterate(v):
        u = weight @ v
        v = weight.T @ u
        return u / np.linalg.norm(u), v / np.linalg.norm(v)

    # equinox iterates to convergence when it makes the layer, so start elsewhere
    start = np.array([1.0, 0.0])
    state = state.set(energy.norm.uv_index, (jnp.ones(3), jnp.asarray(start, jnp.float32)))
    once = advance(energy, state, x)
    for got, want in zip(once.get(energy.norm.uv_index), iterate(start), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
    assert not np.allclose(iterate(start)[1], iterate(iterate(start)[1])[1], atol=1e-4)
    other = advance(energy, state, x[:1])
    for got, want in zip(other.get(energy.norm.uv_index), iterate(start), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", STATEFUL)
def test_advance_leaves_inference_mode_for_its_batch(name, getkey):
    # an energy left in inference mode would never move its state
    energy, state, x = make(name, getkey)
    moved = advance(eqx.nn.inference_mode(energy), state, x)
    assert eqx.tree_equal(moved, advance(energy, state, x))
    assert not eqx.tree_equal(moved, state)


@pytest.mark.parametrize("name", STATEFUL)
def test_evaluating_a_frozen_energy_moves_nothing(name, getkey):
    energy, state, x = make(name, getkey)
    frozen = freeze(energy, state)
    first = ebmx.energy(frozen, x)
    np.testing.assert_array_equal(first, ebmx.energy(frozen, x))
    _, after = frozen.energy(x[0], frozen.state)
    assert eqx.tree_equal(after, state)


def test_spectral_norm_converges_to_the_largest_singular_value(getkey):
    energy, state, x = make("spectral", getkey)
    for _ in range(30):
        state = advance(energy, state, x)
    weight = np.asarray(energy.norm.layer.weight, np.float64)
    layer = weight / np.linalg.norm(weight, 2) @ np.asarray(x[0]) + energy.norm.layer.bias
    np.testing.assert_allclose(freeze(energy, state)(x[0]), np.sin(layer).sum(), rtol=1e-3)


def test_advance_passes_no_gradient(getkey):
    energy, state, x = make("batch", getkey)

    def loss(x):
        mean, variance = advance(energy, state, x).get(energy.norm.batch_state_index)
        return jnp.sum(mean) + jnp.sum(variance)

    np.testing.assert_array_equal(jax.grad(loss)(x), np.zeros_like(x))


@pytest.mark.parametrize("name", ENERGIES)
def test_energies_without_state_pass_through(name, getkey):
    energy = ENERGIES[name](getkey())
    x = points(2, energy.shape)
    assert advance(energy, None, x) is None
    assert eqx.tree_equal(freeze(energy), energy)


def test_freeze_turns_dropout_off(getkey):
    class Noisy(eqx.Module):
        dropout: eqx.nn.Dropout

        def __call__(self, x):
            return jnp.sum(self.dropout(x))

    frozen = freeze(Noisy(eqx.nn.Dropout(0.5)))
    np.testing.assert_allclose(ebmx.energy(frozen, jnp.ones((2, 4))), [4.0, 4.0])


def test_errors_of_freeze(getkey):
    energy, state, _ = make("batch", getkey)
    with pytest.raises(ValueError, match=r"state=NoneType.*make_with_state"):
        freeze(energy)
    with pytest.raises(ValueError, match=r"state=State.*make_with_state"):
        freeze(ENERGIES["mlp"](getkey()), state)
    with pytest.raises(ValueError, match=r"x=.*ONE floating-point example of shape \(2,\)"):
        freeze(energy, state)(jnp.zeros(3))
