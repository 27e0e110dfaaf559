"""A compiled kernel for energies of images on CPUs, which is optional."""
