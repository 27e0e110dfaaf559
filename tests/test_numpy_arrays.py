"""Arrays of NumPy, also in double precision, wherever arrays are taken.

`EBMX_FUZZ=all pytest tests/test_numpy_arrays.py` tries all functions.
"""

import inspect
import os
import random
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import points
from signatures import calls
from test_signatures import numbers

import ebmx
from ebmx.energies import AbstractConditionalEnergy, Function, Gaussian, freeze
from ebmx.evaluation import ConvergenceWarning
from ebmx.training import DataOnly, Trainer, score_matching_loss

HOLDERS = {"data.Dataset", "data.split", "training.Examples", "training.ReplayBuffer"}
"""What holds arrays as they were given."""


def is_array(value):
    key = jax.dtypes.prng_key
    return isinstance(value, jax.Array | np.ndarray) and not jnp.issubdtype(value.dtype, key)


def doubles(value):
    """The array in NumPy, numbers in float64."""
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def with_arrays(value, convert):
    """A value with its arrays converted, but for those inside of modules."""
    if is_array(value):
        return convert(value)
    if type(value) in (tuple, list):
        return type(value)(with_arrays(one, convert) for one in value)
    if type(value) is dict:
        return {name: with_arrays(one, convert) for name, one in value.items()}
    return value


def difference(call):
    """How the result differs from that with arrays of JAX; nothing if it is the same."""
    results = []
    for convert in (jnp.asarray, doubles):
        arguments = {n: with_arrays(v, convert) for n, v in call.arguments.items()}
        results.append(call(**arguments))
    if inspect.isgenerator(results[0]) or call.name in HOLDERS:
        return ""
    wanted, found = map(numbers, results)
    if len(found) != len(wanted):
        return f"{len(found)} arrays, not {len(wanted)}"
    for one, exact in zip(found, wanted, strict=True):
        if not np.allclose(one, exact, rtol=1e-4, atol=1e-5, equal_nan=True):
            return f"{one}, not {exact}"
        if np.asarray(one).dtype != np.asarray(exact).dtype:
            return f"{one.dtype}, not {exact.dtype}"
    return ""


@pytest.mark.medium
def test_functions_and_classes_take_arrays_of_numpy_as_those_of_jax():
    every = list(calls().values())
    # a sample: each of them has to be compiled
    some = every if os.environ.get("EBMX_FUZZ") == "all" else random.Random(1).sample(every, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = {call.name: difference(call) for call in some}
    assert {name: words for name, words in found.items() if words} == {}


def energies():
    """Each energy with a working call, and the conditions it takes."""
    for name, call in calls().items():
        if name.startswith("energies.") and isinstance(call.function, type):
            energy = call()
            if isinstance(energy, tuple):
                energy = freeze(*energy)
            if not hasattr(energy, "shape") or "state" in inspect.signature(energy).parameters:
                continue
            shape = getattr(energy, "condition_shape", ())
            is_conditional = isinstance(energy, AbstractConditionalEnergy)
            is_label = is_conditional and energy.num_labels is not None
            y = np.ones(shape, int if is_label else float)
            yield name, energy, (y,) if is_conditional else ()


@pytest.mark.medium
def test_energies_take_one_example_of_numpy():
    found = {}
    for name, energy, condition in energies():
        if callable(energy):
            x = np.full(energy.shape, 0.5)
            # traced with the numbers in NumPy, which compiles nothing
            found[name] = jax.eval_shape(lambda e=energy, x=x, y=condition: e(x, *y)).dtype
    assert len(found) > 25
    assert set(found.values()) == {jnp.dtype(jnp.float32)}, found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_of_numpy_are_trained_in_the_precision_of_jax(dtype):
    def quadratic(params, x):
        return 0.5 * params["precision"] * jnp.sum((x - params["mean"]) ** 2)

    params = {"precision": np.full((), 2.0, dtype), "mean": np.zeros(2, dtype)}
    energy = Function(eqx.Partial(quadratic, params), (2,)) + Gaussian(np.zeros(2))
    trainer = Trainer(optax.sgd(0.1), DataOnly(), score_matching_loss)
    state = trainer.init(energy, key=jax.random.key(0))
    after, _ = trainer.step(state, np.asarray(points(6, (2,)), dtype), key=jax.random.key(1))
    before = jax.tree.map(jnp.result_type, eqx.filter(state, eqx.is_array))
    assert jax.tree.map(jnp.result_type, eqx.filter(after, eqx.is_array)) == before
    moved = after.energy.energies[0].function.args[0]
    assert {array.dtype for array in moved.values()} == {jnp.dtype(jnp.float32)}
    assert min(abs(float(moved["precision"]) - 2), abs(np.asarray(moved["mean"])).min()) > 1e-4


@pytest.mark.medium
def test_chains_start_at_arrays_of_numpy():
    start = np.random.default_rng(0).normal(size=(3, 2))
    options = {"num_steps": 1, "key": jax.random.key(0)}
    sampler = ebmx.samplers.Langevin(np.float64(0.1), temperature=np.ones(()))
    x, _ = ebmx.run(Gaussian(np.zeros(2)), sampler, start, **options)
    wanted, _ = ebmx.run(Gaussian(np.zeros(2)), sampler, jnp.asarray(start), **options)
    assert x.dtype == jnp.float32
    np.testing.assert_array_equal(x, wanted)
