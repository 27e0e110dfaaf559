"""Trained energies as folders to share, and on the Hugging Face hub."""
