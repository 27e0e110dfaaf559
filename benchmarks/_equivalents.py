"""Mutants that no test can tell from the original, each with the reason; reviewed by hand.

A mutant is known by its file, its operator, its old and new text and the line it stands in, all
without spaces, so that the list survives edits elsewhere in the file.
"""

from _operators import Mutant

EQUIVALENTS: dict[str, str] = {}
"""The reason for each `file | operator | old -> new`."""


def label(mutant: Mutant) -> str:
    old, new = ("".join(text.split()) for text in (mutant.old, mutant.new))
    return f"{mutant.file.removeprefix('ebmx/')} | {mutant.operator} | {old} -> {new}"


def is_equivalent(mutant: Mutant) -> bool:
    return label(mutant) in EQUIVALENTS
