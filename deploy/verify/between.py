"""What must be true between two services' databases, once events are applied: compared row by row, as streams.

Both sides are read in the order of their keys, so that a million rows take no memory, and chunks that are the same
are passed over at once.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from deploy.verify.books import Books

CHUNK = 5000
Row = tuple[Any, ...]


class Stream(Protocol):
    """Rows in the order of their keys."""

    async def fetch(self, count: int) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class Side:
    """What to read of a service: columns named as on the other side, in the order of the key."""

    service: str
    sql: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides that must have the same rows; or, `within`, the first's among the second's.

    The first `key` columns name a row.
    """

    name: str
    says: str
    left: Side
    right: Side
    columns: tuple[str, ...]
    key: int = 2
    within: bool = False

    @property
    def where(self) -> str:
        return f"{self.left.service} ↔ {self.right.service}"


async def differing(books: Books, pair: Pair) -> AsyncIterator[dict[str, Any]]:
    """The rows in which the sides differ: the key, and what each side has."""
    left = await books[pair.left.service].cursor(pair.left.sql)
    right = await books[pair.right.service].cursor(pair.right.sql)
    async for one, other in merged(left, right, pair.key):
        if not (pair.within and one is None):
            yield _named(pair, one, other)


async def merged(left: Stream, right: Stream, key: int) -> AsyncIterator[tuple[Row | None, Row | None]]:
    """Pairs of rows with the same key that differ, or that only one side has."""
    lefts: list[Any] = []
    rights: list[Any] = []
    more_left = more_right = True
    while True:
        if more_left and len(lefts) < CHUNK:
            fetched = await left.fetch(CHUNK)
            more_left, lefts = len(fetched) == CHUNK, lefts + fetched
        if more_right and len(rights) < CHUNK:
            fetched = await right.fetch(CHUNK)
            more_right, rights = len(fetched) == CHUNK, rights + fetched
        if not lefts and not rights:
            return
        if lefts == rights:
            lefts, rights = [], []
            continue
        ends = [rows[-1][:key] for rows, more in ((lefts, more_left), (rights, more_right)) if more and rows]
        until = min(map(tuple, ends)) if ends else None
        now_left, lefts = _until(lefts, until, key)
        now_right, rights = _until(rights, until, key)
        for each in _differences(now_left, now_right, key):
            yield each


def _until(rows: list[Any], until: Row | None, key: int) -> tuple[list[Any], list[Any]]:
    """Rows up to a key, and those after it. Rows of one key stay together: keys are unique."""
    if until is None:
        return rows, []
    cut = next((at for at, row in enumerate(rows) if tuple(row[:key]) > until), len(rows))
    return rows[:cut], rows[cut:]


def _differences(
    lefts: Sequence[Any], rights: Sequence[Any], key: int
) -> list[tuple[Row | None, Row | None]]:
    one = {tuple(row[:key]): tuple(row) for row in lefts}
    other = {tuple(row[:key]): tuple(row) for row in rights}
    keys = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    return [(one.get(name), other.get(name)) for name in keys]


def _named(pair: Pair, one: Row | None, other: Row | None) -> dict[str, Any]:
    known = one or other or ()
    named = dict(zip(pair.columns[: pair.key], known[: pair.key], strict=True))
    if one is None or other is None:
        return named | {"missing in": pair.left.service if one is None else pair.right.service}
    for name, mine, theirs in zip(pair.columns, one, other, strict=True):
        if mine != theirs:
            named[name] = f"{mine} ≠ {theirs}"
    return named
