"""Build the site of the documentation: `python .ci/site.py`, or `serve` to look at it.

The pages in `docs/` are read on their own too. Here they get what a site can do more, in
`build/pages`: notebooks become pages, public names in code become links to the reference, and
formulas between dollars become MathML. Then zensical makes `build/site`, and any warning of it is
an error.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import latex2mathml.converter
import nbconvert
from reference import FENCE, linked, public_names

ROOT = Path(__file__).parents[1]
DOCS, PAGES = ROOT / "docs", ROOT / "build" / "pages"
KEPT = {".md", ".png", ".svg", ".css", ".js"}
MATH = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$(?![\d$])", re.DOTALL)
CODE = re.compile(r"(`[^`\n]*`)")


def main() -> None:
    shutil.rmtree(PAGES, ignore_errors=True)
    names = public_names()
    for path in sorted(DOCS.rglob("*")):
        to = PAGES / path.relative_to(DOCS)
        if path.suffix in KEPT:
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
        elif path.suffix == ".ipynb":
            write_notebook(path, to)
    for path in PAGES.rglob("*.md"):
        text = path.read_text()
        if "reference" not in path.parts:
            text = linked(text, names)
        text = with_formulas(text)
        path.write_text(re.sub(r"\]\((?!https?:)([^)\s]+)\.ipynb", r"](\1.md", text))
    zensical = [sys.executable, "-m", "zensical"]
    if sys.argv[1:] == ["serve"]:
        sys.exit(subprocess.run([*zensical, "serve", "-f", ".zensical.toml"], cwd=ROOT).returncode)
    shutil.rmtree(ROOT / "build" / "site", ignore_errors=True)
    command = [*zensical, "build", "--clean", "--strict", "-f", ".zensical.toml"]
    sys.exit(subprocess.run(command, cwd=ROOT).returncode)


def write_notebook(path: Path, to: Path) -> None:
    """A page of a notebook, with its output, and its pictures beside it."""
    body, resources = nbconvert.MarkdownExporter().from_filename(str(path))
    to.parent.mkdir(parents=True, exist_ok=True)
    for name, data in resources["outputs"].items():
        (to.parent / f"{to.stem}_{name}").write_bytes(data)
        body = body.replace(f"({name})", f"({to.stem}_{name})")
    body = body.replace("%matplotlib inline\n", "")
    link = f'<a href="{path.name}" download>{path.name}</a>'
    shutil.copyfile(path, to)
    to.with_suffix(".md").write_text(
        body.replace("\n", f"\n\nThis page as a notebook: {link}.\n", 1)
    )


def with_formulas(text: str) -> str:
    """The text with formulas between dollars as MathML, outside code."""

    def formula(found: re.Match) -> str:
        block, inline = found.groups()
        return latex2mathml.converter.convert(block or inline, "block" if block else "inline")

    parts = FENCE.split(text)
    for at, part in enumerate(parts):
        if not part.lstrip().startswith("```"):
            pieces = CODE.split(part)
            pieces[::2] = [MATH.sub(formula, piece) for piece in pieces[::2]]
            parts[at] = "".join(pieces)
    return "".join(parts)


if __name__ == "__main__":
    main()
