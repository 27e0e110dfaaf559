"""Paths of densities against sums over all states and energies by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ebmx.energies import Bernoulli, BernoulliRBM, Categorical, Function, Gaussian, Uniform
from ebmx.evaluation import adaptive_smc, annealed_importance_sampling
from ebmx.evaluation.log_z._annealing_path import GeometricPath, RBMPath
from ebmx.evaluation.log_z._choose_path import path_of, sampler_for
from ebmx.samplers import (
    DMALA,
    HMC,
    MALA,
    MCLMC,
    NUTS,
    AbstractSampler,
    Annealed,
    Barker,
    BlockGibbs,
    Cycle,
    Gibbs,
    GibbsWithGradients,
    Independence,
    Langevin,
    Mixture,
    ReplicaExchange,
    UnderdampedLangevin,
)

RNG = np.random.default_rng(0)
BETAS = np.float32([0.0, 0.3, 1.0])


def softplus(x):
    return np.logaddexp(0, x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@eqx.filter_jit
def energies(path, x):
    """Energies `(betas, num)` on a path, and the ratios of the log densities for two pairs."""
    at = jax.vmap(lambda beta: jax.vmap(path.at(beta))(x))(jnp.asarray(BETAS))
    statistics = jax.vmap(path.statistics)(x)
    ratio = lambda i, j: jax.vmap(lambda s: path.log_ratio(s, BETAS[i], BETAS[j]))(statistics)  # noqa: E731
    return at, ratio(0, 1), ratio(2, 1)


def test_a_geometric_path_mixes_two_energies():
    path = GeometricPath(Gaussian(jnp.zeros(2), 2.0), Function(lambda x: 3 * x[0], (2,)))
    x = RNG.normal(size=(5, 2)).astype(np.float32)
    first, second = np.sum(x**2, 1) / 4, 3 * x[:, 0]
    at, up, down = energies(path, x)
    np.testing.assert_allclose(
        at, (1 - BETAS[:, None]) * first + BETAS[:, None] * second, rtol=1e-5
    )
    np.testing.assert_allclose(up, at[0] - at[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(down, at[2] - at[1], rtol=1e-4, atol=1e-5)
    assert float(path.log_z) == pytest.approx(np.log(4 * np.pi), rel=1e-6)
    key = jax.random.key(1)
    np.testing.assert_array_equal(path.sample(key=key), path.base.sample(key=key))
    np.testing.assert_array_equal(path.enter(x[0], key=key), x[0])
    np.testing.assert_array_equal(path.leave(x[0], key=key), x[0])


def test_the_ends_of_a_geometric_path_are_its_energies_even_where_the_others_are_infinite():
    box = Uniform(jnp.zeros(1), jnp.ones(1))
    x = np.float32([[0.5], [2.0]])
    at, up, _ = energies(GeometricPath(box, Function(lambda x: 3 * x[0], (1,))), x)
    np.testing.assert_allclose(at, [[0, np.inf], [0.45, np.inf], [1.5, 6.0]], rtol=1e-6)
    np.testing.assert_allclose(up, [-0.45, np.inf], rtol=1e-5)
    at, _, _ = energies(
        GeometricPath(Gaussian(jnp.zeros(1)), Function(lambda x: x[0] / 0, (1,))), x
    )
    np.testing.assert_allclose(at[0], x[:, 0] ** 2 / 2)
    assert np.all(np.isinf(at[1:]))
    path = GeometricPath(box, Function(lambda x: x[0], (1,)))
    assert float(path.log_ratio(jnp.inf, jnp.float32(0.5), jnp.float32(0.5))) == 0


def machine(num_visible, num_hidden):
    shapes = (num_visible, num_hidden), (num_visible,), (num_hidden,), (num_visible,)
    weight, visible, hidden, logits = (
        RNG.normal(size=shape).astype(np.float32) for shape in shapes
    )
    return weight, visible, hidden, logits


def bits(num):
    return ((np.arange(2**num)[:, None] >> np.arange(num)) & 1).astype(np.float32)


def joint(parts, beta):
    """Energies of all states `(visible, hidden)` of the machine at `β`."""
    weight, visible, hidden, logits = (np.asarray(part, np.float64) for part in parts)
    v, h = bits(len(visible)), bits(len(hidden))
    own = v @ ((1 - beta) * logits + beta * visible)
    return -own[:, None] - beta * (v @ weight @ h.T) - (beta * h @ hidden)[None]


@pytest.mark.parametrize("sizes", [(5, 3), (3, 4), (3, 3)])
def test_a_path_of_machines_sums_out_the_larger_side(sizes):
    parts = machine(*sizes)
    weight, visible, hidden, logits = parts
    path = path_of(BernoulliRBM(weight, visible, hidden), Bernoulli(logits))
    assert isinstance(path, RBMPath)
    over_hidden = sizes[1] <= sizes[0]
    x = bits(min(sizes))
    at, up, down = energies(path, x)
    for beta, found in zip(BETAS, at, strict=True):
        want = -np.logaddexp.reduce(-joint(parts, beta), axis=0 if over_hidden else 1)
        np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(up, at[0] - at[1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(down, at[2] - at[1], rtol=1e-4, atol=1e-4)
    assert float(path.log_z) == pytest.approx(
        np.logaddexp.reduce(-joint(parts, 0).ravel()), rel=1e-5
    )
    keys = jax.random.split(jax.random.key(2), 2000)
    start = np.asarray(jax.vmap(lambda key: path.sample(key=key))(keys))
    assert set(np.unique(start)) == {0, 1}
    mean = np.full(sizes[1], 0.5) if over_hidden else sigmoid(logits)
    assert start.shape == (2000, len(mean))
    assert np.all(np.abs(start.mean(0) - mean) < 5 * np.sqrt(mean * (1 - mean) / 2000))


@pytest.mark.parametrize("sizes", [(5, 3), (3, 4)])
def test_examples_enter_and_leave_a_path_of_machines_by_the_conditionals(sizes):
    weight, visible, hidden, logits = machine(*sizes)
    path = RBMPath(Bernoulli(logits), BernoulliRBM(weight, visible, hidden))
    keys = jax.random.split(jax.random.key(3), 2000)
    v = np.resize([1, 0], sizes[0]).astype(np.float32)
    h = np.resize([1, 0], min(sizes)).astype(np.float32)
    entered = np.asarray(jax.vmap(lambda key: path.enter(jnp.asarray(v), key=key))(keys))
    left = np.asarray(jax.vmap(lambda key: path.leave(jnp.asarray(h), key=key))(keys))
    if sizes[1] > sizes[0]:
        np.testing.assert_array_equal(entered, np.tile(v, (2000, 1)))
        np.testing.assert_array_equal(left, np.tile(h, (2000, 1)))
        return
    for found, mean in (
        (entered, sigmoid(hidden + v @ weight)),
        (left, sigmoid(visible + weight @ h)),
    ):
        assert set(np.unique(found)) == {0, 1}
        assert np.all(np.abs(found.mean(0) - mean) < 5 * np.sqrt(mean * (1 - mean) / 2000))


def test_a_path_and_a_sampler_suit_the_energy():
    weight, visible, hidden, logits = machine(5, 3)
    machines = path_of(BernoulliRBM(weight, visible, hidden), Bernoulli(logits))
    plain = path_of(lambda x: jnp.sum(x**2), Gaussian(jnp.zeros((2, 3))))
    assert isinstance(plain, GeometricPath)
    assert plain.energy.shape == (2, 3)
    target = Gaussian(jnp.ones(2))
    assert path_of(target, Gaussian(jnp.zeros(2))).energy is target
    assert isinstance(sampler_for(machines, None), BlockGibbs)
    default = sampler_for(plain, None)
    assert isinstance(default, HMC)
    assert default.inverse_mass_matrix is None
    own = MALA(0.3)
    assert sampler_for(plain, own) is own
    with pytest.raises(ValueError, match=r"sampler=MALA: the base is discrete: give DMALA"):
        sampler_for(machines, own)
    own = GibbsWithGradients()
    assert sampler_for(machines, own) is own


class Own(AbstractSampler):
    """A sampler of a user, who declares what it is."""

    is_invariant: bool
    effective_temperature: float = 1.0

    def init(self, energy, x, *, key):
        return None

    def step(self, energy, x, state, *, key):
        raise AssertionError("no step is to be taken here")


LANGEVIN, WARM = Langevin(0.1), optax.linear_schedule(2.0, 1.0, 9)
SHORTER = Annealed(MALA(0.1), step_size=optax.linear_schedule(0.2, 0.1, 9))
WIDE = Independence(Gaussian(jnp.zeros(2), 2.0))
NOT_INVARIANT = {
    "langevin": LANGEVIN,
    "reported": Langevin(0.1, report_acceptance=True),
    "underdamped": UnderdampedLangevin(0.1, friction=1.0),
    "mclmc": MCLMC(0.1, 1.0),
    "cycle": Cycle((LANGEVIN,)),
    "mixture": Mixture((MALA(0.1), LANGEVIN)),
    "nested": Cycle((MALA(0.1), Mixture((LANGEVIN, HMC(0.1))))),
    "annealed": Annealed(LANGEVIN, temperature=WARM),
    "undeclared": Own(False),
}


@pytest.mark.parametrize("name", NOT_INVARIANT)
def test_samplers_that_are_not_invariant_are_refused(name):
    plain, sampler = path_of(lambda x: jnp.sum(x**2), Gaussian(jnp.zeros(2))), NOT_INVARIANT[name]
    match = f"sampler={type(sampler).__name__}: it does not leave the density invariant"
    with pytest.raises(ValueError, match=match):
        sampler_for(plain, sampler)


def test_samplers_that_cannot_begin_again_or_are_at_another_temperature_are_refused():
    plain = path_of(lambda x: jnp.sum(x**2), Gaussian(jnp.zeros(2)))
    for temperatures in ([1.0, 2.0], [2.0, 4.0]):
        replicas = ReplicaExchange(MALA(0.1), jnp.array(temperatures))
        for sampler in (replicas, Cycle((replicas, MALA(0.1)))):
            match = f"sampler={type(sampler).__name__}: its state cannot be made again"
            with pytest.raises(ValueError, match=match):
                sampler_for(plain, sampler)
    with pytest.raises(ValueError, match=r"sampler\.effective_temperature=2\.0: Own samples exp"):
        sampler_for(plain, Own(True, 2.0))


INVARIANT = {
    "mala": MALA(0.1),
    "hmc": HMC(0.1),
    "nuts": NUTS(0.1),
    "barker": Barker(0.1),
    "independence": WIDE,
    "cycle": Cycle((MALA(0.1), HMC(0.1))),
    "mixture": Mixture((MALA(0.1), WIDE)),
    "annealed": SHORTER,
    "gibbs": BlockGibbs(),
    "declared": Own(True),
}


@pytest.mark.parametrize("name", INVARIANT)
def test_samplers_that_are_invariant_are_taken_as_they_are(name):
    base = Bernoulli(jnp.zeros(2)) if name == "gibbs" else Gaussian(jnp.zeros(2))
    plain = path_of(lambda x: jnp.sum(x**2), base)
    assert sampler_for(plain, INVARIANT[name]) is INVARIANT[name]


def test_bases_and_samplers_of_different_examples_are_refused():
    for base, sampler, match in (
        (Gaussian(jnp.zeros(2)), DMALA(0.1), "sampler=DMALA: Gaussian is no density of discrete"),
        (Bernoulli(jnp.zeros(2)), HMC(0.1), "sampler=HMC: the base is discrete"),
        (Bernoulli(jnp.zeros(2)), DMALA(0.1, True), "categorical=True: examples of Bernoulli are"),
        (Categorical(jnp.zeros((1, 2))), Gibbs(), "categorical=False: examples of Categorical are"),
    ):
        path = path_of(lambda x: jnp.sum(x**2), base)
        with pytest.raises(ValueError, match=match):
            sampler_for(path, sampler)


EXACT = INVARIANT | {"composed": Cycle((SHORTER, WIDE))}
SLOW = [name for name in EXACT if name not in ("composed", "gibbs", "declared")]


@pytest.mark.medium
@pytest.mark.parametrize(
    ("estimate", "name"),
    [
        (annealed_importance_sampling, "composed"),
        pytest.param(adaptive_smc, "composed", marks=pytest.mark.slow),
        *[pytest.param(annealed_importance_sampling, n, marks=pytest.mark.slow) for n in SLOW],
    ],
)
def test_log_z_by_invariant_samplers_is_exact(estimate, name):
    sizes = {"num_chains": 500, "schedule": np.linspace(0, 1, 26) ** 2}
    if estimate is adaptive_smc:
        sizes = {"num_particles": 200, "num_islands": 8, "num_steps": 2}
    # a quadratic energy: log Z = log 2π/4
    quadratic = lambda x: 2.0 * jnp.sum((x - 1.0) ** 2)  # noqa: E731
    options = {"sampler": EXACT[name], "key": jax.random.key(3)}
    found = estimate(quadratic, Gaussian(jnp.zeros(2)), **sizes, **options)
    assert abs(found.log_z - np.log(2 * np.pi / 4)) < 4 * found.standard_error < 0.3


def test_bases_that_do_not_suit_the_energy_are_refused():
    weight, visible, hidden, _ = machine(5, 3)
    rbm, plane = BernoulliRBM(weight, visible, hidden), Gaussian(jnp.zeros(2))
    for energy, base, match in (
        (plane, lambda x: x[0], "base=function: give an energy with `log_z`"),
        (plane, Gaussian(jnp.zeros(3)), r"base\.shape=\(3,\): .*shape \(2,\)"),
        (rbm, Gaussian(jnp.zeros(5)), "base=Gaussian: .*zeros and ones"),
        (plane, Bernoulli(jnp.zeros(2)), "base=Bernoulli: .*Gaussian, or Uniform"),
    ):
        with pytest.raises(ValueError, match=match):
            path_of(energy, base)
