"""Energies under a condition, `E(x, y)`."""

import abc
from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._types import Key, Scalar, X
from ._base import AbstractEnergy, check_features
from ._constants import constant
from ._repr import show
from .networks._activations import resolve_activation
from .networks._mlp import apply_layers, dense_layers


class AbstractConditionalEnergy(eqx.Module):
    """A function `E(x, y)` of one example and one condition; `p(x | y)` is `exp(-E(x, y)) / Z(y)`.

    `at(y)` fixes the condition and returns an energy. Subclasses set the three fields below and
    define `__call__` on ONE example.
    """

    shape: eqx.AbstractVar[tuple[int, ...]]
    condition_shape: eqx.AbstractVar[tuple[int, ...]]
    """The shape of one condition; `()` for a label."""
    num_labels: eqx.AbstractVar[int | None]
    """How many labels there are, counted from 0; `None` if conditions are real numbers."""

    @abc.abstractmethod
    def __call__(self, x: X, y: jax.Array) -> Scalar:
        """The energy of one example under one condition; NaN for a label out of range."""

    def __repr__(self) -> str:
        return show(self)

    def at(self, y: Any) -> "Conditioned":
        """The energy `x -> E(x, y)`.

        Args:
            y: one condition, of `condition_shape`; a whole number if it is a label.

        Raises:
            ValueError: if its shape or dtype does not fit, or a label is out of range.
        """
        return Conditioned(self, check_condition(self, y))

    def at_each(self, y: Any) -> "ForEach":
        """One energy for each example of a batch, or each chain.

        Args:
            y: conditions `(batch, *condition_shape)`.

        Raises:
            ValueError: as for `at`.
        """
        return ForEach(self, check_condition(self, y, "batch"))


