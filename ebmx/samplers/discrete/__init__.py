"""Samplers of zeros and ones, and of categories."""
