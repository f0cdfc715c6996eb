"""Keyset paging: a cursor is opaque to callers and holds the last row's sort key."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from litestar.params import FromQuery, QueryParameter
from msgspec import UNSET

from contracts.http.common import Page
from services.chassis.errors import DomainError

T = TypeVar("T")

DEFAULT_LIMIT = 20
LARGEST_LIMIT = 100
_BACK = "."
"""Begins the cursor of a page before; no base64 has it."""

Cursor = FromQuery[str | None]
Limit = Annotated[int, QueryParameter(ge=1, le=LARGEST_LIMIT)]


class BadCursor(DomainError):
    """A cursor that no answer of ours held."""

    code = "bad_cursor"
    status = 400


def page(rows: list[T], limit: int, key: Callable[[T], tuple[object, ...]]) -> Page[T]:
    """The page of up to `limit` rows; `rows` holds one more when there are more. `key` is what they sort by."""
    shown = rows[:limit]
    return Page(items=shown, next=_cursor(*key(shown[-1])) if len(rows) > limit else None)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins, or with `back` ends: at the row with this key, which is not on it."""

    key: tuple[Any, ...]
    back: bool = False


def place(cursor: str | None, *readers: Callable[[str], Any]) -> Place | None:
    """The place in a list that can be read both ways. Raises `BadCursor`."""
    if cursor is None:
        return None
    back = cursor.startswith(_BACK)
    return Place(tuple(parts(cursor.removeprefix(_BACK), *readers)), back)


def page_of_two_ways(
    rows: list[T], limit: int, at: Place | None, key: Callable[[T], tuple[object, ...]]
) -> Page[T]:
    """The page of up to `limit` rows, in the order in which the statement found them from `at`.

    `rows` holds one more when there are more.
    """
    more, shown = len(rows) > limit, rows[:limit]
    if at is not None and at.back:
        shown = shown[::-1]
        before, after = more, bool(shown)
    else:
        before, after = at is not None and bool(shown), more
    return Page(
        items=shown,
        next=_cursor(*key(shown[-1])) if after else None,
        previous=_BACK + _cursor(*key(shown[0])) if before else UNSET,
    )


def parts(cursor: str, *readers: Callable[[str], Any]) -> list[Any]:
    """The cursor's parts, each through its reader. Raises `BadCursor`."""
    try:
        texts = (
            base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode().split(" ")
        )
        return [read(text) for read, text in zip(readers, texts, strict=True)]
    except ValueError:
        raise BadCursor("not a cursor of this list") from None


def moment(text: str) -> datetime:
    """A time with its offset. Raises ValueError."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("no offset")
    return found


def after_id(cursor: str | None) -> UUID | None:
    """The id in the cursor of a list that is sorted by id."""
    return None if cursor is None else parts(cursor, UUID)[0]


def _cursor(*parts: object) -> str:
    return base64.urlsafe_b64encode(" ".join(str(part) for part in parts).encode()).decode().rstrip("=")
