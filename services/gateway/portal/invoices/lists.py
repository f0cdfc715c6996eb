"""Which invoices Billing History shows: as the address has it, which pages that it led to keep and lead back to."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from urllib.parse import parse_qsl, urlencode

from contracts.http.invoices import LONGEST_SEARCH

FILTERS = ("unpaid", "paid")
LONGEST_CURSOR = 200
LONGEST_QUERY = 4000


@dataclass(frozen=True)
class Listing:
    """A filter as the client gave it, and the place in its list.

    `since` and `until` are days of issue, such as `2026-11-30`.
    """

    status: str = ""
    search: str = ""
    since: str = ""
    until: str = ""
    location: str = ""
    cursor: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "Listing":
        """The list that an address names; a part that no list has is left out."""
        known = {name: _tidy(given.get(name, "")) for name in cls.__dataclass_fields__}
        status = known.pop("status")
        made = cls(status if status in FILTERS else "", **known)
        return replace(
            made,
            search=made.search[:LONGEST_SEARCH],
            location=made.location[:LONGEST_SEARCH],
            cursor=made.cursor[:LONGEST_CURSOR] if made.cursor.isascii() else "",
        )

    @property
    def narrowed(self) -> bool:
        """Whether more than the status is asked for."""
        return bool(self.search or self.since or self.until or self.location)

    @property
    def days(self) -> tuple[date | None, date | None]:
        return _day(self.since), _day(self.until)

    @property
    def error(self) -> str:
        """Why the days cannot be, in words; empty when they can."""
        first, last = self.days
        if (self.since and first is None) or (self.until and last is None):
            return "Write a day as year, month and day, for example 2026-11-30."
        if first and last and first > last:
            return "The first day is after the last day."
        return ""

    def of_status(self, status: str) -> "Listing":
        """The same filter with this status, from its first page."""
        return replace(self, status=status, cursor="")

    def at(self, cursor: str) -> "Listing":
        """The page at this place."""
        return replace(self, cursor=cursor)

    @property
    def query(self) -> str:
        return urlencode({name: value for name, value in vars(self).items() if value})

    def address(self, path: str) -> str:
        return f"{path}?{self.query}" if self.query else path


def read(given: str) -> Listing:
    """The list that led to a page, as the page's address has it."""
    return Listing.of(dict(parse_qsl(given[:LONGEST_QUERY])))


def kept(listing: Listing) -> str:
    """The query for addresses in a list, so that their pages lead back to it."""
    return f"?{urlencode({'list': listing.query})}" if listing.query else ""


def kept_list(given: str) -> str:
    """The same for addresses on a page that a list led to."""
    return kept(read(given))


def _tidy(text: str) -> str:
    return "".join(filter(str.isprintable, text)).strip()


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
