"""Build the site of the documentation: `python .ci/site.py`, or `serve` to look at it.

The pages in `docs/` are read on their own too. Here they get what a site can do more, in
`build/pages`: notebooks become pages, and public names in code become links to the reference. Then
zensical makes `build/site`, where any warning is an error, and formulas become MathML.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import latex2mathml.converter
import nbconvert
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from reference import FENCE, linked, public_names

ROOT = Path(__file__).parents[1]
DOCS, PAGES, SITE = ROOT / "docs", ROOT / "build" / "pages", ROOT / "build" / "site"
KEPT = {".md", ".png", ".svg", ".css", ".js"}
MATH = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$(?![\d$])", re.DOTALL)
CODE = re.compile(r"(`[^`\n]*`)")


def main() -> None:
    shutil.rmtree(PAGES, ignore_errors=True)
    names, formulas = public_names(), Formulas()
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
        text = formulas.taken_out(text)
        path.write_text(re.sub(r"\]\((?!https?:)([^)\s]+)\.ipynb", r"](\1.md", text))
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    if subprocess.run([*command, "-f", ".zensical.toml"], cwd=ROOT).returncode:
        sys.exit("the site has broken links or other faults, see above")
    for path in [*SITE.rglob("*.html"), *SITE.glob("search.json")]:
        text = path.read_text()
        path.write_text(formulas.put_back(text, plain=path.suffix == ".json"))
    if sys.argv[1:] == ["serve"]:
        subprocess.run([sys.executable, "-m", "http.server", "-d", str(SITE), "-b", "127.0.0.1"])


def write_notebook(path: Path, to: Path) -> None:
    """A page of a notebook, with its output, and its pictures beside it."""
    exporter = nbconvert.MarkdownExporter()
    exporter.register_preprocessor(CoalesceStreamsPreprocessor, enabled=True)
    body, resources = exporter.from_filename(str(path))
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


class Formulas:
    """Formulas between dollars, for which signs stand in Markdown: it takes MathML for a block."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def taken_out(self, text: str) -> str:
        """The text with a sign for each formula, outside code."""

        def sign(found: re.Match) -> str:
            block, inline = found.groups()
            self.found.append((block or inline, "block" if block else "inline"))
            return f"\u27e6{len(self.found) - 1}\u27e7"

        parts = FENCE.split(text)
        for at, part in enumerate(parts):
            if not part.lstrip().startswith("```"):
                pieces = CODE.split(part)
                pieces[::2] = [MATH.sub(sign, piece) for piece in pieces[::2]]
                parts[at] = "".join(pieces)
        return "".join(parts)

    def put_back(self, text: str, *, plain: bool) -> str:
        """The text with the formulas, as MathML or in plain letters."""

        def formula(found: re.Match) -> str:
            latex, kind = self.found[int(found.group(1))]
            if plain:
                return re.sub(r"[\\{}\"]", "", latex).replace("\n", " ")
            return latex2mathml.converter.convert(latex, display=kind)

        return re.sub("\u27e6(\\d+)\u27e7", formula, text)


if __name__ == "__main__":
    main()
