"""What dtypes networks compute in: read from what is traced, without compiling it."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ENERGIES, points
from reference import filled

from ebmx.energies import (
    MLP,
    Banana,
    Bernoulli,
    BernoulliRBM,
    Categorical,
    CategoricalRBM,
    ClampedLevels,
    ConvNet,
    DoubleWell,
    DoubleWellParticles,
    Fixed,
    FourierFeatures,
    Funnel,
    Gaussian,
    Ising,
    LatticeField,
    LennardJones,
    LogGaussianCox,
    LogisticRegression,
    ManyWell,
    NoiseConditional,
    NoiseMixture,
    Normalised,
    Potts,
    ResNet,
    Ring,
    StudentT,
    UNet,
    Uniform,
    geometric_levels,
    guided,
)

NETWORKS = {
    "mlp": lambda **options: MLP((4, 3, 4), (16, 8), **options),
    "convnet": lambda **options: ConvNet((4, 3, 4), (8, 8), hidden_dims=(8,), **options),
    "residual": lambda **options: ResNet((4, 3, 4), (8,), norm="group", **options),
    "unet": lambda **options: UNet((4, 3, 4), (8, 8), attention=(1,), **options),
}
NUM_CONVOLUTIONS = {"mlp": 0, "convnet": 2, "residual": 4, "unet": 9}
each = pytest.mark.parametrize("name", NETWORKS)
KEY = jax.random.key(0)
X = points(8, (4, 3, 4))


@functools.cache
def make(name, dtype=None):
    return filled(lambda key: NETWORKS[name](compute_dtype=dtype, key=key))


def inner(eqn):
    """The jaxprs that an equation holds: branches, bodies of functions."""
    for value in eqn.params.values():
        for part in value if isinstance(value, tuple | list) else [value]:
            part = getattr(part, "jaxpr", part)
            if hasattr(part, "eqns"):
                yield part


def products(jaxpr):
    """The name and dtype of each product and convolution, on every platform."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in ("dot_general", "conv_general_dilated"):
            (dtype,) = {str(v.aval.dtype) for v in eqn.invars}
            yield eqn.primitive.name, dtype
        for part in inner(eqn):
            yield from products(part)


@each
@pytest.mark.parametrize("dtype", ["float16", None])
def test_all_products_but_the_last_are_in_the_dtype_asked_for(name, dtype):
    found = list(products(jax.make_jaxpr(jax.vmap(make(name, dtype)))(X).jaxpr))
    wanted = dtype or "float32"
    assert found.count(("conv_general_dilated", wanted)) == NUM_CONVOLUTIONS[name]
    assert len(found) > NUM_CONVOLUTIONS[name] + 1
    assert found[-1] == ("dot_general", "float32")
    assert {kind for _, kind in found[:-1]} == {wanted}


@each
@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_energies_are_float64_under_x64(name, dtype):
    with jax.enable_x64(True):

        def value(key, x):
            energy = NETWORKS[name](compute_dtype=dtype, key=key)
            return energy(x), jax.grad(energy)(x)

        x = jnp.zeros((4, 3, 4))
        jaxpr = jax.make_jaxpr(value)(jax.random.key(0), x)
    energy, slope = jaxpr.out_avals
    assert energy.dtype == slope.dtype == jnp.float64
    assert ("dot_general", dtype or "float64") in set(products(jaxpr.jaxpr))


@each
def test_examples_in_half_precision_are_taken(name):
    # `lax.conv`, which is traced beside the matrix product, refuses to mix dtypes
    energy = make(name)
    x = X.astype(jnp.bfloat16)

    def both(energy, x):
        return jax.vmap(jax.value_and_grad(energy))(x)

    values, slopes = eqx.filter_eval_shape(both, energy, x)
    assert values.dtype == jnp.float32
    assert slopes.dtype == jnp.bfloat16


def over_levels(head="linear", features=None, **options):
    size = 2 if features is None else 2 + features.size
    out_size = "scalar" if head == "linear" else 2
    network = MLP((size,), (4,), out_size=out_size, condition_size=3, key=KEY)
    settings = {"covariance": jnp.eye(2), "head": head, "features": features} | options
    return NoiseConditional(network, geometric_levels(0.1, 8.0, 3), **settings, key=KEY)


OTHERS = {
    "rbm": lambda: BernoulliRBM(jnp.ones((2, 3)), jnp.zeros(2), jnp.zeros(3)),
    "categorical-rbm": lambda: CategoricalRBM(jnp.ones((2, 2, 3)), jnp.zeros((2, 2)), jnp.zeros(3)),
    "categorical": lambda: Categorical(jnp.zeros((2, 2))),
    "ising": lambda: Ising((2, 2), 0.5, jnp.zeros(2)),
    "potts": lambda: Potts((2, 2), 3, 0.5, jnp.zeros(3)),
    "bernoulli": lambda: Bernoulli(jnp.zeros(2)),
    "uniform": lambda: Uniform(-jnp.ones(2), jnp.ones(2)),
    "targets": lambda: Fixed(Banana() + Ring() + Funnel(2) + StudentT((2,)) - DoubleWell((2,))),
    "many-well": lambda: ManyWell(2),
    "double-well-particles": DoubleWellParticles,
    "lennard-jones": lambda: LennardJones(3),
    "lattice-field": lambda: LatticeField((2, 2)),
    "log-gaussian-cox": lambda: LogGaussianCox([[1, 0]]),
    "log-gaussian-cox-whitened": lambda: LogGaussianCox([[1, 0]], whitened=True),
    "logistic-regression": lambda: LogisticRegression(np.eye(2), [0, 1]),
    "normalised": lambda: Normalised(Gaussian(jnp.zeros(2))),
    "level": lambda: over_levels("squared").at(0.5),
    "level, waves": lambda: over_levels(features=FourierFeatures((2,), 3, key=KEY)).at(0.5),
    "level, classes": lambda: over_levels("inner", num_classes=2).at(jnp.array([0.5, 1.0])),
    "level, clamped": lambda: ClampedLevels(over_levels(), [True, False], [1.0, jnp.nan]).at(0.5),
    "level, composed": lambda: NoiseMixture(
        [2.0 * over_levels(), guided(over_levels(num_classes=2), 1, 0.5) - 0.5 * over_levels()]
    ).at(0.5),
}
ALL = {**{name: functools.partial(filled, make) for name, make in ENERGIES.items()}, **OTHERS}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_examples_and_parameters_may_differ_where_promotion_is_forbidden(name, dtype):
    with jax.enable_x64(dtype == "float32"):
        energy = ALL[name]()
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        x = jax.ShapeDtypeStruct(energy.shape, dtype)
        value, slope = eqx.filter_eval_shape(lambda x: jax.value_and_grad(energy)(x), x)
    assert jnp.issubdtype(value.dtype, jnp.floating)
    assert slope.dtype == dtype
