"""Trees of arrays as vectors: exact moments, and the names of leaves in ArviZ's data."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import assert_covariance, assert_mean
from scipy.special import gammaln

import ebmx
from ebmx.energies import Gaussian, Raveled
from ebmx.energies.bijections import Exp, Sigmoid, StickBreaking
from ebmx.evaluation import diagnose, log_z_by_quadrature, to_arviz
from ebmx.samplers import HMC

EXAMPLE = {"loc": np.zeros(2), "log_scale": np.zeros(())}
MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[1.0, 0.4, -0.3], [0.4, 0.8, 0.2], [-0.3, 0.2, 0.5]])


def of_tree(gaussian, tree):
    return gaussian(jnp.concatenate([tree["loc"], tree["log_scale"][None]]))


@pytest.fixture(scope="module")
def sampled():
    """An energy of a tree, and samples that keep its leaves."""
    energy = Raveled(eqx.Partial(of_tree, Gaussian(MEAN, COVARIANCE)), EXAMPLE)
    start = jnp.broadcast_to(energy.ravel({"loc": MEAN[:2], "log_scale": MEAN[2]}), (2000, 3))
    options = {"num_samples": 4, "thin": 10, "save": energy.save, "key": jax.random.key(5)}
    sampler = HMC(0.5, num_integration_steps=4)
    return energy, ebmx.sample(energy, sampler, start, **options)


@pytest.mark.medium
def test_the_moments_of_the_leaves_are_exact(sampled):
    energy, samples = sampled
    assert energy.shape == (3,)
    assert energy.names == ("loc", "log_scale")
    last = jax.tree.map(lambda a: np.asarray(a)[:, -1], samples.values)
    x = np.concatenate([last["loc"], last["log_scale"][:, None]], 1)
    np.testing.assert_array_equal(x, samples.x)
    np.testing.assert_allclose(last["energy"], ebmx.energy(energy, x), rtol=1e-5)
    assert_mean(x, MEAN)
    assert_covariance(x, COVARIANCE)


def test_arviz_and_the_diagnosis_have_the_names_and_shapes_of_the_leaves(sampled):
    samples = sampled[1]
    # fewer chains than draws, as ArviZ expects
    few = jax.tree.map(lambda a: a[:3], samples)
    data = to_arviz(few)
    shapes = {name: array.shape for name, array in data["posterior"].data_vars.items()}
    assert shapes == {"loc": (3, 4, 2), "log_scale": (3, 4)}
    assert data["sample_stats"]["energy"].shape == (3, 4)
    dictionary = sampled[0].named(np.zeros((3, 4, 3)))
    assert to_arviz(dictionary)["posterior"]["loc"].shape == (3, 4, 2)
    found = diagnose(few, warn=False)
    assert {name: np.shape(value) for name, value in found.rhat.items()} == {
        "loc": (2,),
        "log_scale": (),
    }


def gamma_and_beta(tree):
    rate, share = tree["rate"], tree["nested"][0]
    return 1.5 * rate - 1.5 * jnp.log(rate) - 1.5 * jnp.log(share) - 0.5 * jnp.log1p(-share)


def test_log_z_of_leaves_on_domains_is_exact():
    example = {"rate": 1.0, "nested": [0.5]}
    energy = Raveled(gamma_and_beta, example, {"rate": Exp(), "nested.0": Sigmoid()})
    assert energy.names == ("nested.0", "rate")  # dictionaries are sorted
    exact = gammaln(2.5) - 2.5 * np.log(1.5) + gammaln(2.5) + gammaln(1.5) - gammaln(4.0)
    found = log_z_by_quadrature(energy, [-10.0, -14.0], [14.0, 4.0], num_points=301)
    assert abs(found - exact) < 1e-5


@pytest.mark.medium
def test_samples_of_a_simplex_come_back_on_it():
    alpha = np.array([[2.0, 3.0, 1.5], [1.0, 4.0, 2.0]])

    def dirichlets(tree):
        return -jnp.sum(jnp.asarray(alpha - 1, tree.dtype) * jnp.log(tree))

    energy = Raveled(dirichlets, np.zeros((2, 3), np.float32), {"x": StickBreaking()})
    assert energy.shape == (4,)
    start = energy.ravel(np.full((3000, 2, 3), 1 / 3, np.float32))
    sampler = HMC(0.5, num_integration_steps=5)
    x, _ = ebmx.run(energy, sampler, start, num_steps=25, key=jax.random.key(6))
    x = np.asarray(energy.unravel(x), np.float64)
    np.testing.assert_allclose(x.sum(-1), 1, rtol=1e-5)
    for i, row in enumerate(alpha):
        law = scipy.stats.dirichlet(row)
        assert_mean(x[:, i], law.mean())
        assert_covariance(x[:, i], law.cov())


def test_trees_go_to_vectors_and_back_along_any_axes():
    example = {"b": (np.zeros((2, 2), np.float32), 0.5), "a": np.zeros(3, np.float32)}
    energy = Raveled(lambda tree: jnp.sum(tree["a"]), example, {"b.1": Exp()})
    assert energy.names == ("a", "b.0", "b.1")
    rng = np.random.default_rng(0)
    tree = {"b": (rng.normal(size=(5, 4, 2, 2)), rng.gamma(1, size=(5, 4)))}
    tree = {**tree, "a": rng.normal(size=(5, 4, 3))}
    z = energy.ravel(tree)
    assert z.shape == (5, 4, 8)
    np.testing.assert_allclose(z[..., 7], np.log(tree["b"][1]), rtol=1e-5)
    back = energy.unravel(z)
    assert jax.tree.structure(back) == jax.tree.structure(tree)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), back, tree)
    whole = {"b": (np.ones((2, 2), int), 1), "a": np.zeros(3, int)}
    np.testing.assert_array_equal(energy.ravel(whole), np.float32([0, 0, 0, 1, 1, 1, 1, 0]))
    named = energy.named(z[0, 0])
    assert {name: a.shape for name, a in named.items()} == {"a": (3,), "b.0": (2, 2), "b.1": ()}


def test_a_vector_is_of_the_widest_precision_of_its_leaves():
    energy = Raveled(len, {"a": 0.5, "b": 0.5})
    assert energy.ravel({"a": np.float32(1), "b": jnp.bfloat16(1)}).dtype == jnp.float32
    assert energy.ravel({"a": jnp.bfloat16(1), "b": np.float32(1)}).dtype == jnp.float32


def test_an_adapter_that_is_made_again_does_not_compile_again():
    traces = []

    def function(weight, tree):
        traces.append(tree)
        return jnp.sum(weight * tree["a"] ** 2)

    for weight in (1.0, 2.0, 3.0):
        example = {"a": np.full(2, weight, np.float32)}
        energy = Raveled(eqx.Partial(function, jnp.asarray(weight)), example)
        value = ebmx.energy(energy, np.ones((4, 2), np.float32))
    np.testing.assert_array_equal(value, np.full(4, 6.0))
    assert len(traces) == 1


BAD = {
    "example['n']=3: positions are real": lambda: Raveled(len, {"n": 3}),
    "example={}: give a tree with arrays": lambda: Raveled(len, {}),
    "names of their own": lambda: Raveled(len, {"a": {"b": 0.5}, "a.b": 0.5}),
    "bijections=['b']: the leaves are ('a',)": lambda: Raveled(len, {"a": 0.5}, {"b": Exp()}),
    "bijections['a']=3: give a bijection": lambda: Raveled(len, {"a": 0.5}, {"a": 3}),
    "add up to 1": lambda: Raveled(len, {"a": 0.5}, {"a": StickBreaking()}),
    "tree['a']=1 of 1 outside": lambda: Raveled(len, {"a": 0.5}, {"a": Exp()}).ravel({"a": -1.0}),
    "give the structure of the example": lambda: Raveled(len, {"a": 0.5}).ravel({"b": -1.0}),
    "tree['b'].shape=(3,): give the shape (3, 2)": lambda: Raveled(
        len, {"a": 0.5, "b": np.zeros(2)}
    ).ravel({"a": np.ones(3), "b": np.ones(3)}),
    "z.shape=(): give vectors (..., 1)": lambda: Raveled(len, {"a": 0.5}).unravel(1.0),
    "call the leaf by another name": lambda: Raveled(len, {"energy": 0.5}).save(np.ones(1), None),
}


@pytest.mark.parametrize("words", BAD)
def test_what_does_not_fit_is_refused(words):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        BAD[words]()
    assert words in str(error.value)
