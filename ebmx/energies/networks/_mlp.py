"""Multi-layer perceptrons."""

import itertools
import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax

from ... import _checks
from ..._types import Key, X
from .._base import AbstractEnergy, OutSize
from .._precision import cast_input, cast_layers, resolve_dtype
from ._activations import resolve_activation
from ._modulation import Modulation, check_given, modulated, modulations


class MLP(AbstractEnergy):
    """A multi-layer perceptron on the flattened example: an energy, or features of an example.

    The density of a bare MLP need not be normalisable on an unbounded space: sample within
    bounds, or add a confining energy.

    Args:
        shape: the shape of one example.
        hidden_dims: the width of each hidden layer.
        out_size: `"scalar"` for an energy `E(x)`, one linear output. With a number there are so
            many, `(out_size,)`, which are the logits of a `JEM` or the features of a
            `Conditional`, and it is no energy itself.
        activation: a function, or the name of one, such as `"silu"`.
        compute_dtype: what all but the last layer compute in, such as `"bfloat16"`; that of the
            parameters if not given. The outputs keep that of the parameters.
        condition_size: the size of a condition that scales and shifts each hidden layer, for an
            energy over noise levels; the network is then called with `(x, condition)`.
        key: a key for the initial weights.

    Raises:
        ValueError: if a size is not a positive integer or a name is unknown.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> model = ebmx.energies.MLP((2,), (32, 32), key=jax.random.key(0))
        >>> ebmx.energy(model, jnp.zeros((5, 2))).shape
        (5,)
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    out_size: OutSize = eqx.field(static=True)
    layers: tuple[eqx.nn.Linear, ...]
    activation: Callable = eqx.field(static=True)
    compute_dtype: str | None = eqx.field(static=True)
    condition_size: int | None = eqx.field(static=True)
    modulations: tuple[Modulation | None, ...]

    def __init__(
        self,
        shape: Sequence[int],
        hidden_dims: Sequence[int] = (256, 128),
        *,
        out_size: OutSize = "scalar",
        activation: str | Callable = "silu",
        compute_dtype: str | None = None,
        condition_size: int | None = None,
        key: Key,
    ):
        self.shape = _checks.dimensions("shape", shape)
        self.out_size = out_size
        self.activation = resolve_activation(activation)
        self.compute_dtype = resolve_dtype(compute_dtype)
        hidden_dims = _checks.dimensions("hidden_dims", hidden_dims)
        sizes = (math.prod(self.shape), *hidden_dims, num_outputs(out_size))
        self.layers = dense_layers(sizes, key=key)
        self.condition_size = condition_size
        self.modulations = modulations(condition_size, hidden_dims, key=key)

    def __call__(self, x: X, condition: jax.Array | None = None) -> jax.Array:
        _checks.example(x, self.shape)
        check_given(self.condition_size, condition)
        x = cast_input(x.reshape(-1), self.compute_dtype, self.layers)
        hidden, parts = cast_layers((self.layers[:-1], self.modulations), self.compute_dtype)
        for layer, modulation in zip(hidden, parts, strict=True):
            x = self.activation(modulated(modulation, layer(x), condition))
        outputs = apply_layers(self.layers[-1:], self.activation, x)
        return outputs[0] if self.out_size == "scalar" else outputs


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


def num_outputs(out_size: OutSize) -> int:
    """How many numbers the last layer has: one for `"scalar"`."""
    if out_size == "scalar":
        return 1
    fix = "give 'scalar' for an energy, or an integer of at least 1 for so many features"
    is_size = isinstance(out_size, int) and not isinstance(out_size, bool) and out_size >= 1
    _checks.require(is_size, "out_size", repr(out_size), fix)
    return int(out_size)
