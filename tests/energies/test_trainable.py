"""Which numbers of an energy are parameters, and which of them are trained."""

import dataclasses
import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import conditional, points
from reference import filled

import ebmx
from ebmx.energies import (
    MLP,
    Banana,
    BernoulliRBM,
    Box,
    DoubleWell,
    DoubleWellParticles,
    Fixed,
    Function,
    Funnel,
    Gaussian,
    GaussianMixture,
    Ising,
    LatticeField,
    LennardJones,
    LogGaussianCox,
    LogisticRegression,
    Mixture,
    Normalised,
    Potts,
    Ring,
    SpectralNorm,
    StudentT,
    Uniform,
    constant,
    freeze,
    trainable,
)
from ebmx.energies._constants import CONSTANT, role_of
from ebmx.energies._trainable import parameters_of

NETWORK = filled(lambda key: MLP((2,), (3,), key=key))
CONDITIONAL = filled(conditional)
GAUSSIAN, OTHER = Gaussian(np.zeros(2), 2.0), Gaussian(np.ones(2), np.eye(2))
MIXTURE = GaussianMixture(np.eye(2), 0.5)
LAYERS = {f".layers[{i}].{name}" for i in (0, 1) for name in ("weight", "bias")}
OF_NETWORK = LAYERS
OF_GAUSSIAN = {".location", ".whiten"}


class Confined(ebmx.energies.AbstractEnergy):
    """An energy of a user, with a network, random features and a wall of a fixed strength."""

    shape: tuple[int, ...] = eqx.field(static=True)
    network: MLP
    scale: jax.Array
    features: dict[str, jax.Array] = constant()
    wall: Gaussian = dataclasses.field(default_factory=lambda: GAUSSIAN)
    strength: jax.Array = constant(converter=jnp.asarray, default=3.0)

    def __call__(self, x):
        far = self.strength * self.wall(x) + jnp.sum(jnp.cos(self.features["w"] @ x))
        return self.network(x) * self.scale + far


def below(prefix, names):
    return {prefix + name for name in names}


TRAINED = {
    "network": (NETWORK, OF_NETWORK),
    "box": (Box(NETWORK, -3.0, 3.0), below(".energy", OF_NETWORK)),
    "weighted": (-2.0 * NETWORK / 3, below(".energy.energy", OF_NETWORK)),
    "confined": (NETWORK + GAUSSIAN, below(".energies[0]", OF_NETWORK)),
    "normalised": (Normalised(NETWORK + 0.1 * MIXTURE), below(".energy.energies[0]", OF_NETWORK)),
    "in-a-box": (Box(MIXTURE + NETWORK, -1, 1), below(".energy.energies[1]", OF_NETWORK)),
    "fixed": (NETWORK + Fixed(NETWORK), below(".energies[0]", OF_NETWORK)),
    "condition": (CONDITIONAL.at(1), None),
    "conditions": (CONDITIONAL.at(0) + CONDITIONAL.at(2), None),
    "gaussian": (GAUSSIAN, OF_GAUSSIAN),
    "mixture": (MIXTURE, {".log_weights", ".means", ".scales"}),
    "rbm": (
        BernoulliRBM(np.ones((3, 2)), np.zeros(3), np.zeros(2)),
        {".weight", ".visible_bias", ".hidden_bias"},
    ),
    "lattice": (Ising((2, 2), 0.5), {".coupling", ".field"}),
    "states": (Potts((2, 2), 3, 0.5), {".coupling", ".field"}),
    "gaussians": (GAUSSIAN + OTHER, {f".energies[{i}]{n}" for i in (0, 1) for n in OF_GAUSSIAN}),
    "gaussian-by-nce": (Normalised(GAUSSIAN), {".constant", *below(".energy", OF_GAUSSIAN)}),
    "mixture-of-gaussians": (
        Mixture((GAUSSIAN, Banana())),
        {".log_weights", *below(".energies[0]", OF_GAUSSIAN)},
    ),
    "own": (Confined((2,), NETWORK, jnp.ones(()), {"w": jnp.ones((5, 2))}), None),
    "function": (
        Function(eqx.Partial(lambda w, x: jnp.sum(w * x), jnp.ones(2)), (2,)) + GAUSSIAN,
        {".energies[0].function.args[0]"},
    ),
    "targets": (Banana() + Ring(), set()),
    "closed-forms": (StudentT((2,)) + DoubleWell((2,)), set()),
    "funnel": (Funnel(3) + Uniform(-np.ones(3), np.ones(3)), set()),
}
TRAINED["normalised"][1].add(".constant")


def paths(tree):
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    assert all(isinstance(leaf, bool) for _, leaf in leaves)
    return {jax.tree_util.keystr(path) for path, leaf in leaves if leaf}


@pytest.mark.parametrize("name", TRAINED)
def test_what_is_trained(name):
    energy, wanted = TRAINED[name]
    tree = trainable(energy)
    assert jax.tree.structure(tree) == jax.tree.structure(energy)
    if wanted is not None:
        assert paths(tree) == wanted
    if name == "own":
        assert paths(tree) == {".scale", *below(".network", OF_NETWORK)}
    if name == "condition":
        assert not tree.y
        assert paths(tree.energy) == paths(trainable(CONDITIONAL)) == all_of(CONDITIONAL)
    if name == "conditions":
        assert [paths(e.energy) for e in tree.energies] == 2 * [all_of(CONDITIONAL)]


def all_of(energy):
    return paths(jax.tree.map(eqx.is_inexact_array, energy))


