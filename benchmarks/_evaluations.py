"""How often a step of a sampler evaluates the energy, counted while it runs."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

import ebmx


class Counted:
    """An energy that counts its evaluations; a gradient comes with its energy."""

    def __init__(self, energy: Callable[[Any], Any]):
        self.energies = 0
        self.gradients = 0
        value_and_gradient = jax.value_and_grad(energy)

        @jax.custom_vjp
        def counted(x):
            value = energy(x)
            jax.debug.callback(self._count_energy, value)
            return value

        def forward(x):
            value, gradient = value_and_gradient(x)
            jax.debug.callback(self._count_energy, value)
            return value, gradient

        def backward(gradient, change):
            jax.debug.callback(self._count_gradient, gradient)
            return (change * gradient,)

        counted.defvjp(forward, backward)
        self.energy = counted

    def _count_energy(self, value: Any) -> None:
        del value  # an argument, so that there is one call for each chain
        self.energies += 1

    def _count_gradient(self, gradient: Any) -> None:
        del gradient
        self.gradients += 1


def per_step(
    energy: Callable, sampler: Any, x: jax.Array, *, key: jax.Array
) -> tuple[float, float]:
    """Energies, and gradients among them, of a step of one chain.

    Counted for eight chains, which move together as in `ebmx.run`: a chain that waits for the
    longest trajectory counts what it evaluates meanwhile.
    """
    x, totals, counted = x[:8], [], Counted(energy)
    few, many = 2, 12
    # a traced number of steps, so that one program serves both
    go = eqx.filter_jit(
        lambda num_steps: ebmx.run(counted.energy, sampler, x, num_steps=num_steps, key=key)
    )
    for num_steps in (few, many):
        before = counted.energies, counted.gradients
        jax.block_until_ready(go(jnp.asarray(num_steps)))
        jax.effects_barrier()
        totals.append((counted.energies - before[0], counted.gradients - before[1]))
    steps = (many - few) * len(x)
    (energies, gradients), (more_energies, more_gradients) = totals
    return (more_energies - energies) / steps, (more_gradients - gradients) / steps
