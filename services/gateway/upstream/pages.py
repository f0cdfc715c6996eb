"""Lists of several services as one."""

from collections.abc import Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from contracts.http.common import Page


class _Listed(Protocol):
    @property
    def id(self) -> UUID: ...


L = TypeVar("L", bound=_Listed)


def newest_first(pages: Sequence[Page[L]], limit: int) -> Page[L]:
    """One page of services' first pages: ids are in order of time wherever they were made."""
    found = sorted((each for page in pages for each in page.items), key=lambda each: each.id, reverse=True)
    more = len(found) > limit or any(page.next for page in pages)
    return Page(items=found[:limit], next=str(found[:limit][-1].id) if more else None)
