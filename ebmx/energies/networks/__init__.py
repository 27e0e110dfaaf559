"""Networks: energies, or features for energies."""
