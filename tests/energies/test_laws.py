"""What holds for every energy: derivatives, batches, and `freeze`, which changes nothing."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ENERGIES, conditional, double, points
from reference import filled

import ebmx
from ebmx.energies import (
    JEM,
    MLP,
    Banana,
    BernoulliRBM,
    CategoricalRBM,
    ConvNet,
    DoubleWell,
    DoubleWellParticles,
    Funnel,
    Gaussian,
    Ising,
    LatticeField,
    LennardJones,
    LogGaussianCox,
    LogisticRegression,
    ManyWell,
    Normalised,
    Potts,
    ResNet,
    Ring,
    SpectralNorm,
    StudentT,
    UNet,
    advance,
    forty_modes,
    freeze,
)


def spectral():
    @eqx.filter_jit
    def make(key):
        return eqx.nn.make_with_state(SpectralNorm)(MLP((2,), (4,), key=key), key=key)

    return freeze(*make(jax.random.key(11)))


def network(make):
    return lambda: filled(make)


NETWORKS = {
    "mlp": network(lambda key: MLP((2,), (8, 4), key=key)),
    "convnet": network(
        lambda key: ConvNet((4, 3, 1), (2,), kernel_sizes=2, hidden_dims=(3,), key=key)
    ),
    "residual": network(lambda key: ResNet((4, 3, 4), (4,), norm="group", key=key)),
    "unet": network(
        lambda key: UNet((4, 3, 1), (2, 4), attention=(1,), num_heads=2, norm="layer", key=key)
    ),
    "product": lambda: Gaussian(np.zeros(2), 2.0) - 0.5 * filled(lambda k: MLP((2,), (4,), key=k)),
    "conditioned": lambda: filled(conditional).at(1),
    "jem": network(lambda key: JEM(MLP((2,), (4,), out_size=3, key=key))),
    "spectral": spectral,
}
ALL = {
    **{name: functools.partial(make, None) for name, make in ENERGIES.items()},
    **NETWORKS,
    "rbm": lambda: BernoulliRBM(*(points(1, shape)[0] for shape in [(3, 2), (3,), (2,)])),
    "categorical-rbm": lambda: CategoricalRBM(
        *(points(1, shape)[0] for shape in [(2, 3, 2), (2, 3), (2,)])
    ),
    "ising": lambda: Ising((2, 3), 0.7, points(1, (3,))[0], periodic=False),
    "potts": lambda: Potts((2, 3), 2, 0.7, points(1, (2,))[0]),
    "normalised": lambda: Normalised(Gaussian(jnp.ones(2), 2.0), 3.0),
    "banana": Banana,
    "funnel": lambda: Funnel(3, 2.0),
    "student": lambda: StudentT((2,)),
    "ring": lambda: Ring(1.0, 0.5),
    "double-well": lambda: DoubleWell((2,)),
    "forty-modes": forty_modes,
    "many-well": lambda: ManyWell(2),
    "double-well-particles": lambda: DoubleWellParticles(3),
    "lennard-jones": lambda: LennardJones(3, 2, radius=0.4),
    "lattice-field": lambda: LatticeField((3, 2)),
    "log-gaussian-cox": lambda: LogGaussianCox([[1, 0, 2]]),
    "log-gaussian-cox-whitened": lambda: LogGaussianCox([[1, 0, 2]], whitened=True),
    "logistic-regression": lambda: LogisticRegression(points(5, (2,), seed=2), [0, 1, 1, 0, 1]),
}
every = pytest.mark.parametrize("name", ALL)


@functools.cache
def built(name):
    return ALL[name]()


@eqx.filter_jit
def derivatives(energy, x, direction, step):
    """Energy, gradient and its derivative along `direction`: by JAX and central differences."""

    def at(x):
        return jax.jvp(jax.value_and_grad(energy), (x,), (direction,))

    axes = step * jnp.concatenate([jnp.eye(x.size), direction.reshape(1, -1)])
    axes = axes.reshape(-1, *x.shape)
    points = jnp.concatenate([x[None], x[None] + axes, x[None] - axes])
    (values, gradients), (_, bends) = jax.vmap(at)(points)
    slopes, bend = (jnp.diff(v[1:].reshape(2, -1), axis=0)[0] for v in (values, gradients))
    slope = slopes[:-1].reshape(x.shape)
    bend = bend.reshape(-1, *x.shape)[-1]
    return (values[0], gradients[0], bends[0]), (-slope / (2 * step), -bend / (2 * step))


@every
def test_derivatives_and_batches(name):
    """Derivatives are finite differences in float64, and a batch is its examples, in any order."""
    energy = built(name)
    x = np.asarray(points(3, energy.shape))
    with jax.enable_x64(True):
        exact, differences = jax.tree.map(
            np.asarray, derivatives(double(energy), *map(np.float64, x[:2]), 1e-5)
        )
        assert {a.dtype for a in exact} == {np.dtype("float64")}
    np.testing.assert_allclose(exact[1], differences[0], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(exact[2], differences[1], rtol=1e-6, atol=1e-8)
    assert np.max(np.abs(exact[1])) > 1e-4
    leaves, structure = jax.tree.flatten(energy)
    frozen, same = jax.tree.flatten(freeze(energy))
    assert same == structure
    for one, other in zip(frozen, leaves, strict=True):
        np.testing.assert_array_equal(one, other)
    assert advance(energy, None, jnp.asarray(x)) is None
    if name == "residual":  # more to compile than to see: its layers are in the others
        return

    values, scores = (np.asarray(f(energy, x)) for f in (ebmx.energy, ebmx.score))
    np.testing.assert_allclose(values[0], exact[0], rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(scores[0], -exact[1], rtol=2e-3, atol=2e-4)
    assert len(np.unique(values)) == 3
    # a batch moves with its order, and an example ignores its neighbours
    order = np.array([2, 0, 1])
    np.testing.assert_allclose(ebmx.energy(energy, x[order]), values[order], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ebmx.score(energy, x[order]), scores[order], rtol=1e-5, atol=1e-6)
    others = np.asarray(ebmx.score(energy, np.concatenate([x[:1], 2 * x[1:] - 1])))
    np.testing.assert_array_equal(others[0], scores[0])
    assert not np.array_equal(others[1:], scores[1:])


@pytest.mark.parametrize("name", ["mlp", "boxed", "mixture-of-energies"])
def test_a_batch_is_one_example_at_a_time_without_jit(name):
    energy = built(name)
    x = points(2, energy.shape)
    eager = [energy(one) for one in x]
    np.testing.assert_allclose(ebmx.energy(energy, x), eager, rtol=2e-5, atol=1e-6)
