"""Densities with exact normalisers, moments and samples, and targets of papers on sampling."""
