"""Distances of sets of features against other implementations, and their laws."""

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import sklearn.metrics
import sklearn.metrics.pairwise
import sklearn.neighbors

from ebmx.evaluation import (
    energy_distance,
    kernel_distance,
    nearest_distances,
    precision_recall,
    sliced_wasserstein,
)

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(40, 3)), 1.5 * RNG.normal(size=(30, 3)) + 0.5

DISTANCES = {
    "kernel": kernel_distance,
    "energy": energy_distance,
    "wasserstein": lambda a, b: sliced_wasserstein(a, b, key=KEY),
    "wasserstein-1": lambda a, b: sliced_wasserstein(a, b, order=1, key=KEY),
}


def test_kernel_distance_is_that_of_scikit_learn():
    kernel = sklearn.metrics.pairwise.polynomial_kernel
    parts = [kernel(x, y, 3, 1 / 3, 1.0) for x, y in ((A, A), (B, B), (A, B))]
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in parts[:2]]
    want = sum(within) - 2 * parts[2].mean()
    assert kernel_distance(A, B) == pytest.approx(want, rel=1e-10)


def test_kernel_distance_is_unbiased():
    rng = np.random.default_rng(1)
    values = [kernel_distance(*rng.normal(size=(2, 20, 2))) for _ in range(400)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(400)
    assert min(values) < 0


def test_kernel_distance_of_subsets():
    values = kernel_distance(A, B, num_subsets=300, subset_size=15, key=KEY)
    assert values.shape == (300,)
    # the mean over subsets is that over all, since neither has a bias
    assert abs(values.mean() - kernel_distance(A, B)) < 4 * values.std() / np.sqrt(300)
    a, b = A.tolist(), B.tolist()
    whole = kernel_distance(a, b, num_subsets=2, subset_size=100, key=KEY)
    np.testing.assert_allclose(whole, kernel_distance(A, B), rtol=1e-9)


def test_energy_distance_is_that_of_scipy():
    cross, in_a, in_b = (
        scipy.spatial.distance.cdist(x, y).mean() for x, y in ((A, B), (A, A), (B, B))
    )
    assert energy_distance(A, B) == pytest.approx(2 * cross - in_a - in_b, rel=1e-9)
    want = scipy.stats.energy_distance(A[:, 0], B[:, 0]) ** 2
    assert energy_distance(A[:, :1], B[:, :1]) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize(("num_a", "num_b"), [(40, 30), (1, 30), (7, 7)])
def test_wasserstein_distance_in_one_dimension_is_that_of_scipy(num_a, num_b):
    a, b = A[:num_a, :1], B[:num_b, :1]
    want = scipy.stats.wasserstein_distance(a[:, 0], b[:, 0])
    assert sliced_wasserstein(a, b, order=1, key=KEY) == pytest.approx(want, rel=1e-9)


def test_sliced_wasserstein_distance_of_a_shift():
    # W₂ of a shift v along u is |u·v|, whose mean square over directions is |v|² / d
    shift = np.array([1.0, -2.0, 2.0])
    found = sliced_wasserstein(A, A + shift, num_projections=20_000, key=KEY)
    assert found == pytest.approx(3 / np.sqrt(3), rel=0.02)
    a, b = np.sort(A[:30], 0)[:, :1], np.sort(B, 0)[:, :1]
    want = np.sqrt(np.mean((a - b) ** 2))
    assert sliced_wasserstein(a, b, key=KEY) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("name", DISTANCES)
@hypothesis.given(st.integers(0, 1000))
def test_distances_are_symmetric_and_blind_to_order(name, seed):
    distance, rng = DISTANCES[name], np.random.default_rng(seed)
    a, b = rng.normal(size=(6, 2)), rng.normal(size=(4, 2)) + 1
    found = distance(a, b)
    assert distance(b, a) == pytest.approx(found, rel=1e-9, abs=1e-12)
    assert distance(a[::-1], b) == pytest.approx(found, rel=1e-9, abs=1e-12)
    if name != "kernel":
        assert found > 0
        assert distance(a, a) == pytest.approx(0, abs=1e-9)
        assert distance(a + 3, b + 3) == pytest.approx(found, rel=1e-6)
        assert distance(2 * a, 2 * b) == pytest.approx(2 * found, rel=1e-9)


def test_precision_and_recall_by_scikit_learn():
    def covered(a, b, k):
        near = sklearn.neighbors.NearestNeighbors(n_neighbors=k + 1).fit(b)
        radii = near.kneighbors(b)[0][:, k]
        return np.mean((scipy.spatial.distance.cdist(a, b) <= radii[None]).any(1))

    for k in (1, 3):
        found = precision_recall(A, B, num_neighbours=k)
        assert found.precision == pytest.approx(covered(A, B, k))
        assert found.recall == pytest.approx(covered(B, A, k))
        assert tuple(precision_recall(B, A, num_neighbours=k)) == (found.recall, found.precision)


def test_precision_and_recall_at_their_ends():
    assert precision_recall(A, A) == (1.0, 1.0)
    assert precision_recall(A, A + 100) == (0.0, 0.0)
    # one mode of two: all samples are good, half of the data is missing
    two = np.concatenate([A, A + 100])
    found = precision_recall(A[::-1], two)
    assert found.precision == 1.0
    assert found.recall == 0.5


def test_nearest_distances():
    want = scipy.spatial.distance.cdist(A, B).min(1)
    np.testing.assert_allclose(nearest_distances(A, B), want, rtol=1e-9)
    np.testing.assert_array_equal(nearest_distances(A[:3], A), 0.0)


def test_wasserstein_distances_of_sets_of_different_sizes_are_those_of_repeated_rows():
    a, b = A[:4, :1], B[:6, :1]
    long_a, long_b = (np.sort(np.repeat(x[:, 0], 12 // len(x))) for x in (a, b))
    for order in (1.0, 2.0, 3.0):
        want = np.mean(np.abs(long_a - long_b) ** order) ** (1 / order)
        assert sliced_wasserstein(a, b, order=order, key=KEY) == pytest.approx(want, rel=1e-9)


def test_rows_are_counted_exactly_where_fractions_of_them_are_rounded():
    # 1 / 49 · 49 is less than one in double precision
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(49, 1)), rng.normal(size=(10, 1))
    want = scipy.stats.wasserstein_distance(a[:, 0], b[:, 0])
    assert sliced_wasserstein(a, b, order=1, key=KEY) == pytest.approx(want, rel=1e-9)


def test_directions_are_those_of_the_key():
    first, second, other = (
        sliced_wasserstein(A, B, num_projections=3, key=jax.random.key(seed)) for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other


def test_subsets_are_those_of_the_key():
    options = {"num_subsets": 2, "subset_size": 5}
    first, second, other = (
        kernel_distance(A, B, key=jax.random.key(seed), **options) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert len({*first, *other}) == 4


@pytest.mark.parametrize("degree", [1, 2])
def test_kernel_distance_of_other_degrees(degree):
    kernel = sklearn.metrics.pairwise.polynomial_kernel
    parts = [kernel(x, y, degree, 1 / 3, 1.0) for x, y in ((A, A), (B, B), (A, B))]
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in parts[:2]]
    want = sum(within) - 2 * parts[2].mean()
    assert kernel_distance(A, B, degree=degree) == pytest.approx(want, rel=1e-10)
    whole = kernel_distance(A, B, num_subsets=1, degree=degree, key=KEY)
    assert whole[0] == pytest.approx(want, rel=1e-9)


BAD = {
    "features": (lambda: energy_distance(A, B[:, :2]), r"data\.shape=\(30, 2\): give 3 features"),
    "subset": (lambda: kernel_distance(A, B, subset_size=1), "subset_size=1: .*at least 2"),
    "subsets": (
        lambda: kernel_distance(A, B, num_subsets=0, key=KEY),
        "num_subsets=0: .*at least 1",
    ),
    "key": (lambda: kernel_distance(A, B, num_subsets=2), "key=None: give a key, which chooses"),
    "images": (
        lambda: kernel_distance(A[:, :, None], B),
        r"samples\.shape=\(40, 3, 1\): .*flatten",
    ),
    "nan": (lambda: precision_recall(A, np.full((9, 3), np.nan)), "data=27 non-finite"),
    "one row": (lambda: kernel_distance(A[:1], B), r"samples\.shape=\(1, 3\): .*num ≥ 2"),
    "neighbours": (lambda: precision_recall(A[:3], B), r"samples\.shape=\(3, 3\): .*num ≥ 4"),
    "order": (lambda: sliced_wasserstein(A, B, order=0.5, key=KEY), r"order=0\.5: .*at least 1"),
    "degree": (lambda: kernel_distance(A, B, degree=0), "degree=0"),
}


@pytest.mark.parametrize("name", BAD)
def test_features_that_do_not_fit_are_refused(name):
    call, match = BAD[name]
    with pytest.raises(ValueError, match=match):
        call()
