"""The passes between minima: all routes, single linkage and a surface that is known."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.cluster.hierarchy
from helpers import muller_brown

from ebmx.energies import Gaussian
from ebmx.evaluation import disconnectivity
from ebmx.evaluation.landscape import _disconnectivity
from ebmx.evaluation.landscape._disconnectivity import join

WELLS = np.array([[-0.558224, 1.441726], [0.623499, 0.028038], [-0.050011, 0.466694]])
DEPTHS = np.array([-146.699517, -108.166724, -80.767818])


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


def test_the_passes_of_pairs_are_in_both_halves_of_the_matrix(monkeypatch):
    met = {}

    def tops(energy, minima, pairs, num_points, low, high, num_steps, tolerance):
        met.update(options=(num_points, low, high, num_steps, tolerance), dtypes={minima.dtype})
        # between the minima i and j the pass is at 10 i + j
        return minima[pairs][..., 0] @ jnp.array([10.0, 1.0])

    monkeypatch.setattr(_disconnectivity, "_tops", tops)
    monkeypatch.setattr(_disconnectivity, "join", lambda direct: direct)
    options = {"num_points": 5, "bounds": (-1, 9), "num_steps": 7, "tolerance": 0.1}
    minima = np.arange(4.0)[:, None] * [1, 0]
    direct = disconnectivity(lambda x: -x[0] / 2, minima, **options)
    want = [[0, 1, 2, 3], [1, -0.5, 12, 13], [2, 12, -1, 23], [3, 13, 23, -1.5]]
    np.testing.assert_allclose(direct, want)
    assert met["dtypes"] == {np.dtype(np.float32)}
    assert met["options"] == (5, -1, 9, 7, 0.1)
    disconnectivity(lambda x: -x[0] / 2, minima)
    assert met["options"] == (17, -np.inf, np.inf, 2000, 1e-2)


def test_equal_passes_join_in_order_and_barriers_are_above_the_first_minimum():
    direct = np.array([[0.0, 5, 5, 7], [5, 1, 5, 6], [5, 5, 2, 9], [7, 6, 9, 3]])
    tree = join(direct)
    np.testing.assert_array_equal(tree.merges[:, 2], [5, 5, 6])
    np.testing.assert_array_equal(np.sort(tree.merges[:, :2]), [[0, 1], [2, 4], [3, 5]])
    want = [[0, 5, 5, 6], [5, 1, 5, 6], [5, 5, 2, 6], [6, 6, 6, 3]]
    np.testing.assert_array_equal(tree.passes, want)
    np.testing.assert_array_equal(tree.barriers(), np.subtract(want, [[0], [1], [2], [3]]))
    alone = join([[2.0]])
    assert alone.merges.shape == (0, 3)
    assert alone.passes.tolist() == [[2.0]]


def test_minima_without_a_finite_path_merge_at_infinity():
    direct = np.array([[-5.0, -3, np.inf], [-3, -4, np.inf], [np.inf, np.inf, 0]])
    tree = join(direct)
    np.testing.assert_array_equal(tree.merges[:, 2], [-3, np.inf])
    np.testing.assert_array_equal(tree.passes, direct)


def test_a_surface_from_the_literature_has_two_passes():
    tree = disconnectivity(muller_brown, jnp.asarray(WELLS, jnp.float32), num_steps=1000)
    np.testing.assert_allclose(tree.energies, DEPTHS, atol=1e-3)
    # first the middle well joins the right one, then both the deepest
    np.testing.assert_array_equal(tree.merges[:, :2], [[1, 2], [0, 3]])
    np.testing.assert_allclose(tree.merges[:, 2], [-72.248940, -40.664844], atol=1e-2)
    barriers = tree.barriers()
    assert barriers[0, 1] == barriers[0, 2] == pytest.approx(106.034673, abs=2e-2)
    assert barriers[1, 0] == pytest.approx(67.501880, abs=2e-2)


BAD = {
    "one": (lambda: disconnectivity(Gaussian(jnp.zeros(2)), jnp.ones((1, 2))), "give at least two"),
    "matrix": (lambda: join(np.array([[0.0, 1.0], [2.0, 0.0]])), r"direct\.shape"),
    "nan": (lambda: join(np.array([[np.nan]])), r"direct\.shape"),
    "table": (lambda: join(np.ones((2, 3))), r"direct\.shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
