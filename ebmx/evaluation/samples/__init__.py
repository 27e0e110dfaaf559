"""Comparisons of samples with data."""

from ._calibration import calibration_error as calibration_error
from ._classes import effective_classes as effective_classes
from ._classifier import Classifier as Classifier
from ._classifier import train_classifier as train_classifier
from ._energy_distance import energy_distance as energy_distance
from ._energy_distance import sliced_wasserstein as sliced_wasserstein
from ._frechet import frechet_distance as frechet_distance
from ._frechet import frechet_ratio as frechet_ratio
from ._kernel_distance import kernel_distance as kernel_distance
from ._out_of_distribution import out_of_distribution as out_of_distribution
from ._precision_recall import nearest_distances as nearest_distances
from ._precision_recall import precision_recall as precision_recall
from ._stein import kernel_stein_discrepancy as kernel_stein_discrepancy
from ._two_sample import two_sample_auc as two_sample_auc
