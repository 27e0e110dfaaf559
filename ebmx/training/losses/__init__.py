"""Losses: plain functions of an energy, positives and negatives."""

from ._combine import WeightedSum as WeightedSum
from ._contrastive import contrastive_loss as contrastive_loss
from ._cross_entropy import cross_entropy_loss as cross_entropy_loss
from ._energy_matching import transport_matching_loss as transport_matching_loss
from ._improved_cd import sampler_divergence_loss as sampler_divergence_loss
from ._noise_contrastive import energy_discrepancy_loss as energy_discrepancy_loss
from ._noise_contrastive import minimum_probability_flow_loss as minimum_probability_flow_loss
from ._noise_contrastive import negative_log_likelihood_loss as negative_log_likelihood_loss
from ._noise_contrastive import noise_contrastive_loss as noise_contrastive_loss
from ._score_matching import denoising_score_matching_loss as denoising_score_matching_loss
from ._score_matching import score_matching_loss as score_matching_loss
from ._score_matching import sliced_score_matching_loss as sliced_score_matching_loss
