"""A part of the report of an evaluation, and how it is written down."""

import contextlib
import dataclasses
import json
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..._json import finite


@dataclasses.dataclass(frozen=True)
class Section:
    """What an evaluation says about one thing."""

    name: str  # in JSON
    title: str
    facts: dict[str, Any]  # a number, a text, or a row of numbers by the names of columns
    meanings: dict[str, str]  # what each number, or column, means, in one sentence
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)  # by the names of files
    remarks: Sequence[str] = ()


@contextlib.contextmanager
def warnings_as_remarks(remarks: list[str]) -> Iterator[None]:
    """Put the warnings of what is done within, each once, into the remarks of a section."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    remarks += sorted({f"Warning: {w.message}" for w in caught})


def write_sections(
    folder: Path, title: str, sections: Sequence[Section], verdict: str
) -> tuple[Path, ...]:
    """Write `report.json`, `report.md` and pictures into a folder; the paths of the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {"verdict": verdict}
    facts |= {section.name: finite(section.facts) for section in sections}
    (folder / "report.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    pictures, lines = [], [f"# {title}", "", f"**{verdict}**"]
    for section in sections:
        lines += ["", f"## {section.title}", "", *_table(section)]
        for remark in section.remarks:
            lines += ["", remark]
        for name, figure in section.figures.items():
            pictures.append(folder / f"{name}.png")
            figure.savefig(pictures[-1])
            lines += ["", f"![{name}]({name}.png)"]
    (folder / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tuple(pictures)


def _table(section: Section) -> list[str]:
    facts, meanings = section.facts, section.meanings
    if not facts:
        return []
    if not isinstance(next(iter(facts.values())), dict):
        rows = [(name, _show(value), meanings[name]) for name, value in facts.items()]
        return _rows(("", "value", "what it means"), rows)
    columns = list(dict.fromkeys(name for row in facts.values() for name in row))
    rows = [(name, *(_show(row.get(c)) for c in columns)) for name, row in facts.items()]
    return [*_rows(("", *columns), rows), "", *(f"- {c}: {meanings[c]}" for c in columns)]


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _show(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
