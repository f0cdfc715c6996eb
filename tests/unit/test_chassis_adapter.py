"""FastStream and aiokafka are overridden in one place, so that one place is read when they are upgraded."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADAPTER = ROOT / "services/chassis/kafka/adapter"
LIBRARIES = ("aiokafka", "faststream")
INNER = ("aiokafka.consumer", "aiokafka.record", "faststream.message", "faststream._internal")


def test_only_the_adapter_touches_internals_of_the_kafka_libraries() -> None:
    found = {
        str(file.relative_to(ROOT)): names
        for file in (ROOT / "services").rglob("*.py")
        if ADAPTER not in file.parents and (names := list(inner_names(ast.parse(file.read_text()))))
    }

    assert found == {}
    assert list(inner_names(ast.parse((ADAPTER / "any_headers.py").read_text())))


def inner_names(tree: ast.Module) -> Iterator[str]:
    """Imports of the libraries' inner modules and private names, private attributes of others, and subclasses."""
    library = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            names = {alias.asname or alias.name for alias in node.names}
            library |= names
            if (node.module or "").startswith(INNER):
                yield node.module or ""
            yield from (name for name in names if name.startswith("_"))
    if not library:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from (base.id for base in node.bases if isinstance(base, ast.Name) and base.id in library)
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            yield from () if own else (node.attr,)
