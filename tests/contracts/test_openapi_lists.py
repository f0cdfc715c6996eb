"""Lists in the OpenAPI documents: each says of which type its items are."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DOCUMENTS = sorted((Path(__file__).resolve().parents[2] / "contracts" / "openapi").glob("*.json"))


def lists(schema: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The items of every list in a document, with their place."""
    if isinstance(schema, dict):
        if schema.get("type") == "array":
            yield place, schema.get("items", {})
        for name, part in schema.items():
            yield from lists(part, f"{place}/{name}")
    elif isinstance(schema, list):
        for at, part in enumerate(schema):
            yield from lists(part, f"{place}/{at}")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_no_list_holds_anything_at_all(document: Path) -> None:
    found = dict(lists(json.loads(document.read_text())))

    assert found
    assert [place for place, items in found.items() if not items or {} in items.get("oneOf", ())] == []
