"""Two energies of images in one line."""

import equinox as eqx
import jax

from ..._types import Key
from ._convnet import ConvNet
from ._resnet import ResNet
from ._spectral_norm import SpectralNorm


def mnist(*, key: Key) -> ConvNet:
    """The energy for 28×28×1 images: 3×3 convolutions 32-64-64 with stride 2, silu, linear 64.

    121,409 parameters. Pixels are expected in [-1, 1].

    Args:
        key: a key for the initial weights.

    Returns:
        The energy, in nats.
    """
    return ConvNet((28, 28, 1), (32, 64, 64), key=key)


def deep(*, key: Key) -> tuple[SpectralNorm, eqx.nn.State]:
    """A residual energy for 32×32×3 images with spectral norm, and the state of the norm.

    A 3×3 convolution, residual blocks 32-64-128 with stride 2, silu, the sum over the image.
    307,873 parameters. Pixels are expected in [-1, 1]. Train it as
    `trainer.init(energy, state, key=key)`.

    Args:
        key: a key for the initial weights and vectors of the norm.

    Returns:
        The energy and the state of its norm.
    """
    energy_key, norm_key = jax.random.split(key)
    energy = ResNet((32, 32, 3), (32, 64, 128), key=energy_key)
    return eqx.nn.make_with_state(SpectralNorm)(energy, key=norm_key)
