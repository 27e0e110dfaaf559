"""Evaluation: how good a model and its samples are."""

from .._arguments import check_public as _check_public
from ._diagnostics import ConvergenceWarning as ConvergenceWarning
from ._diagnostics import diagnose as diagnose
from ._diagnostics import to_arviz as to_arviz
from ._long_chains import drift as drift
from ._long_chains import saturated_fraction as saturated_fraction
from .landscape import disconnectivity as disconnectivity
from .landscape import energy_slice as energy_slice
from .landscape import hessian_eigenvalues as hessian_eigenvalues
from .landscape import local_minima as local_minima
from .landscape import minimum_energy_path as minimum_energy_path
from .log_z import adaptive_smc as adaptive_smc
from .log_z import annealed_importance_sampling as annealed_importance_sampling
from .log_z import bits_per_dimension as bits_per_dimension
from .log_z import calibrate_levels as calibrate_levels
from .log_z import fit_bernoulli as fit_bernoulli
from .log_z import fit_categorical as fit_categorical
from .log_z import fit_gaussian as fit_gaussian
from .log_z import log_likelihood as log_likelihood
from .log_z import log_z_by_enumeration as log_z_by_enumeration
from .log_z import log_z_by_quadrature as log_z_by_quadrature
from .log_z import log_z_by_tempering as log_z_by_tempering
from .log_z import probability_flow_log_density as probability_flow_log_density
from .samples import Classifier as Classifier
from .samples import calibration_error as calibration_error
from .samples import effective_classes as effective_classes
from .samples import energy_distance as energy_distance
from .samples import frechet_distance as frechet_distance
from .samples import frechet_ratio as frechet_ratio
from .samples import kernel_distance as kernel_distance
from .samples import kernel_stein_discrepancy as kernel_stein_discrepancy
from .samples import nearest_distances as nearest_distances
from .samples import out_of_distribution as out_of_distribution
from .samples import precision_recall as precision_recall
from .samples import sliced_wasserstein as sliced_wasserstein
from .samples import train_classifier as train_classifier
from .samples import two_sample_auc as two_sample_auc

_check_public(globals())
