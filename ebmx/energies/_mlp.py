"""Multi-layer perceptrons."""

import itertools
import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax

from .. import _checks
from .._types import Key, Scalar, X
from ._activations import resolve_activation
from ._base import AbstractEnergy


class MLP(AbstractEnergy):
    """A multi-layer perceptron on the flattened example, with one linear output.

    The density of a bare MLP need not be normalisable on an unbounded space: sample within
    bounds, or add a confining energy.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    layers: tuple[eqx.nn.Linear, ...]
    activation: Callable = eqx.field(static=True)

    def __init__(
        self,
        shape: Sequence[int],
        hidden_dims: Sequence[int] = (256, 128),
        *,
        activation: str | Callable = "silu",
        key: Key,
    ):
        """**Arguments:**

        - `shape`: the shape of one example.
        - `hidden_dims`: the width of each hidden layer.
        - `activation`: a function, or the name of one, such as `"silu"`.
        - `key`: a key for the initial weights.

        **Raises:**

        `ValueError` if a size is not a positive integer or the activation is unknown.
        """
        self.shape = _checks.dimensions("shape", shape)
        hidden_dims = _checks.dimensions("hidden_dims", hidden_dims)
        self.activation = resolve_activation(activation)
        self.layers = dense_layers((math.prod(self.shape), *hidden_dims, 1), key=key)

    def __call__(self, x: X) -> Scalar:
        _checks.example(x, self.shape)
        return apply_dense(self.layers, self.activation, x.reshape(-1))


def dense_layers(sizes: Sequence[int], *, key: Key) -> tuple[eqx.nn.Linear, ...]:
    """Linear layers from each size to the next."""
    keys = jax.random.split(key, len(sizes) - 1)
    pairs = itertools.pairwise(sizes)
    return tuple(eqx.nn.Linear(i, o, key=k) for (i, o), k in zip(pairs, keys, strict=True))


def apply_dense(layers: Sequence[eqx.nn.Linear], activation: Callable, x: X) -> Scalar:
    """The layers with the activation between them; the last one has a single output."""
    for layer in layers[:-1]:
        x = activation(layer(x))
    return layers[-1](x)[0]
