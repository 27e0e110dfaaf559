"""Functions of parameters and an example as energies: compiled once, and trained."""

import importlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import points

import ebmx
from ebmx.energies import Function
from ebmx.samplers import Langevin
from ebmx.training import DataOnly, Trainer, score_matching_loss

X = points(6, (2,))


def quadratic(params, x):
    return 0.5 * params["precision"] * jnp.sum((x - params["mean"]) ** 2)


def params_of(number):
    return {"precision": jnp.asarray(1.0 + number), "mean": jnp.full(2, 0.1 * number)}


def calls_of(energies):
    """How often Python has run the function after each call of `run`."""
    traces, found = [], []
    for energy in energies(lambda params, x: traces.append(0) or quadratic(params, x)):
        ebmx.run(energy, Langevin(0.1), X, num_steps=2, key=jax.random.key(0))
        found.append(len(traces))
    return found


def test_a_function_with_its_parameters_beside_it_is_compiled_once_in_five_calls():
    first, *rest = calls_of(lambda f: (eqx.Partial(f, params_of(i)) for i in range(5)))
    assert rest == [first] * 4


def test_jax_has_a_partial_that_is_compiled_once_too():
    partial = jax.tree_util.Partial
    first, *rest = calls_of(lambda f: (partial(f, params_of(i)) for i in range(3)))
    assert rest == [first] * 2


def test_a_fresh_closure_is_compiled_at_each_call():
    # what the documentation warns of; if this fails, the warning can go
    def closure(f, i):
        return lambda x: f(params_of(i), x)

    first, second = calls_of(lambda f: (closure(f, i) for i in range(2)))
    assert second == 2 * first


class Quadratic:
    """What a module of Flax is to its users: `init` makes parameters, `apply` takes them."""

    def init(self, key, x):
        return {"params": params_of(1)}

    def apply(self, variables, x):
        return quadratic(variables["params"], x)


def trained(net, params):
    energy = Function(eqx.Partial(net.apply, params), (2,))
    trainer = Trainer(optax.sgd(0.1), DataOnly(), score_matching_loss)
    state = trainer.init(energy, key=jax.random.key(0))
    state, _ = trainer.step(state, X, key=jax.random.key(1))
    after = state.energy.function.args[0]
    assert jax.tree.structure(after) == jax.tree.structure(params)
    np.testing.assert_allclose(net.apply(after, X[0]), state.energy(X[0]), rtol=1e-5)
    return after


@pytest.mark.medium
def test_training_moves_the_parameters_along_the_exact_gradient():
    net = Quadratic()
    after = trained(net, net.init(jax.random.key(0), X[0]))["params"]
    # half the squared score minus the trace of the Hessian: λ² |x - m|² / 2 - 2 λ
    off = np.asarray(X, np.float64) - 0.1
    precision = 2.0 - 0.1 * (2.0 * np.mean(np.sum(off**2, 1)) - 2)
    mean = 0.1 + 0.1 * 4.0 * off.mean(0)
    np.testing.assert_allclose(after["precision"], precision, rtol=1e-5)
    np.testing.assert_allclose(after["mean"], mean, rtol=1e-5)


def linen():
    """A module of Flax, if Flax is installed."""
    module = importlib.import_module("flax.linen")

    class Net(module.Module):
        @module.compact
        def __call__(self, x):
            return module.Dense(1)(module.silu(module.Dense(3)(x)))[0]

    return Net()


def nnx():
    """A module of Flax's newer kind as the two functions, if Flax is installed."""
    module = importlib.import_module("flax.nnx")

    class Split:
        graph = None

        def init(self, key, x):
            self.graph, state = module.split(module.Linear(2, 1, rngs=module.Rngs(key)))
            return state

        def apply(self, state, x):
            return module.merge(self.graph, state)(x)[0]

    return Split()


def haiku():
    """A function of Haiku's modules, if Haiku is installed."""
    hk = importlib.import_module("haiku")

    def apply(x):
        return hk.nets.MLP([3, 1], activation=jax.nn.silu)(x)[0]

    return hk.without_apply_rng(hk.transform(apply))


@pytest.mark.medium
@pytest.mark.parametrize("make", [linen, nnx, haiku])
def test_a_module_of_another_library_is_trained_as_it_is(make):
    pytest.importorskip("haiku" if make is haiku else "flax")
    net = make()
    params = net.init(jax.random.key(0), X[0])
    after = trained(net, params)
    moved = jax.tree.map(lambda a, b: float(jnp.max(jnp.abs(a - b))), params, after)
    assert max(jax.tree.leaves(moved)) > 0
