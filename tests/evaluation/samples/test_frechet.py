"""The Fréchet distance against its closed form and against SciPy's matrix square root."""

import numpy as np
import pytest
import scipy.linalg
import sklearn.covariance

from ebmx.evaluation import frechet_distance, frechet_ratio


def whitened(rng, num, features):
    """Rows whose sample mean is 0 and whose sample covariance is the identity, exactly."""
    x = rng.normal(size=(num, features))
    x = x - x.mean(0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T


def by_sqrtm(a, b):
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    cross = np.trace(scipy.linalg.sqrtm(cov_a @ cov_b).real)
    mean = np.sum((a.mean(0) - b.mean(0)) ** 2)
    return mean + np.trace(cov_a) + np.trace(cov_b) - 2 * cross


def test_closed_form_for_gaussians_with_a_common_basis():
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    scale_a, scale_b = np.array([1.0, 2.0, 0.5]), np.array([0.3, 2.5, 1.0])
    shift = np.array([1.0, -2.0, 0.5])
    a = whitened(rng, 50, 3) * scale_a @ basis
    b = whitened(rng, 80, 3) * scale_b @ basis + shift
    want = np.sum(shift**2) + np.sum((scale_a - scale_b) ** 2)
    assert frechet_distance(a, b) == pytest.approx(want, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(want, rel=1e-9)


def test_agrees_with_the_matrix_square_root_of_scipy():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5))
    b = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)) + 0.5
    assert frechet_distance(a, b) == pytest.approx(by_sqrtm(a, b), rel=1e-8)


def test_identical_sets_are_at_distance_zero_and_shifted_ones_are_not():
    a = np.random.default_rng(2).normal(size=(30, 4)).astype(np.float32)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(a, a + 2) == pytest.approx(16.0, rel=1e-5)


def shrunk(x):
    """The covariance that scikit-learn shrinks, unbiased as `np.cov`."""
    return sklearn.covariance.ledoit_wolf(x)[0] * len(x) / (len(x) - 1)


def test_fewer_rows_than_features_are_reported_and_shrunk():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(5, 8)), rng.normal(size=(40, 8))
    few = r"^5 examples \(samples\) are few .* 8 features.*more than 8,"
    with pytest.warns(UserWarning, match=few):
        found = frechet_distance(a, b)
    cov_a, cov_b = shrunk(a), np.cov(b, rowvar=False)
    cross = np.trace(scipy.linalg.sqrtm(cov_a @ cov_b).real)
    mean = np.sum((a.mean(0) - b.mean(0)) ** 2)
    assert found == pytest.approx(mean + np.trace(cov_a) + np.trace(cov_b) - 2 * cross, rel=1e-8)
    with pytest.warns(UserWarning, match=r"^8 examples \(data\) are few"):
        assert frechet_distance(b, b[:8]) > 0


def test_one_row_more_than_features_is_enough():
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=(5, 4)) + 1, 2 * rng.normal(size=(30, 4))
    assert frechet_distance(a, b) == pytest.approx(by_sqrtm(a, b), rel=1e-8)
    assert frechet_distance(b, a) == pytest.approx(by_sqrtm(a, b), rel=1e-8)


@pytest.mark.filterwarnings("ignore:5 examples:UserWarning")
def test_a_few_rows_are_at_distance_zero_of_themselves_and_never_complex():
    a = np.random.default_rng(5).normal(size=(5, 30))
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(a, 0 * a) == pytest.approx(
        np.sum(a.mean(0) ** 2) + np.trace(np.cov(a, rowvar=False))
    )


def test_one_feature():
    a, b = np.array([[0.0], [2.0]]), np.array([[3.0], [9.0]])
    sd_a, sd_b = np.sqrt(2.0), np.sqrt(18.0)
    assert frechet_distance(a, b) == pytest.approx(25.0 + (sd_a - sd_b) ** 2)


GOOD = np.random.default_rng(4).normal(size=(4, 3))
BAD = {
    "one row": (GOOD[:1], GOOD, r"samples\.shape=\(1, 3\): give \(num, features\)"),
    "vector": (GOOD, GOOD[0], r"data\.shape=\(3,\): give \(num, features\)"),
    "features": (GOOD, GOOD[:, :2], r"data\.shape=\(4, 2\): give 3 features"),
    "nan": (GOOD, np.where(GOOD > 0, np.nan, GOOD), r"data=.*non-finite.*: remove"),
}


@pytest.mark.parametrize("name", BAD)
def test_features_that_do_not_fit_are_refused(name):
    a, b, match = BAD[name]
    with pytest.raises(ValueError, match=f"^{match}"):
        frechet_distance(a, b)


def test_a_ratio_is_of_equal_numbers():
    """Neither more samples nor fewer of the same distribution come nearer to the test data."""
    rng = np.random.default_rng(7)
    train, test = rng.normal(size=(1000, 16)), rng.normal(size=(500, 16))
    ratios = {
        num: [frechet_ratio(rng.normal(size=(num, 16)), train, test) for _ in range(20)]
        for num in (100, 1000, 8000)
    }
    for num, found in ratios.items():
        error = np.std(found) / np.sqrt(20) + 0.03  # that of the sets of training data
        assert abs(np.mean(found) - 1) < 3 * error, num
    assert frechet_distance(rng.normal(size=(100, 16)), test) > 2 * frechet_distance(train, test)
    shifted = train + 0.2
    want = frechet_distance(shifted, test) / frechet_distance(train, test)
    assert frechet_ratio(shifted, train, test) == pytest.approx(want, rel=1e-9)


def test_a_ratio_is_the_mean_over_sets():
    rng = np.random.default_rng(8)
    samples, train, test = (rng.normal(size=(num, 3)) for num in (40, 20, 30))
    one, many = (frechet_ratio(samples, train, test, num_sets=num) for num in (1, 400))
    unit = frechet_distance(train, test)
    assert one == frechet_ratio(samples, train, test, num_sets=1) != many
    draws = [frechet_distance(rng.permutation(samples)[:20], test) / unit for _ in range(400)]
    error = np.std(draws) / np.sqrt(200)
    assert abs(many - np.mean(draws)) < 4 * error


def test_training_data_that_are_the_test_data_have_no_ratio():
    """The same rows in another order are at no distance, where only rounding is left."""
    rng = np.random.default_rng(9)
    for x in (np.ones((6, 2)), rng.normal(size=(200, 16)), 1e3 + rng.normal(size=(50, 3))):
        for _ in range(20):
            assert frechet_distance(rng.permutation(x), x) == 0
            assert frechet_ratio(np.tile(x + 1, (2, 1)), rng.permutation(x), x) == np.inf


def test_a_small_distance_is_not_taken_for_rounding():
    x = np.random.default_rng(10).normal(size=(50, 4))
    assert frechet_distance(x + 1e-7, x) == pytest.approx(4e-14, rel=1e-6)
    assert frechet_distance(1.00001 * x, x) == pytest.approx(by_sqrtm(1.00001 * x, x), rel=1e-3)


def test_data_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"^train\.shape=\(4, 2\): give 3 features, as `test` has"):
        frechet_ratio(GOOD, GOOD[:, :2], GOOD)
