"""The documents that others read us by, byte for byte: OpenAPI, AsyncAPI, event schemas as they are and as released."""

from hashlib import sha256
from typing import Any

from tests.frozen.picture import ROOT, Dbs
from tests.tools import generate


async def draw(_: Dbs) -> Any:
    made = {path: text.encode() for path, text in generate.files() if path.is_relative_to(generate.CONTRACTS)}
    released = {path: path.read_bytes() for path in generate.CONTRACTS.glob("released/*")}
    return {
        str(path.relative_to(ROOT)): sha256(content).hexdigest()
        for path, content in (made | released).items()
    }
