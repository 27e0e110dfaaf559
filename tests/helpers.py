"""What tests are parametrised over, and how they compare."""

from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from ebmx.__main__ import main
from ebmx.energies import (
    JEM,
    MLP,
    BernoulliRBM,
    Box,
    Conditional,
    ConvNet,
    DoubleWell,
    Gaussian,
    GaussianMixture,
    Ising,
    Mixture,
    Potts,
    ResNet,
    UNet,
)
from ebmx.samplers import (
    DMALA,
    DULA,
    GHMC,
    HMC,
    MALA,
    AdjustedMCLMC,
    Annealed,
    BlockGibbs,
    Cycle,
    EllipticalSlice,
    Gibbs,
    GibbsWithGradients,
    Independence,
    JitteredHMC,
    Langevin,
    PreconditionedLangevin,
    PreconditionedMALA,
    ReplicaExchange,
    RMSProp,
    StretchMove,
    UnderdampedLangevin,
)


def conditional(key, **options):
    """A small conditional energy on the plane, of three labels if not said otherwise."""
    network_key, head_key = jax.random.split(key)
    network = MLP((2,), (5,), out_size=4, key=network_key)
    return Conditional(network, **(options or {"num_labels": 3}), key=head_key)


ENERGIES = {
    "gaussian-scalar": lambda key: Gaussian(jnp.array([1.0, -0.5]), 0.5),
    "gaussian-diagonal": lambda key: Gaussian(jnp.array([1.0, -0.5]), jnp.array([0.5, 2.0])),
    "gaussian-full": lambda key: Gaussian(
        jnp.array([1.0, -0.5]), jnp.array([[0.8, 0.3], [0.3, 1.5]])
    ),
    "mixture": lambda key: GaussianMixture(
        jnp.array([[-1.0, 0.0], [2.0, 1.0]]), jnp.array([0.5, 0.8]), jnp.array([0.3, 0.7])
    ),
    "mlp": lambda key: MLP((2,), (8, 4), key=key),
    "convnet": lambda key: ConvNet((6, 5, 2), (3, 4), hidden_dims=(5,), key=key),
    "residual": lambda key: ResNet((4, 3, 4), (4,), key=key),
    "unet": lambda key: UNet((4, 3, 1), (2, 4), attention=(1,), num_heads=2, key=key),
    "product": lambda key: Gaussian(jnp.zeros(2), 2.0) - 0.5 * MLP((2,), (4,), key=key),
    "mixture-of-energies": lambda key: Mixture(
        (Gaussian(jnp.ones(2), 0.5), DoubleWell((2,), 0.5)), jnp.array([0.3, 0.7])
    ),
    "boxed": lambda key: Box(Gaussian(jnp.ones(2), 2.0) / 2.0, -9.0, jnp.array([8.0, 9.0])),
    "conditioned": lambda key: conditional(key).at(1),
    "jem": lambda key: JEM(MLP((2,), (4,), out_size=3, key=key)),
}
"""A factory `key -> energy` for each name."""

SAMPLERS = {
    "langevin": Langevin(0.1),
    "langevin-image": Langevin(0.2, noise_scale=0.05, grad_clip=0.5, bounds=(-2.0, 2.0)),
    "langevin-cold": Langevin(0.1, temperature=0.5),
    "langevin-rademacher": Langevin(0.1, increments="rademacher"),
    "langevin-reported": Langevin(0.1, report_acceptance=True),
    "underdamped": UnderdampedLangevin(0.2, friction=2.0),
    "preconditioned-rmsprop": PreconditionedLangevin(0.1, RMSProp(0.9, damping=0.1)),
    "annealed": Annealed(Langevin(0.1), temperature=optax.linear_schedule(2.0, 1.0, 20)),
    "mala": MALA(0.1),
    "preconditioned-mala": PreconditionedMALA(0.1, np.array([[1.0, 0.5], [0.5, 1.5]])),
    "hmc": HMC(0.3, num_integration_steps=3),
    "jittered-hmc": JitteredHMC(0.3, trajectory_length=0.6),
    "ghmc": GHMC(0.3, np.array([0.5, 1.0])),
    "adjusted-mclmc": AdjustedMCLMC(0.3, 2, np.array([1.0, 0.5])),
    "elliptical-slice": EllipticalSlice(Gaussian(np.array([0.5, 0.0]), 2.0)),
    "stretch-move": StretchMove(4),
    "replica-exchange": ReplicaExchange(MALA(0.1), jnp.array([1.0, 2.0])),
    "cycle": Cycle((Langevin(0.1), Independence(Gaussian(jnp.zeros(2), 2.0)))),
}
"""A sampler for each name."""

