"""What the house rules look at: our own modules, parsed once."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "dynamiccluster"


@dataclass(frozen=True)
class Module:
    """One file. ``where`` is its path below the package, such as ``kit/runner.py``."""

    where: str
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.where.partition("/")[0].removesuffix(".py")

    @property
    def name(self) -> str:
        return self.where.rpartition("/")[2].removesuffix(".py")


def module(where: str, text: str) -> Module:
    """A module from text: real ones, and the bad examples that show that a rule can fail."""
    return Module(where, text, ast.parse(text))


@cache
def package() -> tuple[Module, ...]:
    """Every module of the package."""
    paths = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
    return tuple(module(path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8")) for path in paths)


def imported(tree: ast.AST) -> list[tuple[int, str]]:
    """Line and full name of everything imported, also inside functions; ``from a import b`` counts as ``a.b``."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def called(tree: ast.AST) -> list[tuple[int, str]]:
    """Line and dotted name of every attribute mentioned and of every plain function called: ``os.fork``, ``open``."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.append((node.lineno, dotted(node)))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.append((node.lineno, node.func.id))
    return found


def dotted(node: ast.AST) -> str:
    """``a.b.c`` as it is written; parts that are no names (calls, items) are empty."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""
