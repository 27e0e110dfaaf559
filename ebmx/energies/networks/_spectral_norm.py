"""Spectral normalisation of a whole energy."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ... import _checks
from ..._types import Key, Scalar, X
from .._base import AbstractEnergy, AbstractStatefulEnergy, check_scalar
from ._convolution import Convolution

_TINY = 1e-12  # so that a layer of zeros stays a layer of zeros


class SpectralNorm(AbstractStatefulEnergy):
    """An energy with every weight of a convolution or linear layer divided by its spectral norm.

    The spectral norm, the largest singular value of the weight as a matrix `(out, in)`, is
    estimated by power iteration: one step in each `advance` and none elsewhere. Each layer of the
    energy then has a Lipschitz constant of about 1; that of a convolution is larger by the overlap
    of its patches.

    Miyato et al. (2018), "Spectral normalization for generative adversarial networks".

    Make it and its state with `eqx.nn.make_with_state(SpectralNorm)(energy, key=key)`.

    Args:
        energy: an energy that holds `Convolution`, `eqx.nn.Linear` or `eqx.nn.Conv` layers.
        num_iterations: how many power iterations start the estimate.
        key: a key for their random starts.

    Raises:
        ValueError: if the energy has no layer of these kinds, or `num_iterations` is below 0.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    energy: AbstractEnergy
    vectors: tuple[eqx.nn.StateIndex, ...]
    inference: bool

    def __init__(self, energy: AbstractEnergy, *, num_iterations: int = 15, key: Key):
        _checks.at_least("num_iterations", num_iterations, 0)
        check_scalar(energy)
        layers = _layers(energy)
        fix = "it has no convolution or linear layer to normalise"
        _checks.require(bool(layers), "energy", type(energy).__name__, fix)
        keys = jax.random.split(key, len(layers))
        starts = [_start(_matrix(m), num_iterations, k) for m, k in zip(layers, keys, strict=True)]
        self.shape = energy.shape
        self.energy = energy
        self.vectors = tuple(eqx.nn.StateIndex(start) for start in starts)
        self.inference = False

    def __call__(self, x: X, state: eqx.nn.State) -> tuple[Scalar, eqx.nn.State]:
        scaled = []
        for layer, index in zip(_layers(self.energy), self.vectors, strict=True):
            # One step each time is enough, since weights move little between two updates and the
            # vector goes on from the last one; while energies are frozen it stays.
            vector = state.get(index)
            if not self.inference:
                vector = _iterate(jax.lax.stop_gradient(_matrix(layer)), vector)
                state = state.set(index, vector)
            scaled.append(layer.weight / _norm(_matrix(layer), vector))
        return eqx.tree_at(_weights, self.energy, scaled)(x), state

    def norms(self, state: eqx.nn.State) -> list[jax.Array]:
        """The current estimate of the spectral norm of each weight, in the order of the layers."""
        pairs = zip(_layers(self.energy), self.vectors, strict=True)
        return [_norm(_matrix(layer), state.get(index)) for layer, index in pairs]


def _is_layer(node: Any) -> bool:
    return isinstance(node, Convolution | eqx.nn.Linear | eqx.nn.Conv)


def _layers(energy: Any) -> list[Any]:
    return [node for node in jax.tree.leaves(energy, is_leaf=_is_layer) if _is_layer(node)]


def _weights(energy: Any) -> list[jax.Array]:
    return [layer.weight for layer in _layers(energy)]


def _matrix(layer: Any) -> jax.Array:
    """The weight as a matrix `(out, in)`: `Convolution` has its outputs last."""
    weight = layer.weight
    if isinstance(layer, Convolution):
        return weight.reshape(-1, weight.shape[-1]).T
    return weight.reshape(weight.shape[0], -1)


def _start(matrix: jax.Array, num_iterations: int, key: Key) -> jax.Array:
    vector = jax.random.normal(key, (matrix.shape[1],), matrix.dtype)
    vector = vector / jnp.linalg.norm(vector)
    return jax.lax.fori_loop(0, num_iterations, lambda _, v: _iterate(matrix, v), vector)


def _iterate(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    # towards the first right singular vector, along which `WᵀW` stretches most
    moved = matrix.T @ (matrix @ vector)
    size = jnp.linalg.norm(moved)
    # at a weight of zero the direction stays: the weight may become non-zero
    return jnp.where(size > 0, moved / (size + _TINY), vector)


def _norm(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """`uᵀ W v` with both directions fixed: its gradient is that of the largest singular value."""
    left = jax.lax.stop_gradient(matrix @ vector)
    left = left / (jnp.linalg.norm(left) + _TINY)
    return left @ (matrix @ vector) + _TINY
