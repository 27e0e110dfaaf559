"""Evaluation: how good a model and its samples are."""

from ._frechet import frechet_distance as frechet_distance
