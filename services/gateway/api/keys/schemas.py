"""Bodies of the public API about keys."""

from typing import Annotated
from uuid import UUID

import msgspec

from contracts.http.common import Request
from services.gateway.api.keys.domain import LONGEST_OVERLAP, KeyRow
from services.gateway.api.schemas import ShortText


class NewApiKey(Request, frozen=True, kw_only=True):
    """A clinic's own key; `name` says who uses it."""

    name: ShortText


class MadeApiKey(msgspec.Struct):
    """`api_key` is shown this once; `id` is what the key is rolled and revoked by."""

    id: UUID
    name: str
    api_key: str


_MOST_HOURS = int(LONGEST_OVERLAP.total_seconds() // 3600)


class Roll(Request, frozen=True, kw_only=True):
    """`overlap_hours`: how long the old key works on. 0: not at all."""

    overlap_hours: Annotated[int, msgspec.Meta(ge=0, le=_MOST_HOURS)] = 24


class KeyList(msgspec.Struct):
    items: list[KeyRow]
