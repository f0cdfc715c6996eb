"""Every call that builds an identity from parts: ids of events and entries, idempotency keys, prefixes of names.

A call that is not in the picture is new: add it to `event_ids` or `idempotency` too. One whose expression is only
written differently shows here and not there.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tests.frozen.code import File, calls, constant, parsed
from tests.frozen.picture import Dbs

FOLDERS = ("contracts", "services", "deploy")
_PREFIX = re.compile(r"(?!mailto:)[a-z][a-z_-]*[-:]")


async def draw(_: Dbs) -> Any:
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for file in parsed(*FOLDERS):
        for kind, site in _sites(file):
            found[kind][file.package].append(site)
    return {kind: {package: sorted(sites) for package, sites in of.items()} for kind, of in found.items()}


def _sites(file: File) -> Iterator[tuple[str, str]]:
    for call in calls(file, "event_id"):
        yield "event ids", ast.unparse(call)
    for call in calls(file, "uuid1", "uuid3", "uuid5", "uuid8", "UUID"):
        if ast.unparse(call.func).startswith("uuid") or any(each.arg == "int" for each in call.keywords):
            yield "other made ids", ast.unparse(call)
    for key in _keys(file):
        yield "idempotency keys", ast.unparse(key)
    for text in file.nodes:
        if isinstance(text, ast.JoinedStr) and _is_prefixed(text):
            yield "prefixes", ast.unparse(text)


def _keys(file: File) -> Iterator[ast.expr]:
    """Expressions given as an idempotency key, by that name: in a call, a dictionary, or an item assignment."""
    for node in file.nodes:
        if isinstance(node, ast.Call):
            yield from (each.value for each in node.keywords if each.arg == "idempotency_key")
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (value for key, value in pairs if key is not None and _is_key_name(key))
        elif isinstance(node, ast.Assign) and any(map(_is_key_in, node.targets)):
            yield node.value


def _is_key_in(target: ast.expr) -> bool:
    return isinstance(target, ast.Subscript) and _is_key_name(target.slice)


def _is_key_name(name: ast.expr) -> bool:
    return str(constant(name)).lower().replace("-", "_") == "idempotency_key"


def _is_prefixed(text: ast.JoinedStr) -> bool:
    """`f"payment-{…}"`: a word that ends in a hyphen or colon, before a value."""
    first = text.values[0] if len(text.values) > 1 else None
    return first is not None and bool(_PREFIX.fullmatch(str(constant(first))))
