"""Examples with a fixed part, against conditional densities in closed form and by enumeration."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_covariance, assert_mean, points

import ebmx
from ebmx.energies import MLP, BernoulliRBM, Clamped, Gaussian
from ebmx.energies.constraints._clamped import as_rbm
from ebmx.evaluation import log_z_by_enumeration, log_z_by_quadrature
from ebmx.samplers import HMC, BlockGibbs

MEAN = np.array([1.0, -0.5, 0.3, 2.0])
FACTOR = np.array([[1.0, 0, 0, 0], [0.5, 0.8, 0, 0], [-0.6, 0.3, 1.2, 0], [0.2, -0.7, 0.4, 0.9]])
COVARIANCE = FACTOR @ FACTOR.T
MASK = np.array([False, True, False, True])
VALUES = np.array([np.nan, 0.7, np.nan, 1.1])


def conditional_gaussian(values):
    """Mean and covariance of the free part, and the energy of the fixed part, by linear algebra."""
    f, c = ~MASK, MASK
    gain = COVARIANCE[np.ix_(f, c)] @ np.linalg.inv(COVARIANCE[np.ix_(c, c)])
    off = values[..., c] - MEAN[c]
    covariance = COVARIANCE[np.ix_(f, f)] - gain @ COVARIANCE[np.ix_(c, f)]
    rest = 0.5 * np.sum(off * np.linalg.solve(COVARIANCE[np.ix_(c, c)], off.T).T, -1)
    return MEAN[f] + off @ gain.T, covariance, rest


def test_energy_and_score_are_those_of_the_conditional_gaussian():
    with jax.enable_x64(True):
        clamped = Clamped(Gaussian(MEAN, COVARIANCE), MASK).at(VALUES)
        z = np.random.default_rng(0).normal(size=(7, 2))
        mean, covariance, rest = conditional_gaussian(VALUES)
        score = np.linalg.solve(covariance, (mean - z).T).T
        energy = rest - 0.5 * np.sum((z - mean) * score, -1)
        assert clamped.shape == (2,)
        assert clamped.energy.fill(jnp.asarray(z, np.float32), VALUES).dtype == np.float32
        np.testing.assert_allclose(ebmx.energy(clamped, z), energy, rtol=1e-12)
        np.testing.assert_allclose(ebmx.score(clamped, z), score, rtol=1e-11)


def test_log_z_is_that_of_the_conditional_gaussian():
    clamped = Clamped(Gaussian(MEAN, COVARIANCE), MASK).at(VALUES)
    mean, covariance, rest = conditional_gaussian(VALUES)
    wide = 8 * np.sqrt(np.diag(covariance))
    found = log_z_by_quadrature(clamped, mean - wide, mean + wide, num_points=201)
    exact = 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1] - rest
    assert abs(found - exact) < 2e-6


@pytest.mark.medium
def test_chains_fill_in_the_rest_each_for_its_own_example(getkey):
    values = np.where(MASK, points(4000, (4,), seed=1), np.nan)
    clamped = Clamped(Gaussian(MEAN, COVARIANCE), MASK)
    mean, covariance, _ = conditional_gaussian(values)
    start = clamped.free(np.broadcast_to(MEAN, values.shape).astype(np.float32))
    sampler = HMC(0.5, num_integration_steps=4)
    options = {"num_samples": 2, "thin": 15, "key": getkey()}
    samples = ebmx.sample(clamped.at_each(values), sampler, start, **options)
    assert_mean(samples.x - mean, np.zeros(2))
    assert_covariance(samples.x - mean, covariance)
    whole = clamped.fill(samples.values, values)
    assert whole.shape == (4000, 2, 4)
    np.testing.assert_array_equal(whole[:, :, MASK], np.repeat(values[:, None, MASK], 2, 1))
    np.testing.assert_array_equal(whole[:, -1, ~MASK], samples.x)


def test_masks_of_images():
    x = points(6, (4, 3, 2)).reshape(2, 3, 4, 3, 2)
    pixels = np.zeros((4, 3, 1), bool)
    pixels[:, :2] = True  # two columns are fixed
    clamped = Clamped(Gaussian(np.zeros((4, 3, 2))), pixels)
    assert clamped.shape == (8,)
    free = clamped.free(x)
    np.testing.assert_array_equal(free, np.asarray(x)[:, :, :, 2].reshape(2, 3, 8))
    assert isinstance(clamped.free(np.asarray(x)), jax.Array)
    lost = np.where(pixels, x, np.nan)
    np.testing.assert_array_equal(clamped.fill(free, lost), x)
    first = np.where(pixels, x[0, 0], free[1, 2].reshape(4, 1, 2))
    np.testing.assert_array_equal(clamped.fill(free, lost[0, 0])[1, 2], first)
    np.testing.assert_array_equal(clamped.fill(free, lost[:, 0])[0, 1, :, :2], x[0, 0, :, :2])


def test_another_mask_of_as_many_and_other_values_do_not_compile_again():
    traces = []

    class Counted(ebmx.energies.AbstractEnergy):
        shape: tuple[int, ...] = eqx.field(static=True, default=(3,))

        def __call__(self, x):
            traces.append(x)
            return jnp.sum(x**2)

    for fixed in range(3):
        clamped = Clamped(Counted(), np.arange(3) == fixed)
        ebmx.energy(clamped.at(np.ones(3) * fixed), points(2, (2,)))
        first = first if fixed else len(traces)
    assert len(traces) == first


def test_values_are_no_parameters():
    energy = MLP((3,), (2,), key=jax.random.key(0))
    clamped = Clamped(energy, np.arange(3) > 0).at(np.ones(3))
    tree = ebmx.energies.trainable(clamped)
    assert sum(jax.tree.leaves(tree)) == len(jax.tree.leaves(eqx.filter(energy, eqx.is_array)))
    assert not tree.y


WEIGHT = np.array([[3.0, -3, 0], [2, 0, -1], [-2, 2, 1], [-3, 0, 2], [1, 2, -2]])
RBM = BernoulliRBM(WEIGHT, [0.2, -1.0, 0.3, 0.5, -0.8], [-1.0, 0.5, 0.1])
UNITS = np.array([True, False, False, True, False])


def test_clamped_units_leave_a_boltzmann_machine():
    bits = np.array([1.0, np.nan, np.nan, 1.0, np.nan], np.float32)
    energy = Clamped(RBM, UNITS).at(bits)
    rbm = as_rbm(energy)
    states = ((np.arange(8)[:, None] >> np.arange(3)) & 1).astype(np.float32)
    constant = np.asarray(RBM.visible_bias)[UNITS].sum()
    whole = np.insert(np.insert(states, 0, 1, axis=1), 3, 1, axis=1)
    np.testing.assert_allclose(ebmx.energy(energy, states), ebmx.energy(RBM, whole), rtol=1e-6)
    np.testing.assert_allclose(
        ebmx.energy(rbm, states) - constant, ebmx.energy(energy, states), rtol=1e-5, atol=1e-5
    )
    assert abs(log_z_by_enumeration(energy) - rbm.log_z - constant) < 1e-5
    assert as_rbm(RBM) is RBM
    assert as_rbm(Gaussian(MEAN)) is as_rbm(Clamped(Gaussian(MEAN), MASK).at(VALUES)) is None


@pytest.mark.medium
def test_block_gibbs_fills_in_units_each_chain_its_own(getkey):
    bits = np.repeat([[1.0, 0, 0, 1.0, 0], [0.0, 1, 1, 0.0, 0]], 2000, 0).astype(np.float32)
    clamped = Clamped(RBM, UNITS)
    options = {"num_steps": 20, "key": getkey()}
    x, _ = ebmx.run(clamped.at_each(bits), BlockGibbs(), clamped.free(bits), **options)
    for half in (slice(2000), slice(2000, None)):
        exact = as_rbm(clamped.at(bits[half][0])).mean
        assert_mean(x[half], exact)
    assert abs(exact - as_rbm(clamped.at(bits[0])).mean).max() > 0.1


BAD = {
    r"mask\.shape=\(3,\): give the shape of one example, \(4,\)": {"mask": np.ones(3, bool)},
    r"mask\.dtype=int64: give booleans": {"mask": np.arange(4)},
    r"mask=True: .*nothing is left to sample": {"mask": np.ones(4, bool)},
    r"energies=.*none has a shape": {"energy": lambda x: jnp.sum(x)},
}


@pytest.mark.parametrize("words", BAD)
def test_what_does_not_fit_is_refused(words):
    with pytest.raises(ValueError, match=words):
        Clamped(**{"energy": Gaussian(MEAN), "mask": MASK, **BAD[words]})


def test_parts_that_do_not_fit_are_refused():
    clamped = Clamped(Gaussian(MEAN), MASK)
    with pytest.raises(ValueError, match=r"y\.shape=\(2,\): give a condition of shape \(4\)"):
        clamped.at(np.ones(2))
    with pytest.raises(ValueError, match=r"x\.shape=\(2, 4\): give free coordinates, "):
        clamped.fill(np.ones((2, 4)), VALUES)
    with pytest.raises(ValueError, match=r"y\.shape=\(3, 4\): x has the leading axes \(5,\)"):
        clamped.fill(np.ones((5, 2)), np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"x\.shape=\(2,\): give whole examples, \(\.\.\., 4\)"):
        clamped.free(np.ones(2))
    with pytest.raises(ValueError, match="mask=a traced array: give a NumPy array"):
        jax.eval_shape(lambda mask: Clamped(Gaussian(MEAN), mask).free_index, jnp.asarray(MASK))
