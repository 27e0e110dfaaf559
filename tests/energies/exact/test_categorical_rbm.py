"""Machines of categories, and independent ones, against sums over all states."""

import itertools

import numpy as np
import pytest
from discrete import all_one_hot, probabilities
from helpers import assert_mean, points

import ebmx
from ebmx.energies import Bernoulli, BernoulliRBM, Categorical, CategoricalRBM
from ebmx.evaluation import fit_categorical, log_z_by_enumeration

PARTS = [np.asarray(points(1, shape)[0]) for shape in [(3, 3, 2), (3, 3), (2,)]]


def test_the_free_energy_is_a_sum_over_hidden_states():
    weight, visible, hidden = (part.astype(np.float64) for part in PARTS)
    x = all_one_hot(3, 3)
    h = np.array([*itertools.product([0.0, 1.0], repeat=2)])
    joint = np.einsum("nvk,vkj,hj->nh", x, weight, h) + np.sum(visible * x, (1, 2))[:, None]
    want = -np.log(np.sum(np.exp(joint + h @ hidden), 1))
    np.testing.assert_allclose(ebmx.energy(CategoricalRBM(*PARTS), x), want, rtol=1e-4, atol=1e-5)


def test_two_states_are_a_machine_of_bits():
    weight, visible, hidden = (np.asarray(points(1, s)[0]) for s in [(4, 3), (4,), (3,)])
    bits = BernoulliRBM(weight, visible, hidden)
    pairs = [np.stack([np.zeros_like(part), part], 1) for part in (weight, visible)]
    two = CategoricalRBM(*pairs, hidden)
    np.testing.assert_allclose(two.log_z, bits.log_z, rtol=1e-5)
    np.testing.assert_allclose(two.mean[:, 1], bits.mean, rtol=1e-4)


@pytest.mark.parametrize("energy", [CategoricalRBM(*PARTS), Categorical(PARTS[1])])
def test_normalisers_means_and_samples_are_those_of_all_states(energy, getkey):
    states = all_one_hot(3, 3)
    energies = np.asarray(ebmx.energy(energy, states), np.float64)
    want = np.log(np.sum(np.exp(-energies)))
    np.testing.assert_allclose(energy.log_z, want, rtol=1e-5)
    assert log_z_by_enumeration(energy, categorical=True) == pytest.approx(want, rel=1e-5)
    mean = np.tensordot(probabilities(energies), states, 1)
    np.testing.assert_allclose(energy.mean, mean, rtol=1e-4)
    np.testing.assert_allclose(energy.variance, mean * (1 - mean), rtol=1e-4)
    x = np.asarray(ebmx.energies.exact_samples(energy, 4000, key=getkey()))
    np.testing.assert_array_equal(np.sort(x, -1)[..., :-1], 0.0)
    np.testing.assert_array_equal(x.sum(-1), 1.0)
    assert_mean(x.reshape(4000, -1), mean.reshape(-1), 4.0)
    products = np.einsum("nik,njl->nijkl", x, x).reshape(4000, -1)
    wanted = np.tensordot(probabilities(energies), np.einsum("nik,njl->nijkl", states, states), 1)
    assert_mean(products, wanted.reshape(-1), 4.5)


def test_the_fitted_base_has_the_frequencies_of_examples():
    x = all_one_hot(2, 3)[[0, 0, 4, 8]]
    want = np.log((x.sum(0) + 1) / 7)
    np.testing.assert_allclose(fit_categorical(x).logits, want, rtol=1e-6)
    np.testing.assert_allclose(fit_categorical(x).log_z, 0.0, atol=1e-6)
    for bad, match in (
        (np.ones((3, 2)), "give one-hot categories along the last axis"),
        (np.ones((3, 1)), r"x\.shape=\(3, 1\): .*two categories"),
        (np.array([[2.0, -1.0]]), "x=-1.0 to 2.0"),
    ):
        with pytest.raises(ValueError, match=match):
            fit_categorical(bad)


def test_enumeration_knows_which_energies_are_of_categories():
    for energy, categorical in ((Categorical(PARTS[1]), False), (Bernoulli(PARTS[2]), True)):
        with pytest.raises(ValueError, match=f"categorical={categorical}: examples of"):
            log_z_by_enumeration(2.0 * energy, categorical=categorical)
    with pytest.raises(ValueError, match=r"energy\.shape=None: .*Function"):
        log_z_by_enumeration(lambda x: x.sum(), categorical=True)
    with pytest.raises(ValueError, match=r"energy\.shape=\(20, 3\): at most 2\^26"):
        log_z_by_enumeration(Categorical(np.zeros((20, 3))), categorical=True)


def test_shapes_are_checked():
    weight, visible, hidden = PARTS
    for parts, match in (
        ((weight[0], visible, hidden), r"weight\.shape=\(3, 2\): .*states"),
        ((weight[:, :1], visible[:, :1], hidden), r"weight\.shape=\(3, 1, 2\): .*two states"),
        ((weight, visible[0], hidden), r"visible_bias\.shape=\(3,\): give \(3, 3\)"),
        ((weight, visible, visible), r"hidden_bias\.shape=\(3, 3\): give \(2,\)"),
        ((weight, visible, [0.0, np.inf]), "hidden_bias="),
    ):
        with pytest.raises(ValueError, match=match):
            CategoricalRBM(*parts)
    with pytest.raises(ValueError, match=r"logits\.shape=\(3, 1\): .*two categories"):
        Categorical(np.zeros((3, 1)))
    with pytest.raises(ValueError, match="logits"):
        Categorical([0.0, np.nan])
    with pytest.raises(ValueError, match="may be 22 hidden units"):
        _ = CategoricalRBM(np.zeros((1, 2, 23)), np.zeros((1, 2)), np.zeros(23)).log_z