_BITS = (Ising((2, 2), 0.3, 0.1), np.array([[0.0, 1.0], [1.0, 0.0]], np.float32))
_CATEGORIES = (Potts((2,), 3, 0.5), np.eye(3, dtype=np.float32)[:2])
_MACHINE = BernoulliRBM(np.ones((2, 3)), np.zeros(2), np.array([0.5, 0.0, -1.0]))
_OF_EACH = {
    "gibbs": Gibbs,
    "sweep": lambda categorical: Gibbs(categorical, sweep=True),
    "gwg": GibbsWithGradients,
    "dula": lambda categorical: DULA(0.2, 1.0, categorical),
    "dmala": lambda categorical: DMALA(0.2, categorical),
}
DISCRETE = {
    **{name: (_BITS[0], make(False), _BITS[1]) for name, make in _OF_EACH.items()},
    **{f"{n}-categories": (_CATEGORIES[0], f(True), _CATEGORIES[1]) for n, f in _OF_EACH.items()},
    "block-machine": (_MACHINE, BlockGibbs(), np.array([0.0, 1.0], np.float32)),
    "block-ising": (_BITS[0], BlockGibbs(), _BITS[1]),
    "block-potts": (_CATEGORIES[0], BlockGibbs(), _CATEGORIES[1]),
}
"""For each name an energy of discrete examples, a sampler of it, and one example."""

MAY_STAY = {"mala", "preconditioned-mala", "hmc", "jittered-hmc", "ghmc", "adjusted-mclmc"}
MAY_STAY |= {"stretch-move", "replica-exchange"}
"""Samplers that reject: a chain in the tails may be where it started."""

GRADIENTS = {
    "langevin-reported": (1, 1),
    "underdamped": (1, 1),
    "mala": (1, 1),
    "preconditioned-mala": (1, 1),
    "hmc": (1, 3),
    # one or two leapfrog steps in turn, 25 in 17 trajectories
    "jittered-hmc": (1, Fraction(25, 17)),
    "ghmc": (1, 1),
    # two gradients for each step of the integrator
    "adjusted-mclmc": (1, 4),
    "elliptical-slice": (0, 0),
    "stretch-move": (0, 0),
    "replica-exchange": (1, 2),
    "cycle": (0, 1),
}
"""How many gradients `init` and a step take; `(0, 1)` if not said."""


def points(num, shape, seed=0, scale=1.0):
    """Normal numbers `(num, *shape)` by NumPy: JAX compiles its own anew for each shape."""
    return jnp.asarray(scale * np.random.default_rng(seed).normal(size=(num, *shape)), float)


def double(tree):
    """Its floating-point arrays in float64; under `jax.enable_x64`."""
    parameters, rest = eqx.partition(tree, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(lambda a: jnp.asarray(np.float64(a)), parameters), rest)


def assert_mean(values, expected, num_errors=5.0):
    """Check the mean over the first axis to within `num_errors` of its standard errors.

    At 5 of them a right mean fails once in 1.7 million, an entry.
    """
    values = np.asarray(values, np.float64)
    error = values.std(0, ddof=1) / np.sqrt(len(values))
    distance = np.abs(values.mean(0) - np.asarray(expected, np.float64))
    assert np.all(distance <= num_errors * error + 1e-6), (
        f"mean {values.mean(0)}, expected {expected}: {distance / error} standard errors apart"
    )


def assert_covariance(values, expected, num_errors=5.0):
    """Check the covariance of rows `(num, d)` to within `num_errors` standard errors an entry."""
    values = np.asarray(values, np.float64)
    centred = values - values.mean(0)
    products = centred[:, :, None] * centred[:, None, :]
    assert_mean(products * len(values) / (len(values) - 1), expected, num_errors)


def square(x):
    return 0.5 * jnp.sum(x**2)


def descent(step_size=0.5):
    """Without noise `square` shrinks a position by 0.75 a step, which counts the steps."""
    return Langevin(step_size, temperature=0.0)


def muller_brown(x):
    """Three wells on the plane: Müller and Brown (1979), "Location of saddle points"."""
    a, b = np.array([-1, -1, -6.5, 0.7]), np.array([0, 0, 11, 0.6])
    c, heights = np.array([-10, -10, -6.5, 0.7]), np.array([-200, -100, -170, 15])
    u, v = x[0] - np.array([1, 0, -0.5, -1]), x[1] - np.array([0, 0.5, 1.5, 1])
    return jnp.sum(heights * jnp.exp(a * u**2 + b * u * v + c * v**2)).astype(x.dtype)


def call(*arguments):
    """The exit code, also of a command that leaves through `SystemExit`."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as error:
        return error.code
