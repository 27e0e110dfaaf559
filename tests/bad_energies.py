"""Energies that cannot be: each error names the argument and what to give instead."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from helpers import conditional

import ebmx
from ebmx.energies import (
    JEM,
    MLP,
    BernoulliRBM,
    Box,
    Conditional,
    ConvNet,
    Function,
    Gaussian,
    Mixture,
    MLPNetwork,
    Product,
    ResNet,
    ResNetwork,
    SpectralNorm,
    Weighted,
    conjunction,
    freeze,
    resnet,
)
from ebmx.samplers import Langevin, run

KEY = jax.random.key(0)
GAUSSIAN = Gaussian(np.zeros(2), 1.0)
OTHER = Gaussian(np.zeros(3), 1.0)
X = np.zeros((3, 2), np.float32)
IMAGE = (4, 4, 1)


@functools.cache
def network():
    return MLPNetwork((2,), 2, (2,), key=KEY)


@functools.cache
def labelled():
    return conditional(KEY)


@functools.cache
def real():
    return conditional(KEY, condition_dim=2)


def stateful():
    return eqx.nn.make_with_state(SpectralNorm)(MLP((2,), (2,), key=KEY), key=KEY)[0]


def net(shape=IMAGE, hidden_dims=(2,), **options):
    return ResNet(shape, hidden_dims, key=KEY, **options)


def go(energy):
    return run(energy, Langevin(0.1), X, num_steps=2, key=KEY)


# of each call: what it is, the call, the argument that its error names, and the fix
RESIDUAL = [
    ("shape", lambda: net((4, 4)), r"shape=\(4, 4\)", "height, width, channel"),
    ("shape", lambda: net((4, 0, 1)), r"shape=\(4, 0, 1\)", "positive integers"),
    ("hidden", lambda: net(hidden_dims=(2, 0)), r"hidden_dims=\(2, 0\)", "positive integers"),
    ("hidden", lambda: net(hidden_dims=(-2,)), r"hidden_dims=\(-2,\)", "positive integers"),
    ("hidden", lambda: net(hidden_dims=()), r"hidden_dims=\(\)", "at least one stage"),
    ("strides", lambda: net(strides=0), "strides=0", "at least 1"),
    ("strides", lambda: net(strides=(1, 2)), r"strides=\(1, 2\)", "one integer, or 1 of them"),
    ("blocks", lambda: net(blocks_per_stage=0), "blocks_per_stage=0", "at least 1"),
    ("norm", lambda: net(norm="instance"), "norm='instance'", "'none', 'layer' or 'group'"),
    ("norm", lambda: net(norm="batch"), "norm='batch'", r"energies\.resnet"),
    ("norm", lambda: net(norm="spectral"), "norm='spectral'", r"energies\.resnet"),
    ("norm", lambda: resnet(IMAGE, norm="weight", key=KEY), "norm='weight'", "'layer'"),
    (
        "norm of a network",
        lambda: ResNetwork(IMAGE, 2, (2,), norm="spectral", key=KEY),
        "norm='spectral'",
        "'group' or 'batch'",
    ),
    (
        "batch norm without state",
        lambda: ResNetwork(IMAGE, 2, (2,), norm="batch", key=KEY)(jnp.zeros(IMAGE)),
        "norm='batch'",
        r"energies\.resnet",
    ),
    (
        "group of one channel",
        lambda: net(hidden_dims=(1,), norm="group"),
        "hidden_dims=1",
        "at least 2 channels",
    ),
    ("activation", lambda: net(activation="sine"), "activation='sine'", "a function or one of"),
    ("head", lambda: net(head="mean"), "head='mean'", "'flatten' or 'sum'"),
    ("outputs", lambda: ResNetwork(IMAGE, 0, key=KEY), "out_size=0", "at least 1"),
    ("data", lambda: net()(jnp.zeros((4, 5, 1))), r"x='?float32\[4, 5, 1\]", r"shape \(4, 4, 1\)"),
    (
        "data",
        lambda: ebmx.energy(net(), jnp.zeros((2, 5, 4, 1))),
        r"x\.shape=\(2, 5, 4, 1\)",
        r"\(batch, 4, 4, 1\)",
    ),
    ("state", lambda: freeze(stateful()), "state=NoneType", "make_with_state"),
]
NETWORKS = [
    ("dtype", lambda: net(compute_dtype="half"), "compute_dtype='half'", "one of bfloat16"),
    (
        "dtype",
        lambda: MLP((2,), compute_dtype="int8", key=KEY),
        "compute_dtype='int8'",
        "None or one of bfloat16, float16, float32, float64",
    ),
    (
        "dtype",
        lambda: ConvNet(IMAGE, compute_dtype=jnp.bfloat16, key=KEY),
        "compute_dtype=.*bfloat16",
        "text or None",
    ),
    (
        "strides exhaust",
        lambda: ConvNet((6, 6, 1), (2, 2), strides=4, paddings=0, key=KEY),
        r"shape=\(6, 6, 1\)",
        "too small for these kernels and strides",
    ),
]
COMPOSED = [
    ("none", lambda: Product(()), r"energies=\(\)", "at least one"),
    ("shapes", lambda: GAUSSIAN + OTHER, r"shapes=\[\(2,\), \(3,\)\]", "one shape"),
    ("shapes", lambda: GAUSSIAN - OTHER, r"shapes=\[\(2,\), \(3,\)\]", "one shape"),
    ("shapes", lambda: Mixture((GAUSSIAN, OTHER)), r"shapes=\[\(2,\), \(3,\)\]", "one shape"),
    ("no energy", lambda: Product((GAUSSIAN, 3.0)), "energies=float", "functions from one"),
    ("no shape", lambda: Product((jnp.sum,)), r"energies=\[.*\]", r"Function\(function, shape\)"),
    ("no shape", lambda: Box(jnp.sum, 0, 1), r"energies=\[.*\]", r"Function\(function, shape\)"),
    ("no shape", lambda: Weighted(jnp.sum, 2), r"energies=\[.*\]", r"Function\(function, shape\)"),
    ("state", lambda: GAUSSIAN + stateful(), "energies=SpectralNorm", r"freeze\(energy, state\)"),
    ("no function", lambda: Function(3.0, (2,)), r"function=3\.0", "give a function"),
    ("shape", lambda: Function(jnp.sum, (0,)), r"shape=\(0,\)", "positive integers"),
    ("weight", lambda: float("nan") * GAUSSIAN, "weight=nan", "one finite number"),
    ("weight", lambda: GAUSSIAN * jnp.ones(2), r"weight=\[1\.0, 1\.0\]", "a number"),
    ("temperature", lambda: GAUSSIAN / 0.0, r"temperature=0\.0", "above 0"),
    ("temperature", lambda: GAUSSIAN / -1, "temperature=-1", "above 0"),
    (
        "weights",
        lambda: Mixture((GAUSSIAN,), (1.0, 2.0)),
        r"weights\.shape=\(2,\)",
        "each of the 1",
    ),
    ("weights", lambda: Mixture((GAUSSIAN,), (-1.0,)), r"weights=\[-1\.0\]", "above 0"),
    ("corner", lambda: Box(GAUSSIAN, jnp.zeros(3), 1.0), r"low\.shape=\(3,\)", r"shape \(2,\)"),
    ("corner", lambda: Box(GAUSSIAN, 0.0, np.ones((2, 2))), r"high\.shape=\(2, 2\)", "a number or"),
    (
        "corner",
        lambda: Box(GAUSSIAN, 0.0, np.array([1.0, 0.0])),
        r"high=\[1\.0, 0\.0\]",
        "low < high",
    ),
    ("corner", lambda: Box(GAUSSIAN, 0.0, np.nan), "high=nan", "low < high"),
    ("box", lambda: Box(GAUSSIAN, -1, 1)(X), r"x='?float32\[3, 2\]", "ONE"),
    ("product", lambda: (GAUSSIAN + jnp.sum)(X), r"x='?float32\[3, 2\]", "ONE"),
    ("conditions", lambda: conjunction(labelled(), []), r"conditions=\[\]", "at least one"),
    ("conditions", lambda: conjunction(labelled(), [0, 3]), "y=3", "labels are 0 to 2"),
    (
        "base",
        lambda: conjunction(labelled(), [0], OTHER),
        r"shapes=\[\(2,\), \(3,\)\]",
        "one shape",
    ),
]
CONDITIONAL = [
    ("label", lambda: labelled().at(3), "y=3", "labels are 0 to 2"),
    ("label", lambda: labelled().at(-1), "y=-1", "labels are 0 to 2"),
    ("label", lambda: labelled().at(1.0), r"y\.dtype=.*float32", "whole numbers"),
    ("label", lambda: labelled().at(jnp.array([1, 2])), r"y\.shape=\(2,\)", r"shape \(\)"),
    ("labels", lambda: labelled().at_each(1), r"y\.shape=\(\)", r"shape \(batch\)"),
    ("labels", lambda: labelled().at_each(np.array([0, 5])), r"y=\[0, 5\]", "labels are 0 to 2"),
    ("class", lambda: JEM(network()).at(2), "y=2", "labels are 0 to 1"),
    ("class", lambda: JEM(network()).at(0.0), r"y\.dtype=.*float32", "whole numbers"),
    ("condition", lambda: real().at(jnp.zeros(3)), r"y\.shape=\(3,\)", r"shape \(2\)"),
    ("condition", lambda: real().at(np.array([1, 2])), r"y\.dtype=.*int32", "floating-point"),
    ("conditions", lambda: real().at_each(jnp.zeros(2)), r"y\.shape=\(2,\)", r"shape \(batch, 2\)"),
    (
        "number of conditions",
        lambda: ebmx.energy(real().at_each(jnp.zeros((2, 2))), X),
        r"y\.shape=\(2, 2\)",
        "3 examples: give one condition for each",
    ),
    (
        "number of labels",
        lambda: go(labelled().at_each(np.zeros(4, int))),
        r"y\.shape=\(4,\)",
        "3 examples",
    ),
    (
        "one example",
        lambda: labelled().at_each(np.zeros(3, int))(X[0]),
        "energy=ForEach",
        "ebmx.energy",
    ),
    ("both", lambda: Conditional(network(), key=KEY), r"num_labels=\(None, None\)", "one of"),
    (
        "both",
        lambda: Conditional(network(), num_labels=2, condition_dim=2, key=KEY),
        r"num_labels=\(2, 2\)",
        "one of num_labels and condition_dim",
    ),
    ("labels", lambda: Conditional(network(), num_labels=0, key=KEY), "num_labels=0", "at least 1"),
    (
        "conditions",
        lambda: Conditional(network(), condition_dim=0, key=KEY),
        "condition_dim=0",
        "at least 1",
    ),
    (
        "head",
        lambda: Conditional(network(), num_labels=2, head="sum", key=KEY),
        "head='sum'",
        "'projection' or 'embedding'",
    ),
    (
        "network",
        lambda: Conditional(jnp.sin, num_labels=2, key=KEY),
        "network=.*",
        "such as an MLPNetwork",
    ),
]
BINARY = [
    (
        "weight",
        lambda: BernoulliRBM(np.ones(3), np.ones(3), 1.0),
        r"weight\.shape=\(3,\)",
        "hidden",
    ),
    (
        "bias",
        lambda: BernoulliRBM(np.ones((3, 2)), np.ones(2), np.ones(2)),
        r"visible_bias\.shape=\(2,\)",
        r"give \(3,\)",
    ),
    (
        "bias",
        lambda: BernoulliRBM(np.ones((3, 2)), np.ones(3), np.ones(3)),
        r"hidden_bias\.shape=\(3,\)",
        r"give \(2,\)",
    ),
]
BAD_ENERGIES = [*RESIDUAL, *NETWORKS, *COMPOSED, *CONDITIONAL, *BINARY]
