"""Multi-layer perceptrons."""

import itertools
import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax

from ... import _checks
from ..._arguments import guarded
from ..._types import Key, Scalar, X
from .._base import AbstractEnergy
from .._precision import cast_input, cast_layers, resolve_dtype
from ._activations import resolve_activation


@guarded
class MLPNetwork(eqx.Module):
    """A multi-layer perceptron on the flattened example, with linear outputs `(out_size,)`."""

    shape: tuple[int, ...] = eqx.field(static=True)
    out_size: int = eqx.field(static=True)
    layers: tuple[eqx.nn.Linear, ...]
    activation: Callable = eqx.field(static=True)
    compute_dtype: str | None = eqx.field(static=True)

    def __init__(
        self,
        shape: Sequence[int],
        out_size: int,
        hidden_dims: Sequence[int] = (256, 128),
        *,
        activation: str | Callable = "silu",
        compute_dtype: str | None = None,
        key: Key,
    ):
        """Arguments and errors as for `MLP`, and `out_size`, the number of outputs."""
        self.shape = _checks.dimensions("shape", shape)
        _checks.at_least("out_size", out_size, 1)
        self.out_size = out_size
        hidden_dims = _checks.dimensions("hidden_dims", hidden_dims)
        self.activation = resolve_activation(activation)
        self.compute_dtype = resolve_dtype(compute_dtype)
        self.layers = dense_layers((math.prod(self.shape), *hidden_dims, out_size), key=key)

    def __call__(self, x: X) -> jax.Array:
        _checks.example(x, self.shape)
        x = cast_input(x.reshape(-1), self.compute_dtype, self.layers)
        return apply_layers(self.layers, self.activation, x, self.compute_dtype)


@guarded
class MLP(AbstractEnergy):
    """A multi-layer perceptron on the flattened example, with one linear output.

    The density of a bare MLP need not be normalisable on an unbounded space: sample within
    bounds, or add a confining energy.

    Args:
        shape: the shape of one example.
        hidden_dims: the width of each hidden layer.
        activation: a function, or the name of one, such as `"silu"`.
        compute_dtype: what all but the last layer compute in, such as `"bfloat16"`; that of the
            parameters if not given. The energy keeps that of the parameters.
        key: a key for the initial weights.

    Raises:
        ValueError: if a size is not a positive integer or a name is unknown.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    network: MLPNetwork

    def __init__(
        self,
        shape: Sequence[int],
        hidden_dims: Sequence[int] = (256, 128),
        *,
        activation: str | Callable = "silu",
        compute_dtype: str | None = None,
        key: Key,
    ):
        options = {"activation": activation, "compute_dtype": compute_dtype}
        self.network = MLPNetwork(shape, 1, hidden_dims, **options, key=key)
        self.shape = self.network.shape

    def __call__(self, x: X) -> Scalar:
        return self.network(x)[0]


def dense_layers(sizes: Sequence[int], *, key: Key) -> tuple[eqx.nn.Linear, ...]:
    """Linear layers from each size to the next."""
    keys = jax.random.split(key, len(sizes) - 1)
    pairs = itertools.pairwise(sizes)
    return tuple(eqx.nn.Linear(i, o, key=k) for (i, o), k in zip(pairs, keys, strict=True))


def apply_layers(
    layers: Sequence[eqx.nn.Linear],
    activation: Callable,
    x: jax.Array,
    compute_dtype: str | None = None,
) -> jax.Array:
    """The layers with the activation between them; the last one computes in its own dtype."""
    for layer in cast_layers(layers[:-1], compute_dtype):
        x = activation(layer(x))
    return layers[-1](x.astype(layers[-1].weight.dtype))
