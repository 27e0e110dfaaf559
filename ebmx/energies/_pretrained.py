"""Three small trained energies in the package, which `.ci/pretrained.py` has made.

It trains the digits as `ebmx train digits --steps 2000` does, MNIST as the recipe `mnist_5k` with a
smaller network, and the plane as the page on energies over noise levels shows.
"""

from collections.abc import Callable
from importlib import resources
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from ._base import AbstractEnergy
from ._noise_conditional import NoiseConditional
from ._noise_levels import geometric_levels
from .networks._convnet import ConvNet
from .networks._fourier_features import FourierFeatures
from .networks._mlp import MLP


def pretrained(name: str) -> AbstractEnergy:
    """A small trained energy of the package, to try samplers, `log Z` and landscapes with.

    - `"digits"`: images of digits, `(8, 8, 1)`, with pixels in [-1, 1], as
      `ebmx.data.load("digits")` has them. A `ConvNet`, trained by persistent chains of
      `Langevin(2.0, noise_scale=0.02, grad_clip=3.0, bounds=(-1.0, 1.0))`: chains of this sampler
      make digits. They are colder than `T = 1`, and `exp(-E)` is not the density of the images.
    - `"mnist"`: the same of the 5,000 digits of `ebmx.data.load("mnist-5k")`, `(28, 28, 1)`, with
      chains of `Langevin(2.0, noise_scale=0.01, grad_clip=3.0, bounds=(-1.0, 1.0))`.
    - `"plane"`: a density on the plane, `(2,)`: that of `plane("8gaussians")` with noise of
      standard deviation 0.05. The lowest level of an energy over noise levels, which is nearly
      normalised. Start chains within [-4, 4]: further out it has seen no data, and is flat.

    Args:
        name: `"digits"`, `"mnist"` or `"plane"`.

    Returns:
        The energy, in nats.

    Raises:
        ValueError: if the name is unknown.
    """
    if name not in _UNTRAINED:
        _checks.invalid("name", repr(name), f"give one of {', '.join(_UNTRAINED)}")
    # shapes alone: initial weights would have to be compiled
    like = eqx.filter_eval_shape(_UNTRAINED[name], jax.random.key(0))
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    with (
        resources.files("ebmx.energies").joinpath(f"pretrained/{name}.npz").open("rb") as file,
        np.load(file) as arrays,
    ):
        # files may be of half precision, to be small
        found = [jnp.asarray(arrays[_place(path)], leaf.dtype) for path, leaf in leaves]
    energy = jax.tree.unflatten(structure, found)
    return energy.at(energy.levels.sigma[0]) if name == "plane" else energy


def arrays_of(energy: Any, dtype: Any = None) -> dict[str, np.ndarray]:
    """The arrays of an energy by their places, as the files of `pretrained` have them."""
    leaves = jax.tree_util.tree_flatten_with_path(energy)[0]
    return {_place(path): np.asarray(leaf, dtype) for path, leaf in leaves}


def _place(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def untrained_digits(key: jax.Array) -> ConvNet:
    """The energy of the recipe `digits`."""
    return ConvNet(
        (8, 8, 1), (64, 64), kernel_sizes=(3, 3), strides=(2, 2), hidden_dims=(64,), key=key
    )


def untrained_mnist(key: jax.Array) -> ConvNet:
    """An energy of fewer parameters than that of the recipe `mnist_5k`."""
    return ConvNet(
        (28, 28, 1), (16, 32, 64), kernel_sizes=(5, 3, 3), strides=(2, 2, 2), hidden_dims=(64,),
        key=key,
    )  # fmt: skip


def untrained_plane(key: jax.Array) -> NoiseConditional:
    """The energy over noise levels, beside a Gaussian of the variances of `plane("8gaussians")`."""
    feature_key, network_key, key = jax.random.split(key, 3)
    features = FourierFeatures((2,), 48, 0.4, 6.0, key=feature_key)
    network = MLP(features.joint_shape, (96, 96), condition_size=32, key=network_key)
    levels = geometric_levels(0.05, 14.0, 24, tilt=1.4)
    variance = 4.0 + 0.35**2
    return NoiseConditional(network, levels, covariance=variance, features=features, key=key)


_UNTRAINED: dict[str, Callable[[jax.Array], Any]] = {
    "digits": untrained_digits,
    "mnist": untrained_mnist,
    "plane": untrained_plane,
}
