"""Minima, basins and passes of surfaces whose minima and passes are known."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.cluster.hierarchy
from helpers import muller_brown

from ebmx.energies import DoubleWell, Gaussian
from ebmx.evaluation import disconnectivity, local_minima
from ebmx.evaluation._disconnectivity import join

WELLS = np.array([[-0.558224, 1.441726], [0.623499, 0.028038], [-0.050011, 0.466694]])
DEPTHS = np.array([-146.699517, -108.166724, -80.767818])


def test_a_double_well_has_a_well_in_each_quadrant():
    starts = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    found = local_minima(DoubleWell((2,), 2.0), starts)
    assert found.x.shape == (4, 2)
    np.testing.assert_allclose(np.abs(found.x), 1, atol=1e-3)
    np.testing.assert_allclose(found.energies, 0, atol=1e-5)
    # the coordinates owe nothing to each other: a basin is a quadrant
    np.testing.assert_array_equal(np.sign(found.x[found.basins]), np.sign(starts))
    assert found.shares.sum() == 1
    np.testing.assert_allclose(found.shares, np.bincount(found.basins) / 400)
    assert found.gradient_norms.max() <= 1e-3


def test_a_surface_from_the_literature_has_three_wells():
    x, y = np.meshgrid(np.linspace(-1.2, 0.9, 8), np.linspace(-0.2, 1.8, 8))
    starts = np.stack([x, y], -1).reshape(-1, 2).astype(np.float32)
    found = local_minima(muller_brown, starts, tolerance=0.05)
    np.testing.assert_allclose(found.energies, DEPTHS, atol=1e-3)
    np.testing.assert_allclose(found.x, WELLS, atol=1e-3)
    tree = disconnectivity(muller_brown, jnp.asarray(found.x), num_steps=1000)
    np.testing.assert_allclose(tree.energies, DEPTHS, atol=1e-3)
    # first the middle well joins the right one, then both the deepest
    np.testing.assert_array_equal(tree.merges[:, :2], [[1, 2], [0, 3]])
    np.testing.assert_allclose(tree.merges[:, 2], [-72.248940, -40.664844], atol=1e-2)
    barriers = tree.barriers()
    assert barriers[0, 1] == barriers[0, 2] == pytest.approx(106.034673, abs=2e-2)
    assert barriers[1, 0] == pytest.approx(67.501880, abs=2e-2)


def test_a_valley_of_fifty_dimensions_has_one_end():
    rng = np.random.default_rng(1)
    turn, _ = np.linalg.qr(rng.normal(size=(50, 50)))
    covariance = (turn * np.geomspace(0.05, 5, 50)) @ turn.T
    mean = rng.normal(size=50)
    starts = rng.normal(size=(6, 50)).astype(np.float32)
    found = local_minima(Gaussian(mean, covariance), starts, tolerance=1e-3)
    assert found.shares.tolist() == [1.0]
    np.testing.assert_allclose(found.x[0], mean, atol=1e-2)


def test_bounds_stop_an_energy_that_falls_without_end():
    starts = np.random.default_rng(2).uniform(-1, 1, size=(5, 2, 2)).astype(np.float32)
    slope = jnp.array([[1.0, -1.0], [2.0, 3.0]])
    found = local_minima(lambda x: jnp.sum(slope * x), starts, bounds=(-1.0, 1.0))
    np.testing.assert_array_equal(found.x, [[[-1, 1], [-1, -1]]])
    with pytest.raises(ValueError, match=r"not one of 5 descents came to an end: .*set bounds"):
        local_minima(lambda x: jnp.sum(slope * x), starts, num_steps=50)


def test_a_start_that_came_to_no_end_is_in_no_basin():
    starts = np.array([[0.5], [-30.0]], np.float32)
    found = local_minima(
        lambda x: jnp.where(x[0] < -2, x[0], x[0] ** 2), starts, num_steps=30, merge_distance=0.1
    )
    assert found.basins.tolist() == [0, -1]
    assert found.shares.tolist() == [0.5]
    assert found.gradient_norms[1] > 0.5


def passes_by_routes(direct):
    """The lowest highest step over all routes, by trying them all."""
    num, best = len(direct), np.array(direct)
    for i, j in itertools.permutations(range(num), 2):
        others = [k for k in range(num) if k not in (i, j)]
        for size in range(len(others) + 1):
            for way in itertools.permutations(others, size):
                steps = itertools.pairwise((i, *way, j))
                best[i, j] = min(best[i, j], max(direct[a, b] for a, b in steps))
    return best


def test_minima_join_as_in_single_linkage():
    rng = np.random.default_rng(3)
    direct = rng.uniform(1, 5, size=(6, 6))
    direct = np.maximum(direct, direct.T)
    energies = rng.uniform(-1, 0, size=6)
    np.fill_diagonal(direct, energies)
    tree = join(direct)
    np.testing.assert_array_equal(tree.energies, energies)
    np.testing.assert_array_equal(tree.passes, passes_by_routes(direct))
    linkage = scipy.cluster.hierarchy.linkage(direct[np.triu_indices(6, 1)], "single")
    np.testing.assert_allclose(tree.merges[:, 2], linkage[:, 2])
    np.testing.assert_array_equal(np.sort(tree.merges[:, :2]), np.sort(linkage[:, :2]))


G2, X2 = Gaussian(jnp.zeros(2)), jnp.ones((3, 2))
BAD = {
    "shape": (lambda: local_minima(G2, jnp.ones((3, 3))), r"starts\.shape"),
    "nan": (lambda: local_minima(G2, X2 * jnp.nan), "starts=6 non-finite"),
    "bounds": (lambda: local_minima(G2, X2, bounds=(1.0, 0.0)), "bounds=.*low < high"),
    "steps": (lambda: local_minima(G2, X2, num_steps=0), "num_steps=0"),
    "step": (lambda: local_minima(G2, X2, max_step=0.0), "max_step=0"),
    "one": (lambda: disconnectivity(G2, X2[:1]), r"minima\.shape=\(1, 2\): give at least two"),
    "matrix": (lambda: join(np.array([[0.0, 1.0], [2.0, 0.0]])), r"direct\.shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
