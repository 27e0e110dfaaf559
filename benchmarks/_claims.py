"""Which figures the documents quote, and the page that says where each is from.

A figure is a number in a table, but for its header and its first column; a number in bold; and in
other text a number with a decimal point or a unit. Code, headings, pictures and the targets of
links have none. `docs/claims.toml` lists each figure as often as it stands under its heading.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from _ledger import ROOT, Entry, Ledger

LEFT_OUT = ("docs/changelog.md", "docs/ledger.md", "docs/record.md")
WITHOUT_SCRIPT = (
    "a script that is not kept",
    "a script or a recipe as it was",
    "a convention or a setting, not measured",
    "arithmetic",
)
"""What may stand in place of a command."""

_NUMBER = (
    r"(?<![\w.,^-])[-−]?\d+(?:,\d{3})*(?:\.\d+)?"
    r"(?:e[-+]?\d+|(?:·10)?[⁻⁰¹²³⁴-⁹]+)?(?![\w-]|\.\d|,\d{3})"
)
_UNIT = r" ?(?:%|s|ms|µs|ns|kB|MB|GB|nats|CPU seconds)(?!\w)"


class Passage(NamedTuple):
    """A table or a paragraph that quotes figures."""

    page: str
    heading: str
    line: int
    figures: list[str]


def pages(root: Path = ROOT) -> list[str]:
    """The pages whose figures are claims."""
    docs = sorted([*(root / "docs").glob("*.md"), *(root / "docs/how-to").glob("*.md")])
    found = ["README.md", *(path.relative_to(root).as_posix() for path in docs)]
    return [page for page in found if page not in LEFT_OUT]


def passages(page: str, text: str) -> Iterator[Passage]:
    """The passages of a page that quote figures."""
    heading, block, first, code = "", "", 1, False
    for number, line in enumerate([*text.splitlines(), ""], 1):
        fence = line.startswith("```")
        is_text = bool(line.strip()) and not (fence or code or line.startswith("#"))
        if is_text:
            first = first if block else number
            block += line + "\n"
        elif block:
            if found := figures_of(block):
                yield Passage(page, heading, first, found)
            block = ""
        code ^= fence
        if line.startswith("#") and not code:
            heading = line.lstrip("# ")


def figures_of(block: str) -> list[str]:
    """The figures of a table or of a paragraph."""
    block = re.sub(r"`[^`]*`", "` `", block)
    block = re.sub(r"!\[[^]]*\]\([^)]*\)", "", block)
    block = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", block)
    if block.startswith("|"):
        rows = [line.strip().strip("|").split("|")[1:] for line in block.splitlines()[2:]]
        return [number for row in rows for cell in row for number in re.findall(_NUMBER, cell)]
    bold = [match.span() for match in re.finditer(r"\*\*.*?\*\*", block, re.DOTALL)]
    return [
        match[0]
        for match in re.finditer(_NUMBER, block)
        if "." in match[0]
        or re.match(_UNIT, block[match.end() :])
        or any(begin < match.start() < end for begin, end in bold)
    ]


def claims(root: Path = ROOT) -> list[dict[str, Any]]:
    """The tables of `docs/claims.toml`: page, heading, command, date and figures."""
    return tomllib.loads((root / "docs/claims.toml").read_text(encoding="utf-8"))["claim"]


def differences(root: Path = ROOT) -> list[str]:
    """What to change where pages and claims do not agree."""
    quoted: dict[tuple[str, str], Counter[str]] = {}
    for page in pages(root):
        for passage in passages(page, (root / page).read_text(encoding="utf-8")):
            quoted.setdefault((page, passage.heading), Counter()).update(passage.figures)
    claimed: dict[tuple[str, str], Counter[str]] = {}
    for claim in claims(root):
        place = claim["page"], claim["heading"]
        claimed.setdefault(place, Counter()).update(claim["figures"])
    said = []
    for place in quoted | claimed:
        page, heading = place
        on_page, listed = quoted.get(place, Counter()), claimed.get(place, Counter())
        said += [
            f'{page}, "{heading}": {figure} is not in docs/claims.toml. Add "{figure}" to the '
            f'figures of a [[claim]] with page = "{page}", heading = "{heading}", a command and '
            "a date"
            for figure in (on_page - listed).elements()
        ]
        said += [
            f'docs/claims.toml, page = "{page}", heading = "{heading}": {figure} is no longer on '
            f'the page. Remove "{figure}"'
            for figure in (listed - on_page).elements()
        ]
    return said


def scripts(command: str) -> list[str]:
    """The names of the scripts of benchmarks in a command."""
    return re.findall(r"benchmarks/(\w+)\.py", command)


def render(ledger: Ledger, root: Path = ROOT) -> str:
    """The page of the ledger."""
    lines = [_HEAD]
    of_page: dict[str, list[dict[str, Any]]] = {}
    for claim in claims(root):
        of_page.setdefault(claim["page"], []).append(claim)
    for page, found in of_page.items():
        lines += [f"\n### {page}\n", "| heading | figures | command | date | commit |"]
        lines += ["|---|---|---|---|---|", *(_claim_row(claim, ledger) for claim in found)]
    lines += ["\n## Runs of the benchmarks\n"]
    lines += ["| name | form | command | date | s | CPU s | status | commit | sources |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for form, entries in ledger.items():
        lines += [_entry_row(name, form, entry) for name, entry in sorted(entries.items())]
    return "\n".join(lines) + "\n"


def _claim_row(claim: dict[str, Any], ledger: Ledger) -> str:
    wanted = scripts(claim["command"])
    commits = sorted({
        _commit(entry)
        for name, entry in ledger["full"].items()
        if entry["status"] == "done" and name.split(":")[0] in wanted
    })  # fmt: skip
    figures = " · ".join(claim["figures"])
    command = claim["command"]
    command = command if command in WITHOUT_SCRIPT else f"`{command}`"
    cells = [claim["heading"], figures, command, str(claim["date"]), ", ".join(commits) or "–"]
    return _row(cells)


def _entry_row(name: str, form: str, entry: Entry) -> str:
    cells = [name, form, f"`{entry['command']}`"]
    if entry["status"] == "not run":
        return _row([*cells, "–", "–", "–", f"not run: {entry['reason']}", "–", "–"])
    seconds = [f"{entry['seconds']:.0f}", f"{entry['cpu_seconds']:.0f}"]
    cells += [entry["date"], *seconds, entry["status"], _commit(entry), f"`{entry['hash'][:8]}`"]
    return _row(cells)


def _commit(entry: Entry) -> str:
    changed = " and changes" if entry["changed_since_commit"] else ""
    return f"`{entry['commit'][:8]}`{changed}" if entry["commit"] else "–"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_HEAD = """# Ledger

Each figure that the README and these pages quote, with the command that makes it, or a word on
its origin, and the day on which it came to the page; then what the last runs of the benchmarks
were. This page is made by `python benchmarks/all.py --render` from `docs/claims.toml` and from
[ledger.json](ledger.json), which holds all figures of these runs with versions, machine, seeds and
a hash of the sources. A test fails if a page quotes a figure that is not here, or this page one
that no page quotes.

A commit beside a figure is that of a full run of the script, which may be newer than the figure; a
dash says that there is no full run in the ledger yet. The quick form is for a look at whether each
script works: its figures are quoted nowhere.

## Figures by page"""
