"""How much the tests check: the `assert` statements and `pytest.raises` in each folder of tests."""

import ast
from collections import Counter
from pathlib import Path
from typing import Any

from tests.frozen.picture import ROOT, Dbs

TESTS = ROOT / "tests"


async def draw(_: Dbs) -> Any:
    counted = Counter[str]()
    for path in TESTS.rglob("*.py"):
        counted[_folder(path)] += sum(map(_checks, ast.walk(ast.parse(path.read_bytes()))))
    return {folder: count for folder, count in counted.items() if count}


def fallen(kept: dict[str, int], today: dict[str, int]) -> list[str]:
    """More of them are welcome without a change of the file."""
    return [
        f"{folder} had {count}, has {today.get(folder, 0)}"
        for folder, count in kept.items()
        if today.get(folder, 0) < count
    ]


def _folder(path: Path) -> str:
    return f"tests/{path.relative_to(TESTS).parts[0]}" if path.parent != TESTS else "tests"


def _checks(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return True
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Attribute) and called.attr == "raises"