class Conditioned(AbstractEnergy):
    """A conditional energy at one condition: what `at(y)` returns. Training does not change `y`.

    Args:
        energy: a conditional energy.
        y: its condition, of `condition_shape`.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    energy: AbstractConditionalEnergy
    y: jax.Array = constant()

    def __init__(self, energy: AbstractConditionalEnergy, y: jax.Array):
        self.shape = energy.shape
        self.energy = energy
        self.y = y

    def __call__(self, x: X) -> Scalar:
        return self.energy(x, jax.lax.stop_gradient(self.y))


class ForEach(eqx.Module):
    """One energy for each example: what `at_each(y)` returns.

    The functions of a batch (`ebmx.energy`, `ebmx.score`, `ebmx.run`, `ebmx.sample`) give the
    example, or the chain, number `i` the condition number `i`.

    Args:
        energy: a conditional energy.
        y: conditions `(batch, *condition_shape)`.
    """

    energy: AbstractConditionalEnergy
    y: jax.Array = constant()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.energy.shape

    def __call__(self, x: X) -> Scalar:
        fix = "this is one energy for each example: use ebmx.energy, ebmx.score, run or sample"
        _checks.invalid("energy", "ForEach", fix)


def check_condition(
    energy: AbstractConditionalEnergy, y: Any, batch: Literal["batch"] | None = None
) -> jax.Array:
    """`y` as an array that fits the energy."""
    try:
        y = jnp.asarray(y)
    except TypeError:
        _checks.invalid("y", type(y).__name__, "give a number or an array")
    wanted = ((batch,) if batch else ()) + energy.condition_shape
    fix = f"give a condition of shape ({', '.join(map(str, wanted))})"
    ok = y.ndim == len(wanted) and y.shape[1 if batch else 0 :] == energy.condition_shape
    _checks.require(ok, "y.shape", y.shape, fix)
    if energy.num_labels is None:
        if getattr(energy, "levels", None) is not None:  # over noise levels
            y = y.astype(float) if jnp.issubdtype(y.dtype, jnp.integer) else y
            _check_level(energy, y)
        fix = "give floating-point conditions"
        _checks.require(jnp.issubdtype(y.dtype, jnp.floating), "y.dtype", str(y.dtype), fix)
        return y
    fix = "give labels as whole numbers"
    _checks.require(jnp.issubdtype(y.dtype, jnp.integer), "y.dtype", str(y.dtype), fix)
    if _checks.is_concrete(y):
        values = np.asarray(y)
        ok = bool(np.all((values >= 0) & (values < energy.num_labels)))
        _checks.require(ok, "y", y, f"labels are 0 to {energy.num_labels - 1}")
    return y.astype(int)  # one dtype, so that one program serves all kinds of whole numbers


def _check_level(energy: Any, y: jax.Array) -> None:
    """Check noise levels, and labels beside them, that are known; those of a trace pass."""
    sigma = y[..., 0] if energy.condition_shape else y
    _checks.positive("sigma", sigma, "noise levels are finite and above 0")
    ends = energy.levels.sigma[np.array([0, -1])]
    if _checks.is_concrete(sigma) and _checks.is_concrete(ends):
        values, (low, high) = np.asarray(sigma, float), np.asarray(ends, float)
        ok = bool(np.all((values >= low * (1 - 1e-4)) & (values <= high * (1 + 1e-4))))
        fix = f"the energy is defined at levels from {low:.4g} to {high:.4g}"
        _checks.require(ok, "sigma", sigma, fix)
    if energy.num_classes is not None and _checks.is_concrete(y):
        label = np.asarray(y[..., 1], float)
        ok = (label == np.round(label)) & (label >= -1) & (label < energy.num_classes)
        fix = f"labels are whole numbers from 0 to {energy.num_classes - 1}, or -1 for none"
        _checks.require(bool(np.all(ok)), "label", y[..., 1], fix)


class Conditional(AbstractConditionalEnergy):
    """A conditional energy on the features of a network.

    With the projection head `E(x, y) = a·f(x) + c(y)·f(x) + b(y)`, as in Miyato and Koyama (2018),
    "cGANs with projection discriminator"; with the embedding head a perceptron on `f(x)` and `c(y)`
    side by side.

    Args:
        network: from one example to features `(out_size,)`, with a `shape`: an `MLP`, `ConvNet` or
            `ResNet` with a number as `out_size`.
        num_labels: how many labels there are, if conditions are labels.
        condition_dim: the size of a condition `(condition_dim,)`, if conditions are real numbers.
        head: `"projection"` or `"embedding"`.
        activation: of the features and of the layers of the head.
        key: a key for the initial weights.

    Raises:
        ValueError: if not exactly one of `num_labels` and `condition_dim` is given, the network has
            no features, a number is below 1, or a name is unknown.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> import ebmx
        >>> from ebmx.energies import Conditional, MLP
        >>> key = jax.random.key(0)
        >>> energy = Conditional(MLP((2,), (16,), out_size=8, key=key), num_labels=3, key=key)
        >>> ebmx.energy(energy.at(2), jnp.zeros((5, 2))).shape
        (5,)
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    condition_shape: tuple[int, ...] = eqx.field(static=True)
    num_labels: int | None = eqx.field(static=True)
    network: Callable[[X], jax.Array]
    embedding: tuple[eqx.nn.Linear, ...] | jax.Array
    layers: tuple[eqx.nn.Linear, ...]
    activation: Callable = eqx.field(static=True)
    head: str = eqx.field(static=True)

    def __init__(
        self,
        network: Any,
        *,
        num_labels: int | None = None,
        condition_dim: int | None = None,
        head: Literal["projection", "embedding"] = "projection",
        activation: str | Callable = "silu",
        key: Key,
    ):
        fix = "give one of num_labels and condition_dim"
        one = (num_labels is None) != (condition_dim is None)
        _checks.require(one, "num_labels", (num_labels, condition_dim), fix)
        fix = "give 'projection' or 'embedding'"
        _checks.require(head in ("projection", "embedding"), "head", repr(head), fix)
        check_features(network)
        fix = "give a network with `shape` and `out_size`, such as MLP(shape, out_size=64)"
        ok = hasattr(network, "shape") and hasattr(network, "out_size")
        _checks.require(ok, "network", type(network).__name__, fix)
        self.shape = network.shape
        self.network = network
        self.activation = resolve_activation(activation)
        self.head = head
        self.num_labels = num_labels
        width = network.out_size
        size = width + 1 if head == "projection" else width
        embed_key, head_key = jax.random.split(key)
        if num_labels is not None:
            _checks.at_least("num_labels", num_labels, 1)
            self.condition_shape = ()
            self.embedding = jax.random.normal(embed_key, (num_labels, size)) / np.sqrt(width)
        elif condition_dim is not None:
            _checks.at_least("condition_dim", condition_dim, 1)
            self.condition_shape = (condition_dim,)
            self.embedding = dense_layers((condition_dim, width, size), key=embed_key)
        sizes = (width, 1) if head == "projection" else (2 * width, width, 1)
        self.layers = dense_layers(sizes, key=head_key)

    def __call__(self, x: X, y: jax.Array) -> Scalar:
        _checks.example(x, self.shape)
        features = self.activation(self.network(x))
        condition = self._embed(y).astype(features.dtype)
        if self.head == "embedding":
            joint = jnp.concatenate([features, self.activation(condition)])
            return apply_layers(self.layers, self.activation, joint)[0]
        own = apply_layers(self.layers, self.activation, features)[0]
        return own + condition[:-1] @ features + condition[-1]

    def _embed(self, y: jax.Array) -> jax.Array:
        if isinstance(self.embedding, tuple):
            return apply_layers(self.embedding, self.activation, y)
        # out of range is NaN, which a training step notices; JAX would clip or wrap
        known = (y >= 0) & (y < self.embedding.shape[0])
        return jnp.where(known, self.embedding[y], jnp.nan)
