"""Tests reach no private name of another module of ours: ruff holds attributes (SLF001), this test holds imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
OURS = ("contracts.", "services.", "deploy.", "tests.")


def test_tests_import_no_private_name() -> None:
    assert sorted(_private_imports()) == []


def _private_imports() -> Iterator[str]:
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(OURS):
                yield from (
                    f"{path.relative_to(TESTS)}: {name.name}" for name in node.names if _is_private(name.name)
                )


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
