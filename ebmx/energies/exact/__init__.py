"""Densities with exact normalisers, moments and samples."""