def test_a_bound_state_is_a_constant():
    make = eqx.nn.make_with_state(SpectralNorm)
    energy = freeze(*make(NETWORK, num_iterations=0, key=jax.random.key(0)))
    tree = trainable(energy)
    assert paths(tree.state) == set()
    assert paths(tree.energy) == below(".energy", OF_NETWORK)


CONSTANTS = {
    "AtLabel": "label",
    "Banana": "scale bend",
    "Box": "low high",
    "Calibrated": "log_z",
    "ClampedLevels": "y",
    "Conditioned": "y",
    "DoubleWell": "height",
    "DoubleWellParticles": "linear quadratic quartic offset centre_scale",
    "Fixed": "energy",
    "FourierFeatures": "frequencies",
    "ForEach": "y",
    "Frozen": "state",
    "Funnel": "scale",
    "LatticeField": "mass_squared coupling",
    "LennardJones": "epsilon radius spring centre_scale",
    "LogGaussianCox": "counts matrix latent_mean latent_variance",
    "LogisticRegression": "signed prior_scale",
    "NoiseConditional": "mean axes variances scale",
    "NoiseLevels": "sigma log_prior",
    "NoiseProduct": "weights",
    "Ring": "radius scale",
    "Sigmoid": "low high",
    "StudentT": "dof",
    "Uniform": "low high",
    "Weighted": "weight",
}


def classes(module):
    """The modules of Equinox that are defined in a package."""
    found = [module, *(m for _, m in inspect.getmembers(module, inspect.ismodule))]
    members = [thing for m in found for thing in vars(m).values() if inspect.isclass(thing)]
    ours = [c for c in members if c.__module__.startswith("ebmx.") and issubclass(c, eqx.Module)]
    return {c.__name__: c for c in ours if not inspect.isabstract(c)}


def test_the_constants_of_each_class():
    found = {
        name: " ".join(f.name for f in dataclasses.fields(c) if role_of(c, f.name) == CONSTANT)
        for name, c in classes(ebmx.energies).items()
    }
    assert len(found) > 25
    assert {name: fields for name, fields in found.items() if fields} == CONSTANTS


def test_a_filter_tree_selects_parameters_and_no_constants():
    energy = Box(NETWORK + GAUSSIAN, -3.0, 3.0)
    parameters = below(".energy.energies[0]", OF_NETWORK) | below(
        ".energy.energies[1]", OF_GAUSSIAN
    )
    for everything in (True, eqx.is_inexact_array, jax.tree.map(eqx.is_inexact_array, energy)):
        assert paths(parameters_of(energy, everything)) == parameters
    assert paths(parameters_of(energy, None)) == below(".energy.energies[0]", OF_NETWORK)
    assert paths(parameters_of(energy, False)) == set()
    prefix = eqx.tree_at(lambda e: e.energy.energies, trainable(energy), (False, True))
    assert paths(parameters_of(energy, prefix)) == below(".energy.energies[1]", OF_GAUSSIAN)


@pytest.mark.parametrize("tree", ["all", trainable(GAUSSIAN), {"weight": True}])
def test_a_tree_of_another_energy_is_refused(tree):
    with pytest.raises(ValueError, match=r"trainable=.*start from ebmx\.energies\.trainable"):
        parameters_of(NETWORK, tree)


def test_a_fixed_energy_is_the_same_function_without_parameters():
    x = points(5, (2,))

    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def both(energy, x):
        return jnp.sum(jax.vmap(energy)(x))

    fixed = Fixed(NETWORK)
    assert fixed.shape == (2,)
    np.testing.assert_allclose(ebmx.energy(fixed, x), ebmx.energy(NETWORK, x), rtol=1e-6)
    np.testing.assert_allclose(ebmx.score(fixed, x), ebmx.score(NETWORK, x), rtol=1e-6)
    slopes = [np.abs(a).max() for a in jax.tree.leaves(both(fixed, x)[1])]
    assert slopes == [0.0] * 4
    with pytest.raises(ValueError, match="none has a shape"):
        Fixed(lambda x: jnp.sum(x))


KINDS = [2, 2.0, np.float64(2), np.float32(2), np.int64(2), np.array(2), jnp.asarray(2)]
NUMBERS = {
    "times": lambda n: n * GAUSSIAN,
    "over": lambda n: GAUSSIAN / n,
    "normalised": lambda n: Normalised(GAUSSIAN, n),
    "box": lambda n: Box(GAUSSIAN, 0 * n, n),
    "gaussian": lambda n: Gaussian(np.zeros(2), n),
    "mixture": lambda n: GaussianMixture(np.eye(2), n),
    "banana": lambda n: Banana(n, n),
    "funnel": lambda n: Funnel(2, n),
    "student": lambda n: StudentT((2,), 2 * n),
    "ring": lambda n: Ring(n, n),
    "wells": lambda n: DoubleWell((2,), n),
    "double-well-particles": lambda n: DoubleWellParticles(3, 2, n, n, n, n, n),
    "lennard-jones": lambda n: LennardJones(3, 2, n, n, n, n),
    "lattice-field": lambda n: LatticeField((2, 2), n, n),
    "log-gaussian-cox": lambda n: LogGaussianCox([[1, 0]], n, n, n),
    "logistic-regression": lambda n: LogisticRegression(np.eye(2), [0, 1], n),
    "label": lambda n: (
        CONDITIONAL.at(n) if jnp.issubdtype(jnp.asarray(n).dtype, jnp.integer) else None
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_of_any_kind_runs_the_same_program(name):
    traces = []

    @eqx.filter_jit
    def value(energy):
        traces.append(energy)
        return jax.tree.leaves(eqx.filter(energy, eqx.is_array))

    energies = [NUMBERS[name](n) for n in KINDS]
    for energy in energies:
        if energy is not None:
            value(energy)
    assert len(traces) == 1
