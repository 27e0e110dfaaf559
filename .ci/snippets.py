"""Write the Python blocks of the README and the documents, a program each, into a folder.

Pyright then checks them as a user's programs.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def blocks(text: str) -> list[str]:
    """The Python code of a page; indented blocks lose their indent."""
    found = re.findall(r"^( *)```python\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    pages += sorted((ROOT / "docs" / "how-to").glob("*.md"))
    for page in pages:
        code = blocks(page.read_text(encoding="utf-8"))
        if code:
            (folder / f"{page.stem.lower().replace('-', '_')}.py").write_text("\n".join(code))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
