"""Losses: plain functions of an energy, positives and negatives."""
