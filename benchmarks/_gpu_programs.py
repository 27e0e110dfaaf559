"""The work of `gpu.py` in ebmx and by hand, each compiled ahead."""

import time
from functools import partial
from typing import Any

import _gpu_by_hand as by_hand
import equinox as eqx
import jax
import numpy as np
import optax
from _gpu_work import KEY, RATE, RESTARTS, Chain, Program, Work, double_well, keys

import ebmx
from ebmx.samplers import MALA, AbstractSampler, Langevin
from ebmx.training import PCD, Trainer


def ours(work: Work, energy: Any) -> Program:
    """By ebmx. An update also averages the parameters, and reports on the chains."""
    sampler, next_key, x = sampler_of(work.chain), keys(), work.start()
    num_steps = work.chain.num_steps
    if not work.num_updates:

        def run(energy: Any, x: jax.Array, key: jax.Array) -> jax.Array:
            return ebmx.run(energy, sampler, x, num_steps=num_steps, key=key)[0]

        move, seconds, memory = compiled(eqx.filter_jit(run), energy, x, KEY)
        once = lambda: move(energy, x, next_key())  # noqa: E731
        return Program(once, num_steps, np.asarray(x), seconds, memory)

    negatives = PCD(sampler, num_steps, work.capacity, RESTARTS)
    trainer = Trainer(optax.adam(RATE, b1=0.0), negatives)
    holder = [owned(trainer.init(energy, key=KEY))]
    start = np.array(holder[0].negatives_state.positions)  # a copy: it is donated
    step = eqx.filter_jit(
        lambda inputs, state: inputs[0].step(state, inputs[1], key=KEY), donate="all-except-first"
    )
    update, seconds, memory = compiled(step, (trainer, x), holder[0])

    def updates() -> jax.Array:
        for _ in range(work.num_updates):
            holder[0], _ = update((trainer, x), holder[0])
        return holder[0].negatives_state.positions

    return Program(updates, work.num_updates, start, seconds, memory)


def hand_written(work: Work, energy: Any) -> Program:
    """By hand, on the network of ebmx; a perceptron is written by hand as well."""
    function, parameters = function_of(work, energy)
    x, next_key, chain = work.start(), keys(), work.chain
    if not work.num_updates:
        run = jax.jit(partial(by_hand.run, function, chain))
        move, seconds, memory = compiled(run, parameters, x, KEY)
        once = lambda: move(parameters, x, next_key())  # noqa: E731
        return Program(once, chain.num_steps, np.asarray(x), seconds, memory)

    holder = [owned(by_hand.start(parameters, (work.capacity, *work.shape), KEY))]
    start = np.array(holder[0].buffer)  # a copy: it is donated
    step = jax.jit(partial(by_hand.update, function, chain), donate_argnums=1)
    update, seconds, memory = compiled(step, x, holder[0], KEY)

    def updates() -> jax.Array:
        for _ in range(work.num_updates):
            holder[0] = update(x, holder[0], KEY)
        return holder[0].buffer

    return Program(updates, work.num_updates, start, seconds, memory)


def sampler_of(chain: Chain) -> AbstractSampler:
    """The chain as a sampler of ebmx."""
    if chain.adjusted:
        return MALA(chain.step_size)
    options = {"grad_clip": chain.grad_clip, "bounds": chain.bounds}
    return Langevin(chain.step_size, noise_scale=chain.noise_scale, **options)


def function_of(work: Work, energy: Any) -> tuple[by_hand.Energy, Any]:
    """An energy as a function of parameters and an example, and its parameters."""
    if energy is double_well:
        return lambda _, x: double_well(x), None
    if work.network == "mlp":
        layers = [(layer.weight, layer.bias) for layer in energy.layers]
        return partial(by_hand.perceptron, work.dtype), layers
    parameters, rest = eqx.partition(energy, eqx.is_inexact_array)
    return lambda parameters, x: eqx.combine(parameters, rest)(x), parameters


def owned(tree: Any) -> Any:
    """A copy, which may be donated."""
    return jax.tree.map(lambda a: a.copy() if eqx.is_array(a) else a, tree)


def compiled(function: Any, *args: Any) -> tuple[Any, float, int | None]:
    """The program, the seconds to trace and compile it, and the bytes it takes by XLA's account."""
    begin = time.perf_counter()
    program = function.lower(*args).compile()
    seconds = time.perf_counter() - begin
    account = getattr(program, "compiled", program).memory_analysis()
    if account is None:
        return program, seconds, None
    taken = account.argument_size_in_bytes + account.output_size_in_bytes
    taken += account.temp_size_in_bytes - account.alias_size_in_bytes
    return program, seconds, taken
