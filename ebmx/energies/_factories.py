"""Networks of known recipes, in one line."""

from .._types import Key
from ._convnet import ConvNet


def mnist(*, key: Key) -> ConvNet:
    """The energy for 28×28×1 images: 3×3 convolutions 32-64-64 with stride 2, silu, linear 64.

    121,409 parameters. Pixels are expected in [-1, 1].
    """
    return ConvNet((28, 28, 1), (32, 64, 64), key=key)


def uva_mnist(*, key: Key) -> ConvNet:
    """The energy of the UvA deep-learning tutorial 8 for 28×28×1 images.

    Convolutions 16-32-64-64 with stride 2, the first 5×5 with padding 4, silu, linear 64.
    76,993 parameters. Pixels are expected in [-1, 1].
    """
    return ConvNet(
        (28, 28, 1),
        (16, 32, 64, 64),
        kernel_sizes=(5, 3, 3, 3),
        paddings=(4, 1, 1, 1),
        key=key,
    )
