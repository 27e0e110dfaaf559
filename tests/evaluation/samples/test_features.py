"""Sets of features: how they are taken, cut into blocks and compared."""

import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial.distance

from ebmx.evaluation import (
    calibration_error,
    effective_classes,
    energy_distance,
    fit_bernoulli,
    fit_gaussian,
    frechet_distance,
    kernel_distance,
    kernel_stein_discrepancy,
    local_minima,
    nearest_distances,
    out_of_distribution,
    precision_recall,
    saturated_fraction,
    sliced_wasserstein,
    two_sample_auc,
)
from ebmx.evaluation.samples import _pairwise as features

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
# multiples of 1/8, which single precision holds exactly
A, B = (np.round(8 * RNG.normal(size=(num, 3))) / 8 for num in (20, 15))
FREQUENCIES = np.full((8, 4), 0.25)

FUNCTIONS = {
    "energy_distance": lambda f: energy_distance(f(A), f(B)),
    "frechet_distance": lambda f: frechet_distance(f(A), f(B)),
    "kernel_distance": lambda f: kernel_distance(f(A), f(B)),
    "nearest_distances": lambda f: nearest_distances(f(A), f(B)),
    "precision_recall": lambda f: precision_recall(f(A), f(B)),
    "sliced_wasserstein": lambda f: sliced_wasserstein(f(A), f(B), key=KEY),
    "two_sample_auc": lambda f: two_sample_auc(f(A), f(B), key=KEY),
    "fit_gaussian": lambda f: np.asarray(fit_gaussian(f(A)).covariance),
    "fit_bernoulli": lambda f: np.asarray(fit_bernoulli(f((A > 0).astype(float))).mean),
    "calibration_error": lambda f: calibration_error(f(FREQUENCIES), np.arange(8) % 4),
    "effective_classes": lambda f: effective_classes(f(FREQUENCIES)),
    "saturated_fraction": lambda f: saturated_fraction(f(A)),
    "out_of_distribution": lambda f: tuple(
        vars(out_of_distribution(f(A[:, 0]), f(B[:, 0]))).values()
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_lists_and_arrays_of_jax_and_of_single_precision_are_evaluated_in_double_precision(name):
    want = FUNCTIONS[name](np.asarray)
    for convert in (np.float32, jnp.asarray, np.ndarray.tolist):
        np.testing.assert_array_equal(FUNCTIONS[name](convert), want)


def test_sets_are_rows_of_as_many_features():
    a, b = features.two_sets([[1, 2], [3, 4]], np.ones((3, 2), np.float32))
    assert a.dtype == b.dtype == np.float64
    np.testing.assert_array_equal(a, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(b, np.ones((3, 2)))
    for one, other, match in (
        (A[:1], B, r"samples\.shape=\(1, 3\): .*num ≥ 2"),
        (A, B[:1], r"data\.shape=\(1, 3\): .*num ≥ 2"),
        (A[:, :0], B, r"samples\.shape=\(20, 0\)"),
        (A, B[:, :2], r"data\.shape=\(15, 2\): give 3 features, as `samples` has"),
    ):
        with pytest.raises(ValueError, match=match):
            features.two_sets(one, other)
    assert len(features.two_sets(A[:1], B[:1], 1)) == 2


@pytest.mark.parametrize(
    ("chunk", "columns", "sizes"), [(70, 30, [2, 2, 1]), (10, 30, [1] * 5), (99, 9, [5])]
)
def test_blocks_are_all_rows_once(monkeypatch, chunk, columns, sizes):
    monkeypatch.setattr(features, "_CHUNK", chunk)
    found = [np.arange(5)[i] for i in features.blocks(5, columns)]
    assert [len(rows) for rows in found] == sizes
    np.testing.assert_array_equal(np.concatenate(found), np.arange(5))


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_squared_distances_are_those_of_scipy_and_zero_for_equal_rows(shift):
    a, b = RNG.normal(size=(60, 7)) + shift, RNG.normal(size=(50, 7)) + shift
    want = scipy.spatial.distance.cdist(a, b, "sqeuclidean")
    np.testing.assert_allclose(features.squared_distances(a, b), want, rtol=1e-6, atol=1e-6)
    own = features.squared_distances(a, a)
    assert np.all(np.diag(own) == 0)
    assert np.all(own[~np.eye(60, dtype=bool)] > 0)
    # rows a little apart are not taken for equal ones
    near = features.squared_distances(a, a * (1 + 1e-5))
    np.testing.assert_allclose(np.diag(near), np.sum((1e-5 * a) ** 2, 1), rtol=0.2)


def test_pairs_in_blocks_are_all_pairs(monkeypatch):
    def figures():
        pairs = [kernel_distance(A, B), energy_distance(A, B), *precision_recall(A, B)]
        return np.concatenate([pairs, nearest_distances(A, B)])

    want = figures()
    monkeypatch.setattr(features, "_CHUNK", 70)
    np.testing.assert_allclose(figures(), want, rtol=1e-12)


TIED = np.repeat([0.0, 1.0, 5.0], [3, 2, 5])[:, None]
ROWS = {
    "one pair": RNG.normal(size=(2, 3)),
    "an odd number of pairs": RNG.normal(size=(6, 3)),
    "an even number": RNG.normal(size=(40, 3)),
    "ties": TIED,
    "all the same": np.zeros((9, 2)),
    # three squares below 1e-199, three of 1
    "a gap in the middle": np.array([0.0, 1e-100, 2e-100, 1.0])[:, None],
}


@pytest.mark.parametrize("name", ROWS)
def test_the_median_distance_is_exact(monkeypatch, name):
    x = ROWS[name]
    pairs = features.squared_distances(x, x)[np.triu_indices(len(x), 1)]
    for chunk in (1, 50, 2**19):
        monkeypatch.setattr(features, "_CHUNK", chunk)
        # rows that are multiplied in other blocks may differ in their last bits
        assert features.median_squared_distance(x) == pytest.approx(np.median(pairs), rel=1e-12)


MANY = np.random.default_rng(1).normal(size=(3000, 2)).astype(np.float32)
HUNDRED = {"num_bootstrap": 100, "key": KEY}
PAIRWISE = {
    "energy_distance": lambda x: energy_distance(x, 2 * x),
    "kernel_distance": lambda x: kernel_distance(x, 2 * x),
    "kernel_stein_discrepancy": lambda x: kernel_stein_discrepancy(lambda x: x @ x, x, **HUNDRED),
    "local_minima": lambda x: local_minima(lambda x: x @ x, x),
    "nearest_distances": lambda x: nearest_distances(x, 2 * x),
    "precision_recall": lambda x: precision_recall(x, 2 * x),
    "sliced_wasserstein": lambda x: sliced_wasserstein(x, 2 * x, key=KEY, num_projections=3000),
}


@pytest.mark.medium
@pytest.mark.parametrize("name", PAIRWISE)
def test_no_function_holds_a_matrix_of_all_pairs(monkeypatch, name):
    monkeypatch.setattr(features, "_CHUNK", 30 * len(MANY))
    tracemalloc.start()
    PAIRWISE[name](MANY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # NumPy's, in numbers: one matrix of all pairs is 3,000 · 3,000 of them
    assert peak / 8 < 0.2 * len(MANY) ** 2
