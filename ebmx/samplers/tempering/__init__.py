"""Replica exchange over a ladder of temperatures, which tunes itself."""
