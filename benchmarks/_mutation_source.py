"""The source of a module, and what of it is computed and so may be changed.

Left out is what only checks arguments (`tests/test_signatures.py` is for that), and so are
annotations, default values, decorators and text.
"""

import ast
import dataclasses
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One replacement in one file."""

    file: str
    line: int
    operator: str
    old: str
    new: str
    start: int
    end: int

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line} {self.operator}: {_short(self.old)} -> {_short(self.new)}"

    def apply(self, source: str) -> str:
        data = source.encode()
        return (data[: self.start] + self.new.encode() + data[self.end :]).decode()


class Module:
    """The source of a module and the places that may be changed."""

    def __init__(self, source: str):
        self.source = source
        self.data = source.encode()
        starts = [0]
        for line in self.data.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self._starts = starts
        self.tree = ast.parse(source)

    def span(self, node: ast.AST) -> tuple[int, int]:
        start = self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        return start, end

    def text(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.data[start:end].decode()

    def functions(self) -> Iterator[ast.FunctionDef]:
        """The outermost functions and the methods, but those that only check or show."""
        bodies = [self.tree.body]
        while bodies:
            for node in bodies.pop():
                if isinstance(node, ast.ClassDef):
                    bodies.append(node.body)
                elif isinstance(node, ast.FunctionDef) and node.name not in _NOT_MUTATED:
                    yield node


_NOT_MUTATED = {"__check_init__", "__repr__", "check", "message"}
_CHECKING = ("_checks.", "warnings.", "isinstance", "eqx.error_if", "typing.", "cast")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."


def nodes(function: ast.FunctionDef, module: Module) -> Iterator[ast.AST]:
    """What of a function is computed: no annotations, defaults, decorators, docstring, checks."""
    pending: list[ast.AST] = list(reversed(function.body))
    while pending:
        node = pending.pop()
        if _only_checks(node, module):
            continue
        yield node
        if isinstance(node, ast.FunctionDef):
            pending += reversed(node.body)
        elif isinstance(node, ast.AnnAssign):
            pending += [node.value] if node.value else []
        elif isinstance(node, ast.Lambda):
            pending.append(node.body)
        else:
            pending += reversed(list(ast.iter_child_nodes(node)))


def _only_checks(node: ast.AST, module: Module) -> bool:
    if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.If) and not node.orelse:
        return all(_only_checks(one, module) for one in node.body)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return module.text(node.value.func).startswith(_CHECKING)
    if isinstance(node, ast.Call):
        return module.text(node.func).startswith(_CHECKING)
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id in ("fix", "text", "ok", "message", "where")
    return False


def is_sequence(node: ast.AST, module: Module) -> bool:
    """Whether a sum or product of it is one of sequences, shapes, text or paths."""
    kinds = ast.Tuple | ast.List | ast.ListComp | ast.Dict | ast.DictComp | ast.JoinedStr | ast.Set
    text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    shape = module.text(node).endswith("shape") or ".shape[" in module.text(node)
    path = "path" in module.text(node) or "folder" in module.text(node)
    return isinstance(node, kinds) or text or path or (shape and not isinstance(node, ast.BinOp))
