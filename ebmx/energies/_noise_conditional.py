"""Networks as energies over noise levels, `E(x, σ)`."""

import math
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from .. import _checks
from .._types import Key, Number, Scalar, X
from ._constants import as_number, constant
from ._noise_base import AbstractNoiseConditionalEnergy
from ._noise_levels import NoiseLevels
from .exact._gaussian import Gaussian
from .networks._fourier_features import FourierFeatures
from .networks._mlp import apply_layers, dense_layers

_NUM_WAVES = 8
LEAST_RATIO = 4.0
"""The highest level over the largest standard deviation of the data, at least: the blurred data
then differ from a Gaussian by a third cumulant of 1/64 of theirs."""


class NoiseConditional(AbstractNoiseConditionalEnergy):
    """A network beside the Gaussian of the blurred data: `E(x, σ) = E_G(x, σ) + g(σ) h(z, σ)`.

    `E_G` is `-log N(x; mean, covariance + σ²)`, and `z = (x - mean) / √(s² + σ²)` are the inputs of
    the network, where `s²` is the mean variance. The weight `g(σ) = (t²/(t² + σ²))^1.5 - c`, with
    the largest variance `t²`, decays as the third cumulant of the blurred data does, and `c` makes
    it zero at the highest level: there the energy is the Gaussian, a density, and training by
    `level_classification_loss` carries its normaliser to all levels below.

    Args:
        network: a network with `condition_size`, from `(inputs, condition)` to its outputs: an
            `MLP`, `ConvNet`, `ResNet` or `UNet`.
        levels: the noise levels.
        mean: the mean of the data, of the shape of one example, or a number.
        covariance: one variance; a variance for each coordinate; or a matrix `(d, d)` over the
            flattened coordinates: that of the data. A number or variances leave correlations out:
            then the highest level has to be at least 4 standard deviations of the data along their
            first principal axis, too, which runs check.
        head: `"linear"`: `h` is the output of the network; `"inner"`: `h = ⟨z, f(z)⟩`;
            `"squared"`: `h = ½ |z - f(z)|²`, for a network `f` with as many outputs as inputs.
        features: random waves that are further inputs of a perceptron, `FourierFeatures(shape)`;
            the shape of one example is then that of the features, else that of the network.
        num_classes: how many classes there are, for data with labels.
        scale: a constant factor of `h`; larger than 1 makes a network learn fine structure faster.
        key: a key for the initial weights of the embedding of the level.

    Raises:
        ValueError: if a shape does not fit, all variances are zero, the network has no
            `condition_size` or outputs that do not fit the head, or the highest level is below 4
            standard deviations of the data.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    condition_shape: tuple[int, ...] = eqx.field(static=True)
    num_labels: None = eqx.field(static=True)
    num_classes: int | None = eqx.field(static=True)
    network: Any
    embedding: tuple[eqx.nn.Linear, ...]
    classes: jax.Array | None
    head: str = eqx.field(static=True)
    # constants of the data
    levels: NoiseLevels
    features: FourierFeatures | None
    mean: jax.Array = constant()
    axes: jax.Array | None = constant()  # the principal axes, (d, d); None for those of `x`
    variances: jax.Array = constant()  # along the axes, (d,)
    scale: jax.Array = constant()

    def __init__(
        self,
        network: Any,
        levels: NoiseLevels,
        *,
        mean: ArrayLike = 0.0,
        covariance: ArrayLike = 1.0,
        head: Literal["linear", "inner", "squared"] = "linear",
        features: FourierFeatures | None = None,
        num_classes: int | None = None,
        scale: Number = 1.0,
        key: Key,
    ):
        fix = "give a network that takes a condition, such as MLP(shape, condition_size=64)"
        ok = getattr(network, "condition_size", None) is not None
        _checks.require(ok, "network", type(network).__name__, fix)
        self.shape = network.shape if features is None else features.shape
        self.num_labels = None
        self.num_classes = num_classes
        self.condition_shape = () if num_classes is None else (2,)
        self.network = network
        self.levels = levels
        self.features = features
        self.head = head
        self.scale = as_number(scale)
        _checks.positive("scale", scale)
        _check_network(network, self.shape, head, features)
        mean = as_number(mean)
        fix = f"give a number or an array of shape {self.shape}"
        _checks.require(mean.shape in ((), self.shape), "mean.shape", mean.shape, fix)
        _checks.finite_value("mean", mean)
        self.mean = jnp.broadcast_to(mean, self.shape)
        self.axes, self.variances = _principal(as_number(covariance), self.shape)
        _check_top(levels, self.variances)
        layer_key, class_key = jax.random.split(key)
        sizes = (2 * _NUM_WAVES, network.condition_size, network.condition_size)
        self.embedding = dense_layers(sizes, key=layer_key)
        self.classes = None
        if num_classes is not None:
            _checks.at_least("num_classes", num_classes, 1)
            # the last row is that of no label
            self.classes = jax.random.normal(class_key, (num_classes + 1, network.condition_size))

    def __call__(self, x: X, y: jax.Array) -> Scalar:
        _checks.example(x, self.shape)
        x = jnp.asarray(x)
        y = jnp.asarray(y, x.dtype)
        sigma = y if self.num_classes is None else y[0]
        centred = x - self.mean.astype(x.dtype)
        variance = jax.lax.stop_gradient(self.variances).astype(x.dtype)
        inputs = centred / jnp.sqrt(jnp.mean(variance) + sigma**2)
        outputs = self._outputs(inputs, centred, sigma, None if y.ndim == 0 else y[1])
        weight = self._decay(sigma) - self._decay(self.levels.sigma[-1].astype(x.dtype))
        head = _heads[self.head](inputs.reshape(-1), outputs.astype(x.dtype))
        return self._gaussian(centred, sigma) + self.scale.astype(x.dtype) * weight * head

    @property
    def top(self) -> Gaussian:
        """The Gaussian of the data with the noise of the highest level."""
        variances = self.variances + self.levels.sigma[-1] ** 2
        if self.axes is None:
            return Gaussian(self.mean, variances.reshape(self.shape))
        return Gaussian(self.mean, (self.axes * variances[None]) @ self.axes.T)

    @property
    def is_normalised(self) -> bool:
        """True."""
        return True

    def _gaussian(self, centred: X, sigma: Scalar) -> Scalar:
        """`-log N(x; mean, covariance + σ²)`."""
        z = centred.reshape(-1)
        if self.axes is not None:
            # by default, a GPU multiplies in lower precision, which narrow axes do not bear
            axes = jax.lax.stop_gradient(self.axes).astype(z.dtype)
            z = jnp.matmul(z, axes, precision=jax.lax.Precision.HIGHEST)
        variances = self.variances.astype(z.dtype) + sigma**2
        return 0.5 * jnp.sum(z**2 / variances + jnp.log(2 * jnp.pi * variances))

    def _decay(self, sigma: Scalar) -> Scalar:
        largest = jnp.max(self.variances).astype(sigma.dtype)
        return (largest / (largest + sigma**2)) ** 1.5

    def _outputs(self, inputs: X, centred: X, sigma: Scalar, label: Any) -> jax.Array:
        if self.features is not None:
            inputs = jnp.concatenate([inputs.reshape(-1), self.features(centred, sigma)])
        ends = jnp.log(self.levels.sigma[jnp.array([0, -1])]).astype(sigma.dtype)
        place = (jnp.log(sigma) - ends[0]) / (ends[1] - ends[0])
        angles = jnp.pi * place * jnp.arange(1, _NUM_WAVES + 1, dtype=place.dtype)
        waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)])
        waves = waves.astype(self.embedding[0].weight.dtype)
        condition = apply_layers(self.embedding, jax.nn.silu, waves)
        if self.classes is not None and label is not None:
            # out of range is NaN, which a training step notices; -1 is no label
            row = self.classes[label.astype(int)].astype(condition.dtype)
            known = (label >= -1) & (label < self.num_classes)
            condition = condition + jnp.where(known, row, jnp.nan)
        return self.network(inputs, jax.nn.silu(condition))


_heads = {
    "linear": lambda z, output: output,
    "inner": lambda z, output: jnp.vdot(z, output.reshape(-1)),
    "squared": lambda z, output: 0.5 * jnp.sum((z - output.reshape(-1)) ** 2),
}


def _check_network(network: Any, shape: Any, head: str, features: FourierFeatures | None) -> None:
    _checks.require(head in _heads, "head", repr(head), f"give one of {', '.join(_heads)}")
    size = math.prod(shape)
    if features is not None:
        wanted = features.joint_shape
        fix = f"its inputs are the example and its waves: give shape {wanted}"
        _checks.require(network.shape == wanted, "network.shape", network.shape, fix)
    wanted = "scalar" if head == "linear" else size
    fix = f"the head {head!r} needs out_size={wanted!r}"
    ok = network.out_size == wanted
    _checks.require(ok, "network.out_size", repr(network.out_size), fix)


def _principal(covariance: jax.Array, shape: tuple[int, ...]) -> tuple[Any, jax.Array]:
    """Principal axes and the variances along them."""
    size = math.prod(shape)
    fix = f"give a variance, variances of shape {shape}, or a matrix {(size, size)}"
    ok = covariance.shape in ((), shape, (size, size))
    _checks.require(ok, "covariance.shape", covariance.shape, fix)
    if covariance.shape != (size, size) or covariance.shape == shape:
        # σ² is added to zeros
        _checks.non_negative("covariance", covariance, "give variances of at least 0")
        _check_spread(covariance)
        return None, jnp.broadcast_to(covariance.reshape(-1), (size,))
    variances, axes = jnp.linalg.eigh(covariance)
    _checks.finite_value("covariance", variances)
    # rounding makes zeros of a singular covariance negative; σ² is added to them
    lowest = -1e-4 * jnp.max(variances)
    ok = not _checks.is_concrete(variances) or bool(jnp.all(variances >= lowest))
    _checks.require(ok, "covariance", "a matrix", "give a positive semidefinite matrix")
    _check_spread(variances)
    return axes, jnp.maximum(variances, 0.0)


def _check_spread(variances: jax.Array) -> None:
    """The weight of the network, `g(σ)`, is zero at all levels where the largest variance is."""
    ok = not _checks.is_concrete(variances) or float(np.max(np.asarray(variances))) > 0
    _checks.require(ok, "covariance", "0", "give that of the data: one variance above 0 at least")


def _check_top(levels: NoiseLevels, variances: jax.Array) -> None:
    if not (_checks.is_concrete(levels.sigma) and _checks.is_concrete(variances)):
        return
    high, largest = float(levels.sigma[-1]), float(np.sqrt(np.max(np.asarray(variances))))
    fix = (
        f"the data have a standard deviation of {largest:.3g} along one axis: give a highest level "
        f"of at least {LEAST_RATIO * largest:.3g}, where the noisy data are nearly Gaussian"
    )
    _checks.require(high >= LEAST_RATIO * largest, "levels.sigma[-1]", high, fix)
