"""A small image classifier, whose features are used to compare samples with data."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from ... import _checks
from ..._types import Key, X
from ...energies import Convolution


class Classifier(eqx.Module):
    """Two 3×3 convolutions with stride 2, one hidden layer, and logits.

    Args:
        shape: the shape of one image, `(height, width, channel)`.
        num_classes: number of classes.
        num_features: number of features of the last hidden layer.
        key: a key for the initial weights.

    Raises:
        ValueError: if the shape is not that of an image, or a count is below 1.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    convolutions: tuple[Convolution, ...]
    hidden: eqx.nn.Linear
    head: eqx.nn.Linear

    def __init__(self, shape: Sequence[int], num_classes: int, *, num_features: int = 64, key: Key):
        self.shape = _checks.dimensions("shape", shape)
        fix = "give (height, width, channel)"
        _checks.require(len(self.shape) == 3, "shape", self.shape, fix)
        _checks.at_least("num_classes", num_classes, 1)
        _checks.at_least("num_features", num_features, 1)
        keys = jax.random.split(key, 4)
        height, width, channels = self.shape
        self.convolutions = (
            Convolution(channels, 32, 3, 2, 1, key=keys[0]),
            Convolution(32, 64, 3, 2, 1, key=keys[1]),
        )
        for convolution in self.convolutions:
            height, width = convolution.out_size(height), convolution.out_size(width)
        self.hidden = eqx.nn.Linear(height * width * 64, num_features, key=keys[2])
        self.head = eqx.nn.Linear(num_features, num_classes, key=keys[3])

    def features(self, x: X) -> jax.Array:
        """The last hidden layer of one image, `(num_features,)`."""
        _checks.example(x, self.shape)
        x = x.astype(self.hidden.weight.dtype)
        for convolution in self.convolutions:
            x = jax.nn.silu(convolution(x))
        return jax.nn.silu(self.hidden(x.reshape(-1)))

    def __call__(self, x: X) -> jax.Array:
        """The logits of one image, `(num_classes,)`."""
        return self.head(self.features(x))


def train_classifier(
    x: np.ndarray, labels: np.ndarray, *, num_steps: int = 600, batch_size: int = 128, key: Key
) -> Classifier:
    """Train a `Classifier` by cross-entropy with Adam.

    Args:
        x: images `(num, height, width, channel)`.
        labels: integers `(num,)`, from 0.
        num_steps: number of updates.
        batch_size: number of images in each.
        key: a key.

    Returns:
        The trained classifier.

    Raises:
        ValueError: if images and labels differ in number, or have other shapes or types.
    """
    x, labels = np.asarray(_checks.batch(x, "x")), np.asarray(labels)
    _checks.require(x.ndim == 4, "x.shape", x.shape, "give (num, height, width, channel)")
    _checks.finite(x, "x")
    fix = f"give one label for each of the {len(x)} images"
    _checks.require(labels.shape == (len(x),), "labels.shape", labels.shape, fix)
    ok = np.issubdtype(labels.dtype, np.integer) and bool(np.all(labels >= 0))
    _checks.require(ok, "labels", labels[:8], "give whole numbers from 0")
    _checks.at_least("num_steps", num_steps, 1)
    _checks.at_least("batch_size", batch_size, 1)
    init_key, order_key = jax.random.split(key)
    classifier = Classifier(x.shape[1:], int(np.max(labels)) + 1, key=init_key)
    optim = optax.adamw(optax.cosine_decay_schedule(2e-3, num_steps), weight_decay=1e-2)
    order = jax.random.randint(order_key, (num_steps, batch_size), 0, len(x))
    # optax mixes dtypes, which a program may have forbidden
    with jax.numpy_dtype_promotion("standard"):
        return _train(classifier, optim, jnp.asarray(x), jnp.asarray(labels), order)


@eqx.filter_jit
def _train(classifier, optim, x, labels, order):
    params, static = eqx.partition(classifier, eqx.is_inexact_array)

    def loss(params, index):
        logits = jax.vmap(eqx.combine(params, static))(x[index])
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels[index]))

    def step(carry, index):
        params, opt_state = carry
        updates, opt_state = optim.update(jax.grad(loss)(params, index), opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), None

    (params, _), _ = jax.lax.scan(step, (params, optim.init(params)), order)
    return eqx.combine(params, static)
