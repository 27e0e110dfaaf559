"""Losses: plain functions of an energy, positives and negatives."""

from ._combine import weighted_sum as weighted_sum
from ._contrastive import contrastive_loss as contrastive_loss
from ._cross_entropy import cross_entropy as cross_entropy
from ._energy_matching import transport_matching as transport_matching
from ._improved_cd import nearest_neighbour_entropy as nearest_neighbour_entropy
from ._improved_cd import sampler_divergence as sampler_divergence
from ._noise_contrastive import energy_discrepancy as energy_discrepancy
from ._noise_contrastive import minimum_probability_flow as minimum_probability_flow
from ._noise_contrastive import negative_log_likelihood as negative_log_likelihood
from ._noise_contrastive import noise_contrastive_loss as noise_contrastive_loss
from ._score_matching import denoising_score_matching as denoising_score_matching
from ._score_matching import score_matching as score_matching
from ._score_matching import sliced_score_matching as sliced_score_matching
