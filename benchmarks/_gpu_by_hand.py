"""The work of `gpu.py` by hand: chains, losses and Adam in whole batches, in JAX alone.

An energy is here a function of its parameters and one example. Nothing is reported, checked or
averaged, and slots of the buffer are drawn with replacement.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from _gpu_work import DECAY, RATE, RESTARTS, Chain, uniform

Energy = Callable[[Any, jax.Array], jax.Array]


class State(NamedTuple):
    """What an update of PCD changes."""

    parameters: Any
    second_moments: Any
    buffer: jax.Array
    step: jax.Array


def run(energy: Energy, chain: Chain, parameters: Any, x: jax.Array, key: jax.Array) -> jax.Array:
    """Move a batch of chains."""
    move = mala if chain.adjusted else langevin
    return move(energy, chain, parameters, x, key)


def langevin(
    energy: Energy, chain: Chain, parameters: Any, x: jax.Array, key: jax.Array
) -> jax.Array:
    """Overdamped Langevin dynamics."""
    gradients = jax.vmap(jax.grad(energy, argnums=1), (None, 0))

    def step(i: jax.Array, x: jax.Array) -> jax.Array:
        gradient = gradients(parameters, x)
        if chain.grad_clip is not None:
            gradient = jnp.clip(gradient, -chain.grad_clip, chain.grad_clip)
        noise = chain.noise * jax.random.normal(jax.random.fold_in(key, i), x.shape)
        x = x - 0.5 * chain.step_size * gradient + noise
        return x if chain.bounds is None else jnp.clip(x, *chain.bounds)

    return jax.lax.fori_loop(0, chain.num_steps, step, x)


def mala(energy: Energy, chain: Chain, parameters: Any, x: jax.Array, key: jax.Array) -> jax.Array:
    """The Metropolis-adjusted Langevin algorithm, on vectors; one gradient a step."""
    values = jax.vmap(jax.value_and_grad(energy, argnums=1), (None, 0))

    def log_density(there: jax.Array, x: jax.Array, gradient: jax.Array) -> jax.Array:
        """Of proposing `there` at `x`."""
        distance = there - x + 0.5 * chain.step_size * gradient
        return -jnp.sum(distance**2, -1) / (2 * chain.step_size)

    def step(i: jax.Array, state: tuple) -> tuple:
        x, value, gradient = state
        noise_key, accept_key = jax.random.split(jax.random.fold_in(key, i))
        noise = chain.noise * jax.random.normal(noise_key, x.shape)
        new = x - 0.5 * chain.step_size * gradient + noise
        new_value, new_gradient = values(parameters, new)
        log_ratio = value - new_value
        log_ratio += log_density(x, new, new_gradient) - log_density(new, x, gradient)
        accepted = jnp.log(jax.random.uniform(accept_key, value.shape)) < log_ratio
        rows = accepted[:, None]
        return (
            jnp.where(rows, new, x),
            jnp.where(accepted, new_value, value),
            jnp.where(rows, new_gradient, gradient),
        )

    return jax.lax.fori_loop(0, chain.num_steps, step, (x, *values(parameters, x)))[0]


def start(parameters: Any, shape: tuple[int, ...], key: jax.Array) -> State:
    """The state before the first update, for a buffer of this shape."""
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    return State(parameters, zeros, uniform(key, shape), jnp.zeros((), jnp.int32))


def update(energy: Energy, chain: Chain, batch: jax.Array, state: State, key: jax.Array) -> State:
    """An update of persistent contrastive divergence."""
    keys = jax.random.split(jax.random.fold_in(key, state.step), 4)
    num = len(batch)
    index = jax.random.randint(keys[0], (num,), 0, len(state.buffer))
    restarted = jax.random.bernoulli(keys[1], RESTARTS, (num,) + (1,) * (batch.ndim - 1))
    x = jnp.where(restarted, uniform(keys[2], batch.shape), state.buffer[index])
    x = run(energy, chain, state.parameters, x, keys[3])

    def loss(parameters: Any) -> jax.Array:
        energies = jax.vmap(energy, (None, 0))
        return jnp.mean(energies(parameters, batch)) - jnp.mean(energies(parameters, x))

    gradient, step = jax.grad(loss)(state.parameters), state.step + 1
    parameters, moments = adam(gradient, state.parameters, state.second_moments, step)
    return State(parameters, moments, state.buffer.at[index].set(x), step)


def adam(gradient: Any, parameters: Any, moments: Any, step: jax.Array) -> tuple[Any, Any]:
    """Adam without momentum: the new parameters and second moments."""
    moments = jax.tree.map(lambda v, g: DECAY * v + (1 - DECAY) * g**2, moments, gradient)
    correction = 1 - DECAY**step

    def moved(p: jax.Array, g: jax.Array, v: jax.Array) -> jax.Array:
        return p - RATE * g / (jnp.sqrt(v / correction) + 1e-8)

    return jax.tree.map(moved, parameters, gradient, moments), moments


def perceptron(dtype: str, parameters: Any, x: jax.Array) -> jax.Array:
    """A perceptron whose hidden layers compute in this dtype; of weights and biases."""
    *hidden, (weight, bias) = parameters
    x = x.astype(dtype)
    for w, b in hidden:
        x = jax.nn.silu(w.astype(dtype) @ x + b.astype(dtype))
    return (weight @ x.astype(weight.dtype) + bias)[0]
