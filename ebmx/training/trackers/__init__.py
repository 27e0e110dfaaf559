"""Trackers: where the metrics, the config and the pictures of a training are logged."""
