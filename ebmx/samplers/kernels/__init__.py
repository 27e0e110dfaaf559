"""Kernels of Markov chains that leave a density invariant, of BlackJAX and our own."""
