"""Estimates of log Z."""

from ._annealed_importance import annealed_importance_sampling as annealed_importance_sampling
from ._base_densities import fit_bernoulli as fit_bernoulli
from ._base_densities import fit_categorical as fit_categorical
from ._base_densities import fit_gaussian as fit_gaussian
from ._calibrate_levels import calibrate_levels as calibrate_levels
from ._estimate import bits_per_dimension as bits_per_dimension
from ._estimate import log_likelihood as log_likelihood
from ._exact import log_z_by_enumeration as log_z_by_enumeration
from ._exact import log_z_by_quadrature as log_z_by_quadrature
from ._probability_flow import probability_flow_log_density as probability_flow_log_density
from ._smc import adaptive_smc as adaptive_smc
from ._tempering import log_z_by_tempering as log_z_by_tempering
