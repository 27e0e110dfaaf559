"""Ising and Potts models against loops over pairs of sites."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from discrete import all_bits, all_one_hot
from helpers import points

import ebmx
from ebmx.energies import Ising, Potts
from ebmx.evaluation import log_z_by_enumeration

LATTICES = [((5,), True), ((3, 4), True), ((3, 4), False), ((2, 3, 1), True), ((2, 2), False)]


def pairs(sides, periodic):
    """All pairs of neighbours; those between the two sites of a periodic side of two twice."""
    for site in itertools.product(*map(range, sides)):
        for axis, side in enumerate(sides):
            if side > 1 and (periodic or site[axis] + 1 < side):
                step = np.eye(len(sides), dtype=int)[axis]
                yield site, tuple((np.array(site) + step) % sides)


@pytest.mark.parametrize(("sides", "periodic"), LATTICES)
def test_energies_are_sums_over_pairs(sides, periodic):
    field = np.asarray(points(1, sides, seed=1)[0])
    x = (np.asarray(points(4, sides)) > 0).astype(np.float32)
    want = []
    for s in 2.0 * x - 1:
        bonds = sum(s[i] * s[j] for i, j in pairs(sides, periodic))
        want.append(-0.7 * bonds - np.sum(field * s))
    found = ebmx.energy(Ising(sides, 0.7, field, periodic), x)
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-5)

    tilt = np.array([0.3, -0.2, 0.9], np.float32)
    index = np.random.default_rng(0).integers(0, 3, (4, *sides))
    want = [
        -0.7 * sum(k[i] == k[j] for i, j in pairs(sides, periodic)) - np.sum(tilt[k]) for k in index
    ]
    found = ebmx.energy(Potts(sides, 3, 0.7, tilt, periodic), np.eye(3, dtype=np.float32)[index])
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-5)


def test_the_gradient_is_that_of_the_same_polynomial():
    x = points(3, (3, 4))
    energy = Ising((3, 4), 0.7, 0.1)
    spins = 2 * np.asarray(x, np.float64) - 1
    around = sum(np.roll(spins, step, axis) for axis in (1, 2) for step in (-1, 1))
    np.testing.assert_allclose(ebmx.score(energy, x), 2 * (0.7 * around + 0.1), rtol=1e-4)


def test_a_potts_model_of_two_states_is_an_ising_model():
    bits = all_bits(3, 2)
    one_hot = np.stack([1 - bits, bits], -1)
    two = ebmx.energy(Potts((3, 2), 2, 1.0, np.array([-0.2, 0.2])), one_hot)
    one = ebmx.energy(Ising((3, 2), 0.5, 0.2), bits)
    # half of the twelve bonds
    np.testing.assert_allclose(two, one - 6.0, rtol=1e-5, atol=1e-5)


def test_log_z_of_a_ring_is_that_of_its_transfer_matrix():
    coupling, field = 0.6, 0.3
    matrix = np.exp([[coupling + field, -coupling], [-coupling, coupling - field]])
    want = np.log(np.trace(np.linalg.matrix_power(matrix, 9)))
    assert log_z_by_enumeration(Ising((9,), coupling, field)) == pytest.approx(want, rel=1e-6)
    weights = np.exp(coupling * np.eye(3) + field * np.array([1, 0, 0])[None])
    want = np.log(np.trace(np.linalg.matrix_power(weights, 5)))
    ring = Potts((5,), 3, coupling, np.array([field, 0.0, 0.0]))
    assert log_z_by_enumeration(ring, categorical=True) == pytest.approx(want, rel=1e-6)
    states = all_one_hot(5, 3)
    by_hand = np.log(np.sum(np.exp(-np.asarray(ebmx.energy(ring, states), np.float64))))
    assert by_hand == pytest.approx(want, rel=1e-6)


def test_sizes_and_numbers_are_checked():
    for make, match in (
        (lambda: Ising((0, 2), 1.0), r"shape=\(0, 2\)"),
        (lambda: Ising((2, 2), np.ones(2)), "coupling="),
        (lambda: Ising((2, 3), 1.0, np.ones(2)), r"field\.shape=\(2,\): .*\(2, 3\)"),
        (lambda: Ising((2, 2), np.inf), "coupling=inf"),
        (lambda: Potts((2, 2), 1, 1.0), "num_states=1"),
        (lambda: Potts((2, 2), 3, 1.0, np.ones(2)), r"field\.shape=\(2,\): .*\(2, 2, 3\)"),
        (lambda: Potts((2, 2), 3, 1.0, np.full(3, np.nan)), "field="),
    ):
        with pytest.raises(ValueError, match=match):
            make()
    assert Potts((2, 2), 3, 1.0).shape == (2, 2, 3)
    with pytest.raises(ValueError, match="ONE floating-point example"):
        Ising((2, 2), 1.0)(jnp.zeros((3, 2, 2)))
