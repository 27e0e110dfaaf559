"""What compares all pairs of a batch holds as many numbers as there are pairs, not times `d`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_forms import apply
from helpers import points

from ebmx.energies import Gaussian
from ebmx.training import (
    Examples,
    TransportPairs,
    sampler_divergence_loss,
    score_matching_loss,
)
from ebmx.training._distances import nearest_squared_distances, squared_distances
from ebmx.training.losses._improved_cd import nearest_neighbour_entropy

NUM, DIM = 48, 300
X = points(NUM, (DIM,))
ENERGY = Gaussian(jnp.zeros(DIM))


def largest(function, *arguments):
    """The size of the largest array that a function makes, those of inner functions included."""

    def sizes(jaxpr):
        for equation in jaxpr.eqns:
            yield from (v.aval.size for v in equation.outvars if hasattr(v.aval, "size"))
            for leaf in jax.tree.leaves(equation.params, is_leaf=lambda p: hasattr(p, "eqns")):
                inner = getattr(leaf, "jaxpr", leaf)
                if hasattr(inner, "eqns"):
                    yield from sizes(inner)

    return max(sizes(jax.make_jaxpr(function)(*arguments).jaxpr))


def divergence(mean, x):
    energy = eqx.tree_at(lambda e: e.mean, ENERGY, mean)
    return apply(sampler_divergence_loss, energy, x, x, step_size=0.1)[0]


def transport(x, key, plan="sinkhorn"):
    return TransportPairs(plan=plan).step(None, Examples(x), None, key=key)[0].x


KEY = jax.random.key(0)
CALLS = {
    "entropy": (jax.value_and_grad(nearest_neighbour_entropy), X),
    "divergence": (jax.value_and_grad(divergence), ENERGY.mean, X),
    "transport": (transport, X, KEY),
    "assignment": (lambda x, key: transport(x, key, "exact"), X, KEY),
}


@pytest.mark.parametrize("name", CALLS)
def test_no_array_is_larger_than_pairs_and_batch_together(name):
    assert largest(*CALLS[name]) <= NUM * NUM + NUM * DIM


def stiff(scale, x):
    return apply(score_matching_loss, lambda x: scale * jnp.sum(x**4) + x[0] * x[1], x, None)[0]


def test_exact_score_matching_holds_no_hessians():
    scale, x = jnp.array(0.5), X[:8]
    assert largest(jax.grad(stiff), scale, x) <= 8 * 32 * DIM
    # ½ |4 s x³ + …|² − 12 s Σ x²
    value, slope = jax.jit(jax.value_and_grad(stiff))(scale, x)
    wide = np.asarray(x, np.float64)
    cross = np.zeros_like(wide)
    cross[:, [0, 1]] = wide[:, [1, 0]]
    score = 2 * wide**3 + cross
    want = np.mean(0.5 * np.sum(score**2, 1) - 6 * np.sum(wide**2, 1))
    np.testing.assert_allclose(value, want, rtol=1e-5)
    want = np.mean(np.sum(score * 4 * wide**3, 1) - 12 * np.sum(wide**2, 1))
    np.testing.assert_allclose(slope, want, rtol=1e-5)


def test_a_larger_array_is_found():
    assert largest(lambda x: jnp.sum((x[:, None] - x[None]) ** 2, -1), X) == NUM * NUM * DIM


# far from the origin, in tight clusters, with two at one place
SETS = {
    "normal": np.asarray(X),
    "far": np.asarray(X) + 300.0,
    "clusters": np.asarray(X[:6])[np.arange(NUM) % 6] + 0.03 * points(NUM, (DIM,), seed=1),
    "same": np.asarray(X)[np.arange(NUM) // 2],
    "two": np.asarray(X[:2]),
    "three": np.asarray(X[:3]),
    "line": np.asarray(X) * (np.arange(DIM) == 0),
}


@pytest.mark.parametrize("name", SETS)
def test_distances_are_those_of_differences(name):
    x = np.asarray(SETS[name], np.float32)
    wide = np.asarray(x, np.float64)
    want = np.sum((wide[:, None] - wide[None]) ** 2, -1)
    found = jax.jit(squared_distances)(x, x)
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6 * want.max())
    np.fill_diagonal(want, np.inf)
    nearest = jax.jit(nearest_squared_distances)(x)
    np.testing.assert_allclose(nearest, want.min(1), rtol=1e-5)
    entropy = 0.5 * np.mean(np.log(want.min(1) + 1e-12))
    np.testing.assert_allclose(jax.jit(nearest_neighbour_entropy)(x), entropy, rtol=1e-6, atol=1e-6)
