"""Sources of negatives: where the second batch of a training step comes from."""
