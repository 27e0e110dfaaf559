"""The expected calibration error."""

import numpy as np
import pytest

from ebmx.evaluation import calibration_error


def test_by_hand():
    # two bins: 0.6 twice, once right; 0.9 once, right
    probabilities = np.array([[0.6, 0.4], [0.4, 0.6], [0.1, 0.9]])
    labels = np.array([0, 0, 1])
    expected = 2 / 3 * abs(0.5 - 0.6) + 1 / 3 * abs(1 - 0.9)
    assert calibration_error(probabilities, labels, num_bins=5) == pytest.approx(expected)
    # in one bin the errors of opposite signs cancel
    assert calibration_error(probabilities, labels, num_bins=1) == pytest.approx(2.1 / 3 - 2 / 3)


def test_a_loop_over_bins_agrees():
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(4), 500), rng.integers(0, 4, 500)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    total = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration_error(probabilities, labels) == pytest.approx(total)


def test_lists_and_absent_classes_and_certain_predictions():
    # the last bin ends at a confidence of one, which belongs to it
    probabilities = [[1.0, 0.0, 0.0], [0.0, 0.95, 0.05], [0.04, 0.96, 0.0]]
    want = abs((1.0 + 0.95 + 0.96) / 3 - 1 / 3)
    assert calibration_error(probabilities, [1, 1, 2], num_bins=10) == pytest.approx(want)
    assert calibration_error(probabilities, [0, 0, 0], num_bins=10) == pytest.approx(want)
    # as it is with so many bins that they are apart
    apart = (abs(1 - 0) + abs(0.95 - 1) + abs(0.96 - 0)) / 3
    assert calibration_error(probabilities, [1, 1, 2], num_bins=200) == pytest.approx(apart)


def test_labels_drawn_from_the_probabilities_are_calibrated():
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(3), 40_000)
    labels = (probabilities.cumsum(1) < rng.uniform(size=(40_000, 1))).sum(1)
    assert calibration_error(probabilities, labels) < 0.01
    assert calibration_error(np.eye(3)[labels], labels) == 0.0
    assert calibration_error(np.eye(3)[labels], (labels + 1) % 3) == 1.0


@pytest.mark.parametrize(
    ("probabilities", "labels", "match"),
    [
        (np.ones(3) / 3, np.zeros(3, int), "probabilities.shape=.*one row"),
        (np.ones((0, 3)), np.zeros(0, int), "probabilities.shape=.*one row"),
        (np.ones((2, 3)), np.zeros(2, int), "probabilities=.*softmax"),
        (np.full((2, 2), np.nan), np.zeros(2, int), "probabilities=.*softmax"),
        (np.full((2, 2), 0.5), np.zeros(3, int), r"labels.shape=.*\(2,\)"),
        (np.full((2, 2), 0.5), np.array([0, 2]), "labels=.*from 0 to 1"),
        (np.full((2, 2), 0.5), np.array([0.5, 1]), "labels=.*from 0 to 1"),
    ],
)
def test_bad_input(probabilities, labels, match):
    with pytest.raises(ValueError, match=match):
        calibration_error(probabilities, labels)


def test_at_least_one_bin():
    with pytest.raises(ValueError, match="num_bins=0"):
        calibration_error(np.full((2, 2), 0.5), np.array([0, 1]), num_bins=0)
