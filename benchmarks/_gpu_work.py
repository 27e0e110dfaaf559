"""The work that `gpu.py` measures: networks, chains and sizes."""

import itertools
import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ebmx.energies import MLP, ConvNet, ResNet, UNet

# read when JAX first uses the device, as the next line does: PyTorch shares its memory
os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.5")
KEY = jax.random.key(0)
RATE, DECAY, RESTARTS = 1e-4, 0.999, 0.05
"""Of Adam without momentum; the probability that PCD restarts a chain."""


class Chain(NamedTuple):
    """`x ← x − (ε/2) ∇E(x) + noise`, its gradient clipped and its positions in a box if given.

    The standard deviation of the noise is `√ε` if not given; `adjusted` chains are those of MALA.
    """

    num_steps: int
    step_size: float
    noise_scale: float | None = None
    grad_clip: float | None = None
    bounds: tuple[float, float] | None = None
    adjusted: bool = False

    @property
    def noise(self) -> float:
        """The standard deviation of the noise of a step."""
        return self.step_size**0.5 if self.noise_scale is None else self.noise_scale


class Work(NamedTuple):
    """A row: chains alone, or with `num_updates` updates of PCD in a repetition."""

    name: str
    energy: Callable[..., Any]
    shape: tuple[int, ...]
    num_chains: int
    chain: Chain
    num_updates: int = 0
    capacity: int = 0
    network: str = "double well"
    channels: tuple[int, ...] = ()
    num_blocks: int = 1
    dtype: str = "float32"

    @property
    def unit(self) -> str:
        """What the milliseconds are of."""
        return "update" if self.num_updates else "step"

    @property
    def num_gradients(self) -> int:
        """Gradients in x that all chains together take in an update, or in a step."""
        return self.num_chains * (self.chain.num_steps if self.num_updates else 1)

    def start(self) -> jax.Array:
        """Where chains alone begin, and the data of an update."""
        draw = jax.random.normal if len(self.shape) == 1 and not self.num_updates else uniform
        return draw(KEY, (self.num_chains, *self.shape))


class Program(NamedTuple):
    """A compiled repetition: `run` returns the positions of the chains, which began at `start`."""

    run: Callable[[], Any]
    count: int  # updates or steps in a repetition
    start: np.ndarray | None = None
    compile_seconds: float | None = None
    memory: int | None = None


def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Numbers in [-1, 1]."""
    return jax.random.uniform(key, shape, minval=-1)


def double_well(x: jax.Array) -> jax.Array:
    """`Σ (x² − 1)²`."""
    return jnp.sum((x**2 - 1) ** 2)


def keys() -> Callable[[], jax.Array]:
    """A function that returns a key at each call, made beforehand."""
    turns = itertools.cycle(list(jax.random.split(KEY, 16)))
    return lambda: next(turns)


def works(small: bool) -> list[Work]:
    """All rows, the smallest memory first."""
    return [*_double_wells(small), *_updates(small), *_image_chains(small)]


def _double_wells(small: bool) -> list[Work]:
    def work(name: str, shape: tuple[int, int], num_steps: int, adjusted: bool = False) -> Work:
        chain = Chain(num_steps, 0.02, adjusted=adjusted)
        return Work(name, lambda: double_well, shape[1:], shape[0], chain)

    return [
        work("langevin-128x2", (128, 2), 1000 if small else 3000),
        work("langevin-4096x32", (4096, 32), 40 if small else 1000),
        work("mala-4096x32", (4096, 32), 40 if small else 1000, adjusted=True),
    ]


def _updates(small: bool) -> list[Work]:
    paddings = {"kernel_sizes": (5, 3, 3, 3), "paddings": (4, 1, 1, 1)}
    mlp = partial(MLP, (2,), (128, 128), key=KEY)
    uva = partial(ConvNet, (28, 28, 1), (16, 32, 64, 64), **paddings, key=KEY)
    perceptron = Work("pcd-mlp", mlp, (2,), 256, Chain(60, 0.02), network="mlp")
    convolutions = Work("pcd-uva", uva, (28, 28, 1), 128, _image_chain(60), network="uva")
    if small:
        convolutions = convolutions._replace(num_chains=16, chain=_image_chain(8))
    numbers = {"capacity": 512 if small else 8192, "num_updates": 2 if small else 10}
    return _in_both(perceptron._replace(**numbers), convolutions._replace(**numbers))


def _image_chains(small: bool) -> list[Work]:
    """Chains of 32×32 colour images."""
    shape, chains = (32, 32, 3), 4 if small else 128

    def work(network: str, make: Any, full: tuple[int, ...], narrow: tuple[int, ...]) -> Work:
        channels, blocks = (narrow, 1) if small else (full, 2)
        energy = partial(make, shape, channels, blocks_per_stage=blocks, key=KEY)
        chain = _image_chain(4 if small else 20)
        sizes = {"network": network, "channels": channels, "num_blocks": blocks}
        return Work(f"chain-{network}", energy, shape, chains, chain, **sizes)

    resnet = work("resnet", ResNet, (64, 128, 256), (8, 16))
    return _in_both(resnet, work("unet", UNet, (64, 128, 256), (8, 16)))


def _image_chain(num_steps: int) -> Chain:
    return Chain(num_steps, 20.0, noise_scale=0.005, grad_clip=0.03, bounds=(-1, 1))


def _in_both(*rows: Work) -> list[Work]:
    """Each network in single and in half precision."""

    def half(row: Work) -> Work:
        energy = partial(row.energy, compute_dtype="bfloat16")
        return row._replace(name=f"{row.name}-bfloat16", energy=energy, dtype="bfloat16")

    return [version for row in rows for version in (row, half(row))]
