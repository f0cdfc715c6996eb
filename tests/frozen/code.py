"""Reading our own code as a syntax tree."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.frozen.picture import ROOT

LEFT_OUT = ("deploy/sandbox", "deploy/local", "deploy/ops/verify")
"""A stand-in for Stripe, this machine's own processes, and checks: they give nothing an identity of ours."""
DEMO = "deploy/local/demo"


@dataclass(frozen=True, slots=True)
class File:
    """`package` is two names deep, so that files may be moved and renamed within it."""

    path: Path
    package: str
    nodes: tuple[ast.AST, ...]


@cache
def parsed(*folders: str) -> tuple[File, ...]:
    paths = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return tuple(_file(path) for path in paths if _counts(str(path.relative_to(ROOT))))


def _counts(path: str) -> bool:
    return path.startswith(DEMO) or not path.startswith(LEFT_OUT)


def _file(path: Path) -> File:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return File(path, ".".join(parts[:2]), tuple(ast.walk(ast.parse(path.read_bytes()))))


def calls(file: File, *names: str) -> Iterator[ast.Call]:
    """Calls of a function or method by one of these names."""
    for node in file.nodes:
        if isinstance(node, ast.Call) and _name(node.func) in names:
            yield node


def _name(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def constant(node: ast.expr) -> object:
    """A literal's value; None for any other expression."""
    return node.value if isinstance(node, ast.Constant) else None
