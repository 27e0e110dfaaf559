"""The mutants of a module, and a sample of those of many."""

import itertools
import random
from pathlib import Path

from _mutation_operators import OPERATORS
from _mutation_source import Module, Mutant, nodes


def mutants(file: str, source: str) -> list[Mutant]:
    """All mutants of a module, in the order of their places; some may not compile."""
    module = Module(source)
    found: dict[tuple[int, int, str], Mutant] = {}
    for function in module.functions():
        computed = list(nodes(function, module))
        for operator, make in OPERATORS.items():
            for node, new in make(function, computed, module):
                start, end = module.span(node)
                key = start, end, "".join(new.split())
                mutant = Mutant(
                    file,
                    node.lineno,
                    operator,
                    module.text(node),
                    new,
                    start,
                    end,  # type: ignore
                )
                if "".join(mutant.old.split()) != key[2]:
                    found.setdefault(key, mutant)
    return [found[key] for key in sorted(found)]


def sample(root: Path, files: list[str], num: int, seed: int) -> list[Mutant]:
    """About `num` mutants, from each file as its share of all is, and one at least."""
    sources = {file: (root / file).read_text() for file in files}
    every = {file: mutants(file, source) for file, source in sources.items()}
    total = sum(map(len, every.values()))
    chosen = []
    for file, found in every.items():
        count = max(1, round(num * len(found) / max(total, 1)))
        random.Random(f"{seed}:{file}").shuffle(found)
        compiled = (mutant for mutant in found if compiles(mutant, sources[file]))
        chosen += itertools.islice(compiled, count)
    return chosen


def compiles(mutant: Mutant, source: str) -> bool:
    try:
        compile(mutant.apply(source), mutant.file, "exec")
    except SyntaxError:
        return False
    return True
